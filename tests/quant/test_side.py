"""Side inputs by hour, against medians taken one hour at a time."""

from pathlib import Path

import numpy as np
import pytest

from perptui.estimation.funding.series import Settled
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.quant.day import day_view
from perptui.quant.side import median_rate, present_side
from tests.quant.markets import BALANCED, HOUR, market

MIDNIGHT = HOUR // DAY_MS * DAY_MS
BOTH = [("binanceusdm", "BTC"), ("binanceusdm", "ETH"), ("bybit", "BTC")]


def test_the_median_is_of_the_rates_settled_by_each_hour() -> None:
    rng = np.random.default_rng(3)
    settled = [
        Settled(
            np.arange(first, 400, width, dtype=np.int64) * HOUR_MS,
            rng.normal(1e-4, 1e-5, len(range(first, 400, width))),
            np.full(len(range(first, 400, width)), float(width)),
        )
        for first, width in ((8, 8), (40, 4), (120, 1), (200, 2))
    ]
    ends = np.arange(1, 400, 7, dtype=np.int64) * HOUR_MS
    found = median_rate(settled, ends)
    for end, value in zip(ends.tolist(), found.tolist(), strict=True):
        known = [one.hourly[one.ts_ms <= end][-1] for one in settled if one.ts_ms[0] <= end]
        assert value == pytest.approx(np.median(known) if known else np.nan, nan_ok=True)


def test_the_hours_since_midnight_follow_those_of_the_day(tmp_path: Path) -> None:
    history = History(tmp_path)
    contracts = market(history, BOTH, 100)
    day = day_view(contracts, BALANCED, history, MIDNIGHT)
    assert len(day.side.correlation) == len(day.side.funding) == len(day.book)
    # Known when its last hour ends: the hour before a midnight still has the day before.
    assert day.side.correlation[-25] == day.side.correlation[-2] != day.side.correlation[-1]
    assert np.isnan(day.side.correlation[: 60 * 24]).all()
    now = present_side(day.side, day.gathered, history, HOUR)
    since = (HOUR - MIDNIGHT) // HOUR_MS
    assert len(now.funding) == len(day.book) + since
    assert set(now.correlation[-since:].tolist()) == {day.side.correlation[-1]}
    next_day = day_view(contracts, BALANCED, history, HOUR)
    assert now.funding[-since:].tolist() == next_day.side.funding[-since:].tolist()


def test_one_coin_has_no_pair(tmp_path: Path) -> None:
    history = History(tmp_path)
    contracts = market(history, [("bybit", "BTC")], 100)
    day = day_view(contracts, BALANCED, history, MIDNIGHT)
    assert np.isnan(day.side.correlation).all()
    assert np.isfinite(day.side.funding[-24:]).all()
