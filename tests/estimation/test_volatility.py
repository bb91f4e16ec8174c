from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from perptui.estimation.evaluate import qlike
from perptui.estimation.panel import Closes, Panel, build_panel
from perptui.estimation.volatility import (
    combination_weights,
    forecast_variances,
    level_corrected,
    mean_over_contracts,
)
from perptui.model.clock import HOUR_MS, parse_iso

END = parse_iso("2024-08-05T00:00Z")


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


def test_constant_volatility_is_found_by_every_model() -> None:
    panel = panel_of(np.random.default_rng(1).normal(0, 0.01, (24 * 420, 2)), 400)
    forecasts = forecast_variances(panel, 63.0)
    true = 24 * 0.01**2
    # Sampling error: sqrt(2/n) of a mean of n squared normals; four of them.
    effective_days = 2 * 63.0 / np.log(2)
    assert forecasts.ewma[-1] == pytest.approx(true, rel=4 * np.sqrt(2 / effective_days))
    assert forecasts.realised[-1] == pytest.approx(true, rel=4 * np.sqrt(2 / (24 * 14)))
    assert forecasts.combined[-1] == pytest.approx(true, rel=4 * np.sqrt(2 / (24 * 14)))


def test_the_model_with_the_smaller_loss_gets_the_larger_weight() -> None:
    forecasts = forecast_variances(panel_of(regimes(300), 290), 63.0)
    assert forecasts.losses[1] < forecasts.losses[0]
    assert forecasts.weights[1] > forecasts.weights[0]
    assert forecasts.weights.sum() == pytest.approx(1.0)
    assert forecasts.scores > 200


def test_weights_are_those_of_the_formula() -> None:
    weights = combination_weights(np.array([[0.50, 0.52], [np.nan, 0.4]]))
    share = 1 / (1 + np.exp(-1.0))
    assert weights[0] == pytest.approx([0.9 * share + 0.05, 0.9 * (1 - share) + 0.05])
    assert weights[1].tolist() == [0.5, 0.5]


def test_levels_are_corrected_towards_what_came_within_bounds() -> None:
    realised = np.full((50, 1), 4.0)
    assert level_corrected(np.full((50, 1), 3.2), realised)[-1, 0] == pytest.approx(4.0)
    assert level_corrected(np.full((50, 1), 1.0), realised)[-1, 0] == pytest.approx(1.6)
    assert level_corrected(np.full((50, 1), 9.0), realised)[-1, 0] == pytest.approx(0.7 * 9.0)


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
    assert forecasts.weights.tolist() == [0.5, 0.5]
    assert np.isfinite(forecasts.combined[-1]).all()


def test_a_contract_without_realised_days_speaks_through_its_ewma() -> None:
    panel = panel_of(regimes(60), 59)
    variance = panel.variance.copy()
    variance[:, 1] = np.nan
    holed = replace(panel, variance=variance)
    forecasts = forecast_variances(holed, 20.0)
    np.testing.assert_array_equal(forecasts.realised[:, 1], forecasts.ewma[:, 1])


def test_the_mean_over_contracts_leaves_holes_out() -> None:
    losses = qlike(np.array([[1.0, np.nan], [np.nan, np.nan]]), np.array([[2.0, 1.0], [1.0, 1.0]]))
    mean = mean_over_contracts(losses)
    assert mean[0] == pytest.approx(0.5 + np.log(2) - 1)
    assert np.isnan(mean[1])
