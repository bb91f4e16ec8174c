import numpy as np
import pytest
from scipy import integrate, stats

from perptui.estimation.tails.parametric import (
    fit_degrees,
    normal_tail,
    student_probability,
    student_quantile,
    student_tail,
)
from perptui.model.errors import EstimationError


def tail_mean(quantile: stats.rv_continuous, level: float) -> float:
    """-1/a times the integral of the quantile function over (0, a)."""
    area, _ = integrate.quad(quantile.ppf, 0, 1 - level)
    return float(-area / (1 - level))


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_the_normal_is_that_of_scipy(level: float) -> None:
    tail = normal_tail(0.01, 0.04, level)
    assert tail.var == pytest.approx(-stats.norm(0.01, 0.04).ppf(1 - level), rel=1e-12)
    assert tail.shortfall == pytest.approx(tail_mean(stats.norm(0.01, 0.04), level), rel=1e-7)


def test_the_normal_of_the_textbook() -> None:
    # McNeil, Frey & Embrechts (2005), example 2.14 and 2.18: quantiles 1.645 and 2.326, shortfall
    # phi(1.645)/.05 = 2.063 and 2.665 deviations.
    assert normal_tail(0, 1, 0.95).var == pytest.approx(1.645, abs=5e-4)
    assert normal_tail(0, 1, 0.95).shortfall == pytest.approx(2.063, abs=5e-4)
    assert normal_tail(0, 1, 0.99).shortfall == pytest.approx(2.665, abs=5e-4)


@pytest.mark.parametrize("degrees", [2.5, 4.0, 12.0, 80.0])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_the_t_has_the_deviation_that_it_is_given(degrees: float, level: float) -> None:
    scaled = stats.t(degrees, loc=-0.01, scale=0.05 * np.sqrt((degrees - 2) / degrees))
    assert scaled.std() == pytest.approx(0.05)
    tail = student_tail(-0.01, 0.05, degrees, level)
    assert tail.var == pytest.approx(-scaled.ppf(1 - level), rel=1e-9)
    assert tail.shortfall == pytest.approx(tail_mean(scaled, level), rel=1e-5)


def test_the_quantile_of_the_t_is_that_of_scipy() -> None:
    for degrees in (2.1, 2.5, 4.0, 7.3, 30.0, 100.0, 400.0):
        for probability in (0.3, 0.1, 0.05, 0.01, 0.001):
            found = student_quantile(probability, degrees)
            assert found == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-9)
            assert student_probability(found, degrees) == pytest.approx(probability, rel=1e-9)


def test_the_t_against_drawn_returns() -> None:
    drawn = 0.03 * np.sqrt(3 / 5) * np.random.default_rng(1).standard_t(5, 400_000)
    tail = student_tail(0.0, 0.03, 5.0, 0.99)
    beyond = drawn[drawn < -tail.var]
    # Binomial: 4000 expected, 63 the deviation; the tail's mean has about 1 % of error.
    assert len(beyond) == pytest.approx(4000, abs=4 * 63)
    assert -beyond.mean() == pytest.approx(tail.shortfall, rel=0.03)


@pytest.mark.parametrize("degrees", [3.0, 5.0, 9.0])
def test_the_fit_is_the_best_likelihood_of_scipy(degrees: float) -> None:
    sample = 7.0 + 2.0 * np.random.default_rng(3).standard_t(degrees, 800)
    z = (sample - sample.mean()) / sample.std()
    grid = np.exp(np.linspace(np.log(2.1), np.log(100), 1000))[:, None]
    likelihood = stats.t.logpdf(z, grid, scale=np.sqrt((grid - 2) / grid)).sum(axis=1)
    assert fit_degrees(sample) == pytest.approx(grid[np.argmax(likelihood), 0], rel=5e-3)


def test_the_fit_finds_what_was_drawn() -> None:
    rng = np.random.default_rng(4)
    assert fit_degrees(rng.standard_t(5, 20_000)) == pytest.approx(5, rel=0.1)
    assert fit_degrees(rng.standard_normal(20_000)) > 30


@pytest.mark.parametrize(
    ("mean", "deviation", "level"), [(np.nan, 1, 0.95), (0, -1, 0.95), (0, np.inf, 0.95)]
)
def test_moments_that_are_none_are_refused(mean: float, deviation: float, level: float) -> None:
    with pytest.raises(EstimationError, match="deviation of 0 or more"):
        normal_tail(mean, deviation, level)


def test_what_has_no_variance_or_no_spread_is_refused() -> None:
    with pytest.raises(EstimationError, match="more than two degrees"):
        student_tail(0.0, 1.0, 2.0, 0.95)
    with pytest.raises(EstimationError, match="at least 60"):
        fit_degrees(np.random.default_rng(0).normal(size=59))
    with pytest.raises(EstimationError, match="that vary"):
        fit_degrees(np.ones(100))
    with pytest.raises(EstimationError, match="1 that are not"):
        fit_degrees(np.append(np.random.default_rng(0).normal(size=99), np.nan))
