"""Where each position's own price liquidates its account, the other legs frozen (method §11).

Standard library only, and generic, like all account mathematics.
"""

from __future__ import annotations

from perptui.risk.book import Book, Holding
from perptui.risk.liquidation import leg_shocks
from perptui.risk.margin import Number


def liquidation_moves(book: Book[Number]) -> dict[str, Number | None]:
    """Return the move of each open position's own price that liquidates its account, by id.

    A fraction of the mark: the move it loses by or, where none that way does, the other one (coin
    is the collateral, or other legs hold the account down); None where no price does it; 0 where
    the account is liquidated as it is.
    """
    found: dict[str, Number | None] = {}
    for account, equity in book.equity.items():
        held = [one for one in book.holdings if one.account == account and one.notional]
        shocks = leg_shocks(equity, book.legs[account], _coins(held))
        for one, shock in zip(held, shocks, strict=True):
            ways = (shock.down, shock.up) if one.notional > 0 else (shock.up, shock.down)
            found[one.id] = next((move for move in ways if move is not None), None)
    return found


def _coins(held: list[Holding[Number]]) -> list[int]:
    """Return for each contract 1 where the account's collateral is its own coin, else 0."""
    inverse = {leg.coin for leg in held if not leg.linear}
    return [int(one.coin in inverse) for one in held]
