"""Funding forecasts on real settlements: better than naive ones, honest, blind to the future."""

from pathlib import Path

import numpy as np
import pytest

from perptui.estimation.funding.forecast import (
    Open,
    Settled,
    fit_funding,
    forecast,
    forecast_funding,
)
from perptui.estimation.funding.process import fit_persistence
from perptui.estimation.funding.regime import day_apr, regime_path
from perptui.estimation.funding.risk import daily_funding, fit_funding_slope, funding_shocks
from perptui.estimation.funding.series import interest_of, since
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso

pytestmark = pytest.mark.history


def read(history: History, venue: str, symbol: str, end: str) -> Settled:
    rows = history.funding(venue, symbol, parse_iso(end))
    return Settled(rows.ts_ms, rows.rate, rows.interval_h)


def until(settled: Settled, now_ms: int) -> Settled:
    k = int(np.searchsorted(settled.ts_ms, now_ms, side="right"))
    return Settled(settled.ts_ms[:k], settled.rate[:k], settled.interval_h[:k])


def walked(settled: Settled, start: int, days: int, step: int) -> dict[str, np.ndarray]:
    """Errors of one, seven and thirty days, (forecasts, 3), ours and naive, and our deviation."""
    found: dict[str, list[list[float]]] = {"ours": [], "last": [], "week": [], "sd": []}
    for day in range(0, days, step):
        now = start + day * DAY_MS
        past = until(settled, now)
        estimate = forecast_funding(past, None, now, 7.0).forecast
        row: dict[str, list[float]] = {name: [] for name in found}
        for term, span in zip(estimate.term[1:], (1, 7, 30), strict=True):
            inside = (settled.ts_ms > now) & (settled.ts_ms <= now + span * DAY_MS)
            came, hours = settled.rate[inside].sum(), settled.interval_h[inside].sum()
            assert estimate.mean_7d is not None
            row["ours"].append(came - term.mean)
            row["last"].append(came - past.hourly[-1] * hours)
            row["week"].append(came - estimate.mean_7d / estimate.interval_h * hours)
            row["sd"].append(term.sd)
        for name, values in row.items():
            found[name].append(values)
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.unmeasured
def test_forecasts_of_2022_beat_the_last_rate_and_the_weeks_mean(history_dir: Path) -> None:
    """Every ninth day until the week of FTX, five contracts."""
    history = History(history_dir)
    parts = [
        walked(read(history, venue, symbol, "2022-11-05"), parse_iso("2022-01-01"), 270, 9)
        for venue, symbol in [("binance", "BTCUSDT"), ("binance", "ETHUSDT"),
                              ("bybit", "BTCUSDT"), ("bybit", "XRPUSDT"), ("binance", "XRPUSDT")]
    ]  # fmt: skip
    every = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    squares = {name: (every[name] ** 2).mean(axis=0) for name in ("ours", "last", "week")}
    assert (squares["ours"] < squares["last"]).all()
    assert (squares["ours"] < squares["week"]).all()
    z = np.abs(every["ours"] / every["sd"])
    for column in range(3):
        assert 0.6 < np.mean(z[:, column] < 1) < 0.9
        assert np.mean(z[:, column] < 2) > 0.88


def test_hourly_funding_is_forecast_better_than_naively(history_dir: Path) -> None:
    """Hyperliquid from its fourth month on, every 30th day: nothing was chosen on it."""
    history = History(history_dir)
    parts = [
        walked(read(history, "hyperliquid", s, "2024-07-01"), parse_iso("2023-09-01"), 270, 30)
        for s in ("BTCUSDC", "ETHUSDC", "SOLUSDC")
    ]
    every = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    squares = {name: (every[name] ** 2).mean(axis=0) for name in ("ours", "last", "week")}
    assert (squares["ours"] < squares["last"]).all()
    assert np.mean(np.abs(every["ours"] / every["sd"]) < 2) > 0.8


def test_the_two_hour_settlements_of_november_2022_work(history_dir: Path) -> None:
    """Binance took SOL to 2 h and -2 % a settlement in the week of FTX (method §11)."""
    settled = read(History(history_dir), "binance", "SOLUSDT", "2022-12-31")
    assert settled.rate.min() == pytest.approx(-0.02)
    two = np.flatnonzero(settled.interval_h == 2.0)
    last = int(settled.ts_ms[two[-1]])
    inside = until(settled, last)
    found = forecast_funding(inside, None, last, 1.0)
    assert found.forecast.interval_h == 2.0
    assert found.forecast.regime == "negative"
    assert found.forecast.short_cap == 0.25
    assert any("funding unsteady" in line for line in found.reasons)
    early = fit_funding(until(settled, int(settled.ts_ms[two[12]])))
    assert any("funding level moved by -" in line for line in early.flags)
    assert -12 * 0.02 < found.forecast.horizon_mean < 0.0
    # Rates of 2 h and 8 h pairs make one persistence; the next day's sum is within two deviations.
    window = since(inside, last - 90 * DAY_MS)
    assert set(np.unique(np.diff(window.ts_ms)) // HOUR_MS) >= {2, 8}
    assert np.isfinite(fit_persistence(window, window.ts_ms[-1:], 90).kappa[0])
    after = (settled.ts_ms > last) & (settled.ts_ms <= last + DAY_MS)
    missed = settled.rate[after].sum() - found.forecast.horizon_mean
    assert abs(missed) < 2 * found.forecast.horizon_sd
    back = forecast_funding(inside, Open(1e-4, last + 4 * HOUR_MS, 8.0), last, 7.0)
    assert "funding interval changed from 2 h to 8 h" in back.flags
    weeks = [forecast_funding(until(settled, last + d * DAY_MS), None, last + d * DAY_MS, 7.0)
             .forecast.horizon_sd for d in (0, 14, 45)]  # fmt: skip
    assert weeks[0] > weeks[1] > weeks[2]


def test_settlements_after_the_time_change_no_byte(history_dir: Path) -> None:
    history = History(history_dir)
    rng = np.random.default_rng(11)
    for venue, symbol, start, end in (
        ("binance", "SOLUSDT", "2021-06-01", "2024-08-01"),
        ("bybit", "SOLUSDT", "2022-01-01", "2024-08-01"),
        ("hyperliquid", "BTCUSDC", "2023-06-01", "2024-08-01"),
    ):
        whole = read(history, venue, symbol, end)
        for now in rng.integers(parse_iso(start), parse_iso(end), 6):
            cut = until(whole, int(now))
            kept = forecast(fit_funding(cut), None, int(now), 7.0)
            assert repr(kept) == repr(forecast_funding(whole, None, int(now), 7.0))


def test_regimes_of_bitcoin_are_those_that_traders_remember(history_dir: Path) -> None:
    """The spring of 2021 was extreme, the summer after negative at times, 2022 mostly neutral."""
    settled = read(History(history_dir), "binance", "BTCUSDT", "2022-12-31")
    labels = np.array(regime_path(day_apr(settled)))

    def share(label: str, start: str, end: str) -> float:
        inside = (settled.ts_ms >= parse_iso(start)) & (settled.ts_ms < parse_iso(end))
        return float(np.mean(labels[inside] == label))

    assert share("extreme", "2021-02-01", "2021-04-20") > 0.5
    assert share("negative", "2021-05-20", "2021-07-25") > 0.2
    assert share("neutral", "2022-01-01", "2022-11-01") > 0.7
    # 80 % of settlements or more keep their label: hysteresis and the day's mean hold it.
    assert np.mean(labels[1:] == labels[:-1]) > 0.9


def test_funding_follows_rallies(history_dir: Path) -> None:
    """Pooled over contracts the slope of funding shocks on returns is positive (method §2)."""
    history = History(history_dir)
    end, days = parse_iso("2022-11-01"), 300
    settled, closes = [], []
    for symbol in ("BTCUSDT", "ETHUSDT", "XRPUSDT", "BNBUSDT"):
        settled.append(read(history, "binance", symbol, "2022-11-01"))
        bars = history.bars("binance", symbol, "1h", end)
        at = np.searchsorted(bars.close_ms, end - DAY_MS * np.arange(days + 1)[::-1], side="right")
        closes.append(np.log(bars.close[at - 1]))
    returns = np.diff(np.column_stack(closes), axis=0)
    funding = daily_funding(settled, end, days)
    assert np.isfinite(funding).mean() > 0.95
    fit = fit_funding_slope(funding_shocks(funding, np.full(4, 0.6)), returns)
    assert fit.pooled > 0
    assert (fit.slope > 0).all()


def test_the_interest_of_binance_is_seen_where_the_rule_has_it(history_dir: Path) -> None:
    history = History(history_dir)
    for symbol, eight_hours in (("BTCUSDT", 1e-4), ("ADAUSDT", 1e-4), ("BNBUSDT", 0.0)):
        recent = since(read(history, "binance", symbol, "2022-10-01"), parse_iso("2022-07-01"))
        found, seen = interest_of(recent.hourly)
        assert seen
        assert found * 8 == pytest.approx(eight_hours, abs=1e-9)
