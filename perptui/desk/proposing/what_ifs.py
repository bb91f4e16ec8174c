"""What-ifs made from what stands: relaxations, reductions, ways out; and what they may name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from perptui.model.assignment import FREE, assignments, bend
from perptui.model.bent import shown_only
from perptui.model.errors import InputError
from perptui.model.explanation import Clash, Reduction
from perptui.model.jobs import ProposeJob
from perptui.model.proposal import Proposal
from perptui.model.whatif import EVERY, WhatIf
from perptui.protocol.views_rebalance import Offer

SLOTS = ("A", "B")
"""Where a what-if can be kept."""
NAMED = 3
"""Broken limits that an offer names."""
WEIGHT_STEP = Decimal("0.000001")


def refuse_strangers(what_if: WhatIf, proposal: Proposal | None) -> None:
    """Refuse a what-if of a contract or coin that the proposal knows nothing of.

    Raises
    ------
    InputError
        Naming the first.
    """
    named = {*what_if.targets, *what_if.views, *what_if.costs, *what_if.shocks} - {EVERY}
    ids = set() if proposal is None else {row.id for row in proposal.rows}
    coins = {name.partition(":")[2].partition("/")[0] for name in ids}
    strangers = sorted(named - ids - coins)
    if strangers:
        raise InputError(
            f"expected an instrument of the proposal, was {strangers[0]!r}; solve first"
        )


def relaxed(what_if: WhatIf, clash: Sequence[Clash], name: str) -> WhatIf:
    """Return `what_if` with the relaxation that the clash names for its member `name`.

    Raises
    ------
    InputError
        When there is no such member, or relaxing it alone is not enough.
    """
    member = next((one for one in clash if one.name == name), None)
    if member is None:
        raise InputError(f"expected a limit that clashes, was {name!r}; choose one that is named")
    if member.relaxed is None or not member.setting:
        raise InputError(
            f"expected a limit that can be relaxed alone, was {name!r}; relax another of them"
        )
    return bend(what_if, f"{member.setting}={member.relaxed:.12g}")


def only_shown(job: ProposeJob, clash: Sequence[Clash]) -> tuple[str, ...]:
    """Return the members whose relaxation, taken, may be looked at but never sent."""
    return tuple(
        member.name
        for member in clash
        if member.needed is not None
        and member.setting
        and shown_only(
            relaxed(job.what_if, clash, member.name), job.limits, job.strategy, job.blended
        )
    )


def reduced(what_if: WhatIf, proposal: Proposal | None, share: float) -> WhatIf:
    """Return `what_if` with every position's target fixed at 1 - `share` of it, others at none.

    Raises
    ------
    InputError
        When `share` is not in (0, 1] or nothing is held.
    """
    held = {} if proposal is None else {row.id: row.weight_now for row in proposal.rows}
    held = {name: weight for name, weight in held.items() if weight}
    if not 0.0 < share <= 1.0:
        raise InputError(f"expected a share above 0 and up to 1, was {share:g}; give 0.25 or so")
    if not held:
        raise InputError("expected a position to reduce, was none; nothing to do")
    # Towards none: a share that was asked for is never cut short by the last digit.
    targets = {name: _toward_zero(weight * (1.0 - share)) for name, weight in held.items()}
    return msgspec.structs.replace(what_if, targets=targets, reduce_only=True)


def _toward_zero(weight: float) -> float:
    kept = Decimal(repr(abs(weight))) // WEIGHT_STEP * WEIGHT_STEP
    return math.copysign(float(kept), weight) if kept else 0.0


def offers(
    proposal: Proposal, reduction: Reduction | None = None, *, pending: bool = False
) -> tuple[Offer, ...]:
    """Return the ways out where limits clash or the present book breaks one; none elsewhere.

    Parameters
    ----------
    reduction : Reduction, optional
        Where only reducing leads, by solving it: without it that is offered in words alone.
    pending : bool
        It is still being solved.
    """
    breached = [check.name for check in proposal.limits_now if not check.ok]
    if proposal.status != "infeasible" and not breached:
        return ()
    found = [Offer("hold", f"hold: nothing is sent{_stay(breached)}")]
    if proposal.status != "infeasible":
        return tuple(found)
    if reduction is None:
        return (*found, Offer("reduce_only", f"only reduce: {_why_none(proposal, pending)}"))
    found.append(_only_reduce(reduction))
    share = proposal.explanation.reduce_only_share
    if share is not None and share < 1.0:
        text = f"reduce every position to {share:.1%}: every limit on positions holds there"
        plan = " ".join(assignments(reduced(WhatIf(), proposal, 1.0 - share)))
        if not reduction.share_at_once:
            text, plan = f"{text}; no one proposal reaches it, only reducing goes nearer", ""
        found.append(Offer("reduce", text, plan))
    return tuple(found)


def _only_reduce(reduction: Reduction) -> Offer:
    left = _stay(reduction.breached)
    end = f"{left}: a step, propose again after it" if left else ": every limit holds after it"
    freed = "".join(f", target:{name} freed" for name in reduction.freed)
    words = f"only reduce{freed}: turnover {reduction.turnover:.1%}{end}"
    asked = [*(f"target:{name}={FREE}" for name in reduction.freed), "reduce_only=true"]
    return Offer("reduce_only", words, " ".join(asked))


def _why_none(proposal: Proposal, pending: bool) -> str:
    """Return why only reducing leads nowhere."""
    if not any(row.weight_now for row in proposal.rows):
        return "nothing is held"
    if pending:
        return "where it leads is being worked out"
    return "no order that only reduces takes the book nearer its limits"


def _stay(breached: Sequence[str]) -> str:
    """Return which limits stay broken, in words with a colon before them; "" where none does."""
    if not breached:
        return ""
    more = f" and {len(breached) - NAMED} more" if len(breached) > NAMED else ""
    stays = "stays" if len(breached) == 1 else "stay"
    return f": {', '.join(breached[:NAMED])}{more} {stays} breached"
