"""The efficient frontier around what stands, traced in the background a point at a time.

One job is one point, below every other job, so that a what-if waits for one point at most.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from perptui.desk.worker import QuantWorker
from perptui.model.errors import WorkerError
from perptui.model.explanation import FrontierPoint
from perptui.model.jobs import (
    FrontierDone,
    FrontierJob,
    Job,
    JobResult,
    MeasureDone,
    MeasureJob,
    ProposeDone,
    ProposeJob,
)
from perptui.model.proposal import BookRisk

POINT_TIMEOUT_S = 20.0
QUIET_S = 0.3
"""How long a proposal stands before its frontier is begun: nobody reads one while typing."""
FACTORS = tuple(2.0**power for power in (-5, 6, 0, -2, 3, -4, 5, -1, 2, -3, 4, 1))
"""Of the risk aversion that stands, both ends first so that the plot has its range at once."""
AVERSION_MIN, AVERSION_MAX = 1e-3, 1e3
_log = logging.getLogger(__name__)


class Frontier:
    """Traces one frontier at a time; a new one drops what is left of the old.

    Parameters
    ----------
    changed : callable
        Called at each point.

    Attributes
    ----------
    ended : bool
        Every point was asked for and answered, or given up.
    """

    def __init__(self, worker: QuantWorker, changed: Callable[[], None]) -> None:
        self._worker = worker
        self._changed = changed
        self._task: asyncio.Task[None] | None = None
        self.points: tuple[FrontierPoint, ...] = ()
        self.wanted = 0
        self.own: BookRisk | None = None
        self.ended = False

    def drop(self) -> None:
        """Stop, and forget the points."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self.points, self.wanted, self.own, self.ended = (), 0, None, False

    def trace(self, job: ProposeJob, risk_aversion: float, own: ProposeJob | None) -> None:
        """Begin the frontier of the program that `job` poses.

        Parameters
        ----------
        risk_aversion : float
            That stands; the points are at multiples of it.
        own : ProposeJob or None
            The same with nothing bent: where its target is among the points is found first. None
            where `job` is that.
        """
        self.drop()
        aversions = aversions_around(risk_aversion)
        self.wanted = len(aversions)
        self._task = asyncio.create_task(self._trace(job, aversions, own), name="frontier")

    async def _place(self, job: ProposeJob, own: ProposeJob) -> None:
        """Find where the desk's own target is, by the yardstick of what stands."""
        try:
            done = await self._ask(own)
            if isinstance(done, ProposeDone) and done.proposal.solver.status == "optimal":
                figures = await self._ask(MeasureJob(job, (done.proposal.rows,)))
                if isinstance(figures, MeasureDone):
                    self.own = figures.books[0].risk
                    self._changed()
        except WorkerError as error:
            _log.warning("the desk's own target: %s", error)

    async def _ask(self, job: Job) -> JobResult:
        return await self._worker.ask(job, "frontier", POINT_TIMEOUT_S, background=True)

    async def _trace(
        self, job: ProposeJob, aversions: tuple[float, ...], own: ProposeJob | None
    ) -> None:
        await asyncio.sleep(QUIET_S)
        if own is not None:
            await self._place(job, own)
        for aversion in aversions:
            try:
                done = await self._ask(FrontierJob(job, (aversion,)))
            except WorkerError as error:
                _log.warning("frontier at %g: %s", aversion, error)
                break
            if isinstance(done, FrontierDone):
                found = (*self.points, *done.points)
                self.points = tuple(sorted(found, key=lambda one: one.volatility_annual))
                self._changed()
        # What has no optimum, or was not answered, is waited for no longer.
        self.wanted, self.ended = len(self.points), True
        self._changed()


def aversions_around(risk_aversion: float) -> tuple[float, ...]:
    """Return the risk aversions to solve for, in the order of interest, each once."""
    wanted = (min(max(factor * risk_aversion, AVERSION_MIN), AVERSION_MAX) for factor in FACTORS)
    return tuple(dict.fromkeys(wanted))
