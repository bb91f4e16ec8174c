"""Only reducing where fixed targets are in its way: all of them freed."""

from __future__ import annotations

import msgspec

from perptui.model.explanation import Reduction
from perptui.model.jobs import ProposeJob
from perptui.model.proposal import Proposal


def only_reducing(job: ProposeJob) -> tuple[ProposeJob, tuple[str, ...]]:
    """Return what only reducing asks for where fixed targets are in its way, and whose they are.

    All targets are freed: one that opens or grows a position is no reduction, and one that is none
    too many may be out of reach of one proposal's trades.
    """
    freed = tuple(sorted(job.what_if.targets))
    bent = msgspec.structs.replace(job.what_if, targets={}, reduce_only=True)
    return msgspec.structs.replace(job, what_if=bent), freed


def reduction_in(proposal: Proposal, freed: tuple[str, ...]) -> Reduction | None:
    """Return where a solved reduction leads; None where it trades nothing."""
    if proposal.status != "ok" or not proposal.orders:
        return None
    broken = tuple(check.name for check in proposal.limits if not check.ok)
    return Reduction(proposal.turnover, broken, freed=freed)
