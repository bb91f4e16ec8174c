import numpy as np
import pytest

from perptui.estimation.liquidity import (
    ASSUMED_HALF_SPREAD,
    ASSUMED_VARIATION,
    USUAL_PARTICIPATION,
    Traded,
    estimate_liquidity,
    exogenous_cost,
    high_low_spreads,
    liquidity_var,
    squared_spreads,
)
from perptui.model.clock import HOUR_MS, parse_iso
from perptui.model.errors import EstimationError

END = parse_iso("2024-08-05T07:00Z")
NO_BOOK = np.array([np.nan])
SIGMA_DAY = 0.04


def simulated(
    spread: float, days: int, steps: int = 390, sigma: float = 0.02
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """High, low and close of `days` bars of trades at the bid or the ask around a random walk."""
    rng = np.random.default_rng(3)
    moves = rng.normal(0.0, sigma / np.sqrt(steps), (days, steps))
    middle = np.exp(np.cumsum(moves.ravel()).reshape(days, steps))
    side = rng.choice([-0.5, 0.5], (days, steps))
    price = 100.0 * middle * (1.0 + spread * side)
    return price.max(axis=1), price.min(axis=1), price[:, -1]


def traded(
    days: int = 30,
    volumes: np.ndarray | None = None,
    depth: np.ndarray | None = None,
    *,
    spread: float = 0.0,
    half_tick: float = 1e-6,
) -> Traded:
    hours = 24 * days
    high, low, close = simulated(spread, hours, 30, 0.01)
    daily = np.full(days, 24e6) if volumes is None else volumes
    return Traded(
        "v:C/U:U",
        END - HOUR_MS * np.arange(hours, dtype=np.int64)[::-1],
        high,
        low,
        close,
        np.repeat(daily / 24.0, 24) / close,
        np.empty(0) if depth is None else depth,
        half_tick,
    )


@pytest.mark.parametrize("spread", [0.005, 0.01, 0.03])
def test_both_estimators_find_a_spread_that_is_there(spread: float) -> None:
    # The papers' own experiment: 390 trades a day at bid or ask, volatility 2 % a day.
    high, low, close = simulated(spread, 4000)
    monthly = np.sqrt(max(float(squared_spreads(high, low, close).mean()), 0.0))
    assert monthly == pytest.approx(spread, rel=0.25)
    assert float(high_low_spreads(high, low).mean()) == pytest.approx(spread, abs=0.002)


def test_without_a_spread_the_pairs_average_to_nothing() -> None:
    high, low, close = simulated(0.0, 4000)
    squares = squared_spreads(high, low, close)
    assert abs(float(squares.mean())) < 4.0 * float(squares.std()) / np.sqrt(len(squares))


def test_a_spread_is_as_the_published_formulas_say_on_two_bars() -> None:
    high, low, close = np.array([102.0, 103.0]), np.array([99.0, 100.0]), np.array([101.0, 102.0])
    eta = [0.5 * np.log(102.0 * 99.0), 0.5 * np.log(103.0 * 100.0)]
    product = 4.0 * (np.log(101.0) - eta[0]) * (np.log(101.0) - eta[1])
    assert squared_spreads(high, low, close)[0] == pytest.approx(product)
    beta = np.log(102 / 99) ** 2 + np.log(103 / 100) ** 2
    gamma = np.log(103 / 99) ** 2
    k = 3 - 2 * np.sqrt(2)
    alpha = (np.sqrt(2 * beta) - np.sqrt(beta)) / k - np.sqrt(gamma / k)
    expected = 2 * (np.exp(alpha) - 1) / (1 + np.exp(alpha))
    assert high_low_spreads(high, low)[0] == pytest.approx(expected)


def test_a_book_that_was_seen_is_believed_and_bars_only_when_they_are_sure() -> None:
    variance = np.array([SIGMA_DAY**2])
    one = traded()
    assert estimate_liquidity([one], np.array([3e-5]), variance).source == ("book",)
    silent = estimate_liquidity([one], NO_BOOK, variance)
    assert silent.source == ("assumed",)
    assert silent.half_spread[0] == ASSUMED_HALF_SPREAD
    coarse = traded(half_tick=4e-4)
    assert estimate_liquidity([coarse], NO_BOOK, variance).half_spread[0] == 4e-4
    wide = estimate_liquidity([traded(spread=0.02)], NO_BOOK, variance)
    assert wide.source == ("bars",)
    assert wide.half_spread[0] == pytest.approx(0.01, rel=0.25)


def test_exit_variance_is_the_formula_on_daily_volumes() -> None:
    volumes = np.random.default_rng(8).uniform(1e6, 9e6, 30)
    found = estimate_liquidity([traded(volumes=volumes)], NO_BOOK, np.array([SIGMA_DAY**2]))
    size = USUAL_PARTICIPATION * np.median(volumes)
    roots = np.sqrt(size / volumes)
    assert found.participation[0] == pytest.approx(USUAL_PARTICIPATION)
    assert found.impact[0] == pytest.approx(SIGMA_DAY * roots.mean())
    assert found.impact_sd[0] == pytest.approx(SIGMA_DAY * roots.std(ddof=1))
    expected = found.half_spread_sd[0] ** 2 + SIGMA_DAY**2 * roots.var(ddof=1)
    assert found.exit_variance[0] == pytest.approx(expected)
    assert found.exit_cost[0] == pytest.approx(found.half_spread[0] + found.impact[0])


def test_a_given_trade_size_sets_the_participation_which_is_never_above_all() -> None:
    variance = np.array([SIGMA_DAY**2])
    found = estimate_liquidity([traded()], NO_BOOK, variance, np.array([240_000.0]))
    assert found.participation[0] == pytest.approx(0.01)
    assert found.impact[0] == pytest.approx(SIGMA_DAY * 0.1)
    huge = estimate_liquidity([traded()], NO_BOOK, variance, np.array([1e12]))
    assert huge.impact[0] == pytest.approx(SIGMA_DAY)
    assert huge.impact_sd[0] == 0.0


def test_the_spread_varies_as_the_inverse_depth_where_depth_is_known() -> None:
    depth = np.random.default_rng(4).uniform(1e6, 3e6, 90)
    found = estimate_liquidity([traded(depth=depth)], np.array([1e-4]), np.array([1e-3]))
    variation = (1 / depth).std(ddof=1) / (1 / depth).mean()
    assert found.half_spread_sd[0] == pytest.approx(1e-4 * variation)
    assert found.depth_impact[0] == pytest.approx(0.005 / np.median(depth))


def test_too_few_days_vary_as_assumed() -> None:
    found = estimate_liquidity([traded(days=5)], np.array([1e-4]), np.array([1e-3]))
    assert found.half_spread_sd[0] == ASSUMED_VARIATION * 1e-4
    assert np.isnan(found.depth_impact[0])
    # From bars it is between a third of the level and twice it, as on real coins.
    enough = estimate_liquidity([traded()], np.array([1e-4]), np.array([1e-3]))
    assert 0 < enough.half_spread_sd[0] < 2e-4


def test_days_without_volume_are_left_out_and_a_dead_market_is_refused() -> None:
    volumes = np.full(30, 24e6)
    volumes[:20] = 0.0
    found = estimate_liquidity([traded(volumes=volumes)], NO_BOOK, np.array([SIGMA_DAY**2]))
    assert found.impact[0] == pytest.approx(SIGMA_DAY * np.sqrt(USUAL_PARTICIPATION))
    with pytest.raises(EstimationError, match="trades of v:C/U:U in 30 days, was none"):
        estimate_liquidity([traded(volumes=np.zeros(30))], NO_BOOK, np.array([1e-3]))


def test_the_exogenous_cost_is_half_the_spread_and_its_deviations() -> None:
    # A book of one long and one short, spreads of 10 and 20 bp with sd 5 and 2 bp, a = 3:
    # ½(0.5·(10 + 15) + 0.25·(20 + 6)) bp.
    half, deviation = np.array([5e-4, 10e-4]), np.array([2.5e-4, 1e-4])
    cost = exogenous_cost(np.array([0.5, -0.25]), half, deviation)
    assert cost == pytest.approx(0.5 * (0.5 * 25e-4 + 0.25 * 26e-4))
    books = exogenous_cost(np.array([[0.5, -0.25], [0.0, 0.0]]), half, deviation)
    np.testing.assert_allclose(books, np.array([float(cost), 0.0]))
    found = estimate_liquidity([traded()], np.array([5e-4]), np.array([1e-3]))
    added = liquidity_var(0.02, np.array([-2.0]), found, 0.0) - 0.02
    assert added == pytest.approx(2.0 * 5e-4)
