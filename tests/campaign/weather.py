"""The contracts of a session's venue, and how likely its faults are."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from perptui.venues.parse_market import Names
from tests.desk.market import BTC, ETH, VENUE, instrument

SOL = f"{VENUE}:SOL/USDT:USDT"
CONTRACTS = (
    instrument(BTC, "BTCUSDT", "0.001"),
    instrument(ETH, "ETHUSDT", "0.01"),
    instrument(SOL, "SOLUSDT", "1"),
)
MARKS = {BTC: Decimal(97500), ETH: Decimal(3200), SOL: Decimal(150)}
STEPS = {one.id: one.step for one in CONTRACTS}
SYMBOLS = {one.id: one.venue_symbol for one in CONTRACTS}
NAMES = Names({symbol: key for key, symbol in SYMBOLS.items()}, tuple(SYMBOLS.values()))


class Weather(msgspec.Struct):
    """How likely faults are now; all zero once they stopped.

    Attributes
    ----------
    crawls : bool
        The next order arrives so late that many questions after it are answered before.
    """

    writes: float = 0.0
    reads: float = 0.0
    fills_lag_ms: int = 0
    account_lag_ms: int = 0
    empty_until_ms: int = 0
    crawls: bool = False
    dark_from_ms: int = 0
    dark_until_ms: int = 0
    forgets_until_ms: int = 0
    pace: float = 1.0

    def calm(self) -> None:
        """Let every fault stop."""
        self.writes = self.reads = 0.0
        self.fills_lag_ms = self.account_lag_ms = self.empty_until_ms = 0
        self.dark_until_ms = self.forgets_until_ms = 0
        self.crawls = False
