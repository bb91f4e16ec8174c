"""What the market says: quotes, funding, bars, books."""

from __future__ import annotations

import math
from decimal import Decimal

from perptui.model.record import Record


class Quote(Record, frozen=True):
    """Mark, index, last and top of book of one instrument at `ts_ms` (venue time).

    What the venue did not give is None, never zero.
    """

    id: str
    ts_ms: int
    mark: Decimal
    index: Decimal | None = None
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    volume_24h_usd: Decimal | None = None


class FundingQuote(Record, frozen=True):
    """The open funding interval: `rate` per interval (f > 0: long pays short), stamp ahead."""

    id: str
    ts_ms: int
    rate: Decimal
    next_ms: int
    interval_h: float


class FundingSettlement(Record, frozen=True):
    """A rate that settled at `ts_ms` for the `interval_h` hours before it, fraction of notional."""

    ts_ms: int
    rate: float
    interval_h: float


class Bar(Record, frozen=True):
    """An OHLCV bar that opened at `ts_ms`; floats, for estimators only. `volume` in base coin."""

    ts_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float

    def __post_init__(self) -> None:
        # Bars come by the ten thousand: one look at their sum tells whether a closer one is due.
        if not math.isfinite(self.open + self.high + self.low + self.close + self.volume):
            super().__post_init__()


class BookLevel(Record, frozen=True):
    """Price and contracts resting at it."""

    price: Decimal
    contracts: Decimal


class Book(Record, frozen=True):
    """Order book of one instrument, best first on both sides."""

    id: str
    ts_ms: int
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]
