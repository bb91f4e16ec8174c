import math

import numpy as np
import pytest

from perptui.estimation.funding.rules import (
    CLAMP,
    Premium,
    clamped_mean,
    clamped_sum,
    coming_premium,
    infer_premium,
    premium_of,
    probability,
    rate_of,
)
from perptui.estimation.funding.series import INTEREST_PER_HOUR
from tests.estimation.funding.made import series

INTEREST = 1e-4 / 8


def test_the_distribution_function_is_that_of_the_error_function() -> None:
    x = np.linspace(-9, 9, 2001)
    exact = np.array([0.5 * math.erfc(-one / math.sqrt(2)) for one in x])
    # Abramowitz and Stegun state |error| < 7.5e-8 for 26.2.17.
    assert np.abs(probability(x) - exact).max() < 7.5e-8


def test_the_rule_by_hand() -> None:
    """F = P + clamp(.01 % - P, ±.05 %) per 8 h, written as venues print it."""
    index = np.array([-0.003, -0.0005, -0.0004, 0.0, 0.0001, 0.0006, 0.0007, 0.0031])
    printed = index + np.clip(1e-4 - index, -5e-4, 5e-4)
    assert printed == pytest.approx([-0.0025, 0.0, 1e-4, 1e-4, 1e-4, 1e-4, 2e-4, 0.0026])
    found = rate_of(index - 1e-4, INTEREST, 0.02 / 8) * 8
    assert found == pytest.approx(printed)
    assert rate_of(np.array([-0.5, 0.5]), INTEREST, 0.02 / 8) * 8 == pytest.approx([-0.02, 0.02])


def test_a_rate_off_the_interest_shows_its_premium() -> None:
    premium = np.array([-4e-3, -6e-4, 6e-4, 2e-3])
    again = premium_of(rate_of(premium, INTEREST, 1.0), INTEREST)
    assert again == pytest.approx(premium)
    assert premium_of(np.array([INTEREST]), INTEREST) == pytest.approx([0.0], abs=1e-12)


@pytest.mark.parametrize("mean", [-3e-3, -5e-4, 0.0, 4e-4, 2.5e-3])
@pytest.mark.parametrize("cap", [0.02 / 8, 5e-4 / 8])
def test_the_mean_behind_clamp_and_cap_is_that_of_monte_carlo(mean: float, cap: float) -> None:
    draws = mean + 8e-4 * np.random.default_rng(5).standard_normal(200_000)
    rates = rate_of(draws, INTEREST, cap)
    found = clamped_mean(np.array([mean]), np.array([8e-4]), INTEREST, cap)[0]
    assert found == pytest.approx(rates.mean(), abs=4 * rates.std() / math.sqrt(200_000) + 1e-10)


PREMIUM = Premium(-2e-4, 0.02, 6e-4**2, -7e-4, 1e-8, INTEREST)


def test_the_sums_of_clamped_rates_are_those_of_monte_carlo() -> None:
    first, variance, paths, n = 9e-4, 4e-8, 60_000, 21
    rng, phi = np.random.default_rng(6), math.exp(-0.02 * 8)
    x = first + math.sqrt(variance) * rng.standard_normal(paths)
    total, sums = np.zeros(paths), []
    for _ in range(n):
        total = total + rate_of(x, INTEREST, 1e-3 / 8) * 8
        sums.append((total.mean(), total.std()))
        shock = 6e-4 * math.sqrt(1 - phi**2)
        x = PREMIUM.level + phi * (x - PREMIUM.level) + shock * rng.standard_normal(paths)
    found = clamped_sum(PREMIUM, first, variance, 8.0, n, 1e-3)
    assert found[0] == 0.0
    for k, (mean, sd) in enumerate(sums, start=1):
        assert found[k] == pytest.approx(mean, abs=4 * sd / math.sqrt(paths)), k


def test_long_sums_go_on_at_the_standing_mean() -> None:
    long = clamped_sum(PREMIUM, 9e-4, 0.0, 8.0, 400, 0.02)
    standing = clamped_mean(np.array([-2e-4]), np.array([6e-4]), INTEREST, 0.02 / 8)[0] * 8
    assert np.diff(long)[200:] == pytest.approx(standing)
    short = clamped_sum(PREMIUM, 9e-4, 0.0, 8.0, 30, 0.02)
    assert long[:31] == pytest.approx(short, rel=1e-4)
    assert clamped_sum(PREMIUM, 9e-4, 0.0, 8.0, 1, 0.02).shape == (2,)


def test_the_shown_rate_moves_the_coming_premium_by_the_share_that_passed() -> None:
    phi = math.exp(-0.02 * 8)
    step = -2e-4 + phi * (-7e-4 + 2e-4)
    spread = 6e-4**2 * (1 - phi**2) + phi**2 * 1e-8
    assert coming_premium(PREMIUM, None, 0.0, 8.0) == pytest.approx((step, spread))
    shown = INTEREST - 3e-4 / 8  # 3 bp under the interest: a premium of -3 - 5 bp.
    assert coming_premium(PREMIUM, shown, 1.0, 8.0) == pytest.approx((-8e-4, 0.0), abs=1e-12)
    half, variance = coming_premium(PREMIUM, shown, 0.5, 8.0)
    assert (half, variance) == pytest.approx((0.5 * (step - 8e-4), spread / 4))
    # At the interest the premium is the step's draw given that it is within ±5 bp.
    draws = step + math.sqrt(spread) * np.random.default_rng(7).standard_normal(400_000)
    inside = draws[np.abs(draws) < CLAMP]
    found = coming_premium(PREMIUM, INTEREST, 1.0, 8.0)
    assert found[0] == pytest.approx(inside.mean(), abs=5e-7)
    assert found[1] == pytest.approx(inside.var(), rel=0.02)


@pytest.mark.parametrize(("halflife_h", "sd"), [(16.0, 6e-4), (48.0, 6e-4), (24.0, 1.2e-3)])
def test_the_premium_behind_clamped_rates_is_found(halflife_h: float, sd: float) -> None:
    """Simulated premia around -1 bp, 60 series of 270 settlements: what was put in comes out."""
    phi, found = 0.5 ** (8 / halflife_h), []
    off, unknown = [], []
    for seed in range(60):
        rng, x = np.random.default_rng(seed), np.empty(270)
        x[0] = sd * rng.standard_normal()
        for k in range(1, 270):
            x[k] = phi * x[k - 1] + sd * math.sqrt(1 - phi**2) * rng.standard_normal()
        rate = rate_of(x - 1e-4, INTEREST, 0.02 / 8)
        history = series(rate * 8)
        fit = infer_premium(history, INTEREST, float(rate.mean()), 0.02)
        found.append((math.exp(-8 * fit.kappa), math.sqrt(fit.stationary), fit.level))
        off.append(fit.last - (x[-1] - 1e-4))
        unknown.append(rate[-1] == INTEREST)
    persistence, deviation, level = np.array(found).T
    # The step that fills in clamped rates leaves persistence a little low, never high.
    assert phi - 0.12 < persistence.mean() < phi + 0.02
    assert deviation.mean() == pytest.approx(sd, rel=0.12)
    assert level.mean() == pytest.approx(-1e-4, abs=1e-4)
    at_interest = np.array(off)[unknown]
    assert 0.2 < np.mean(unknown) < 0.8
    assert np.abs(np.delete(off, np.flatnonzero(unknown))).max() < 1e-10
    # A uniform guess inside ±5 bp would miss by 5/sqrt(3) = 2.9 bp.
    assert np.sqrt(np.mean(at_interest**2)) < 2.9e-4


def test_the_level_keeps_the_mean_rate_that_it_was_given() -> None:
    rate = rate_of(6e-4 * np.random.default_rng(8).standard_normal(270), INTEREST, 0.02 / 8)
    for aim in (-3e-5, 0.0, INTEREST_PER_HOUR, 6e-5):
        fit = infer_premium(series(rate * 8), INTEREST, aim, 0.02)
        deviation = np.array([math.sqrt(fit.stationary)])
        mean = clamped_mean(np.array([fit.level]), deviation, INTEREST, 0.02 / 8)[0]
        assert mean == pytest.approx(aim, abs=1e-9)
