"""What the quant process does with a job, whatever the job does."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from perptui.history.dataset import History
from perptui.model.errors import PerptuiError
from perptui.model.forecast import Estimates
from perptui.model.jobs import (
    AppendHistory,
    AskHistory,
    ClashDone,
    ClashJob,
    EstimateDone,
    EstimateJob,
    FrontierDone,
    FrontierJob,
    HistoryReach,
    Job,
    JobFailed,
    JobResult,
    MeasureDone,
    MeasureJob,
    Prepared,
    PrepareJob,
    ProposeDone,
    ProposeJob,
    identity_of,
)
from perptui.model.snapshot import MarketSnapshot
from perptui.quant.estimate import Estimator

if TYPE_CHECKING:
    from perptui.quant.clash import ClashSearch

MOST_NOTES = 20
MARKETS_KEPT = 3
STEP_S = 0.003
"""From this on, preparing lets others be answered before it goes on with its next step."""
SLICE_S = 0.015
"""How long a search for what clashes goes on before others are answered; a solve of it may last
as long again."""
WARM_UP = (
    "scipy.sparse",
    "scipy.linalg",
    "scipy.special",
    "scipy.optimize",
    "scipy.interpolate",
    "scipy.integrate",
    "scipy.ndimage",
    "scipy.stats",
    "cvxpy",
    "perptui.quant.propose",
    "perptui.quant.clash",
)
"""In the order of import: the first are parts of cvxpy's own, two thirds of its seconds."""
_log = logging.getLogger(__name__)


class Worker:
    """Answers jobs over one history; keeps estimates between them.

    Parameters
    ----------
    history : History
        Read, and appended to by `AppendHistory` alone.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._estimator = Estimator(history)
        self._markets: list[MarketSnapshot] = []
        self._preparing: tuple[ProposeJob, Generator[None, None, Estimates]] | None = None
        self._identified: tuple[Estimates, str] | None = None
        self._search: ClashSearch | None = None

    @property
    def market(self) -> MarketSnapshot | None:
        """The market of the newest job that was about one."""
        return self._markets[0] if self._markets else None

    def warm_up(self) -> Iterator[str]:
        """Import and run once what the first proposal would otherwise wait for, a step a time.

        No step takes long, so that a job which comes meanwhile is answered after it.
        """
        for name in WARM_UP:
            importlib.import_module(name)
            yield name
        cvxpy = importlib.import_module("cvxpy")
        x = cvxpy.Variable()
        cvxpy.Problem(cvxpy.Minimize(cvxpy.square(x)), [x >= 1]).solve(solver="CLARABEL")
        yield "solve"

    def answer(self, job: Job) -> JobResult:
        """Return the job's answer; a refusal or a crash in it is a `JobFailed`."""
        try:
            return self._answer(job)
        except PerptuiError as error:
            _log.warning("%s refused: %s", type(job).__name__, error)
            return JobFailed(type(error).__name__, _one_line(error))
        except Exception as error:  # noqa: BLE001 (the worker's edge: a job never ends the process)
            _log.exception("%s crashed", type(job).__name__)
            text = f"{type(error).__name__}: {_one_line(error)}; see the quant log"
            return JobFailed(type(error).__name__, text)

    def _answer(self, job: Job) -> JobResult:
        match job:
            case AppendHistory():
                return self._append(job)
            case AskHistory():
                return HistoryReach(self._history.reach(), self._history.all_notes()[:MOST_NOTES])
            case EstimateJob():
                job = replace(job, snapshot=self._one(job.snapshot))
                return EstimateDone(self._estimator.estimate(job))
            case ProposeJob():
                return self._propose(replace(job, snapshot=self._one(job.snapshot)))
            case ClashJob():
                return self._clash(replace(job.asked, snapshot=self._one(job.asked.snapshot)))
            case PrepareJob():
                return self._prepare(replace(job.asked, snapshot=self._one(job.asked.snapshot)))
            case FrontierJob():
                asked = replace(job.asked, snapshot=self._one(job.asked.snapshot))
                return self._frontier(replace(job, asked=asked))
            case MeasureJob():
                asked = replace(job.asked, snapshot=self._one(job.asked.snapshot))
                return self._measure(replace(job, asked=asked))

    def _one(self, snapshot: MarketSnapshot) -> MarketSnapshot:
        """Return the snapshot of a job before where this one equals it, else this one.

        One object then stands for one market, and what was worked out of it is found by it.
        """
        before = self._markets
        if before and before[0] is snapshot:
            return snapshot
        found = next((one for one in before if one == snapshot), None)
        if found is None and before and before[0].instruments == snapshot.instruments:
            snapshot = replace(snapshot, instruments=before[0].instruments)
        found = snapshot if found is None else found
        self._markets = [found, *(one for one in before if one is not found)][:MARKETS_KEPT]
        return found

    def _append(self, job: AppendHistory) -> HistoryReach:
        notes = [line for series in job.series for line in self._history.append(series)]
        return HistoryReach(self._history.reach(), tuple(notes[:MOST_NOTES]))

    def _propose(self, job: ProposeJob) -> ProposeDone:
        # Imported here: a process that only estimates never waits for cvxpy.
        from perptui.quant.propose import propose

        proposal, estimates = propose(job, self._history, self._estimator)
        return ProposeDone(proposal, estimates, self._identity(estimates))

    def _identity(self, estimates: Estimates) -> str:
        if self._identified is None or self._identified[0] is not estimates:
            self._identified = estimates, identity_of(estimates)
        return self._identified[1]

    def _prepare(self, asked: ProposeJob) -> Prepared:
        from perptui.quant.propose import prepare

        before, self._preparing = self._preparing, None
        if before is None or before[0] != asked:
            before = asked, prepare(asked, self._estimator)
        ends = time.perf_counter() + STEP_S
        while time.perf_counter() < ends:
            try:
                next(before[1])
            except StopIteration as end:
                self._identity(end.value)
                return Prepared()
        self._preparing = before
        return Prepared(done=False)

    def _clash(self, asked: ProposeJob) -> ClashDone:
        from perptui.quant.clash import ClashSearch

        search, self._search = self._search, None
        if search is None or search.asked != asked:
            search = ClashSearch(asked, self._estimator)
        done = search.go_on(SLICE_S)
        if not done.done:
            self._search = search
        return done

    def _frontier(self, job: FrontierJob) -> FrontierDone:
        from perptui.quant.propose import frontier_of, parents_of, told_of

        told = told_of(job.asked, self._estimator)
        return FrontierDone(frontier_of(job, told, parents_of(job.asked, self._estimator)))

    def _measure(self, job: MeasureJob) -> MeasureDone:
        from perptui.quant.measure import measured
        from perptui.quant.propose import parents_of, told_of

        told = told_of(job.asked, self._estimator)
        return MeasureDone(measured(job, told, parents_of(job.asked, self._estimator)))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no reason given"
