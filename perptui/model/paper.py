"""What a paper account is fed with: readings of the real market, and how the account stands."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.instrument import Instrument
from perptui.model.market import Book, FundingQuote, Quote
from perptui.model.record import Record


class SettledFunding(Record, frozen=True):
    """Funding of one contract that settled at `ts_ms`: `rate` per interval, `mark` then, USD."""

    id: str
    ts_ms: int
    rate: Decimal
    interval_h: float
    mark: Decimal | None = None


class PaperFeed(Record, frozen=True):
    """Readings of the real market, given to the paper account all together.

    Attributes
    ----------
    now_ms : int
        The real venue's time.
    instruments : tuple[Instrument, ...]
        Contracts whose rules are new or have changed; one without tiers keeps those it has.
    quotes, funding : tuple
        The newest of each contract.
    books : tuple[Book, ...]
        Order books of contracts that are being traded.
    settled : tuple[SettledFunding, ...]
        What settled while nobody fed the account.
    """

    now_ms: int
    instruments: tuple[Instrument, ...] = ()
    quotes: tuple[Quote, ...] = ()
    funding: tuple[FundingQuote, ...] = ()
    books: tuple[Book, ...] = ()
    settled: tuple[SettledFunding, ...] = ()


class PaperStanding(Record, frozen=True):
    """Where a paper account stands.

    Attributes
    ----------
    now_ms : int
        Venue time up to which it was carried on; 0 before its first feed.
    held : tuple[str, ...]
        Ids of contracts with a position.
    working : tuple[str, ...]
        Ids of contracts with an order that works: the feed brings their books.
    """

    now_ms: int
    held: tuple[str, ...] = ()
    working: tuple[str, ...] = ()
