from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.estimation.funding import (
    ANCHOR_SHARE,
    INTEREST_PER_HOUR,
    Autoregression,
    Open,
    Settled,
    corrected_phi,
    fit_autoregression,
    forecast_funding,
    nowcast,
    settlements_ahead,
    sum_mean,
    sum_variance,
    sum_weight,
)
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso
from perptui.model.errors import EstimationError

NOW = parse_iso("2024-08-05T16:00Z")
THETA, PHI, SHOCK = 2.0e-4, 0.8, 5.0e-5


def simulate(start: float, n: int, paths: int, *, known: bool) -> np.ndarray:
    """Sums of the next n rates; `known`: the first of them is `start` itself."""
    rng = np.random.default_rng(17)
    rate, total = np.full(paths, start), np.zeros(paths)
    for k in range(n):
        if not (known and k == 0):
            rate = THETA + PHI * (rate - THETA) + SHOCK * rng.standard_normal(paths)
        total += rate
    return total


@pytest.mark.parametrize("n", [1, 3, 21])
def test_the_sums_from_the_last_rate_are_those_of_monte_carlo(n: int) -> None:
    paths, last = 200_000, 9e-4
    total = simulate(last, n, paths, known=False)
    sd = np.sqrt(sum_variance(SHOCK**2, PHI, n))
    assert sum_mean(THETA, PHI, n, last=last) == pytest.approx(
        total.mean(), abs=4 * sd / np.sqrt(paths)
    )
    assert sd == pytest.approx(total.std(), rel=4 / np.sqrt(2 * paths))


@pytest.mark.parametrize("n", [2, 6, 42])
def test_the_sums_with_the_coming_rate_known_have_one_shock_less(n: int) -> None:
    paths, first = 200_000, -7e-4
    total = simulate(first, n, paths, known=True)
    sd = np.sqrt(sum_variance(SHOCK**2, PHI, n - 1))
    assert sum_mean(THETA, PHI, n, first=first) == pytest.approx(
        total.mean(), abs=4 * sd / np.sqrt(paths)
    )
    assert sd == pytest.approx(total.std(), rel=4 / np.sqrt(2 * paths))


@given(st.floats(-0.5, 0.97), st.integers(1, 90))
def test_the_variance_is_the_sum_of_its_shocks(phi: float, n: int) -> None:
    direct = sum(((1 - phi**k) / (1 - phi)) ** 2 for k in range(1, n + 1))
    assert sum_variance(1.0, phi, n) == pytest.approx(direct, rel=1e-8)


def test_sums_by_hand() -> None:
    # theta 2, phi .5, first 4: 4 + 3 + 2.5 = 9.5. Last 4 makes the first 3: 3 + 2.5 + 2.25.
    assert sum_mean(2.0, 0.5, 3, first=4.0) == pytest.approx(9.5)
    assert sum_mean(2.0, 0.5, 3, last=4.0) == pytest.approx(7.75)
    assert sum_weight(1.0, 7) == 7
    assert sum_variance(3.0, 0.5, 0) == 0.0
    with pytest.raises(ValueError, match="both or none"):
        sum_mean(2.0, 0.5, 3)
    with pytest.raises(ValueError, match="both or none"):
        sum_mean(2.0, 0.5, 3, last=1.0, first=1.0)


def test_kendalls_correction_undoes_the_bias_of_short_samples() -> None:
    assert corrected_phi(0.8, 100) == pytest.approx(0.8 + 3.4 / 100)
    assert corrected_phi(0.97, 60) == 0.98
    fitted = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        u = np.zeros(180)
        for k in range(1, 180):
            u[k] = PHI * u[k - 1] + rng.standard_normal()
        u = u[80:] - u[80:].mean()
        fitted.append(float(u[:-1] @ u[1:] / (u[:-1] @ u[:-1])))
    plain = np.mean(fitted)
    corrected = np.mean([corrected_phi(phi, 100) for phi in fitted])
    assert abs(corrected - PHI) < 0.5 * abs(plain - PHI)


def settled(
    count: int, interval: int = 8, *, phi: float = PHI, seed: int = 3, now_ms: int = NOW
) -> Settled:
    rng = np.random.default_rng(seed)
    rate = np.empty(count)
    rate[0] = THETA
    for k in range(1, count):
        rate[k] = THETA + phi * (rate[k - 1] - THETA) + SHOCK * rng.standard_normal()
    ts = now_ms - interval * HOUR_MS * np.arange(count)[::-1]
    return Settled(ts.astype(np.int64), rate, np.full(count, float(interval)))


def test_the_fit_is_ordinary_least_squares_with_the_correction() -> None:
    history = settled(270)
    model = fit_autoregression(history, 8.0)
    slope = np.polyfit(history.rate[:-1], history.rate[1:], 1)[0]
    assert model.phi == pytest.approx(slope + (1 + 3 * slope) / 269)
    mean = history.rate.mean()
    assert model.theta == pytest.approx(
        (1 - ANCHOR_SHARE) * mean + ANCHOR_SHARE * INTEREST_PER_HOUR * 8
    )
    assert model.shock_variance == pytest.approx(history.rate.var(ddof=1) * (1 - model.phi**2))
    assert model.count == 269


def test_another_interval_sees_the_same_process_at_another_distance() -> None:
    history = settled(270)
    eight, four = fit_autoregression(history, 8.0), fit_autoregression(history, 4.0)
    assert four.phi == pytest.approx(np.sqrt(eight.phi))
    assert four.theta == pytest.approx(eight.theta / 2)
    stationary = [model.shock_variance / (1 - model.phi**2) for model in (eight, four)]
    assert stationary[1] == pytest.approx(stationary[0] / 4)


def test_few_settlements_or_no_persistence_leave_phi_at_zero() -> None:
    assert fit_autoregression(settled(60), 8.0).phi == 0.0
    assert fit_autoregression(settled(270, phi=-0.6), 8.0).phi == 0.0
    few = forecast_funding(settled(40), None, NOW, 7.0)
    assert "40 funding settlements: persistence not estimated" in few.flags


def test_settlements_are_counted_in_the_open_and_closed_interval() -> None:
    opened = Open(1e-4, NOW + 8 * HOUR_MS, 8.0)
    assert settlements_ahead(NOW, 1.0, opened) == 3
    assert settlements_ahead(NOW + 1, 1.0, opened) == 3
    assert settlements_ahead(NOW - 1, 1.0, opened) == 2
    assert settlements_ahead(NOW, 0.3, opened) == 0
    assert settlements_ahead(NOW, 14.0, Open(1e-4, NOW + HOUR_MS, 1.0)) == 14 * 24


def test_the_shown_rate_counts_by_the_share_of_its_interval_that_passed() -> None:
    model = Autoregression(THETA, PHI, SHOCK**2, 200)
    opened = Open(6e-4, NOW + 2 * HOUR_MS, 8.0)
    rate, variance = nowcast(model, 4e-4, opened, NOW)
    assert rate == pytest.approx(0.75 * 6e-4 + 0.25 * (2e-4 + 0.8 * 2e-4))
    assert variance == pytest.approx(SHOCK**2 / 16)
    late, late_variance = nowcast(model, 4e-4, opened, NOW + 5 * HOUR_MS)
    assert (late, late_variance) == (6e-4, 0.0)


def test_a_forecast_puts_its_parts_together() -> None:
    history = settled(270)
    opened = Open(5e-4, NOW + 4 * HOUR_MS, 8.0)
    estimate = forecast_funding(history, opened, NOW, 7.0)
    forecast = estimate.forecast
    assert forecast.rate == 5e-4
    assert forecast.apr == pytest.approx(5e-4 * 3 * 365)
    assert forecast.mean_7d == pytest.approx(history.rate[-21:].mean())
    assert forecast.mean_30d == pytest.approx(history.rate[-90:].mean())
    assert forecast.z == pytest.approx((5e-4 - history.rate.mean()) / history.rate.std(ddof=1))
    assert forecast.trend == pytest.approx(tuple(history.rate[-24:] / 8))
    assert estimate.parameter_variance > 0
    assert estimate.flags == ()


def test_with_too_few_past_sums_the_autoregression_speaks_alone() -> None:
    history, opened = settled(270), Open(5e-4, NOW + 4 * HOUR_MS, 8.0)
    forecast = forecast_funding(history, opened, NOW, 82.0).forecast
    model = fit_autoregression(history, 8.0)
    first, first_variance = nowcast(model, history.rate[-1], opened, NOW)
    n = 246
    variance = sum_variance(model.shock_variance, model.phi, n - 1)
    variance += first_variance * sum_weight(model.phi, n) ** 2
    assert forecast.horizon_mean == pytest.approx(sum_mean(model.theta, model.phi, n, first=first))
    assert forecast.horizon_sd == pytest.approx(np.sqrt(variance))


def test_both_forecasts_are_weighted_by_how_they_did() -> None:
    history, opened = settled(270), Open(5e-4, NOW + 8 * HOUR_MS, 8.0)
    forecast = forecast_funding(history, opened, NOW, 7.0).forecast
    model = fit_autoregression(history, 8.0)
    rates, n = history.rate, 21
    level = pd.Series(rates).ewm(halflife=21.0).mean().to_numpy()
    errors = []
    for t in range(270 - n):
        theta = model.theta + (1 - ANCHOR_SHARE) * (rates[: t + 1].mean() - rates.mean())
        came = rates[t + 1 : t + 1 + n].sum()
        by_model = sum_mean(theta, model.phi, n, last=rates[t])
        errors.append((came - by_model, came - n * level[t]))
    missed = np.array(errors)
    one, two = (missed**2).mean(axis=0)
    share = two / (one + two)
    first, first_variance = nowcast(model, rates[-1], opened, NOW)
    by_level = first + (n - 1) * level[-1]
    by_model = sum_mean(model.theta, model.phi, n, first=first)
    assert forecast.horizon_mean == pytest.approx(share * by_model + (1 - share) * by_level)
    stated = sum_variance(model.shock_variance, model.phi, n - 1)
    stated += first_variance * sum_weight(model.phi, n) ** 2
    mixed = ((missed @ [share, 1 - share]) ** 2).mean()
    assert forecast.horizon_sd == pytest.approx(np.sqrt(max(stated, mixed)))


@pytest.mark.history
def test_real_funding_is_forecast_better_than_by_its_last_rate_or_its_mean(
    history_dir: Path,
) -> None:
    """Every third day of 2022 until the week of FTX, seven days ahead, five contracts."""
    history, start = History(history_dir), parse_iso("2022-01-01")
    ours, last, week, scores = [], [], [], []
    for venue, symbol in [("binance", "BTCUSDT"), ("binance", "ETHUSDT"), ("bybit", "BTCUSDT"),
                          ("bybit", "XRPUSDT"), ("binance", "XRPUSDT")]:  # fmt: skip
        rows = history.funding(venue, symbol, parse_iso("2022-11-05"))
        for day in range(0, 300, 3):
            now = start + day * DAY_MS
            k = int(np.searchsorted(rows.ts_ms, now, side="right"))
            past = Settled(rows.ts_ms[:k], rows.rate[:k], rows.interval_h[:k])
            forecast = forecast_funding(past, None, now, 7.0).forecast
            came = rows.rate[(rows.ts_ms > now) & (rows.ts_ms <= now + 7 * DAY_MS)]
            assert forecast.mean_7d is not None
            ours.append(came.sum() - forecast.horizon_mean)
            last.append(came.sum() - len(came) * rows.rate[k - 1])
            week.append(came.sum() - len(came) * forecast.mean_7d)
            scores.append(ours[-1] / forecast.horizon_sd)
    assert np.mean(np.square(ours)) < min(np.mean(np.square(last)), np.mean(np.square(week)))
    assert 0.6 < np.mean(np.abs(scores) < 1.0) < 0.9


def test_forecasts_of_simulated_funding_are_unbiased_and_their_deviation_is_right() -> None:
    errors = []
    for seed in range(300):
        whole = settled(270 + 21, seed=seed, now_ms=NOW + 7 * DAY_MS)
        past = Settled(whole.ts_ms[:270], whole.rate[:270], whole.interval_h[:270])
        forecast = forecast_funding(past, None, NOW, 7.0).forecast
        errors.append((whole.rate[270:].sum() - forecast.horizon_mean) / forecast.horizon_sd)
    # The anchor pulls theta a quarter of the way to the interest term: that bias is by design.
    pull = ANCHOR_SHARE * (THETA - 1e-4) * 15 / np.sqrt(sum_variance(SHOCK**2, PHI, 21))
    assert np.mean(errors) == pytest.approx(pull, abs=0.35)
    assert np.std(errors) == pytest.approx(1.0, abs=0.25)


def test_without_a_quote_the_last_settlement_speaks_and_the_stamp_moves_on() -> None:
    history = settled(270)
    forecast = forecast_funding(history, None, NOW + 3 * HOUR_MS, 1.0).forecast
    assert forecast.rate == history.rate[-1]
    assert forecast.interval_h == 8.0
    old = forecast_funding(history, None, NOW + 30 * HOUR_MS, 1.0)
    assert "last funding settled 30 h ago" in old.flags


def test_no_settlement_ahead_is_no_funding() -> None:
    estimate = forecast_funding(settled(270), Open(5e-4, NOW + 8 * HOUR_MS, 8.0), NOW, 0.25)
    assert estimate.forecast.horizon_mean == 0.0
    assert estimate.forecast.horizon_sd == 0.0
    assert estimate.parameter_variance == 0.0


def test_a_changed_interval_is_flagged_and_rates_stay_comparable() -> None:
    history = settled(200)
    estimate = forecast_funding(history, Open(1e-4, NOW + 4 * HOUR_MS, 4.0), NOW, 7.0)
    assert "funding interval changed from 8 h to 4 h" in estimate.flags
    assert estimate.forecast.mean_7d == pytest.approx(history.rate[-21:].mean() / 2)


def test_a_constant_rate_is_expected_to_stay_near_and_has_no_score() -> None:
    history = settled(200)
    flat = Settled(history.ts_ms, np.full(200, 1e-4), history.interval_h)
    forecast = forecast_funding(flat, None, NOW, 7.0).forecast
    assert forecast.horizon_mean == pytest.approx(21 * 1e-4)
    assert forecast.horizon_sd == pytest.approx(0.0, abs=1e-12)
    assert forecast.z is None


def test_two_settlements_are_refused() -> None:
    with pytest.raises(EstimationError, match="at least 3 funding settlements"):
        forecast_funding(settled(2), None, NOW, 7.0)
    with pytest.raises(EstimationError, match="was 0"):
        forecast_funding(settled(200), None, NOW + 200 * DAY_MS, 7.0)
