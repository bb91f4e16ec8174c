"""The desk's state: one writer, frozen records that are replaced, never mutated.

Pollers report readings and failures here; everything else reads a `Picture`. What was not read is
None, what is too old is stale, and a snapshot for proposals exists only when neither is the case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from perptui.desk.daybook import Daybook, combined
from perptui.desk.kept import Kept, KeptDay, KeptFile
from perptui.model.account import Account, CashFlow
from perptui.model.clock import HOUR_MS, Clock
from perptui.model.instrument import Instrument
from perptui.model.market import FundingQuote, Quote
from perptui.model.money import to_cents
from perptui.model.order import OrderReport
from perptui.model.snapshot import MarketSnapshot
from perptui.protocol.views import EventLine
from perptui.settings.schema import PollingSettings
from perptui.venues.base import Reading

VITAL_CALLS = ("account", "quotes", "funding")
"""Calls whose age decides whether anything may be proposed or sent."""

NEWS_KEPT = 50

FLOWS_EVERY = 5
"""Fees and funding are asked for at every fifth turn of fills: the call is dear at venues."""


class Trouble(msgspec.Struct, frozen=True):
    """The last failure of a call since its last success."""

    text: str
    since_mono: float


class VenuePicture(msgspec.Struct, frozen=True):
    """What is known of one venue.

    Attributes
    ----------
    wanted : tuple[str, ...]
        Ids of the configured contracts.
    readings : dict
        Newest reading by call: instruments, account, quotes, funding, open_orders.
    troubles : dict
        Present failures by call.
    day : Daybook | None
        The day's profit; None before the first account reading.
    offset_ms : float | None
        Venue clock less the machine's; 0 for a simulated venue, None before it was read; of
        monotonic `offset_mono`.
    market : str
        What a simulated venue's market is called on screen, "" for a real one.
    """

    name: str
    wanted: tuple[str, ...]
    readings: dict[str, Reading[Any]] = {}
    troubles: dict[str, Trouble] = {}
    day: Daybook | None = None
    offset_ms: float | None = None
    offset_mono: float = 0.0
    market: str = ""

    def _value(self, call: str) -> Any:
        reading = self.readings.get(call)
        return None if reading is None else reading.value

    @property
    def account(self) -> Account | None:
        """The margin account, None before it was read."""
        value: Account | None = self._value("account")
        return value

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Contracts that are wanted or held, sorted by id."""
        account = self.account
        held = {row.id for row in account.positions} if account is not None else set()
        known: tuple[Instrument, ...] = self._value("instruments") or ()
        return tuple(row for row in known if row.id in held or row.id in self.wanted)

    @property
    def quotes(self) -> tuple[Quote, ...]:
        """Quotes, sorted by id; empty before they were read."""
        return self._value("quotes") or ()

    @property
    def funding(self) -> tuple[FundingQuote, ...]:
        """Open funding intervals, sorted by id; empty before they were read."""
        return self._value("funding") or ()

    @property
    def open_orders(self) -> tuple[OrderReport, ...]:
        """Orders that work at the venue."""
        return self._value("open_orders") or ()

    def observed_mono(self, call: str) -> float | None:
        """Return when `call` was last answered, None for never."""
        reading = self.readings.get(call)
        return None if reading is None else reading.received_mono


class Picture(msgspec.Struct, frozen=True):
    """Everything the desk knows, at one instant.

    Attributes
    ----------
    venues : tuple[VenuePicture, ...]
        In the order of config.toml.
    peak_usd : Decimal | None
        Highest equity seen, transfers not taken out.
    bars_ms : int | None
        Opening time of the newest closed bar that the quant process keeps of any contract.
    history : str
        What the history still waits for, in words; "" when it is complete.
    """

    venues: tuple[VenuePicture, ...]
    peak_usd: Decimal | None = None
    bars_ms: int | None = None
    history: str = "waiting for market history"
    news: tuple[EventLine, ...] = ()

    @property
    def accounts(self) -> tuple[Account, ...]:
        """Margin accounts that were read."""
        return tuple(venue.account for venue in self.venues if venue.account is not None)

    @property
    def equity_usd(self) -> Decimal | None:
        """Equity over all accounts; None until every one was read."""
        accounts = self.accounts
        if len(accounts) < len(self.venues):
            return None
        return sum((account.equity_usd for account in accounts), Decimal(0))

    @property
    def daily_loss(self) -> float | None:
        """Loss of the UTC day over equity at its start, a profit negative; None while unknown."""
        days = [venue.day for venue in self.venues if venue.day is not None]
        profit = combined(days)
        opening = sum((day.opening_usd for day in days), Decimal(0))
        if profit is None or len(days) < len(self.venues) or opening <= 0:
            return None
        return float(-profit.total_usd / opening)

    @property
    def instruments(self) -> dict[str, Instrument]:
        """Contracts by id."""
        return {row.id: row for venue in self.venues for row in venue.instruments}

    @property
    def quotes(self) -> dict[str, Quote]:
        """Quotes by id."""
        return {row.id: row for venue in self.venues for row in venue.quotes}

    @property
    def funding(self) -> dict[str, FundingQuote]:
        """Open funding intervals by id."""
        return {row.id: row for venue in self.venues for row in venue.funding}


class DeskState:
    """The single writer.

    Parameters
    ----------
    wanted : mapping
        Ids of the configured contracts by venue.
    changed : callable
        Called after every replacement.
    kept : KeptFile, optional
        What earlier runs kept; read at the first account reading, when a new simulated market has
        put aside what it does not continue.
    """

    def __init__(
        self,
        wanted: Mapping[str, tuple[str, ...]],
        polling: PollingSettings,
        clock: Clock,
        changed: Callable[[], None] = lambda: None,
        kept: KeptFile | None = None,
    ) -> None:
        self._polling = polling
        self._clock = clock
        self._changed = changed
        venues = tuple(VenuePicture(name=name, wanted=ids) for name, ids in wanted.items())
        self._picture = Picture(venues=venues)
        self._file = kept
        self._taken: MarketSnapshot | None = None
        self._kept: Kept | None = None

    @property
    def picture(self) -> Picture:
        """What is known now."""
        return self._picture

    def observe(self, venue: str, call: str, reading: Reading[Any]) -> None:
        """Take a reading; it ends the trouble of its call."""
        old = self._venue(venue)
        troubles = {name: value for name, value in old.troubles.items() if name != call}
        new = msgspec.structs.replace(
            old, readings={**old.readings, call: reading}, troubles=troubles
        )
        if call == "account":
            account: Account = reading.value
            day = old.day.with_account(account) if old.day else self._opened(venue, account)
            new = msgspec.structs.replace(new, day=day)
        self._replace_venue(new)

    @property
    def kept(self) -> Kept | None:
        """What is to outlive this process; None before the first account reading."""
        if self._kept is None:
            return None
        venues = self._picture.venues
        days = {venue.name: KeptDay.of(venue.day) for venue in venues if venue.day is not None}
        return Kept(self._picture.peak_usd, {**self._kept.days, **days})

    def _opened(self, venue: str, account: Account) -> Daybook:
        """Return the book of the day: an earlier run's of the same UTC day, or a new one."""
        if self._kept is None:
            self._kept = self._file.read() if self._file is not None else Kept()
            peak = self._kept.peak_usd
            self._picture = msgspec.structs.replace(self._picture, peak_usd=peak)
            if self._file is not None and self._file.fault:
                self.tell("warn", self._file.fault)
        day = self._kept.days.get(venue)
        return (day.reopened(account) if day is not None else None) or Daybook.opened(account)

    def add_flows(self, venue: str, flows: Iterable[CashFlow]) -> None:
        """Take what the venue booked."""
        old = self._venue(venue)
        if old.day is None:
            return
        new = old.day.with_flows(flows)
        booked = new.funding_total - old.day.funding_total
        self._replace_venue(msgspec.structs.replace(old, day=new))
        if booked:
            self.tell("info", f"funding {to_cents(booked):+.2f} booked at {venue}")

    def fail(self, venue: str, call: str, text: str) -> None:
        """Say that `call` failed; its old reading stays and grows stale."""
        old = self._venue(venue)
        before = old.troubles.get(call)
        since = self._clock.monotonic() if before is None else before.since_mono
        troubles = {**old.troubles, call: Trouble(text=text, since_mono=since)}
        self._replace_venue(msgspec.structs.replace(old, troubles=troubles))

    def recover(self, venue: str, call: str) -> None:
        """Say that `call`, which leaves no reading, works again."""
        old = self._venue(venue)
        if call in old.troubles:
            troubles = {name: value for name, value in old.troubles.items() if name != call}
            self._replace_venue(msgspec.structs.replace(old, troubles=troubles))

    def set_offset(self, venue: str, offset_ms: float | None) -> None:
        """Take the venue clock's offset from the machine's."""
        at = {"offset_ms": offset_ms, "offset_mono": self._clock.monotonic()}
        self._replace_venue(msgspec.structs.replace(self._venue(venue), **at))

    def set_market(self, venue: str, market: str) -> None:
        """Say what kind of market a simulated venue has."""
        self._replace_venue(msgspec.structs.replace(self._venue(venue), market=market))

    def set_history(self, text: str, bars_ms: int | None) -> None:
        """Say what the history waits for and how far it reaches."""
        self._set(msgspec.structs.replace(self._picture, history=text, bars_ms=bars_ms))

    def tell(self, level: str, text: str) -> None:
        """Add a line of news."""
        line = EventLine(ts_ms=self._clock.utc_ms(), level=level, text=text)
        news = (*self._picture.news, line)[-NEWS_KEPT:]
        self._set(msgspec.structs.replace(self._picture, news=news))

    def stale_after_s(self, call: str) -> float:
        """Return the age in monotonic seconds at which a reading of `call` is stale."""
        return interval_s(self._polling, call) * self._polling.stale_after_intervals

    def is_stale(self, venue: VenuePicture, call: str) -> bool:
        """Return True when `call` was never read or is older than it may be."""
        observed = venue.observed_mono(call)
        if observed is None:
            return True
        return self._clock.monotonic() - observed > self.stale_after_s(call)

    def why_no_snapshot(self) -> str:
        """Return what a snapshot lacks, in words; "" when there is one."""
        for venue in self._picture.venues:
            if missing := self._missing(venue):
                return missing
        if not self._picture.venues:
            return "expected a venue, was none; name one under [venues]"
        if not any(venue.instruments for venue in self._picture.venues):
            return "expected a contract that the venues list, was none; check the symbols"
        return ""

    def snapshot(self) -> MarketSnapshot | None:
        """Return one consistent picture of market and book, None when `why_no_snapshot` says so.

        Until a reading changes it, it is of the moment when it was first taken: what was estimated
        of it holds for every what-if between two polls.
        """
        if self.why_no_snapshot():
            return None
        picture = self._picture
        quotes, funding = picture.quotes, picture.funding
        instruments = picture.instruments
        ids = sorted(key for key in instruments if key in quotes and key in funding)
        now = MarketSnapshot(
            as_of_ms=self._clock.utc_ms(),
            instruments=tuple(instruments[key] for key in ids),
            quotes=tuple(quotes[key] for key in ids),
            funding=tuple(funding[key] for key in ids),
            accounts=picture.accounts,
            peak_equity_usd=picture.peak_usd,
        )
        if self._taken is None or not self._still(self._taken, now):
            self._taken = now
        return self._taken

    def _still(self, taken: MarketSnapshot, now: MarketSnapshot) -> bool:
        """Return whether nothing but the time changed, and that by less than a poll or a bar."""
        passed_ms = now.as_of_ms - taken.as_of_ms
        same_hour = now.as_of_ms // HOUR_MS == taken.as_of_ms // HOUR_MS
        recent = same_hour and 0 <= passed_ms <= self._polling.marks_s * 1000
        return recent and msgspec.structs.replace(now, as_of_ms=taken.as_of_ms) == taken

    def _missing(self, venue: VenuePicture) -> str:
        if "instruments" not in venue.readings:
            early = ("instruments", "clock", "open")
            why = next(filter(None, (_because(venue, call) for call in early)), "")
            return f"waiting for {venue.name} contracts{why}"
        for call in VITAL_CALLS:
            if call not in venue.readings:
                return f"waiting for {venue.name} {call}{_because(venue, call)}"
            if self.is_stale(venue, call):
                return f"{venue.name} {call} is stale{_because(venue, call)}"
        account = venue.account
        held = account.positions if account is not None else ()
        marked = {quote.id for quote in venue.quotes}
        for position in held:
            if position.id not in marked:
                return f"no mark for {position.id}, which is held; add it to the venue's symbols"
        return ""

    def _venue(self, name: str) -> VenuePicture:
        return next(venue for venue in self._picture.venues if venue.name == name)

    def _replace_venue(self, new: VenuePicture) -> None:
        venues = tuple(new if old.name == new.name else old for old in self._picture.venues)
        picture = msgspec.structs.replace(self._picture, venues=venues)
        equity = picture.equity_usd
        if equity is not None and (picture.peak_usd is None or equity > picture.peak_usd):
            picture = msgspec.structs.replace(picture, peak_usd=equity)
        self._set(picture)

    def _set(self, picture: Picture) -> None:
        self._picture = picture
        self._changed()


def _because(venue: VenuePicture, call: str) -> str:
    trouble = venue.troubles.get(call)
    return f": {trouble.text}" if trouble is not None else ""


def interval_s(polling: PollingSettings, call: str) -> float:
    """Return the seconds between two calls of a kind to one venue.

    Raises
    ------
    KeyError
        For a call that is not polled at an interval.
    """
    return {
        "account": polling.account_s,
        "quotes": polling.marks_s,
        "funding": polling.funding_s,
        "cashflows": FLOWS_EVERY * polling.fills_s,
        "open_orders": polling.open_orders_s,
        "instruments": polling.markets_s,
        "clock": polling.clock_s,
    }[call]
