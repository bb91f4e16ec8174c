from dataclasses import replace

import numpy as np
import pytest

from perptui.estimation.tails.contracts import Contracts
from perptui.estimation.tails.filtered import (
    FundingDraw,
    VarianceRecursion,
    ewma_recursion,
    horizon_scenarios,
    simulate,
)
from perptui.estimation.tails.residuals import residual_rows
from perptui.estimation.tails.sample import historical, order_statistic_error
from perptui.model.errors import EstimationError

N = 4


def correlated_rows(days: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.standard_t(5, (days, 1)) + rng.standard_t(5, (days, N))
    return np.asarray((rows - rows.mean(axis=0)) / rows.std(axis=0))


def recursion(alpha: float = 0.08, beta: float = 0.88, omega: float = 3e-5) -> VarianceRecursion:
    ones = np.ones(N)
    initial = np.array([0.002, 0.004, 0.006, 0.008])
    return VarianceRecursion(omega * ones, alpha * ones, beta * ones, initial)


def test_with_a_constant_variance_it_is_the_historical_figure() -> None:
    rows, weights = correlated_rows(900), np.array([0.5, -0.3, 0.2, 0.4])
    still = recursion(alpha=0.0, beta=1.0, omega=0.0)
    history = np.expm1(np.sqrt(still.initial) * rows - still.initial / 2) @ weights
    drawn = simulate(rows, still, 1.0, seed=3, paths=100_000).book(weights)
    for level in (0.95, 0.99):
        past, simulated = historical(history, level), historical(drawn, level)
        # Where the history has a gap around its quantile, the draw may fall on either side of it.
        around = np.sort(-history)[::-1]
        rank = round((1 - level) * len(history))
        gap = around[rank - 4] - around[rank + 3]
        assert abs(simulated.var - past.var) <= max(4 * simulated.error, gap)
        assert simulated.shortfall == pytest.approx(past.shortfall, rel=0.03)


def test_each_path_is_that_of_a_loop_over_its_days() -> None:
    rows, model = correlated_rows(200), recursion()
    found = simulate(rows, model, 5.0, seed=11, paths=50)
    dates = np.random.default_rng(11).integers(len(rows), size=(50, 5))
    mean_square = np.minimum(rows**2, 4.2**2).mean(axis=0)
    for path in range(50):
        for contract in range(N):
            h, total = model.initial[contract], 0.0
            for date in dates[path]:
                z = rows[date, contract]
                total += np.sqrt(h) * z - h / 2
                fed = h * min(z**2, 4.2**2) / mean_square[contract]
                h = model.omega[contract] + model.alpha[contract] * fed + model.beta[0] * h
            # Paths run in single precision: seven digits of the log return.
            assert np.log1p(found.returns[path, contract]) == pytest.approx(total, abs=1e-6)


def test_the_variance_over_the_horizon_is_that_of_the_recursion() -> None:
    rows, model, days = correlated_rows(4000), recursion(), 7
    returns = np.log1p(simulate(rows, model, float(days), seed=2, paths=200_000).returns)
    # Method §2: sum over k of v + p^{k-1} (h_1 - v), v = omega/(1-p), p = alpha + beta.
    p = 0.96
    v = 3e-5 / (1 - p)
    expected = sum(v + p**k * (model.initial - v) for k in range(days))
    np.testing.assert_allclose(returns.var(axis=0), expected, rtol=0.03)


def test_an_ewma_expects_its_variance_to_stay_and_a_price_to_earn_nothing() -> None:
    model = ewma_recursion(np.full(N, 0.0009), 11.0)
    assert model.beta[0] == pytest.approx(0.94, abs=2e-3)
    drawn = simulate(correlated_rows(4000), model, 10.0, seed=2, paths=200_000).returns
    np.testing.assert_allclose(np.log1p(drawn).var(axis=0), 0.009, rtol=0.04)
    # Four standard errors of the mean, .095/sqrt(200,000).
    np.testing.assert_allclose(drawn.mean(axis=0), 0.0, atol=4 * 0.095 / np.sqrt(200_000))


def test_great_shocks_on_one_path_do_not_feed_each_other_without_end() -> None:
    rows = np.random.default_rng(3).standard_normal((400, 1)) / 2
    rows[7], rows[8] = 13.0, -13.0
    still = VarianceRecursion(*(np.array([x]) for x in (0.0, 0.06, 0.94, 0.0036)))
    returns = simulate(rows / rows.std(), still, 7.0, seed=1).returns[:, 0]
    assert np.isfinite(returns).all()
    assert returns.max() < 20
    assert historical(returns, 0.95).var > 0


def test_rows_of_one_date_are_drawn_together() -> None:
    rows = correlated_rows(300)
    rows[:, 1] = rows[:, 0]
    same = VarianceRecursion(np.zeros(N), np.full(N, 0.06), np.full(N, 0.94), np.full(N, 0.001))
    returns = simulate(rows, same, 7.0, seed=1).returns
    np.testing.assert_array_equal(returns[:, 0], returns[:, 1])
    of_rows = np.corrcoef(rows[:, 2], rows[:, 3])[0, 1]
    assert np.corrcoef(returns[:, 2], returns[:, 3])[0, 1] == pytest.approx(of_rows, abs=0.06)


def test_positive_funding_is_paid_by_a_long_and_received_by_a_short() -> None:
    rows, model = correlated_rows(300), recursion()
    without = simulate(rows, model, 3.0, seed=5)
    mean = np.array([0.001, -0.002, 0.0, 0.01])
    paid = simulate(rows, model, 3.0, seed=5, funding=FundingDraw(mean, np.zeros(N)))
    np.testing.assert_allclose(without.returns - paid.returns, np.tile(mean, (10_000, 1)))
    long_last = np.array([0.0, 0.0, 0.0, 1.0])
    more = (
        historical(paid.book(long_last), 0.95).var - historical(without.book(long_last), 0.95).var
    )
    assert more == pytest.approx(0.01)
    less = (
        historical(paid.book(-long_last), 0.95).var - historical(without.book(-long_last), 0.95).var
    )
    assert less == pytest.approx(-0.01)


@pytest.mark.parametrize("by_rows", [True, False])
def test_the_funding_drawn_has_the_deviation_that_was_forecast(*, by_rows: bool) -> None:
    rows, model, deviation = correlated_rows(500), recursion(), np.full(N, 0.004)
    shocks = rows if by_rows else None
    funding = FundingDraw(np.zeros(N), deviation, shocks)
    without = simulate(rows, model, 4.0, seed=9)
    drawn = without.returns - simulate(rows, model, 4.0, seed=9, funding=funding).returns
    np.testing.assert_allclose(drawn.std(axis=0), deviation, rtol=0.03)
    together = np.corrcoef(drawn[:, 0], np.log1p(without.returns[:, 0]))[0, 1]
    # Shocks that are the price's own residuals go with the price; drawn apart they do not.
    assert together > 0.9 if by_rows else abs(together) < 0.04


def test_a_seed_draws_the_same_and_another_seed_does_not() -> None:
    rows, model = correlated_rows(300), recursion()
    funding = FundingDraw(np.zeros(N), np.full(N, 0.001))
    first, again = (simulate(rows, model, 3.0, 5, funding).returns for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert not np.array_equal(first, simulate(rows, model, 3.0, 6, funding).returns)
    few = simulate(rows, model, 3.0, 5, paths=2_500).returns
    many = simulate(rows, model, 3.0, 5, paths=10_000).returns
    np.testing.assert_array_equal(few, many[:2_500])


def test_the_error_shown_is_the_spread_over_seeds() -> None:
    rows, model, weights = correlated_rows(400), recursion(), np.full(N, 0.25)
    books = [simulate(rows, model, 3.0, seed).book(weights) for seed in range(60)]
    for level in (0.95, 0.99):
        spread = np.std([historical(book, level).var for book in books])
        stated = np.mean([order_statistic_error(np.sort(book), level) for book in books])
        # A deviation from 60 seeds is known to 1/sqrt(120) = 9 %.
        assert stated == pytest.approx(spread, rel=0.35)


def test_a_horizon_of_half_a_day_has_half_the_variance() -> None:
    rows, model = correlated_rows(2000), recursion()
    half = np.log1p(simulate(rows, model, 0.5, seed=4, paths=50_000).returns).var(axis=0)
    np.testing.assert_allclose(half, model.initial / 2, rtol=0.05)


def test_a_contract_without_a_past_borrows_that_of_the_others() -> None:
    daily = 0.03 * correlated_rows(300)
    daily[:280, 2] = np.nan
    variance = np.full((300, N), 0.0009)
    rows = residual_rows(daily, variance)
    assert np.isnan(rows[:, 2]).all()
    funding = FundingDraw(np.zeros(N), np.full(N, 1e-4), rows[::-1])
    found = horizon_scenarios(daily, variance, funding, 3.0, seed=1)
    assert found.made == (0, 0, 299 - 1, 0)
    assert found.dates == 298
    assert found.returns[:, 2].std() == pytest.approx(found.returns[:, 1].std(), rel=0.1)


def test_scenarios_use_nothing_that_depends_on_the_order_of_calls() -> None:
    daily, variance = 0.03 * correlated_rows(200), np.full((200, N), 0.0009)
    funding = FundingDraw(np.full(N, 1e-3), np.full(N, 1e-4))
    first = horizon_scenarios(daily, variance, funding, 7.0, seed=42)
    horizon_scenarios(daily, variance, funding, 2.0, seed=1)
    again = horizon_scenarios(daily, variance, funding, 7.0, seed=42)
    assert first.returns.tobytes() == again.returns.tobytes()
    assert (first.seed, first.horizon_days, first.dates) == (42, 7.0, 199)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"initial": np.array([1e-4, 0.0, 1e-4, 1e-4])}, "check the units"),
        ({"initial": np.full(N, 1e-28)}, "was 1.0e-14 to 1.0e-14"),
        ({"initial": np.full(N, 1e4)}, "was 1.0e\\+02 to 1.0e\\+02"),
        ({"alpha": np.full(N, -0.1)}, "no negative part"),
        ({"alpha": np.full(N, 0.13)}, "alpha \\+ beta of at most 1, was 1.0100"),
        ({"omega": np.full(N, np.nan)}, "finite variance recursion"),
        ({"beta": np.zeros(2)}, "finite variance recursion"),
    ],
)
def test_a_recursion_that_is_none_is_refused(changed: dict[str, np.ndarray], words: str) -> None:
    parts = {name: getattr(recursion(), name) for name in ("omega", "alpha", "beta", "initial")}
    with pytest.raises(EstimationError, match=words):
        simulate(correlated_rows(100), VarianceRecursion(**(parts | changed)), 1.0, 0)


@pytest.mark.parametrize(
    ("funding", "words"),
    [
        (FundingDraw(np.zeros(2), np.zeros(2)), "funding of 4 contracts"),
        (FundingDraw(np.full(N, np.nan), np.zeros(N)), "finite funding"),
        (FundingDraw(np.zeros(N), np.full(N, -1e-4)), "0 or more"),
        (FundingDraw(np.zeros(N), np.zeros(N), np.zeros((99, N))), "the residuals' dates"),
    ],
)
def test_funding_that_does_not_fit_is_refused(funding: FundingDraw, words: str) -> None:
    with pytest.raises(EstimationError, match=words):
        simulate(correlated_rows(100), recursion(), 1.0, 0, funding)


def test_rows_with_holes_are_refused() -> None:
    holed = correlated_rows(100)
    holed[7] = np.nan
    with pytest.raises(EstimationError, match="4 holes"):
        simulate(holed, recursion(), 1.0, 0)


@pytest.mark.parametrize(("horizon", "paths"), [(0.0, 100), (float("nan"), 100), (1.0, 0)])
def test_no_horizon_and_no_paths_are_refused(horizon: float, paths: int) -> None:
    with pytest.raises(EstimationError, match="positive horizon"):
        simulate(correlated_rows(100), recursion(), horizon, 0, paths=paths)


TWO_OF_ONE = Contracts(
    owner=np.array([0, 1, 0, 2, 3]),
    own=np.array([1e-4, 1.0, 3e-4, 1.0, 1.0]),
    venue=np.array([0.0, 0.0]),
    venue_of=np.array([0, 0, 1, 0, 0]),
)


def test_contracts_of_a_coin_share_its_path_and_a_lone_one_is_its_coin() -> None:
    rows, model = correlated_rows(300), recursion()
    funding = FundingDraw(np.zeros(5), np.zeros(5))
    found = simulate(rows, model, 3.0, 5, funding, contracts=TWO_OF_ONE)
    coins = simulate(rows, model, 3.0, 5).returns
    np.testing.assert_array_equal(found.coins, coins)
    np.testing.assert_array_equal(found.returns[:, [1, 3, 4]], coins[:, [1, 2, 3]])
    # (1 + R)(1 + B) - 1 with ln(1 + B) normal of the stated variance, and E[B] = 0.
    for place, variance in ((0, 1e-4), (2, 3e-4)):
        basis = np.log1p(found.returns[:, place]) - np.log1p(coins[:, 0])
        assert basis.var() == pytest.approx(variance, rel=0.06)
        assert np.expm1(basis).mean() == pytest.approx(0.0, abs=4 * np.sqrt(variance / 10_000))
        assert abs(np.corrcoef(basis, coins[:, 0])[0, 1]) < 0.04


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"owner": np.array([0, 1, 0, 2, 4])}, "expected contracts of 4 coins"),
        ({"own": np.ones(4)}, "expected contracts of 4 coins"),
        ({"venue_of": np.array([0, 0, 2, 0, 0])}, "expected contracts of 2 venues"),
        ({"own": np.array([1.0, 1, -1, 1, 1])}, r"expected basis variances of 0 or more, was \[-1"),
        ({"venue": np.array([0.0, np.nan])}, "expected basis variances of 0 or more, was .nan"),
    ],
)
def test_contracts_that_belong_nowhere_are_refused(
    changed: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(EstimationError, match=message):
        simulate(
            correlated_rows(100), recursion(), 1.0, 0, contracts=replace(TWO_OF_ONE, **changed)
        )
