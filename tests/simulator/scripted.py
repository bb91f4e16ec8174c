"""A market written by hand: flat hours at chosen prices, so that every figure can be worked out."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from perptui.model.clock import HOUR_MS
from perptui.simulator.exchange import Exchange
from perptui.simulator.market import Market, Series
from perptui.simulator.venue import rules_of

START_MS = 1_700_006_400_000  # 2023-11-15T00:00Z
DEPTH = 1_000.0


class ScriptedSource:
    """Hours in which the price stands still; the mark is the price plus `gap`."""

    label = "SCRIPTED"
    kind = "history"
    detail = "written by hand"

    def __init__(
        self,
        closes: Mapping[str, Sequence[float]],
        funding: Mapping[str, Sequence[tuple[int, float, float]]] | None = None,
        gap: float = 0.0,
        depth: float = DEPTH,
    ) -> None:
        self.seed: int | None = 0
        self.start_ms = START_MS
        self.series = {
            symbol: _series(symbol, prices, (funding or {}).get(symbol, ()), gap, depth)
            for symbol, prices in closes.items()
        }
        self.end_ms: int | None = min(s.end_ms for s in self.series.values())

    def extend(self, to_ms: int) -> None:
        """Do nothing: the script is as long as it is."""

    def funding_estimate(self, symbol: str, utc_ms: int) -> float:
        """Return the last settled rate."""
        series = self.series[symbol]
        past = series.funding_rate[series.funding_ms <= utc_ms]
        return float(past[-1]) if len(past) else 0.0


def _series(
    symbol: str,
    prices: Sequence[float],
    funding: Sequence[tuple[int, float, float]],
    gap: float,
    depth: float,
) -> Series:
    flat = np.array(prices, float)
    return Series(
        symbol=symbol,
        first_ms=START_MS,
        open=flat,
        high=flat,
        low=flat,
        close=flat,
        volume=np.full(len(flat), 1_000.0),
        mark=flat + gap,
        traded=np.ones(len(flat), bool),
        funding_ms=np.array([START_MS + hour * HOUR_MS for hour, _, _ in funding], np.int64),
        funding_rate=np.array([rate for _, rate, _ in funding], float),
        funding_hours=np.array([hours for _, _, hours in funding], float),
        depth_ms=np.array([START_MS], np.int64),
        bid_depth=np.array([depth]),
        ask_depth=np.array([depth]),
    )


def exchange_of(
    closes: Mapping[str, Sequence[float]],
    equity: str = "100000",
    funding: Mapping[str, Sequence[tuple[int, float, float]]] | None = None,
    gap: float = 0.0,
    depth: float = DEPTH,
) -> Exchange:
    """Return an exchange on a scripted market, opened at its first moment."""
    source = ScriptedSource(closes, funding, gap, depth)
    rules = rules_of("binanceusdm", source)
    return Exchange(Market(source), rules, Decimal(equity), START_MS)
