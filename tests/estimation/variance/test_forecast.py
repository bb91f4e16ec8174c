from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.walk_forward import HALFLIFE_DAYS, PERIODS, read_panel, rows_of
from perptui.estimation.court.comparison import diebold_mariano
from perptui.estimation.losses import qlike
from perptui.estimation.panel import Closes, Panel, build_panel
from perptui.estimation.variance.combination import complete_mean, delayed
from perptui.estimation.variance.forecast import MODELS, forecast_variances, mean_over_contracts
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso

END = parse_iso("2024-08-05T00:00Z")
HAR, GARCH = MODELS.index("har"), MODELS.index("garch")


def panel_of(returns: np.ndarray, days: int) -> Panel:
    series = []
    for k, column in enumerate(returns.T):
        close_ms = (END - HOUR_MS * np.arange(len(column))[::-1]).astype(np.int64)
        price = 50 * np.exp(np.cumsum(column))
        series.append(Closes(f"v:C{k}/U:U", f"C{k}", close_ms, price, HOUR_MS))
    return build_panel(series, END, days)


def regimes(days: int, seed: int = 3) -> np.ndarray:
    """Hourly returns whose volatility wanders: the realised model should win."""
    rng = np.random.default_rng(seed)
    log_sigma = np.cumsum(rng.normal(0, 0.15, days))
    sigma = 0.006 * np.exp(log_sigma - 0.02 * np.cumsum(log_sigma) / np.arange(1, days + 1))
    return np.repeat(sigma, 24)[:, None] * rng.standard_t(6, size=(days * 24, 2))


def test_each_model_is_the_mean_that_pandas_computes() -> None:
    panel = panel_of(np.random.default_rng(0).normal(0, 0.01, (24 * 120, 2)), 100)
    forecasts = forecast_variances(panel, 20.0)
    squares = pd.DataFrame(panel.daily**2).ewm(halflife=20.0).mean()
    realised = pd.DataFrame(panel.variance).ewm(halflife=5.0).mean()
    np.testing.assert_allclose(forecasts.ewma[10:], squares.to_numpy()[10:], rtol=1e-10)
    np.testing.assert_allclose(forecasts.realised[10:], realised.to_numpy()[10:], rtol=1e-10)
    assert np.isnan(forecasts.ewma[:9]).all()


@pytest.mark.parametrize("horizon_days", [0.25, 1.0, 7.4])
def test_constant_volatility_is_found_by_every_model(horizon_days: float) -> None:
    panel = panel_of(np.random.default_rng(1).normal(0, 0.01, (24 * 420, 2)), 400)
    forecasts = forecast_variances(panel, 63.0, horizon_days)
    assert forecasts.horizon == max(1, int(horizon_days))
    true = 24 * 0.01**2
    # Sampling error: sqrt(2/n) of a mean of n squared normals; four of them.
    effective_days = 2 * 63.0 / np.log(2)
    assert forecasts.ewma[-1] == pytest.approx(true, rel=4 * np.sqrt(2 / effective_days))
    assert forecasts.realised[-1] == pytest.approx(true, rel=4 * np.sqrt(2 / (24 * 14)))
    assert forecasts.own[HAR, -1] == pytest.approx(true, rel=4 * np.sqrt(2 / (24 * 14)))
    assert forecasts.combined[-1] == pytest.approx(true, rel=4 * np.sqrt(2 / (24 * 14)))


def test_the_model_with_the_smaller_loss_gets_the_larger_weight() -> None:
    # Seven days ahead log-HAR wants 180 pairs, so EWMA and realised share the weight here.
    forecasts = forecast_variances(panel_of(regimes(170), 160), 63.0, 7.0)
    assert forecasts.fallbacks[HAR] == ("160 of 206 days", "160 of 206 days")
    assert forecasts.losses[1] < forecasts.losses[0]
    assert forecasts.weights[1] > forecasts.weights[0]
    assert forecasts.weights.sum() == pytest.approx(1.0)
    assert forecasts.scores > 100
    assert forecasts.weights[2:].tolist() == [0.0, 0.0, 0.0]


def test_har_speaks_alone_where_garch_has_too_few_days() -> None:
    forecasts = forecast_variances(panel_of(regimes(300), 290), 63.0)
    assert forecasts.weights.tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]
    np.testing.assert_array_equal(forecasts.combined[-1], forecasts.combination.levelled[HAR, -1])
    assert all("of 500 days" in words for words in forecasts.fallbacks[GARCH])
    assert forecasts.fallbacks[HAR] == ("", "")
    assert np.isnan(forecasts.losses[GARCH])
    assert np.isnan(forecasts.squared_errors[GARCH])
    assert forecasts.observations[GARCH] == 0
    assert forecasts.observations[HAR] > 150


def test_losses_are_the_recent_mean_of_qlike_over_contracts() -> None:
    forecasts = forecast_variances(panel_of(regimes(200), 190), 63.0)
    panel = panel_of(regimes(200), 190)
    before = np.full(panel.variance.shape, np.nan)
    before[1:] = forecasts.combination.levelled[1, :-1]
    daily = qlike(panel.variance, before).mean(axis=1)
    expected = pd.Series(daily).ewm(halflife=60.0, ignore_na=False).mean().iloc[-1]
    assert forecasts.losses[1] == pytest.approx(expected, rel=1e-10)
    errors = ((panel.variance - before) ** 2).mean(axis=1)
    expected = pd.Series(errors).ewm(halflife=60.0, ignore_na=False).mean().iloc[-1]
    assert forecasts.squared_errors[1] == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(forecasts.daily_losses[:, 1], daily, rtol=1e-10)


def test_no_forecast_uses_a_later_day() -> None:
    returns = regimes(200)
    whole = forecast_variances(panel_of(returns, 190), 20.0)
    later = returns.copy()
    later[-24 * 30 :] *= 5.0
    changed = forecast_variances(panel_of(later, 190), 20.0)
    np.testing.assert_allclose(whole.combined[10:160], changed.combined[10:160], rtol=1e-9)
    assert changed.combined[-1, 0] > 3 * whole.combined[-1, 0]


def test_too_few_days_are_not_scored() -> None:
    forecasts = forecast_variances(panel_of(regimes(26), 25), 20.0)
    assert np.isnan(forecasts.losses).all()
    assert forecasts.weights.tolist() == [0.5, 0.5, 0.0, 0.0, 0.0]
    assert np.isfinite(forecasts.combined[-1]).all()


def test_a_few_days_are_no_forecast() -> None:
    forecasts = forecast_variances(panel_of(regimes(9), 8), 20.0)
    assert np.isnan(forecasts.combined).all()
    assert np.isnan(forecasts.weights).all()
    assert forecasts.fallbacks[0] == ("8 of 10 days", "8 of 10 days")
    assert forecasts.scores == 0


def test_a_contract_without_realised_days_speaks_through_its_ewma() -> None:
    panel = panel_of(regimes(60), 59)
    variance = panel.variance.copy()
    variance[:, 1] = np.nan
    holed = replace(panel, variance=variance)
    forecasts = forecast_variances(holed, 20.0)
    np.testing.assert_array_equal(forecasts.realised[:, 1], forecasts.ewma[:, 1])
    assert forecasts.fallbacks[1] == ("", "0 of 10 days")
    assert forecasts.combination.weights[:, -1, 1].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    np.testing.assert_allclose(forecasts.combined[10:, 1], forecasts.ewma[10:, 1], rtol=1e-12)


def test_a_hole_on_the_last_day_silences_har_and_is_said() -> None:
    panel = panel_of(regimes(200), 190)
    variance = panel.variance.copy()
    variance[-1, 0] = np.nan
    forecasts = forecast_variances(replace(panel, variance=variance), 20.0)
    assert forecasts.fallbacks[HAR] == ("no realised variance on the last day", "")
    assert forecasts.combination.weights[HAR, -1].tolist() == [0.0, 1.0]
    assert np.isfinite(forecasts.combined[-1]).all()


def test_gaps_do_not_stop_the_forecasts() -> None:
    returns = regimes(260)
    close_ms = (END - HOUR_MS * np.arange(len(returns))[::-1]).astype(np.int64)
    price = 50 * np.exp(np.cumsum(returns[:, 0]))
    gone = np.zeros(len(price), dtype=bool)
    gone[24 * 100 : 24 * 104] = True
    gone[24 * 180 + 3 : 24 * 180 + 17] = True
    gapped = Closes("v:C/U:U", "C", close_ms[~gone], price[~gone], HOUR_MS)
    forecasts = forecast_variances(build_panel([gapped], END, 250), 20.0)
    assert np.isfinite(forecasts.combined[10:]).all()
    whole = forecast_variances(panel_of(returns[:, :1], 250), 20.0)
    # A day of four lost in a year of wandering volatility moves the last forecast by little.
    assert forecasts.combined[-1] == pytest.approx(whole.combined[-1], rel=0.1)


def test_one_jump_is_not_taken_for_the_level() -> None:
    returns = np.random.default_rng(8).normal(0, 0.005, (24 * 300, 1))
    returns[24 * 200] = 0.5
    forecasts = forecast_variances(panel_of(returns, 290), 20.0)
    calm = 24 * 0.005**2
    # The jump is 400 days' worth of variance. A hundred days later what is left of it in log-HAR's
    # residuals must be less than another day's worth.
    assert calm / 2 < forecasts.combined[-1, 0] < 2 * calm
    assert np.isfinite(forecasts.combined[10:]).all()


def test_prices_that_stood_still_at_first_give_no_forecast_of_nothing() -> None:
    returns = regimes(120)
    returns[: 24 * 40] = 0.0
    forecasts = forecast_variances(panel_of(returns, 110), 20.0)
    spoken = np.isfinite(forecasts.combined)
    assert (forecasts.combined[spoken] > 0).all()
    assert spoken[-1].all()


def test_contracts_of_8_hour_bars_take_part() -> None:
    price = 50 * np.exp(np.cumsum(np.random.default_rng(9).normal(0, 0.01, 24 * 300)))
    close_ms = (END - HOUR_MS * np.arange(len(price))[::-1]).astype(np.int64)
    wide = close_ms % (8 * HOUR_MS) == 0
    bars = Closes("v:C/U:U", "C", close_ms[wide], price[wide], 8 * HOUR_MS)
    forecasts = forecast_variances(build_panel([bars], END, 290), 20.0)
    assert forecasts.fallbacks[HAR] == ("",)
    assert np.isfinite(forecasts.combined[10:]).all()
    # Sampling error of three normal squares a day over two weeks: four of them.
    assert forecasts.combined[-1] == pytest.approx(24 * 0.01**2, rel=4 * np.sqrt(2 / (3 * 14)))


def test_the_mean_over_contracts_leaves_holes_out() -> None:
    losses = qlike(np.array([[1.0, np.nan], [np.nan, np.nan]]), np.array([[2.0, 1.0], [1.0, 1.0]]))
    mean = mean_over_contracts(losses)
    assert mean[0] == pytest.approx(0.5 + np.log(2) - 1)
    assert np.isnan(mean[1])


@pytest.fixture(scope="module")
def ten_coins(history_dir: Path) -> Panel:
    return read_panel(history_dir)


@pytest.mark.unmeasured
@pytest.mark.history
@pytest.mark.parametrize("horizon", [1, 7])
def test_the_combination_is_the_best_of_ten_coins(ten_coins: Panel, horizon: int) -> None:
    """Issue 3: not above any single model, and DM t < 2 against the best in 9 of 10 coins.

    On the days that parameters were chosen on, on those since, and on both. EGARCH, which is judged
    and never weighted, stands in `benchmarks/walk_forward.py` beside these.
    """
    found = forecast_variances(ten_coins, HALFLIFE_DAYS, float(horizon))
    target = complete_mean(ten_coins.variance, horizon)
    made = [delayed(each, horizon) for each in (*found.combination.levelled, found.combined)]
    losses = qlike(target, np.stack(made))
    assert len(PERIODS) == 3
    for begin, end in PERIODS.values():
        rows = losses[:, rows_of(ten_coins, begin, end)]
        by_coin = np.nanmean(rows, axis=1)
        singles, combined = by_coin[:-1].mean(axis=1), by_coin[-1].mean()
        assert combined <= singles.min()
        best = by_coin[:-1].argmin(axis=0)
        met = [
            diebold_mariano(rows[-1, :, coin], rows[best[coin], :, coin], horizon).statistic
            for coin in range(len(best))
        ]
        # None: the combination was that very model on every day.
        assert sum(t is None or t < 2.0 for t in met) >= 9


@pytest.mark.history
def test_files_that_end_earlier_change_no_byte(ten_coins: Panel) -> None:
    whole = forecast_variances(ten_coins, HALFLIFE_DAYS, 2.0)
    for days in np.random.default_rng(11).integers(600, ten_coins.days, 6):
        cut = forecast_variances(first_days(ten_coins, int(days)), HALFLIFE_DAYS, 2.0)
        assert cut.combined.tobytes() == whole.combined[:days].tobytes()
        assert cut.own.tobytes() == whole.own[:, :days].tobytes()
        weights = whole.combination.weights[:, :days]
        assert cut.combination.weights.tobytes() == weights.tobytes()


def first_days(panel: Panel, days: int) -> Panel:
    """The panel as it was when its first days had passed."""
    return replace(
        panel,
        end_ms=panel.end_ms - (panel.days - days) * DAY_MS,
        hourly=panel.hourly[: 24 * days],
        closing=panel.closing[: 24 * days],
        daily=panel.daily[:days],
        variance=panel.variance[:days],
        log_price=panel.log_price[: days + 1],
        common_log_price=panel.common_log_price[: days + 1],
    )
