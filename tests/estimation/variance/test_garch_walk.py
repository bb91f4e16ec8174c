from pathlib import Path

import numpy as np
import pytest

from perptui.estimation.panel import Closes, Panel, build_panel
from perptui.estimation.recursion import ewma
from perptui.estimation.variance.garch import BAND, BAND_HALFLIFE_DAYS, Specification, fit_garch
from perptui.estimation.variance.garch_path import mean_variance_ahead, variance_path
from perptui.estimation.variance.garch_walk import kept_fits, utc_daily_returns, walk_forward_garch
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso
from perptui.model.errors import EstimationError

START = parse_iso("2020-01-01T00:00Z")


def hours_of(days: int, seed: int = 0, alpha: float = 0.12) -> np.ndarray:
    """Hourly returns of days whose variance is a GARCH(1,1) of persistence .95."""
    rng = np.random.default_rng(seed)
    h, rows = 1.6e-3, []
    for _ in range(days):
        day = np.sqrt(h / 24) * rng.standard_normal(24)
        h = 0.8e-4 + alpha * day.sum() ** 2 + (0.95 - alpha) * h
        rows.append(day)
    return np.concatenate(rows)


def closes_of(returns: np.ndarray, name: str = "A", first_hour: int = 0) -> Closes:
    stamps = START + HOUR_MS * (first_hour + 1 + np.arange(len(returns), dtype=np.int64))
    return Closes(f"v:{name}/U:U", name, stamps, 100 * np.exp(np.cumsum(returns)), HOUR_MS)


def panel_until(series: list[Closes], hours: int, days: int) -> Panel:
    """The panel of the closes known `hours` after the start, and of no other."""
    end = START + hours * HOUR_MS
    cut = []
    for closes in series:
        known = closes.close_ms <= end
        cut.append(
            Closes(closes.id, closes.coin, closes.close_ms[known], closes.price[known], HOUR_MS)
        )
    return build_panel(cut, end, days)


LONG = [closes_of(hours_of(1000), "A"), closes_of(hours_of(800, seed=1), "B", first_hour=24 * 200)]
GARCH = Specification()


def test_utc_days_end_at_midnight_at_every_hour_of_the_clock() -> None:
    returns = hours_of(20, seed=2)
    series = [closes_of(returns)]
    written = returns.reshape(20, 24).sum(axis=1)
    for hours in (24 * 15, 24 * 15 + 1, 24 * 15 + 23):
        ends, days = utc_daily_returns(panel_until(series, hours, 10))
        assert ends[-1] == START // DAY_MS + 15
        assert len(ends) == len(days) == (10 if hours % 24 == 0 else 9)
        np.testing.assert_allclose(days[:, 0], written[15 - len(days) : 15], rtol=1e-9)
        np.testing.assert_array_equal(np.diff(ends), 1)


def test_utc_days_are_the_same_bytes_at_every_hour_of_the_clock() -> None:
    _, midnight = utc_daily_returns(panel_until(LONG, 24 * 900, 700))
    for hour in (1, 7, 23):
        _, later = utc_daily_returns(panel_until(LONG, 24 * 900 + hour, 700))
        assert later[-600:].tobytes() == midnight[-600:].tobytes()


def test_a_day_without_a_move_is_a_hole_and_the_next_one_is_scaled() -> None:
    returns = hours_of(30, seed=3)
    closes = closes_of(returns)
    kept = np.ones(len(returns), dtype=bool)
    kept[24 * 20 : 24 * 22] = False
    holed = Closes(closes.id, "A", closes.close_ms[kept], closes.price[kept], HOUR_MS)
    _, days = utc_daily_returns(panel_until([holed], 24 * 30, 29))
    assert np.isnan(days[19:21, 0]).all()
    over = returns[24 * 20 : 24 * 23].sum() / np.sqrt(3)
    assert days[21, 0] == pytest.approx(over)
    assert np.isfinite(np.delete(days, [19, 20])).all()


def test_before_a_listing_there_are_no_days() -> None:
    _, days = utc_daily_returns(panel_until(LONG, 24 * 400, 350))
    assert np.isnan(days[:150, 1]).all()
    assert np.isfinite(days[151:, 1]).all()


def test_the_forecast_is_that_of_the_last_epochs_fit_and_the_filter() -> None:
    panel = panel_until(LONG, 24 * 900 + 13, 850)
    forecasts = walk_forward_garch(panel, 7, GARCH)
    ends, utc = utc_daily_returns(panel)
    epoch = ends[-1] // 90 * 90
    before = utc[ends <= epoch, 0]
    window = before[-(len(before) // 90 * 90) :]
    fit = fit_garch(window, GARCH)
    assert fit == forecasts.fits[0]
    assert fit.usable
    row = panel.days - 1 - int(panel.end_ms // DAY_MS - epoch)
    path = variance_path(fit, panel.daily[row - len(window) :, 0])
    written = mean_variance_ahead(fit, path[1 + len(window) :], 7)
    level = ewma(panel.daily**2, BAND_HALFLIFE_DAYS)[row:, 0]
    ratio = path[1 + len(window) :] / level
    spoken = (ratio > BAND[0]) & (ratio < BAND[1])
    assert spoken.sum() > 0.9 * len(spoken)
    np.testing.assert_allclose(forecasts.variance[row:, 0][spoken], written[spoken], rtol=1e-12)
    assert np.isnan(forecasts.variance[row:, 0][~spoken]).all()


def test_no_forecast_uses_a_later_hour() -> None:
    whole = walk_forward_garch(panel_until(LONG, 24 * 990, 900), 7, GARCH)
    for days in (1, 30, 89, 137):
        cut = walk_forward_garch(panel_until(LONG, 24 * (990 - days), 900 - days), 7, GARCH)
        assert cut.variance.tobytes() == whole.variance[:-days].tobytes()


def test_a_live_process_refits_once_an_epoch_and_not_once_an_hour() -> None:
    at_noon = walk_forward_garch(panel_until(LONG, 24 * 905 + 12, 850), 1, GARCH)
    an_hour_later = walk_forward_garch(panel_until(LONG, 24 * 905 + 13, 850), 1, GARCH)
    next_day = walk_forward_garch(panel_until(LONG, 24 * 906 + 13, 850), 1, GARCH)
    for one, other, last in zip(at_noon.fits, an_hour_later.fits, next_day.fits, strict=True):
        assert one is other is last
    assert (at_noon.variance[-1] != an_hour_later.variance[-1]).any()


def test_what_was_computed_before_leaves_no_trace() -> None:
    panel = panel_until(LONG, 24 * 950, 800)
    kept = walk_forward_garch(panel, 3, GARCH)
    kept_fits.clear()
    fresh = walk_forward_garch(panel, 3, GARCH)
    assert kept.variance.tobytes() == fresh.variance.tobytes()
    assert kept.reasons == fresh.reasons
    assert kept.fits == fresh.fits


def test_a_contract_without_500_days_says_so() -> None:
    panel = panel_until(LONG, 24 * 690, 690)
    forecasts = walk_forward_garch(panel, 1, GARCH)
    assert forecasts.reasons[0] == ""
    assert np.isfinite(forecasts.variance[-1, 0])
    # The day of its first close is not whole.
    days = int((panel.end_ms // DAY_MS) // 90 * 90 - START // DAY_MS - 200) - 1
    assert forecasts.reasons[1] == f"garch: {days} of 500 days"
    assert np.isnan(forecasts.variance[:, 1]).all()


def test_a_panel_of_a_few_days_has_no_forecast() -> None:
    forecasts = walk_forward_garch(panel_until(LONG[:1], 24 * 40, 30), 1, GARCH)
    assert np.isnan(forecasts.variance).all()
    assert forecasts.reasons[0].startswith("garch: ")
    assert forecasts.reasons[0].endswith("of 500 days")


def test_a_panel_without_a_whole_utc_day_has_no_forecast() -> None:
    panel = panel_until(LONG[:1], 24 * 2 + 5, 1)
    assert len(utc_daily_returns(panel)[0]) == 0
    assert walk_forward_garch(panel, 1, GARCH).reasons == ("garch: 0 of 500 days",)


def test_a_variance_outside_the_band_is_not_spoken() -> None:
    returns = hours_of(700, seed=4, alpha=0.35)
    returns[-1] = 1.2
    forecasts = walk_forward_garch(panel_until([closes_of(returns)], 24 * 700, 690), 1, GARCH)
    assert "times EWMA, outside 0.25 to 4" in forecasts.reasons[0]
    assert np.isnan(forecasts.variance[-1, 0])
    assert np.isfinite(forecasts.variance[-2, 0])


def test_a_contract_that_stopped_has_no_forecast() -> None:
    series = [closes_of(hours_of(700, seed=5), "A"), closes_of(hours_of(640, seed=5), "B")]
    forecasts = walk_forward_garch(panel_until(series, 24 * 700, 690), 1, GARCH)
    assert np.isfinite(forecasts.variance[-1, 0])
    assert forecasts.fits[1].usable
    assert np.isnan(forecasts.variance[-59:, 1]).all()
    assert forecasts.reasons == ("", "garch: no return on the last day")


@pytest.mark.parametrize("horizon", [0, 31])
def test_the_horizon_has_a_range(horizon: int) -> None:
    with pytest.raises(EstimationError, match="horizon of 1 to 30 days"):
        walk_forward_garch(panel_until(LONG[:1], 24 * 900, 850), horizon, GARCH)


@pytest.mark.history
def test_real_contracts_are_forecast_or_say_why_not(history_dir: Path) -> None:
    history, end = History(history_dir), parse_iso("2022-12-31T00:00Z")
    series = []
    for coin in ("BTC", "ETH"):
        bars = history.bars("binance", f"{coin}USDT", "1h", end)
        series.append(Closes(f"binance:{coin}", coin, bars.close_ms, bars.close, bars.width_ms))
    panel = build_panel(series, end, 1090)
    forecasts = walk_forward_garch(panel, 7, Specification("gjr", "normal"))
    spoken = np.isfinite(forecasts.variance)
    assert spoken[-300:].mean() > 0.5
    for column, reason in enumerate(forecasts.reasons):
        assert bool(reason) == (not spoken[-1, column])
    # Within a factor of four of what came, on the middle day: in units, not in skill.
    later = panel.variance[1:][spoken[:-1]]
    assert 0.25 < np.nanmedian(forecasts.variance[:-1][spoken[:-1]] / later) < 4
