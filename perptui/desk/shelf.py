"""What is kept under a slot's name, to be compared with what stands."""

from __future__ import annotations

import msgspec

from perptui.desk.proposal_picture import Kept
from perptui.desk.what_ifs import SLOTS
from perptui.desk.worker import QuantWorker
from perptui.model.errors import InputError
from perptui.model.jobs import ProposeDone, ProposeJob
from perptui.model.proposal import Proposal

COMPARE_TIMEOUT_S = 60.0


class Shelf:
    """Proposals that were kept, one a slot."""

    def __init__(self, worker: QuantWorker) -> None:
        self._worker = worker
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
        """Let a newer answer to a question that is kept take the place of the older one."""
        for slot, kept in self._kept.items():
            if _on_market_of(kept.job, job) == job:
                self._kept[slot] = Kept(slot, job, proposal)

    async def compare(self, job: ProposeJob | None) -> None:
        """Solve what is kept again on the market of `job`.

        Raises
        ------
        InputError
            When nothing is kept, or there is no job.
        WorkerError
            When one cannot be solved.
        """
        if not self._kept or job is None:
            raise InputError("expected a kept what-if and a proposal, was none; keep one first")
        for slot, kept in sorted(self._kept.items()):
            again = _on_market_of(kept.job, job)
            if again == kept.job:
                continue
            done = await self._worker.ask(
                again, "comparing", COMPARE_TIMEOUT_S, replaces=f"compare {slot}", background=True
            )
            if isinstance(done, ProposeDone) and self._kept.get(slot) is kept:
                self._kept[slot] = Kept(slot, again, done.proposal)


def _on_market_of(kept: ProposeJob, job: ProposeJob) -> ProposeJob:
    return msgspec.structs.replace(kept, snapshot=job.snapshot)


def _refuse_slot(slot: str) -> None:
    if slot not in SLOTS:
        raise InputError(f"expected {' or '.join(SLOTS)}, was {slot!r}; name one of them")
