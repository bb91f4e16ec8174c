import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from perptui.estimation.drift.blend import (
    DEFAULT_BLEND,
    LOOKBACKS,
    PENALTIES,
    bayes_stein,
    effective_lookback,
    nested_covariance,
    walked_weights,
)

FloatArray = NDArray[np.float64]


def test_the_windows_are_nested() -> None:
    # By hand: .04 + .09/7 + .25/30 + 2(.2·.3/7 + .2·.5/30 + .3·.5/30) = .095.
    assert 1 / effective_lookback(np.array(DEFAULT_BLEND)) == pytest.approx(0.095, rel=1e-12)
    days = np.random.default_rng(1).standard_normal((200_000, 30))
    means = np.stack([days[:, -lookback:].mean(axis=1) for lookback in LOOKBACKS])
    assert nested_covariance() == pytest.approx(np.cov(means), rel=0.03)
    blend = np.array(DEFAULT_BLEND) @ means
    assert np.var(blend) == pytest.approx(0.095, rel=0.02)


def test_an_effective_lookback_is_that_of_the_weights_positive_parts() -> None:
    given = np.array([[0.0, 0.0, 0.4], [-0.3, 0.2, 0.0], [-0.1, -0.2, 0.0], [0.1, 0.15, 0.25]])
    found = effective_lookback(given)
    assert found == pytest.approx([30.0, 7.0, 1 / 0.095, 1 / 0.095])


def market(
    days: int, coins: int, horizon: int, seed: int = 3
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Drifts (3, D, C), outcomes (D, C) that follow the week, variances (D, C)."""
    rng = np.random.default_rng(seed)
    variance = 0.03**2 * np.exp(rng.normal(0, 0.5, (days, coins)))
    drifts = rng.normal(0, 1e-3, (3, days, coins))
    outcome = 2.0 * drifts[1] - 0.5 * drifts[0] + rng.normal(0, 2e-3, (days, coins))
    outcome[-horizon:] = np.nan
    drifts[:, :40, 0] = np.nan
    return drifts, outcome, variance


def augmented(
    drifts: FloatArray, outcome: FloatArray, variance: FloatArray, rows: list[int], penalty: float
) -> FloatArray:
    """Ridge by least squares on rows augmented with sqrt(penalty)·diag(|x_l|) (Hoerl-Kennard)."""
    x, y = drifts[:, rows].reshape(3, -1), outcome[rows].ravel()
    known = np.isfinite(x).all(axis=0) & np.isfinite(y)
    scale = 1.0 / np.sqrt(variance[rows].ravel()[known])
    X, Y = (x[:, known] * scale).T, y[known] * scale
    added = np.sqrt(penalty) * np.diag(np.linalg.norm(X, axis=0))
    beta: FloatArray = np.linalg.lstsq(np.vstack([X, added]), np.r_[Y, np.zeros(3)])[0]
    return beta


@pytest.mark.parametrize("horizon", [1, 14])
def test_the_weights_are_those_of_an_augmented_least_squares(horizon: int) -> None:
    drifts, outcome, variance = market(400, 6, horizon)
    weights = walked_weights(drifts, outcome, variance, horizon)
    day = 390  # the last fit; it knows outcomes of days up to 390 - H
    until = day + 1 - horizon
    losses = []
    edges = [until * block // 5 for block in range(6)]
    for penalty in PENALTIES:
        total = 0.0
        for begin, end in itertools.pairwise(edges):
            near = range(begin - horizon + 1, end + horizon - 1)
            rest = [t for t in range(until) if t not in near]
            beta = augmented(drifts, outcome, variance, rest, penalty)
            held = outcome[begin:end] - np.einsum("l,ldc->dc", beta, drifts[:, begin:end])
            total += float(np.nansum(held**2 / variance[begin:end]))
        losses.append(total)
    best = PENALTIES[int(np.argmin(losses))]
    fitted = augmented(drifts, outcome, variance, list(range(until)), best)
    assert weights[399] == pytest.approx(0.5 * fitted + 0.5 * np.array(DEFAULT_BLEND), rel=1e-8)
    assert (weights[390:] == weights[399]).all()


def test_the_default_stands_until_there_is_enough_to_fit() -> None:
    drifts, outcome, variance = market(400, 4, 7)
    weights = walked_weights(drifts, outcome, variance, 7)
    # 180 outcomes are complete on day 186 (7 days ahead); the next fit is on day 210.
    assert (weights[:210] == np.array(DEFAULT_BLEND)).all()
    assert (weights[210] != np.array(DEFAULT_BLEND)).all()
    assert weights[-1, 1] == pytest.approx(0.5 * 2.0 + 0.15, abs=0.15)
    assert weights[-1, 0] == pytest.approx(0.5 * -0.5 + 0.1, abs=0.15)
    short = walked_weights(drifts[:, :100], outcome[:100], variance[:100], 7)
    assert (short == np.array(DEFAULT_BLEND)).all()
    still = walked_weights(np.zeros((3, 400, 4)), outcome, variance, 7)
    assert still[-1] == pytest.approx(0.5 * np.array(DEFAULT_BLEND))


@pytest.mark.parametrize("cut", [211, 300, 361])
def test_what_came_later_changes_no_weight(cut: int) -> None:
    horizon = 7
    drifts, outcome, variance = market(400, 5, horizon)
    whole = walked_weights(drifts, outcome, variance, horizon)
    known = outcome[:cut].copy()
    known[-horizon:] = np.nan  # not complete at the cut
    before = walked_weights(drifts[:, :cut], known, variance[:cut], horizon)
    assert before.tobytes() == whole[:cut].tobytes()


def by_hand(
    drift: FloatArray, observed: FloatArray, S: FloatArray, lookback: float
) -> tuple[FloatArray, float]:
    """Jorion (1986), with an explicit inverse."""
    inverse, ones, n = np.linalg.inv(S), np.ones(len(S)), len(S)
    m0 = ones @ inverse @ observed / (ones @ inverse @ ones)
    off = observed - m0
    phi = (n + 2) / ((n + 2) + lookback * off @ inverse @ off)
    target = ones @ inverse @ drift / (ones @ inverse @ ones)
    return (1 - phi) * drift + phi * target, float(phi)


def test_the_pull_is_jorions() -> None:
    rng = np.random.default_rng(8)
    days, coins = 4, 6
    drift, observed = rng.normal(0, 0.004, (2, days, coins))
    deviation = 0.02 * np.exp(rng.normal(0, 0.4, (days, coins)))
    rho = np.array([0.0, 0.3, 0.65, 0.9])
    lookback = np.array([10.5, 10.5, 7.0, 30.0])
    drift[2, 4] = np.nan  # a coin that is not there yet
    found, phi = bayes_stein(drift, observed, deviation**2, rho, lookback)
    for day in range(days):
        here = np.isfinite(drift[day])
        s = deviation[day, here]
        S = np.outer(s, s) * (rho[day] + (1 - rho[day]) * np.eye(len(s)))
        wanted, pull = by_hand(drift[day, here], observed[day, here], S, float(lookback[day]))
        assert found[day, here] == pytest.approx(wanted)
        assert phi[day] == pytest.approx(pull)
        assert 0 < phi[day] < 1
    assert np.isnan(found[2, 4])


def test_one_coin_is_drawn_nowhere_and_none_is_nothing() -> None:
    drift = np.array([[0.01, np.nan], [np.nan, np.nan]])
    variance, rho, lookback = np.full((2, 2), 1e-3), np.full(2, 0.6), np.full(2, 10.0)
    found, phi = bayes_stein(drift, drift, variance, rho, lookback)
    assert found[0, 0] == pytest.approx(0.01)
    assert np.isnan(found[1]).all()
    assert phi == pytest.approx([1.0, 1.0])


def test_the_pull_lowers_the_error_of_noisy_means() -> None:
    """Jorion's own result: over many samples the drawn means are nearer to the true ones."""
    rng = np.random.default_rng(9)
    coins, lookback, trials = 8, 30.0, 3000
    true = rng.normal(0.001, 0.0005, coins)
    variance, rho = np.full((trials, coins), 0.03**2), np.full(trials, 0.6)
    root = np.linalg.cholesky(0.03**2 * (0.6 + 0.4 * np.eye(coins)))
    seen = true + rng.standard_normal((trials, coins)) @ root.T / np.sqrt(lookback)
    drawn, _ = bayes_stein(seen, seen, variance, rho, np.full(trials, lookback))
    spread = [((x - x.mean(axis=1, keepdims=True) - true + true.mean()) ** 2).mean()
              for x in (seen, drawn)]  # fmt: skip
    assert spread[1] < 0.5 * spread[0]
