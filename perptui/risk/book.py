"""A book: every contract and every margin account of a desk, and what may be read off it.

Standard library only, and generic, as `perptui.risk.limits`, which holds limits against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Generic

from perptui.risk.liquidation import AccountShock, Exposure, account_shock
from perptui.risk.margin import Number, Tier, float_tiers


@dataclass(frozen=True)
class Holding(Generic[Number]):
    """One contract of a book.

    Attributes
    ----------
    account : str
        Key of the margin account that carries it (`Account.key`).
    notional, before : number
        Signed, USD, at one and the same mark: in the book, and before its trade.
    tiers : sequence of Tier
        Maintenance schedule; may be empty only while `notional` is 0.
    volume_usd_day : number or None
        Average daily volume; None: participation cannot be judged and is not.
    leverage : number or None
        At which its initial margin is worked out; None: the highest that its tiers allow.
    """

    id: str
    coin: str
    account: str
    notional: Number
    before: Number
    tiers: Sequence[Tier[Number]]
    volume_usd_day: Number | None = None
    linear: bool = True
    leverage: Number | None = None

    def at(self, notional: Number) -> Holding[Number]:
        """Return the same contract held at another notional."""
        return Holding(
            self.id,
            self.coin,
            self.account,
            notional,
            self.before,
            self.tiers,
            self.volume_usd_day,
            self.linear,
            self.leverage,
        )


@dataclass(frozen=True)
class Book(Generic[Number]):
    """All contracts and all margin accounts of a desk.

    Attributes
    ----------
    equity : mapping of str to number
        Equity of each margin account, USD; the sum must be positive.
    volatility : float or None
        Annualised, fraction of equity (`book_volatility`); None: not judged.
    peak_equity : number or None
        Highest equity so far, USD; None: no drawdown.
    """

    holdings: tuple[Holding[Number], ...]
    equity: Mapping[str, Number]
    volatility: float | None = None
    peak_equity: Number | None = None

    @cached_property
    def total(self) -> Number:
        """Equity of all accounts, USD.

        Raises
        ------
        ValueError
            When it is not positive, or a holding's account has no equity entry.
        """
        accounts = list(self.equity.values())
        homeless = sorted({one.account for one in self.holdings} - set(self.equity))
        if homeless:
            raise ValueError(
                f"expected the equity of every account, was none for {homeless[0]}; read it first"
            )
        total = sum(accounts[1:], accounts[0]) if accounts else None
        if total is None or total <= 0:
            raise ValueError(f"expected a positive equity, was {total}; nothing can be held on it")
        return total

    @cached_property
    def legs(self) -> Mapping[str, tuple[Exposure[Number], ...]]:
        """The open legs of each margin account."""
        found: dict[str, list[Exposure[Number]]] = {account: [] for account in self.equity}
        for one in self.holdings:
            if one.notional != 0:
                leg = Exposure(one.id, one.notional, one.tiers, linear=one.linear)
                found.setdefault(one.account, []).append(leg)
        return {account: tuple(legs) for account, legs in found.items()}

    @cached_property
    def shocks(self) -> Mapping[str, AccountShock[Number]]:
        """The common moves that liquidate each margin account."""
        return {
            account: account_shock(equity, self.legs[account], self.collateral_beta(account))
            for account, equity in self.equity.items()
        }

    def collateral_beta(self, account: str) -> int:
        """Return the move of an account's collateral per common move of prices.

        1 where it carries inverse contracts, whose margin is the coin itself; 0 for dollars.
        """
        return int(any(not one.linear for one in self.holdings if one.account == account))

    def collateral_move(self, account: str, moves: Mapping[str, Number]) -> Number:
        """Return how far an account's collateral moves with the coins that it is.

        Of several the one that falls most; nothing for dollars.

        Parameters
        ----------
        moves : mapping of str to number
            Of each contract's price, by id; none stays.
        """
        zero = self.equity[account] - self.equity[account]
        own = (one for one in self.holdings if one.account == account and not one.linear)
        return min((moves.get(one.id, zero) for one in own), default=zero)


def floated(one: Holding[Decimal]) -> Holding[float]:
    """Return a holding in floats."""
    return Holding(
        one.id,
        one.coin,
        one.account,
        float(one.notional),
        float(one.before),
        float_tiers(one.tiers),
        None if one.volume_usd_day is None else float(one.volume_usd_day),
        one.linear,
        None if one.leverage is None else float(one.leverage),
    )


def turnover(book: Book[Number]) -> Number:
    """Return one-way turnover ½ sum|z| of the book against what was before, over equity."""
    total = book.total
    traded = sum((abs(h.notional - h.before) for h in book.holdings), total - total)
    return traded / (total + total)


def drawdown(book: Book[Number]) -> Number:
    """Return 1 - equity/peak, 0 at a new peak or without one."""
    total = book.total
    zero = total - total
    if book.peak_equity is None or book.peak_equity <= total:
        return zero
    return 1 - total / book.peak_equity


def only_reduces(book: Book[Number]) -> bool:
    """Return True when every trade keeps its side and makes its position smaller, or leaves it."""
    return all(
        abs(holding.notional) <= abs(holding.before) and holding.notional * holding.before >= 0
        for holding in book.holdings
    )
