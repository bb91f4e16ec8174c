import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.estimation.funding.process import (
    LARGEST_PHI,
    corrected_phi,
    fit_persistence,
    reach,
    sum_mean,
    sum_variance,
    sum_variances,
    sum_weight,
)
from perptui.estimation.funding.series import Settled
from perptui.model.clock import DAY_MS
from tests.estimation.funding.made import (
    NOW,
    PHI,
    SHOCK,
    THETA,
    autoregressive,
    mixed,
    series,
)


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
    paths, last = 100_000, 9e-4
    total = simulate(last, n, paths, known=False)
    sd = np.sqrt(sum_variance(SHOCK**2, PHI, n))
    assert sum_mean(THETA, PHI, n, last=last) == pytest.approx(
        total.mean(), abs=4 * sd / np.sqrt(paths)
    )
    assert sd == pytest.approx(total.std(), rel=4 / np.sqrt(2 * paths))


@pytest.mark.parametrize("n", [2, 6, 42])
def test_the_sums_with_the_coming_rate_known_have_one_shock_less(n: int) -> None:
    paths, first = 100_000, -7e-4
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


@pytest.mark.parametrize(("interval", "hours"), [(8.0, 168.0), (1.0, 24.0), (2.0, 720.0)])
def test_sums_over_hours_are_those_of_the_autoregression_at_that_interval(
    interval: float, hours: float
) -> None:
    kappa, stationary, n = 0.03, 2e-10, round(hours / interval)
    phi = np.exp(-kappa * interval)
    shock = stationary * (1 - phi**2) * interval**2
    found = sum_variances(np.array([stationary]), np.array([kappa]), interval, hours)
    assert found[0] == pytest.approx(sum_variance(shock, phi, n), rel=1e-9)
    # A deviation of one rate now adds phi + ... + phi^n of it to the sum of n.
    lasting = reach(np.array([kappa]), interval, hours)[0]
    assert lasting * n == pytest.approx(phi * sum_weight(phi, n), rel=1e-9)


def test_without_persistence_each_rate_is_a_fresh_draw() -> None:
    nothing = np.array([np.inf])
    assert reach(nothing, 8.0, 168.0)[0] == 0.0
    assert sum_variances(np.array([3.0]), nothing, 8.0, 168.0)[0] == pytest.approx(21 * 3.0 * 64)


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
    assert corrected_phi(np.array(0.8), 100) == pytest.approx(0.8 + 3.4 / 100)
    assert corrected_phi(np.array(0.97), 60) == LARGEST_PHI
    fitted = []
    for seed in range(400):
        u = autoregressive(180, seed=seed).rate[80:]
        u = u - u.mean()
        fitted.append(float(u[:-1] @ u[1:] / (u[:-1] @ u[:-1])))
    corrected = corrected_phi(np.array(fitted), 100).mean()
    assert abs(corrected - PHI) < 0.5 * abs(np.mean(fitted) - PHI)


def test_at_one_distance_the_fit_is_least_squares_with_the_correction() -> None:
    history = autoregressive(269)
    found = fit_persistence(history, history.ts_ms[-1:], 90)
    u = history.hourly - 0.5 * (history.hourly[:-1].mean() + history.hourly[1:].mean())
    slope = float(u[:-1] @ u[1:] / (u[:-1] @ u[:-1]))
    expected = slope + (1 + 3 * slope) / 268
    assert np.exp(-8 * found.kappa[0]) == pytest.approx(expected, abs=5e-4)
    assert found.count[0] == 268
    assert found.stationary[0] == pytest.approx(history.hourly.var(), rel=0.01)


@pytest.mark.parametrize("kappa", [0.01, 0.04, 0.12])
def test_pairs_of_all_distances_find_one_persistence(kappa: float) -> None:
    """Simulated with 8, 4, 2 and 1 h in turn, as after changes of a contract's interval."""
    hours = np.repeat([8, 2, 4, 1, 8], [90, 120, 60, 200, 60])
    found, stationary = [], []
    for seed in range(40):
        whole = mixed(hours, kappa, 2e-5, seed)
        fit = fit_persistence(whole, whole.ts_ms[-1:], 200)
        found.append(np.exp(-8 * fit.kappa[0]))
        stationary.append(fit.stationary[0])
    at_eight = np.exp(-8 * kappa)
    assert np.mean(found) == pytest.approx(at_eight, abs=4 * np.std(found) / np.sqrt(40) + 0.02)
    assert np.std(found) < 0.15
    assert np.median(np.sqrt(stationary)) == pytest.approx(2e-5, rel=0.2)


def test_the_fit_is_the_maximum_of_the_exact_likelihood() -> None:
    """Against a fine search of the Gaussian likelihood, written anew pair by pair."""
    whole = mixed(np.repeat([8, 2], [120, 160]), 0.05, 2e-5, 5)
    u, gap = whole.hourly, np.diff(whole.ts_ms) / 3.6e6
    centred = u - 0.5 * (u[:-1].mean() + u[1:].mean())

    def loss(kappa: float) -> float:
        phi = np.exp(-kappa * gap)
        left = 1 - phi**2
        squares = (centred[1:] - phi * centred[:-1]) ** 2 / left
        return float(len(gap) * np.log(squares.mean()) + np.log(left).sum())

    grid = np.exp(np.linspace(np.log(0.005), np.log(0.5), 4000))
    best = grid[np.argmin([loss(kappa) for kappa in grid])]
    mean = gap.mean()
    phi = np.exp(-best * mean)
    expected = phi + (1 + 3 * phi) / len(gap)
    found = fit_persistence(whole, whole.ts_ms[-1:], 200).kappa[0]
    assert np.exp(-mean * found) == pytest.approx(expected, abs=5e-4)


def test_few_settlements_no_persistence_or_no_movement_leave_none() -> None:
    for history in (
        autoregressive(60),
        autoregressive(270, phi=-0.6),
        series(np.full(200, 1e-4)),
        series(np.array([1e-4, 2e-4, 3e-4])),
    ):
        assert np.isinf(fit_persistence(history, history.ts_ms[-1:], 90).kappa[0])
    assert np.isfinite(fit_persistence(autoregressive(61), np.array([NOW]), 90).kappa[0])


def test_each_origin_knows_its_past_only() -> None:
    history = autoregressive(600)
    origins = NOW - DAY_MS * np.arange(0, 100, 9)[::-1]
    whole = fit_persistence(history, origins, 90)
    for g, origin in enumerate(origins):
        k = int(np.searchsorted(history.ts_ms, origin, side="right"))
        cut = Settled(history.ts_ms[:k], history.rate[:k], history.interval_h[:k])
        alone = fit_persistence(cut, origins[: g + 1], 90)
        assert alone.kappa.tobytes() == whole.kappa[: g + 1].tobytes()
        assert alone.stationary.tobytes() == whole.stationary[: g + 1].tobytes()


@pytest.mark.parametrize("interval", [1, 2, 4])
def test_a_process_known_at_eight_hours_sums_as_monte_carlo_at_another_interval(
    interval: int,
) -> None:
    """After a change of interval: the process simulated by its exact step of an hour."""
    kappa, sd, level, last, hours, paths = 0.04, 2e-5, 1e-5, 6e-5, 24, 40_000
    rng = np.random.default_rng(12)
    u, total = np.full(paths, last), np.zeros(paths)
    step = np.exp(-kappa)
    for hour in range(1, hours + 1):
        u = level + step * (u - level) + sd * np.sqrt(1 - step**2) * rng.standard_normal(paths)
        if hour % interval == 0:
            total += u * interval
    stated = sum_variances(np.array([sd**2]), np.array([kappa]), float(interval), hours)[0]
    share = reach(np.array([kappa]), float(interval), hours)[0]
    assert np.sqrt(stated) == pytest.approx(total.std(), rel=4 / np.sqrt(2 * paths))
    mean = (level + (last - level) * share) * hours
    assert mean == pytest.approx(total.mean(), abs=4 * total.std() / np.sqrt(paths))
