import numpy as np
import pytest
from scipy.optimize import linprog

from perptui.estimation.tails.sample import expected_shortfall, historical, order_statistic_error
from perptui.model.errors import EstimationError


def rockafellar_uryasev_program(returns: np.ndarray, level: float) -> float:
    """min a + sum(u)/((1-b)T), u >= -r - a, u >= 0: the linear program of their 2000 paper."""
    count = len(returns)
    cost = np.concatenate([[1.0], np.full(count, 1 / ((1 - level) * count))])
    above = np.column_stack([-np.ones(count), -np.eye(count)])
    bounds = [(None, None)] + [(0, None)] * count
    return float(linprog(cost, A_ub=above, b_ub=returns, bounds=bounds).fun)


@pytest.mark.parametrize(("count", "level"), [(61, 0.95), (67, 0.95), (80, 0.95), (30, 0.9)])
def test_the_shortfall_is_the_least_of_the_linear_program(count: int, level: float) -> None:
    returns = np.random.default_rng(count).standard_t(3, count) * 0.02
    expected = rockafellar_uryasev_program(returns, level)
    assert expected_shortfall(np.sort(returns), level) == pytest.approx(expected, rel=1e-9)


def test_the_shortfall_counts_the_fraction_of_an_atom() -> None:
    # 5 % of 70 is 3.5 losses: .04, .03, .02 whole, and half of .01.
    returns = np.concatenate([[-0.04, -0.03, -0.02, -0.01], np.linspace(0, 0.05, 66)])
    assert expected_shortfall(np.sort(returns), 0.95) == pytest.approx((0.09 + 0.5 * 0.01) / 3.5)
    # Ties at the quantile: the mean of returns below it would be -.05, of those at or below -.012.
    tied = np.concatenate([[-0.05], np.full(19, -0.01), np.full(80, 0.01)])
    assert expected_shortfall(np.sort(tied), 0.95) == pytest.approx((0.05 + 4 * 0.01) / 5)


def test_the_value_at_risk_is_the_linear_quantile_as_a_positive_loss() -> None:
    returns = np.arange(-20, 81) / 1000
    # 101 order statistics: the .05 quantile stands exactly at the sixth, -15/1000.
    assert historical(returns, 0.95).var == pytest.approx(0.015)
    drawn = np.random.default_rng(1).standard_t(4, 347)
    for level in (0.95, 0.99):
        expected = -np.quantile(drawn, 1 - level, method="linear")
        assert historical(drawn, level).var == pytest.approx(expected, rel=1e-12)
    gains = np.linspace(0.01, 0.02, 100)
    assert historical(gains, 0.95).var < 0


def test_the_sampling_error_is_what_repeated_samples_show() -> None:
    rng = np.random.default_rng(5)
    samples = rng.standard_t(4, (400, 10_000))
    for level in (0.95, 0.99):
        spread = np.std([-np.quantile(each, 1 - level) for each in samples])
        stated = np.mean([order_statistic_error(np.sort(each), level) for each in samples])
        # The spread of 400 draws is itself known to 1/sqrt(800) = 3.5 %: four of these.
        assert stated == pytest.approx(spread, rel=0.15)
        # Asymptotically sqrt(p(1-p)/T)/f(q).
        assert historical(samples[0], level).error > 0


@pytest.mark.parametrize(
    ("returns", "level", "words"),
    [
        (np.zeros(100), 0.95, "constant"),
        (np.linspace(-1, 1, 59), 0.95, "at least 60"),
        (np.linspace(-1, 1, 299), 0.99, "at least 300"),
        (np.append(np.linspace(-1, 1, 99), np.nan), 0.95, "1 that are not"),
        (1e-14 * np.linspace(-1, 1, 99), 0.95, "range over 1e-09 or more, was 2.0e-14"),
        (np.append(np.zeros(60), np.linspace(-1, 1, 40)), 0.95, "60 of 100 at 0; clean"),
        (np.append(1e-4 * np.linspace(-1, 1, 99), -0.5), 0.95, "holds 100% of their variance"),
        (np.linspace(-1, 1, 99), 0.05, "between .5 and 1"),
        (np.linspace(-1, 1, 99), 1.0, "between .5 and 1"),
    ],
)
def test_a_sample_that_says_nothing_is_refused(
    returns: np.ndarray, level: float, words: str
) -> None:
    with pytest.raises(EstimationError, match=words):
        historical(returns, level)
