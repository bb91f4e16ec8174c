"""Paper trading on a real market: market data from the venue, the account from a child process.

Every read of the market goes to the real venue and asks for nothing else there. Account, orders,
fills and cash flows belong to the paper account (`perptui.simulator.paper`), which is fed with what
was read before it is asked: an order meets the real book of the moment at which it is sent.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from perptui.model.account import Account, CashFlow
from perptui.model.clock import HOUR_MS
from perptui.model.errors import VenueError
from perptui.model.instrument import Instrument
from perptui.model.market import Bar, Book, FundingQuote, FundingSettlement, Quote
from perptui.model.money import decimal_of
from perptui.model.order import Fill, LegState, OrderIntent, OrderReport, Outcome
from perptui.model.paper import PaperFeed, PaperStanding, SettledFunding
from perptui.venues.base import Reading
from perptui.venues.binance import BinanceVenue
from perptui.venues.paper_door import PaperDoor

FRESH_S = 3.0
"""The account is judged at prices that are younger than this."""
BOOK_LEVELS = 100
BOOKS_AT_MOST = 10
SLICE = 100
"""Contracts whose rules are given at once: the account takes a megabyte at most."""
PAGE = 1000


class PaperVenue(BinanceVenue):
    """A paper account that trades on what `market` says.

    Parameters
    ----------
    market : BinanceVenue
        The real venue; it is only read.
    door : PaperDoor
        The way in of the paper account; the session of this venue goes to its wire.
    """

    def __init__(
        self, *arguments: Any, market: BinanceVenue, door: PaperDoor, **options: Any
    ) -> None:
        super().__init__(*arguments, control=None, **options)
        self._market = market
        self._door = door
        self._feeding = asyncio.Lock()
        self._fed_mono: float | None = None
        self._standing = PaperStanding(0)

    # ------------------------------------------------------------------ connection

    async def open(self) -> None:
        """Open the real venue, bring the paper account up to now, and connect to it."""
        await self._market.open()
        self._standing = await self._door.standing()
        await self._list_contracts((await self._market.instruments()).value)
        await super().open()

    async def close(self) -> None:
        """Close both connections; the account stays in its file."""
        await super().close()
        await self._door.close()
        await self._market.close()

    async def _list_contracts(self, instruments: tuple[Instrument, ...]) -> None:
        """Give the rules of all contracts; with the first of them, what settled meanwhile."""
        settled = await self._missed()
        for start in range(0, len(instruments), SLICE):
            await self._feed(instruments=instruments[start : start + SLICE], settled=settled)
            settled = ()

    async def _missed(self) -> tuple[SettledFunding, ...]:
        """Return the funding of what is held that settled while nobody fed the account."""
        since_ms = self._standing.now_ms
        if not since_ms or self._clock.utc_ms() - since_ms < HOUR_MS // 2:
            return ()
        found: list[SettledFunding] = []
        for identifier in self._standing.held:
            marks = {
                bar.ts_ms + HOUR_MS: bar.close
                for bar in await self._mark_bars_since(identifier, since_ms)
            }
            for row in await self._settlements_since(identifier, since_ms):
                mark = marks.get(row.ts_ms // HOUR_MS * HOUR_MS)
                found.append(settled_funding(identifier, row, mark))
        return tuple(sorted(found, key=lambda row: row.ts_ms))

    async def _mark_bars_since(self, identifier: str, since_ms: int) -> list[Bar]:
        found: list[Bar] = []
        start = since_ms // HOUR_MS * HOUR_MS
        while page := (await self._market.mark_bars(identifier, start, PAGE)).value:
            found += page
            start = page[-1].ts_ms + HOUR_MS
        return found

    async def _settlements_since(self, identifier: str, since_ms: int) -> list[FundingSettlement]:
        found: list[FundingSettlement] = []
        start = since_ms + 1
        while page := (await self._market.funding_history(identifier, start, PAGE)).value:
            found += page
            start = page[-1].ts_ms + 1
        return found

    # ------------------------------------------------------------------ the feed

    async def _feed(
        self,
        *,
        instruments: tuple[Instrument, ...] = (),
        settled: tuple[SettledFunding, ...] = (),
        traded: str = "",
    ) -> None:
        """Read quotes, funding and the books that orders may meet, and give them all at once."""
        wanted = sorted({*self._standing.working[:BOOKS_AT_MOST], *((traded,) if traded else ())})
        quotes, funding, books = await asyncio.gather(
            self._market.quotes(),
            self._market.funding(),
            asyncio.gather(*(self._market.book(one, BOOK_LEVELS) for one in wanted)),
        )
        feed = PaperFeed(
            now_ms=self._clock.utc_ms(),
            instruments=instruments,
            quotes=quotes.value,
            funding=funding.value,
            books=tuple(book.value for book in books),
            settled=settled,
        )
        self._standing = await self._door.feed(feed)
        self._fed_mono = min(quotes.received_mono, funding.received_mono)

    async def _fresh(self) -> None:
        """Feed the account unless that was done a moment ago."""
        async with self._feeding:
            fed = self._fed_mono
            if fed is None or self._clock.monotonic() - fed >= FRESH_S:
                await self._feed()

    # ------------------------------------------------------------------ the real market

    async def server_time(self) -> Reading[int]:
        """Return the real venue's own clock, ms."""
        return await self._market.server_time()

    async def instruments(self) -> Reading[tuple[Instrument, ...]]:
        """Return the real contracts; tiers that need a key are those of the paper account."""
        reading = await self._market.instruments()
        async with self._feeding:
            await self._list_contracts(reading.value)
        paper = {one.id: one for one in (await super().instruments()).value}
        found = tuple(_with_tiers(one, paper.get(one.id)) for one in reading.value)
        return Reading(
            found, reading.venue_ms, reading.received_mono, reading.source, reading.missing
        )

    async def quotes(self) -> Reading[tuple[Quote, ...]]:
        """Return the real prices."""
        return await self._market.quotes()

    async def funding(self) -> Reading[tuple[FundingQuote, ...]]:
        """Return the real open funding intervals."""
        return await self._market.funding()

    async def bars(
        self, identifier: str, since_ms: int | None, limit: int
    ) -> Reading[tuple[Bar, ...]]:
        """Return closed hourly bars of the real market."""
        return await self._market.bars(identifier, since_ms, limit)

    async def mark_bars(
        self, identifier: str, since_ms: int | None, limit: int
    ) -> Reading[tuple[Bar, ...]]:
        """Return closed hourly bars of the real mark."""
        return await self._market.mark_bars(identifier, since_ms, limit)

    async def funding_history(
        self, identifier: str, since_ms: int | None, limit: int
    ) -> Reading[tuple[FundingSettlement, ...]]:
        """Return settled funding rates of the real market."""
        return await self._market.funding_history(identifier, since_ms, limit)

    async def book(self, identifier: str, depth: int) -> Reading[Book]:
        """Return the real order book."""
        return await self._market.book(identifier, depth)

    # ------------------------------------------------------------------ the paper account

    async def account(self) -> Reading[Account]:
        """Return the paper account at prices of now."""
        await self._fresh()
        return await super().account()

    async def cashflows(self, since_ms: int) -> Reading[tuple[CashFlow, ...]]:
        """Return cash flows of the paper account."""
        await self._fresh()
        return await super().cashflows(since_ms)

    async def fills(self, identifier: str, since_ms: int) -> Reading[tuple[Fill, ...]]:
        """Return fills of the paper account in one contract."""
        await self._fresh()
        return await super().fills(identifier, since_ms)

    async def open_orders(self) -> Reading[tuple[OrderReport, ...]]:
        """Return the paper account's orders that work."""
        await self._fresh()
        return await super().open_orders()

    async def submit(self, intent: OrderIntent, client_id: str) -> Outcome:
        """Read the real book of this moment and send the order to the paper account, once."""
        try:
            async with self._feeding:
                await self._feed(traded=intent.id)
        except VenueError as error:
            return Outcome(LegState.NOT_SENT, code=error.code, text=f"no book to meet: {error}")
        return await super().submit(intent, client_id)


def settled_funding(identifier: str, row: FundingSettlement, mark: float | None) -> SettledFunding:
    """Return a settlement as the paper account takes it."""
    return SettledFunding(
        id=identifier,
        ts_ms=row.ts_ms,
        rate=decimal_of(row.rate, "rate"),
        interval_h=row.interval_h,
        mark=None if mark is None else decimal_of(mark, "mark"),
    )


def _with_tiers(real: Instrument, paper: Instrument | None) -> Instrument:
    if real.tiers or paper is None:
        return real
    return msgspec.structs.replace(real, tiers=paper.tiers)
