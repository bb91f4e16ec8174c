import numpy as np
import pytest
from scipy import integrate, stats

from perptui.estimation.tails.cornish_fisher import (
    cornish_fisher_tail,
    expanded_quantile,
    is_monotone,
)
from perptui.estimation.tails.parametric import normal_tail
from perptui.model.errors import EstimationError

Z = np.linspace(-40, 40, 4_001)


def quantile_on_grid(skewness: float, kurtosis: float) -> np.ndarray:
    s, k = skewness, kurtosis
    return Z + (Z**2 - 1) * s / 6 + (Z**3 - 3 * Z) * k / 24 - (2 * Z**3 - 5 * Z) * s**2 / 36


def test_the_region_is_where_the_quantile_rises_on_a_grid() -> None:
    agreed = [0, 0]
    for skewness in np.linspace(-3.05, 3.05, 24):
        for kurtosis in np.linspace(-0.97, 10.03, 45):
            steps = np.diff(quantile_on_grid(skewness, kurtosis))
            # A fall between two points of the grid can hide only where the slope almost stays up.
            rises = bool(steps.min() > -1e-9)
            assert is_monotone(skewness, kurtosis) == rises, (skewness, kurtosis)
            agreed[rises] += 1
    assert min(agreed) > 100


def test_the_quantile_is_the_polynomial() -> None:
    at = np.array([expanded_quantile(float(z), -0.4, 1.7) for z in Z[::200]])
    np.testing.assert_allclose(at, quantile_on_grid(-0.4, 1.7)[::200], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("skewness", "kurtosis"), [(-0.3, 0.8), (0.5, 2.0), (-0.8, 3.0), (0.0, 6.0)]
)
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_the_shortfall_is_the_integral_of_the_quantile(
    skewness: float, kurtosis: float, level: float
) -> None:
    found = cornish_fisher_tail(0.002, 0.04, skewness, kurtosis, level)
    end = stats.norm.ppf(1 - level)

    def weighted(z: float) -> float:
        s, k = skewness, kurtosis
        q = z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s**2 / 36
        return float((0.002 + 0.04 * q) * stats.norm.pdf(z))

    area, _ = integrate.quad(weighted, -np.inf, end, epsabs=1e-13)
    assert found.shortfall == pytest.approx(-area / (1 - level), rel=1e-8)
    assert found.shortfall > found.var


def test_the_tail_against_drawn_returns() -> None:
    z = np.random.default_rng(2).standard_normal(400_000)
    s, k = -0.6, 2.5
    drawn = z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s**2 / 36
    found = cornish_fisher_tail(0.0, 1.0, s, k, 0.95)
    beyond = drawn[drawn < -found.var]
    assert len(beyond) == pytest.approx(20_000, abs=4 * np.sqrt(400_000 * 0.05 * 0.95))
    assert -beyond.mean() == pytest.approx(found.shortfall, rel=0.02)


def test_without_skewness_and_kurtosis_it_is_the_normal() -> None:
    found, normal = cornish_fisher_tail(0.01, 0.2, 0, 0, 0.99), normal_tail(0.01, 0.2, 0.99)
    assert found.var == pytest.approx(normal.var)
    assert found.shortfall == pytest.approx(normal.shortfall)


def test_outside_of_the_region_there_is_no_figure() -> None:
    for skewness, kurtosis in ((-1.2, 0.5), (0.0, 9.0), (0.0, -0.1), (float("nan"), 1.0)):
        with pytest.raises(EstimationError, match="filtered historical"):
            cornish_fisher_tail(0.0, 1.0, skewness, kurtosis, 0.95)
    with pytest.raises(EstimationError, match="deviation of 0 or more"):
        cornish_fisher_tail(0.0, float("nan"), 0.0, 0.0, 0.95)
