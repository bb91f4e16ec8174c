"""What stands behind a mixture of two optima: each part's own ledger and prices, by its share.

Both parts' first-order conditions hold, each in bp a year of its own program, so their mixture adds
up to nothing too; a limit's price is what both parts together would pay a day for room in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perptui.model.explanation import Drift, Explanation, LedgerRow, LimitPrice
from perptui.optimization.explain.ledger import TERMS


def blended(
    own: Explanation, parts: Sequence[Explanation], share: float, traded: Sequence[bool]
) -> Explanation:
    """Return `own` with the ledger, the prices and the objective of two parts' explanations.

    What is printed as the objective is what the two parts are worth by their shares: each part
    takes its own optimum anew where a limit moves, so that a price is the slope of that sum.

    Parameters
    ----------
    own : Explanation
        Of the mixture: its break-evens stay, and of its drift turnover and tracking. What the way
        there gains is what it gains the parts: by the yardstick of the objective.
    parts : sequence of two Explanations
        Of the core and the tactical optimum, of the same contracts in the same order.
    share : float
        Of the second.
    traded : sequence of bool
        Whether the mixture trades each contract.
    """
    shares = (1.0 - share, share)
    ledger = tuple(
        _row([part.ledger[at] for part in parts], shares, trades)
        for at, trades in enumerate(traded)
    )
    worth = sum(
        weight * (part.objective_usd_per_day or 0.0)
        for part, weight in zip(parts, shares, strict=True)
    )
    return msgspec.structs.replace(
        own,
        ledger=ledger,
        limits=_prices(own, parts, shares),
        drift=_drift(own.drift, [part.drift for part in parts], shares),
        objective_usd_per_day=worth,
    )


def _drift(
    own: Drift | None, parts: Sequence[Drift | None], shares: tuple[float, float]
) -> Drift | None:
    """Return the mixture's drift with what the parts gain on their ways, by their shares."""
    if own is None:
        return None
    gains = [0.0 if part is None else part.regret_usd_day for part in parts]
    gain = sum(share * one for share, one in zip(shares, gains, strict=True))
    return msgspec.structs.replace(own, regret_usd_day=gain)


def _row(rows: Sequence[LedgerRow], shares: Sequence[float], traded: bool) -> LedgerRow:
    def mixed(name: str) -> float:
        return sum(
            share * float(getattr(row, name)) for row, share in zip(rows, shares, strict=True)
        )

    by_limit: dict[str, float] = {}
    for row, share in zip(rows, shares, strict=True):
        for name, value in row.by_limit.items():
            by_limit[name] = by_limit.get(name, 0.0) + share * value
    terms = {term: mixed(term) for term in TERMS}
    limits = sum(by_limit.values())
    return LedgerRow(
        id=rows[0].id,
        **terms,
        limits=limits,
        residual=sum(terms.values()) + limits,
        traded=traded,
        distance=0.0 if traded else mixed("distance"),
        by_limit={name: value for name, value in by_limit.items() if value != 0.0},
    )


def _prices(
    own: Explanation, parts: Sequence[Explanation], shares: Sequence[float]
) -> tuple[LimitPrice, ...]:
    """Return the own rows, in their order, at both parts' prices; then those of a part alone."""
    paid: dict[str, float] = {}
    rows = {row.name: row for row in own.limits}
    for part, share in zip(parts, shares, strict=True):
        for row in part.limits:
            paid[row.name] = paid.get(row.name, 0.0) + share * row.price_usd_per_day
            if row.price_usd_per_day != 0.0:
                rows.setdefault(row.name, row)
    return tuple(
        msgspec.structs.replace(row, price_usd_per_day=paid.get(row.name, 0.0), low=None, high=None)
        for row in rows.values()
    )
