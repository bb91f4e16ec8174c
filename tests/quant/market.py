"""A seeded market written as Parquet history, for tests without the real one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from perptui.history.dataset import History
from perptui.model.clock import HOUR_MS, parse_iso
from perptui.model.jobs import BarSeries, FundingSeries
from perptui.model.market import Bar, FundingSettlement

START_MS = parse_iso("2023-01-01T00:00Z")
HOURS = 24 * 150
PRICES = {"BTC": 30000.0, "ETH": 2000.0, "SOL": 25.0}
VOLUME_USD = 4e6
FUNDING = 0.0003


def written(root: Path, venues: Sequence[str] = ("binanceusdm",), hours: int = HOURS) -> History:
    """Write hourly bars and 8-hourly funding of three coins that move together."""
    history = History(root)
    generator = np.random.default_rng(11)
    common = generator.normal(0.0, 0.004, HOURS)
    for place, (coin, price) in enumerate(PRICES.items()):
        own = generator.normal(0.0, 0.003, HOURS)
        path = price * np.exp(np.cumsum(common + own))[:hours]
        rates = FUNDING * (1 + place) + generator.normal(0.0, 0.00005, HOURS // 8 + 1)
        for venue in venues:
            history.append(BarSeries(venue, f"{coin}USDT", "1h", _bars(price, path)))
            settled = tuple(
                FundingSettlement(START_MS + hour * HOUR_MS, float(rates[hour // 8]), 8.0)
                for hour in range(8, hours + 1, 8)
            )
            history.append(FundingSeries(venue, f"{coin}USDT", settled))
    return history


def _bars(first: float, closes: np.ndarray) -> tuple[Bar, ...]:
    opens = np.concatenate([[first], closes[:-1]])
    return tuple(
        Bar(
            START_MS + hour * HOUR_MS,
            float(opened),
            float(max(opened, closed) * 1.001),
            float(min(opened, closed) * 0.999),
            float(closed),
            float(VOLUME_USD / closed),
        )
        for hour, (opened, closed) in enumerate(zip(opens, closes, strict=True))
    )
