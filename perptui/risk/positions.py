"""Where each position's own price liquidates its account, the other legs frozen (method §11).

Standard library only, like all exact checks; in floats, since no limit is held against it.
"""

from __future__ import annotations

from decimal import Decimal

from perptui.risk.book import Book, Holding, floated
from perptui.risk.liquidation import Exposure, leg_shock


def liquidation_moves(book: Book[Decimal]) -> dict[str, float | None]:
    """Return the move of each open position's own price that liquidates its account, by id.

    A fraction of the mark: the move it loses by or, where none that way does, the other one (coin
    is the collateral, or other legs hold the account down); None where no price does it; 0 where
    the account is liquidated as it is.
    """
    found: dict[str, float | None] = {}
    for account, equity in book.equity.items():
        held = [floated(one) for one in book.holdings if one.account == account and one.notional]
        legs = [Exposure(one.id, one.notional, one.tiers, linear=one.linear) for one in held]
        for one in held:
            shock = leg_shock(float(equity), legs, one.id, _coin(one, held))
            ways = (shock.down, shock.up) if one.notional > 0.0 else (shock.up, shock.down)
            found[one.id] = next((move for move in ways if move is not None), None)
    return found


def _coin(one: Holding[float], held: list[Holding[float]]) -> int:
    """Return 1 where the account's collateral is this contract's own coin."""
    return int(any(not leg.linear and leg.coin == one.coin for leg in held))
