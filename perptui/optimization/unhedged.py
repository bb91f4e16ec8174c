"""A book without the puts that are proposed with it, until somebody has bought them by hand.

perptui sends no option orders. What is sent must keep every hard limit as long as no put is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from perptui.model.limit import LimitCheck
from perptui.optimization.checks import checks_of, exact_book, forbidding
from perptui.optimization.inputs import ProgramInputs

EASED = {
    "cvar": "CVaR",
    "volatility": "volatility (robust)",
    "market_correlation": "market correlation",
}
"""Limits that a put moves, and their names in a sentence."""
BUY = "buy them by hand, write what is bought as `held` of each in config.toml and solve again"
WITHOUT = "set hedge_from=never and ask for none with put:"
ASKED = "take what put: asks for out of the what-if"
"""How to go without puts; where hedges are never opened, only what was asked for is bought."""


@dataclass(frozen=True)
class Unhedged:
    """What holds of a book without the puts that are still to be bought; empty: there are none.

    Attributes
    ----------
    limits : tuple of LimitCheck
        Every limit held against it.
    blocked : tuple of LimitCheck
        Those of them that forbid its orders.
    asked : bool
        Whether the strategy never opens hedges by itself.
    """

    limits: tuple[LimitCheck, ...] = ()
    blocked: tuple[LimitCheck, ...] = ()
    asked: bool = False

    def words(self, blocked: Sequence[LimitCheck], hedged: Sequence[LimitCheck]) -> tuple[str, ...]:
        """Return what the puts would add, and which limits fail until they are bought.

        Parameters
        ----------
        blocked : sequence of LimitCheck
            Limits that forbid the orders with the puts too, and are named already.
        hedged : sequence of LimitCheck
            Every limit with the puts.
        """
        if not self.limits:
            return ()
        named = {check.name for check in blocked}
        cure = f"{BUY}, or {ASKED if self.asked else WITHOUT}"
        broken = [
            f"{check.name} would be {check.value:.6g} against its limit {check.limit:g} until the "
            f"puts are bought: {cure}"
            for check in self.blocked
            if check.name not in named
        ]
        also = "" if self.blocked else "; every limit holds without them too"
        return (*broken, _added(self.limits, hedged) + also)


def _added(bare: Sequence[LimitCheck], hedged: Sequence[LimitCheck]) -> str:
    """Return what the puts change, as a sentence."""
    without = {check.name: check.value for check in bare}
    changes = [
        f"{EASED[check.name]} {check.value:.2%} instead of {without[check.name]:.2%}"
        for check in hedged
        if check.name in EASED and check.name in without
    ]
    return (
        "the puts are no orders of this proposal and are to be bought by hand first: with them "
        f"{', '.join(changes)}"
    )


def until_bought(
    inputs: ProgramInputs,
    after: Sequence[Decimal],
    now: Sequence[LimitCheck],
    *,
    reducing: bool,
    asked: bool = False,
) -> Unhedged:
    """Return a rounded book held against every limit without the puts still to be bought.

    Parameters
    ----------
    after : sequence of Decimal
        Its signed contracts.
    now : sequence of LimitCheck
        Of the book before the trade.
    reducing : bool
        Whether the trade only reduces.
    asked : bool
        Whether the strategy never opens hedges by itself.
    """
    bare = inputs.unhedged
    if bare is None:
        return Unhedged()
    limits = checks_of(bare, exact_book(bare, after))
    return Unhedged(limits, forbidding(bare, limits, now, reducing=reducing), asked)
