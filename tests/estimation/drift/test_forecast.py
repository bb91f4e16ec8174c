import numpy as np
import pytest

from perptui.estimation.drift.blend import DEFAULT_BLEND, LOOKBACKS, effective_lookback
from perptui.estimation.drift.forecast import (
    drift_path,
    forecast_drift,
    lookback_drifts,
    outcomes,
    present_drift,
    prior_variance,
    shrinkage,
    walk_forward,
)


def prices(drift: np.ndarray, days: int, sigma: float, seed: int = 11) -> np.ndarray:
    """Log prices (days + 1, C) with arithmetic drift a day `drift`."""
    steps = np.random.default_rng(seed).normal(drift - sigma**2 / 2, sigma, (days, len(drift)))
    return np.vstack([np.zeros(len(drift)), np.cumsum(steps, axis=0)])


def test_a_lookback_is_the_mean_log_return_made_arithmetic() -> None:
    log_price = np.log(np.array([[100.0], [110.0], [99.0], [120.0]]))
    variance = np.full((3, 1), 0.0008)
    d1, d7, d30 = lookback_drifts(log_price, variance)
    assert d1[:, 0] == pytest.approx(np.diff(log_price[:, 0]) + 0.0004)
    assert np.isnan(d7).all()
    assert np.isnan(d30).all()
    week = np.log(np.arange(8.0) + 100.0)[:, None]
    assert lookback_drifts(week, np.full((7, 1), 0.0008))[1, -1, 0] == pytest.approx(
        np.log(107 / 100) / 7 + 0.0004
    )


def test_the_prior_variance_is_found_by_moments() -> None:
    rng = np.random.default_rng(21)
    coins, days, sigma, tau = 60, 900, 0.04, 0.006
    log_price = prices(rng.normal(0, tau, coins), days, sigma)
    variance = np.full((days, coins), sigma**2)
    drifts = lookback_drifts(log_price, variance)
    found = prior_variance(drifts, variance, np.zeros(days))
    assert np.sqrt(found[-1]) == pytest.approx(tau, rel=0.25)


def test_noise_alone_leaves_no_prior_once_coins_co_move() -> None:
    rng = np.random.default_rng(22)
    days, coins, sigma, rho = 400, 8, 0.04, 0.65
    common = rng.normal(0, sigma * np.sqrt(rho), (days, 1))
    own = rng.normal(0, sigma * np.sqrt(1 - rho), (days, coins))
    log_price = np.vstack([np.zeros(coins), np.cumsum(common + own, axis=0)])
    variance = np.full((days, coins), sigma**2)
    drifts = lookback_drifts(log_price, variance)
    stated = prior_variance(drifts, variance, np.full(days, rho))[-1]
    ignored = prior_variance(drifts, variance, np.zeros(days))[-1]
    assert ignored == 0.0
    assert stated < (0.25 * sigma / np.sqrt(30)) ** 2 * 4


def test_a_new_coin_does_not_silence_the_days_before_it() -> None:
    rng = np.random.default_rng(5)
    log_price = prices(rng.normal(0, 0.01, 6), 300, 0.03)
    variance = np.full((300, 6), 0.03**2)
    whole = prior_variance(lookback_drifts(log_price, variance), variance, np.zeros(300))
    log_price[:250, 5] = np.nan
    variance[:260, 5] = np.nan
    late = prior_variance(lookback_drifts(log_price, variance), variance, np.zeros(300))
    assert late[100] > 0
    assert late[-1] == pytest.approx(whole[-1], rel=0.6)
    alone = prior_variance(
        lookback_drifts(log_price, variance)[:, :, :1], variance[:, :1], np.zeros(300)
    )
    assert (alone == 0).all()


def test_shrinkage_is_signal_over_signal_and_noise() -> None:
    k = shrinkage(np.array([0.0001]), np.array([[0.0021]]), 7.0)
    assert k[0, 0] == pytest.approx(0.0001 / (0.0001 + 0.0003))


def test_a_drift_that_lasts_is_used_and_its_uncertainty_is_the_posteriors() -> None:
    coins, days, sigma = 20, 400, 0.02
    true = np.linspace(-0.015, 0.015, coins)
    variance = np.full((days, coins), sigma**2)
    drift = forecast_drift(prices(true, days, sigma), variance, np.zeros(days), 3.0)
    assert drift.has_evidence
    # A forecast of ±cap (below) misses by (mu ∓ cap)² + sigma²/H, one of zero by mu² + sigma²/H.
    cap = 0.25 * sigma / np.sqrt(3.0)
    gained = 2 * cap * np.abs(true).mean() - cap**2
    assert drift.r_squared == pytest.approx(gained / ((true**2).mean() + sigma**2 / 3), abs=0.04)
    assert np.corrcoef(drift.blend, true)[0, 1] > 0.8
    lookback = float(effective_lookback(drift.weights))
    k = drift.tau**2 / (drift.tau**2 + sigma**2 / lookback)
    assert drift.posterior_variance == pytest.approx(np.full(coins, drift.tau**2 * (1 - k)))
    assert drift.posterior_variance == pytest.approx(np.full(coins, k * sigma**2 / lookback))
    # A drift of more than a quarter of the horizon's deviation is not believed.
    assert np.abs(drift.blend).max() <= cap + 1e-15
    assert drift.words.startswith("drift in use: walk-forward R² ")
    assert "30 d 0." in drift.words


def test_without_evidence_the_drift_is_nothing_and_says_so() -> None:
    days, coins = 400, 6
    # A month up, a month down: the last month says the opposite of the next.
    turns = np.where(np.arange(days) // 30 % 2, 1.0, -1.0)[:, None]
    noise = np.random.default_rng(8).normal(0, 0.01, (days, coins))
    steps = np.linspace(-0.01, 0.01, coins) * turns + noise
    log_price = np.vstack([np.zeros(coins), np.cumsum(steps, axis=0)])
    variance = np.full((days, coins), 0.0001)
    drift = forecast_drift(log_price, variance, np.zeros(days), 30.0)
    assert drift.tau > 0
    assert drift.r_squared < 0
    assert not drift.has_evidence
    assert (drift.blend == 0).all()
    assert (drift.posterior_variance == 0).all()
    assert drift.by_lookback.shape == (3, coins)
    assert drift.words.startswith("drift left out: walk-forward R² -")


def test_few_past_forecasts_are_no_evidence() -> None:
    true = np.array([0.02, -0.02])
    drift = forecast_drift(prices(true, 70, 0.01), np.full((70, 2), 1e-4), np.zeros(70), 14.0)
    assert np.isnan(drift.r_squared)
    assert not drift.has_evidence
    assert (drift.blend == 0).all()
    assert drift.weights == pytest.approx(np.array(DEFAULT_BLEND))
    assert drift.words == "drift left out: 27 past forecasts are too few to judge it"


def test_the_walk_forward_r_squared_is_that_of_its_formula() -> None:
    rng = np.random.default_rng(3)
    log_price = np.cumsum(rng.normal(0, 0.02, (101, 1)), axis=0)
    variance = np.full((100, 1), 0.0004)
    blends = rng.normal(0, 0.001, (100, 1))
    r_squared, forecasts = walk_forward(blends, log_price, variance, 5)
    assert forecasts == 95
    missed = nothing = 0.0
    for t in range(95):
        came = (log_price[t + 6, 0] - log_price[t + 1, 0]) / 5 + 0.0002
        missed += (came - blends[t, 0]) ** 2
        nothing += came**2
    assert r_squared == pytest.approx(1 - missed / nothing)


@pytest.mark.parametrize("cut", [120, 391, 480])
def test_what_came_after_a_day_changes_nothing_that_was_said_on_it(cut: int) -> None:
    rng = np.random.default_rng(31)
    log_price = prices(rng.normal(0, 0.002, 5), 500, 0.03)
    variance = np.exp(rng.normal(0, 0.3, (500, 5))) * 0.03**2
    rho = rng.uniform(0.3, 0.8, 500)
    log_price[:60, 4], variance[:70, 4] = np.nan, np.nan
    whole = drift_path(log_price, variance, rho, 3.0)
    then = drift_path(log_price[: cut + 1], variance[:cut], rho[:cut], 3.0)
    for name in ("blends", "weights", "lookback", "pull", "prior"):
        assert getattr(then, name).tobytes() == getattr(whole, name)[:cut].tobytes(), name
    assert then.shrunk.tobytes() == whole.shrunk[:, :cut].tobytes()
    assert np.isfinite(then.blends[-1]).all()


def lookback_moves(log_price: np.ndarray) -> np.ndarray:
    return np.stack([log_price[-1] - log_price[-1 - lookback] for lookback in LOOKBACKS])


def test_at_the_days_end_the_present_drift_is_the_days() -> None:
    true = np.linspace(-0.01, 0.01, 6)
    log_price = prices(true, 400, 0.02)
    variance, rho = np.full((400, 6), 0.02**2), np.full(400, 0.4)
    day = forecast_drift(log_price, variance, rho, 3.0)
    present = present_drift(day, lookback_moves(log_price), variance[-1], 0.4, 3.0)
    assert day.has_evidence
    for name in ("by_lookback", "blend", "posterior_variance", "pull"):
        np.testing.assert_allclose(getattr(present, name), getattr(day, name), rtol=1e-12)
    # An hour later the market has moved: what has not is the evidence, the prior, the weights.
    moved = lookback_moves(log_price) + 0.01
    later = present_drift(day, moved, 2 * variance[-1], 0.4, 3.0)
    assert (later.r_squared, later.tau) == (day.r_squared, day.tau)
    k = day.tau**2 / (day.tau**2 + 2 * 0.02**2 / np.array(LOOKBACKS))
    wanted = k[:, None] * (moved / np.array(LOOKBACKS)[:, None] + 0.02**2)
    np.testing.assert_allclose(later.by_lookback, wanted, rtol=1e-12)
    lookback = float(effective_lookback(day.weights))
    np.testing.assert_allclose(
        later.posterior_variance, 1 / (1 / day.tau**2 + lookback / (2 * 0.02**2)), rtol=1e-12
    )


def test_a_drift_that_was_left_out_stays_out_and_an_unknown_one_is_nothing() -> None:
    log_price = prices(np.array([0.02, -0.02]), 70, 0.01)
    day = forecast_drift(log_price, np.full((70, 2), 1e-4), np.zeros(70), 14.0)
    present = present_drift(day, lookback_moves(log_price), np.full(2, 1e-4), 0.0, 14.0)
    assert (present.blend == 0).all()
    assert (present.posterior_variance == 0).all()
    assert present.words == day.words
    true = np.linspace(-0.01, 0.01, 6)
    log_price = prices(true, 400, 0.02)
    used = forecast_drift(log_price, np.full((400, 6), 4e-4), np.zeros(400), 3.0)
    moves = lookback_moves(log_price)
    moves[2, 5] = np.nan
    assert present_drift(used, moves, np.full(6, 4e-4), 0.0, 3.0).blend[5] == 0.0


def test_outcomes_are_drifts_of_the_days_after() -> None:
    log_price = np.cumsum(np.random.default_rng(4).normal(0, 0.02, (21, 2)), axis=0)
    variance = np.full((20, 2), 0.0004)
    came = outcomes(log_price, variance, 5)
    assert came[3] == pytest.approx((log_price[9] - log_price[4]) / 5 + 0.0002)
    assert np.isnan(came[15:]).all()
    assert np.isfinite(came[:15]).all()
    assert np.isnan(outcomes(log_price, variance, 30)).all()
