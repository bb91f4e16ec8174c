"""Profit of the day, split so that price + funding + fees is the total, exactly.

The total is the change of equity, transfers taken out; funding and fees are what the venue booked;
price is the remainder. So the split adds up whatever the order in which readings arrive.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from perptui.model.account import Account, CashFlow
from perptui.model.clock import DAY_MS
from perptui.model.record import Record

ZERO = Decimal(0)


class DayProfit(Record, frozen=True):
    """price + funding + fees = total, USD; fees are negative, funding positive when received."""

    total_usd: Decimal
    price_usd: Decimal
    funding_usd: Decimal
    fees_usd: Decimal


class Daybook(Record, frozen=True):
    """One margin account since 00:00 UTC, or since the desk's start when that is later.

    Attributes
    ----------
    since_ms : int
        Venue time of the reading that the day counts from.
    opening_usd : Decimal
        Equity then.
    latest : Account
        The newest reading.
    flows : tuple[CashFlow, ...]
        What the venue booked after `since_ms`.
    """

    since_ms: int
    opening_usd: Decimal
    latest: Account
    flows: tuple[CashFlow, ...] = ()

    @classmethod
    def opened(cls, account: Account) -> Daybook:
        """Return the book of a day that counts from `account`."""
        return cls(since_ms=account.ts_ms, opening_usd=account.equity_usd, latest=account)

    def with_account(self, account: Account) -> Daybook:
        """Return the book after a new reading; the first one of a UTC day opens a new book.

        The new day counts from the last reading before midnight, so nothing falls between two days.
        """
        if account.ts_ms // DAY_MS == self.latest.ts_ms // DAY_MS:
            return Daybook(self.since_ms, self.opening_usd, account, self.flows)
        since_ms = self.latest.ts_ms
        kept = tuple(flow for flow in self.flows if flow.ts_ms > since_ms)
        return Daybook(since_ms, self.latest.equity_usd, account, kept)

    def with_flows(self, flows: Iterable[CashFlow]) -> Daybook:
        """Return the book with these flows added; one already known counts once.

        The venue's `reference` tells two entries of one contract and instant apart.
        """
        recent = {flow for flow in flows if flow.ts_ms > self.since_ms}
        new = recent.difference(self.flows)
        if not new:
            return self
        merged = sorted((*self.flows, *new), key=lambda flow: (flow.ts_ms, flow.id, flow.reference))
        return Daybook(self.since_ms, self.opening_usd, self.latest, tuple(merged))

    @property
    def funding_total(self) -> Decimal:
        """Funding of the day as booked, also what came after the latest account reading."""
        amounts = (flow.amount_usd for flow in self.flows if flow.kind == "funding")
        return sum(amounts, ZERO)

    def booked(self, kind: str) -> Decimal:
        """Return the sum of one kind of flow up to the latest reading, as booked."""
        amounts = (
            flow.amount_usd
            for flow in self.flows
            if flow.kind == kind and flow.ts_ms <= self.latest.ts_ms
        )
        return sum(amounts, ZERO)

    def profit(self) -> DayProfit:
        """Return the day's profit and its three parts."""
        total = self.latest.equity_usd - self.opening_usd - self.booked("transfer")
        funding, fees = self.booked("funding"), self.booked("fee")
        return DayProfit(total, total - funding - fees, funding, fees)


def combined(books: Iterable[Daybook]) -> DayProfit | None:
    """Return the profit over all accounts, None when there is none."""
    profits = [book.profit() for book in books]
    if not profits:
        return None
    return DayProfit(
        sum((profit.total_usd for profit in profits), ZERO),
        sum((profit.price_usd for profit in profits), ZERO),
        sum((profit.funding_usd for profit in profits), ZERO),
        sum((profit.fees_usd for profit in profits), ZERO),
    )
