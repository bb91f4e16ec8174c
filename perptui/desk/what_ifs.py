"""What-ifs made from what stands: relaxations, reductions, ways out; and what they may name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from perptui.model.assignment import assignments, bend
from perptui.model.bent import shown_only
from perptui.model.errors import InputError
from perptui.model.explanation import Clash, Reduction
from perptui.model.jobs import ProposeJob
from perptui.model.proposal import Proposal
from perptui.model.whatif import EVERY, WhatIf
from perptui.protocol.views_rebalance import Offer

SLOTS = ("A", "B")
"""Where a what-if can be kept."""
DIGITS = 4
"""Significant digits of a relaxation: the least one is made a little wider, never narrower."""
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
    if member.needed is None or not member.setting:
        raise InputError(
            f"expected a limit that can be relaxed alone, was {name!r}; relax another of them"
        )
    return bend(what_if, f"{member.setting}={_outward(member, member.needed)}")


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


def _outward(member: Clash, needed: float) -> str:
    """Return the relaxed value, rounded away from the limit: what is needed stays inside."""
    if needed == 0.0:
        return "0"
    unit = 10.0 ** (math.floor(math.log10(abs(needed))) - DIGITS + 1)
    rounded = math.ceil if needed > member.limit else math.floor
    return f"{rounded(needed / unit) * unit:.12g}"


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


def offers(proposal: Proposal, reduction: Reduction | None = None) -> tuple[Offer, ...]:
    """Return the ways out where limits clash or the present book breaks one; none elsewhere.

    Parameters
    ----------
    reduction : Reduction, optional
        Where only reducing leads, by solving it: without it that is not offered.
    """
    breached = [check.name for check in proposal.limits_now if not check.ok]
    if proposal.status != "infeasible" and not breached:
        return ()
    found = [Offer("hold", f"hold: nothing is sent{_stay(breached)}")]
    if proposal.status != "infeasible" or reduction is None:
        return tuple(found)
    left = _stay(reduction.breached)
    end = f"{left}: a step, propose again after it" if left else ": every limit holds after it"
    words = f"only reduce: turnover {reduction.turnover:.1%}{end}"
    found.append(Offer("reduce_only", words, "reduce_only=true"))
    share = proposal.explanation.reduce_only_share
    if share is not None and share < 1.0:
        text = f"reduce every position to {share:.1%}: every limit on positions holds there"
        plan = " ".join(assignments(reduced(WhatIf(), proposal, 1.0 - share)))
        if not reduction.share_at_once:
            text, plan = f"{text}; no one proposal reaches it, only reducing goes nearer", ""
        found.append(Offer("reduce", text, plan))
    return tuple(found)


def _stay(breached: Sequence[str]) -> str:
    """Return which limits stay broken, in words with a colon before them; "" where none does."""
    if not breached:
        return ""
    more = f" and {len(breached) - NAMED} more" if len(breached) > NAMED else ""
    stays = "stays" if len(breached) == 1 else "stay"
    return f": {', '.join(breached[:NAMED])}{more} {stays} breached"
