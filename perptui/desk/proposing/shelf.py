"""What is kept under a slot's name, to be compared with what stands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from perptui.desk.proposing.proposal_picture import Kept
from perptui.desk.proposing.what_ifs import SLOTS
from perptui.desk.worker import QuantWorker
from perptui.model.errors import InputError, WorkerError
from perptui.model.jobs import MeasureDone, MeasureJob, ProposeDone, ProposeJob
from perptui.model.proposal import Proposal

TIMEOUT_S = 60.0
QUIET_S = 0.3
"""How long what is kept waits before it follows what stands: nobody compares while typing."""
_log = logging.getLogger(__name__)


class Shelf:
    """Proposals that were kept, one a slot.

    Parameters
    ----------
    changed : callable
        Called when what is kept was made to compare.

    Attributes
    ----------
    tell : callable
        Makes a text news: whoever asked to compare was answered before.
    """

    def __init__(self, worker: QuantWorker, changed: Callable[[], None]) -> None:
        self._worker = worker
        self._changed = changed
        self.tell: Callable[[str], None] = lambda _: None
        self._task: asyncio.Task[None] | None = None
        self._kept: dict[str, Kept] = {}

    @property
    def all(self) -> tuple[Kept, ...]:
        """What is kept, by slot."""
        return tuple(self._kept[slot] for slot in sorted(self._kept))

    def keep(self, slot: str, job: ProposeJob | None, proposal: Proposal | None) -> None:
        """Keep a proposal and the job that it answers under `slot`.

        Raises
        ------
        InputError
            For another slot, or without a proposal.
        """
        _refuse_slot(slot)
        if proposal is None or job is None:
            raise InputError("expected a solved proposal to keep, was none; wait or solve first")
        self._kept[slot] = Kept(slot, job, proposal)

    def at(self, slot: str) -> Kept:
        """Return what is kept under `slot`.

        Raises
        ------
        InputError
            When nothing is.
        """
        _refuse_slot(slot)
        if slot not in self._kept:
            raise InputError(f"expected something kept under {slot}, was nothing; keep it first")
        return self._kept[slot]

    def forget(self, slot: str) -> None:
        """Drop what is kept under `slot`.

        Raises
        ------
        InputError
            When nothing is.
        """
        del self._kept[self.at(slot).slot]

    def take(self, job: ProposeJob, proposal: Proposal) -> None:
        """Take what stands now: where it answers what is kept, in the older answer's place."""
        yardstick = _yardstick(job)
        for slot, kept in self._kept.items():
            if _on_market_of(kept.job, job) == job:
                self._kept[slot] = Kept(slot, job, proposal)
            else:
                foreign = _yardstick(kept.job) != yardstick
                self._kept[slot] = msgspec.structs.replace(kept, foreign=foreign)

    def follow(self, job: ProposeJob, proposal: Proposal) -> None:
        """Have what is kept compare with what stands, in the background after a short quiet."""
        self.stop()
        if any(kept.foreign or _on_market_of(kept.job, job) != kept.job for kept in self.all):
            self._begin(job, proposal, QUIET_S)

    def compare(self, job: ProposeJob | None, stands: Proposal | None) -> None:
        """Have what is kept compare with what stands now, without a quiet: it is looked at.

        Parameters
        ----------
        job, stands : ProposeJob, Proposal
            What was asked last, and the answer.

        Raises
        ------
        InputError
            When nothing is kept, or nothing stands.
        """
        if not self._kept or job is None or stands is None:
            raise InputError("expected a kept what-if and a proposal, was none; keep one first")
        self.stop()
        self._begin(job, stands, 0.0)

    def stop(self) -> None:
        """Follow no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _begin(self, job: ProposeJob, stands: Proposal, quiet_s: float) -> None:
        self._task = asyncio.create_task(self._follow(job, stands, quiet_s), name="compare")

    async def _follow(self, job: ProposeJob, stands: Proposal, quiet_s: float) -> None:
        await asyncio.sleep(quiet_s)
        try:
            await self._solve_again(job)
            await self._measure(job, stands)
        except WorkerError as error:
            _log.warning("comparing: %s", error)
            self.tell(f"what is kept does not compare yet: {error}")
        self._changed()

    async def _solve_again(self, job: ProposeJob) -> None:
        """Solve what is kept again on the market of what stands."""
        for kept in self.all:
            again = _on_market_of(kept.job, job)
            if again == kept.job:
                continue
            done = await self._worker.ask(
                again, "comparing", TIMEOUT_S, replaces=f"compare {kept.slot}", background=True
            )
            if isinstance(done, ProposeDone):
                new = Kept(kept.slot, again, done.proposal, foreign=kept.foreign)
                self._put(kept, new)

    async def _measure(self, job: ProposeJob, stands: Proposal) -> None:
        """Give what has another aim, or rests on other estimates, its figures by those of `job`."""
        foreign = [kept for kept in self.all if kept.foreign and kept.common_with != stands.digest]
        if not foreign:
            return
        asked = MeasureJob(job, tuple(kept.proposal.rows for kept in foreign))
        done = await self._worker.ask(
            asked, "comparing", TIMEOUT_S, replaces="measure", background=True
        )
        if isinstance(done, MeasureDone):
            for kept, figures in zip(foreign, done.books, strict=True):
                new = msgspec.structs.replace(kept, common=figures, common_with=stands.digest)
                self._put(kept, new)

    def _put(self, old: Kept, new: Kept) -> None:
        """Let `new` take the place of `old`, unless something else was kept there meanwhile."""
        if self._kept.get(old.slot) is old:
            self._kept[old.slot] = new


def _on_market_of(kept: ProposeJob, job: ProposeJob) -> ProposeJob:
    """Return what was asked, of the market of `job` and its bar before."""
    same = kept.strategy.name == job.strategy.name
    before = job.exposure_before if same else kept.exposure_before
    return msgspec.structs.replace(kept, snapshot=job.snapshot, exposure_before=before)


def _yardstick(job: ProposeJob) -> tuple[object, ...]:
    """Return what figures of a proposal are measured by: all but what may be traded."""
    bent = msgspec.structs.replace(
        job.what_if, targets={}, limits={}, reduce_only=False, strategy=""
    )
    return job.strategy, job.blended, bent


def _refuse_slot(slot: str) -> None:
    if slot not in SLOTS:
        raise InputError(f"expected {' or '.join(SLOTS)}, was {slot!r}; name one of them")
