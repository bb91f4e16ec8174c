from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from perptui.estimation.variance.garch import (
    Distribution,
    GarchFit,
    Model,
    Specification,
    fit_garch,
)
from perptui.estimation.variance.garch_path import (
    mean_variance_ahead,
    variance_path,
    variance_paths,
)
from perptui.model.errors import EstimationError

ROOT_TWO_OVER_PI = np.sqrt(2 / np.pi)


def returns(days: int = 900, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    h, rows = 9.0, np.empty(days)
    for t, z in enumerate(rng.standard_normal(days)):
        rows[t] = np.sqrt(h) * z
        h = 0.45 + (0.05 + 0.1 * (z < 0)) * rows[t] ** 2 + 0.85 * h
    return rows / 100


def fitted(model: Model, distribution: Distribution = "normal") -> GarchFit:
    fit = fit_garch(returns(), Specification(model, distribution))
    assert fit.usable, fit.reasons
    return fit


def draws(fit: GarchFit, count: int, days: int) -> np.ndarray:
    """Standardised errors of the fit's distribution, by arch."""
    from arch import univariate

    kinds: dict[str, Any] = {
        "normal": univariate.Normal,
        "t": univariate.StudentsT,
        "skewt": univariate.SkewStudent,
    }
    distribution = kinds[fit.specification.distribution](seed=np.random.default_rng(1))
    drawn: np.ndarray = distribution.simulate(np.array(fit.shape))((count, days))
    return drawn


def simulated_mean(fit: GarchFit, first: float, z: np.ndarray) -> tuple[float, float]:
    """The mean daily variance along simulated paths, and its standard error; fractions."""
    h = np.full(len(z), first * 1e4)
    total = np.zeros(len(z))
    for shock in z.T:
        total += h
        if fit.specification.model == "egarch":
            news = fit.alpha * (np.abs(shock) - ROOT_TWO_OVER_PI) + fit.gamma * shock
            h = np.exp(fit.omega + news + fit.beta * np.log(h))
        else:
            h = fit.omega + (fit.alpha + fit.gamma * (shock < 0)) * shock**2 * h + fit.beta * h
    means = total / z.shape[1] / 1e4
    return float(means.mean()), float(means.std() / np.sqrt(len(means)))


@pytest.mark.unmeasured
@pytest.mark.parametrize("distribution", ["normal", "t", "skewt"])
@pytest.mark.parametrize("model", ["garch", "gjr", "egarch"])
@pytest.mark.parametrize("start", [0.3, 3.0])
def test_the_mean_over_a_horizon_is_that_of_simulated_paths(
    model: Model, distribution: Distribution, start: float
) -> None:
    fit = fitted(model, distribution)
    first = start * fit.unconditional_variance
    simulated, error = simulated_mean(fit, first, draws(fit, 10_000, 10))
    closed = float(mean_variance_ahead(fit, np.array(first), 10))
    assert closed == pytest.approx(simulated, abs=4 * error)
    assert error < 0.02 * closed


def test_a_horizon_of_one_day_is_tomorrow() -> None:
    first = np.array([1e-4, 9e-4])
    for model in ("garch", "gjr", "egarch"):
        assert mean_variance_ahead(fitted(model), first, 1) == pytest.approx(first)


def test_the_sum_is_the_one_of_the_formula() -> None:
    fit = fitted("gjr")
    p, v, first = fit.persistence, fit.unconditional_variance, 4e-3
    written = np.mean([v + p ** (k - 1) * (first - v) for k in range(1, 31)])
    assert float(mean_variance_ahead(fit, np.array(first), 30)) == pytest.approx(written)


def test_a_rejected_fit_and_a_horizon_out_of_range_are_refused() -> None:
    fit = fitted("garch")
    rejected = replace(fit, reasons=("garch: did not converge",))
    with pytest.raises(EstimationError, match="did not converge; use EWMA"):
        mean_variance_ahead(rejected, np.array(1e-3), 1)
    for horizon in (0, 31):
        with pytest.raises(EstimationError, match=f"was {horizon}; change it"):
            mean_variance_ahead(fit, np.array(1e-3), horizon)


@pytest.mark.parametrize("model", ["garch", "gjr", "egarch"])
def test_a_day_without_news_is_followed_by_its_expectation(model: Model) -> None:
    fit = fitted(model)
    series = returns(300, seed=4)
    series[200] = np.nan
    path = variance_path(fit, series)
    assert np.isfinite(path).all()
    if model == "egarch":
        # Nothing is known of ln h but its mean: the shock's is zero.
        expected = np.exp(fit.omega + fit.beta * np.log(path[200] * 1e4)) / 1e4
    else:
        expected = fit.omega / 1e4 + fit.persistence * path[200]
    assert path[201] == pytest.approx(expected)


def test_columns_are_filtered_side_by_side_as_alone() -> None:
    fits = [fitted("gjr"), replace(fitted("garch"), alpha=0.2, beta=0.7)]
    series = np.column_stack([returns(400, seed=5), returns(400, seed=6)])
    side_by_side = variance_paths(fits, series)
    for k, fit in enumerate(fits):
        np.testing.assert_array_equal(side_by_side[:, k], variance_path(fit, series[:, k]))


def test_fits_of_other_kinds_are_not_filtered_together() -> None:
    with pytest.raises(EstimationError, match="was egarch among others"):
        variance_paths([fitted("garch"), fitted("egarch")], np.zeros((3, 2)))


def test_the_filter_stands_at_rest_at_the_unconditional_variance() -> None:
    fit = fitted("garch")
    level = fit.unconditional_variance
    still = replace(fit, presample=level * 1e4)
    path = variance_path(still, np.full(50, np.sqrt(level)))
    np.testing.assert_allclose(path, level, rtol=1e-12)
