"""Market history: what is missing is asked of the venue and handed to the quant process.

At the start as many days as the regime needs, in few large requests; then every closed bar.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from perptui.desk.state import DeskState
from perptui.desk.worker import QuantWorker
from perptui.model.clock import DAY_MS, HOUR_MS, VenueClock
from perptui.model.errors import VenueError, WorkerError
from perptui.model.instrument import HISTORY_FOLDERS, Instrument
from perptui.model.jobs import (
    AppendHistory,
    AskHistory,
    BarSeries,
    FundingSeries,
    HistoryReach,
)
from perptui.model.market import Bar, FundingSettlement
from perptui.venues.backoff import Backoff
from perptui.venues.base import Reading, Venue

DAYS = 214
"""The regime compares with the last 180 days; a log-HAR a week ahead asks for 206 whole ones."""
PAGE = 1500
FUNDING_PAGE = 1000
AT_ONCE = 5
JOB_TIMEOUT_S = 60.0

_log = logging.getLogger(__name__)

Ask = Callable[[str, int | None, int], Awaitable[Reading[tuple[Bar, ...]]]]


class Series(msgspec.Struct, frozen=True):
    """One series of one contract: "1h", "mark-1h" or "funding"."""

    instrument: Instrument
    kind: str

    @property
    def key(self) -> str:
        """Its name in `HistoryReach`: ``venue/VENUE_SYMBOL-kind``."""
        return f"{self.instrument.venue}/{self.instrument.venue_symbol}-{self.kind}"

    @property
    def keys(self) -> tuple[str, ...]:
        """The names it may have, by the venue's id or by its folder."""
        venue = self.instrument.venue
        folder = HISTORY_FOLDERS.get(venue, venue)
        return self.key, f"{folder}/{self.instrument.venue_symbol}-{self.kind}"


class Backfill:
    """Keeps the quant process's history up to the newest closed bar.

    Parameters
    ----------
    ready : callable
        Awaited with no argument whenever new bars were kept: estimate again.
    """

    def __init__(
        self,
        venues: Sequence[Venue],
        state: DeskState,
        worker: QuantWorker,
        clock: VenueClock,
        bars_delay_s: float,
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        self._venues = {venue.name: venue for venue in venues}
        self._state = state
        self._worker = worker
        self._clock = clock
        self._bars_delay_s = bars_delay_s
        self._ready = ready
        self._reach: dict[str, int] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._left = 0
        self._estimated = False

    async def run(self) -> None:
        """Fill what is missing, then follow every closed bar, for ever."""
        backoff = Backoff(0)
        while True:
            try:
                await self._follow()
            except (VenueError, WorkerError) as error:
                _log.warning("history: %s", error)
                self._say(f"market history: {error}")
                await asyncio.sleep(backoff.failed())
                continue
            backoff.succeeded()
            await self._until_next_bar()

    async def _follow(self) -> None:
        answer = await self._worker.ask(AskHistory(), "reading history", JOB_TIMEOUT_S)
        if not isinstance(answer, HistoryReach):
            raise WorkerError(f"expected a reach, was {type(answer).__name__}; restart the desk")
        self._reach = dict(answer.last_ms)
        series = self._wanted()
        self._left = len(series)
        before = self._newest_bar(series)
        self._say(f"reading {self._left} series of market history")
        started = self._clock.monotonic()
        ended = await asyncio.gather(*map(self._fill, series), return_exceptions=True)
        _log.info("%d series read in %.2f s", len(series), self._clock.monotonic() - started)
        newest = self._newest_bar(series)
        for error in ended:
            if isinstance(error, BaseException):
                raise error
        self._state.set_history("", newest)
        if newest != before or not self._estimated:
            self._estimated = True
            await self._ready()

    def _wanted(self) -> list[Series]:
        instruments = sorted(self._state.picture.instruments.values(), key=lambda row: row.id)
        kinds = ("funding", "1h")
        return [Series(row, kind) for kind in kinds for row in instruments]

    def _newest_bar(self, series: Iterable[Series]) -> int | None:
        stamps = [self._last(one) for one in series if one.kind == "1h"]
        return max((stamp for stamp in stamps if stamp is not None), default=None)

    def _last(self, one: Series) -> int | None:
        known = [self._reach[key] for key in one.keys if key in self._reach]
        return max(known, default=None)

    async def _fill(self, one: Series) -> None:
        now = self._clock.utc_ms()
        start = now - DAYS * DAY_MS
        last = self._last(one)
        since = start if last is None else max(start, last + 1)
        async with self._slots:
            if one.kind == "funding":
                rows = await self._settlements(one, since)
                job = AppendHistory(series=(_funding_series(one, rows),)) if rows else None
                newest = rows[-1].ts_ms if rows else last
            else:
                bars = await self._bars(one, since)
                job = AppendHistory(series=(_bar_series(one, bars),)) if bars else None
                newest = bars[-1].ts_ms if bars else last
        if job is not None:
            await self._worker.ask(job, "keeping history", JOB_TIMEOUT_S)
        if newest is not None:
            self._reach[one.key] = newest
        self._left -= 1
        if self._left:
            self._say(f"reading market history: {self._left} series to go")

    async def _bars(self, one: Series, since: int) -> list[Bar]:
        venue = self._venues[one.instrument.venue]
        ask = venue.bars if one.kind == "1h" else venue.mark_bars
        found: list[Bar] = []
        while since + HOUR_MS <= self._clock.utc_ms():
            # A venue may give fewer a page than asked for: only an empty one is the end.
            limit = min(PAGE, (self._clock.utc_ms() - since) // HOUR_MS + 2)
            page = (await ask(one.instrument.id, since, limit)).value
            new = [bar for bar in page if bar.ts_ms >= since]
            if not new:
                break
            found += new
            since = new[-1].ts_ms + HOUR_MS
        return found

    async def _settlements(self, one: Series, since: int) -> list[FundingSettlement]:
        venue = self._venues[one.instrument.venue]
        found: list[FundingSettlement] = []
        while True:
            page = (await venue.funding_history(one.instrument.id, since, FUNDING_PAGE)).value
            new = [row for row in page if row.ts_ms >= since]
            if not new:
                return found
            found += new
            since = new[-1].ts_ms + 1

    async def _until_next_bar(self) -> None:
        now = self._clock.utc_ms()
        left_ms = HOUR_MS - now % HOUR_MS
        await asyncio.sleep(left_ms / 1000 / self._clock.speed + self._delay_s())

    def _delay_s(self) -> float:
        """After a bar's close, but never so long that a fast replay runs into the next one."""
        hour_s = HOUR_MS / 1000 / self._clock.speed
        return min(self._bars_delay_s, hour_s / 10)

    def _say(self, text: str) -> None:
        self._state.set_history(text, self._state.picture.bars_ms)


def _bar_series(one: Series, bars: Sequence[Bar]) -> BarSeries:
    instrument = one.instrument
    return BarSeries(instrument.venue, instrument.venue_symbol, one.kind, tuple(bars))


def _funding_series(one: Series, rows: Sequence[FundingSettlement]) -> FundingSeries:
    return FundingSeries(one.instrument.venue, one.instrument.venue_symbol, tuple(rows))
