from dataclasses import replace

import numpy as np
import pytest

from perptui.estimation.covariance.basis import basis_variance, forecast_basis, horizon_variance
from perptui.estimation.panel import Closes, Panel, build_panel
from perptui.model.clock import HOUR_MS, parse_iso

END = parse_iso("2024-08-05T00:00Z")
VENUES = ("v", "w")


def autoregression(phi: float, shock: float, hours: int, rng: np.random.Generator) -> np.ndarray:
    path = np.zeros(hours)
    for t, eta in enumerate(rng.normal(0, shock, hours)):
        path[t] = phi * path[t - 1] + eta
    return path


def closes(name: str, coin: str, log_price: np.ndarray, every: int = 1) -> Closes:
    close_ms = (END - HOUR_MS * np.arange(len(log_price))[::-1]).astype(np.int64)
    kept = slice((len(log_price) - 1) % every, None, every)
    price = 90 * np.exp(log_price)
    return Closes(f"{name}:{coin}/U:U", coin, close_ms[kept], price[kept], every * HOUR_MS)


def two_venues(
    phi: float, shock: float, seed: int = 9, hours: int = 24 * 60, every: int = 1
) -> list[Closes]:
    rng = np.random.default_rng(seed)
    coin = np.cumsum(rng.normal(0, 0.008, hours))
    basis = autoregression(phi, shock, hours, rng)
    return [
        closes("v", "C", coin + basis / 2),
        closes("w", "C", coin - basis / 2, every),
    ]


def venues_with_shocks(shock: float, own: float, phi: float, seed: int) -> Panel:
    """Six coins on two venues: r = coin + venue + own, the last two autoregressive."""
    rng = np.random.default_rng(seed)
    hours = 24 * 45
    common = [autoregression(phi, shock, hours, rng) for _ in VENUES]
    series = []
    for k in range(6):
        coin = np.cumsum(rng.normal(0, 0.008, hours))
        for venue, of_venue in zip(VENUES, common, strict=True):
            alone = autoregression(phi, own, hours, rng)
            series.append(closes(venue, f"C{k}", coin + of_venue + alone))
    return build_panel(series, END, 40)


def test_the_basis_has_the_variance_of_its_autoregression_over_the_horizon() -> None:
    panels = [build_panel(two_venues(0.9, 0.001, seed), END, 50) for seed in range(12)]
    found = np.array([basis_variance(panel, 2.0) for panel in panels])
    # The prices differ by b with Var over n hours shock²/(1-phi²)·(1-phi^2n); two equal parts.
    between = 0.001**2 / (1 - 0.9**2) * (1 - 0.9 ** (2 * 48))
    # A stationary variance from 720 hours has a relative error of sqrt(2/720·(1+phi²)/(1-phi²)).
    error = np.sqrt(2 / 720 * 1.81 / 0.19) / np.sqrt(12)
    assert found.sum(axis=1).mean() == pytest.approx(between, rel=4 * error)
    np.testing.assert_allclose(found[:, 0], found[:, 1])


def test_the_basis_has_a_floor_and_a_lone_contract_stands_on_it() -> None:
    still = basis_variance(build_panel(two_venues(0.5, 1e-9), END, 50), 3.0)
    assert still.tolist() == [pytest.approx(3 * 4e-8)] * 2
    alone = forecast_basis(build_panel(two_venues(0.5, 0.001)[:1], END, 50), 3.0)
    assert alone.own.tolist() == [pytest.approx(3 * 4e-8)]
    assert not alone.assumed.any()


def test_a_basis_that_does_not_come_back_grows_with_the_horizon() -> None:
    wandering = two_venues(1.0, 0.0005)
    short, long = (basis_variance(build_panel(wandering, END, 50), h) for h in (1.0, 10.0))
    assert long[0] > 3 * short[0]


def test_the_horizon_variance_is_the_closed_form_where_the_level_comes_back() -> None:
    """s² = k·Var(Δb)/(1-e^(-kΔ)), then s²(1-e^(-2kH))/(2k): method §3.4, k from the truth."""
    phi, hours = 0.95, 24.0
    k = -np.log(phi)
    found = []
    for seed in range(30):
        level = autoregression(phi, 0.001, 720, np.random.default_rng(seed))
        found.append(horizon_variance(level[:, None], np.arange(720), hours)[0])
    change = 0.001**2 * 2 / (1 + phi)
    diffusion = k * change / (1 - np.exp(-k))
    expected = diffusion * (1 - np.exp(-2 * k * hours)) / (2 * k)
    error = np.sqrt(2 / 720 * (1 + phi**2) / (1 - phi**2)) / np.sqrt(30)
    assert np.mean(found) == pytest.approx(expected, rel=4 * error)


def test_a_random_walk_with_bounce_is_measured_by_its_long_run() -> None:
    """Newey-West with two lags keeps 2/3 and 1/3 of the bounce's -1/2 at the first two lags."""
    rng = np.random.default_rng(2)
    walk = np.cumsum(rng.normal(0, 0.001, 700)) + np.linspace(0.0, 0.2, 700)
    found = horizon_variance(walk[:, None], np.arange(700), 24.0)[0]
    assert found == pytest.approx(24 * 0.001**2, rel=4 * np.sqrt(2 * (1 + 2 * 5 / 9) / 700))


def test_a_level_that_never_moves_has_no_variance() -> None:
    assert horizon_variance(np.full((60, 1), 0.3), np.arange(60), 24.0).tolist() == [0.0]


def test_an_eight_hourly_venue_is_compared_at_its_own_closes() -> None:
    """Between its closes the slow venue is stale by up to 3 % of the coin's move, not by basis."""
    fast, slow = (np.mean([build_basis(seed, every) for seed in range(8)]) for every in (1, 8))
    assert slow == pytest.approx(fast, rel=0.25)


def build_basis(seed: int, every: int) -> float:
    panel = build_panel(two_venues(0.9, 0.001, seed, every=every), END, 50)
    return float(basis_variance(panel, 2.0).sum())


def test_a_venues_shock_is_told_from_what_is_a_contracts_own() -> None:
    phi, shock, own = 0.9, 0.0006, 0.0004
    parts = [forecast_basis(venues_with_shocks(shock, own, phi, seed), 1.0) for seed in range(10)]
    growth = (1 - phi**48) / (1 - phi**2)
    # Each venue's error is that of one path; ten panels, four standard errors.
    error = 4 * np.sqrt(2 / 720 * (1 + phi**2) / (1 - phi**2)) / np.sqrt(10)
    assert np.mean([p.venue for p in parts]) == pytest.approx(shock**2 * growth, rel=error)
    assert np.mean([p.own for p in parts]) == pytest.approx(own**2 * growth, rel=error)
    assert parts[0].venues == VENUES


def test_without_a_common_shock_nearly_all_is_a_contracts_own() -> None:
    parts = [forecast_basis(venues_with_shocks(0.0, 0.0005, 0.9, seed), 1.0) for seed in range(10)]
    assert np.mean([p.venue.mean() / p.own.mean() for p in parts]) < 0.05


def test_too_few_common_closes_are_said_and_the_usual_variance_is_taken() -> None:
    panel = venues_with_shocks(0.0006, 0.0004, 0.9, 1)
    late = panel.closing.copy()
    late[:-30, 0] = np.nan
    basis = forecast_basis(replace(panel, closing=late), 1.0)
    assert basis.assumed.tolist() == [True, True] + [False] * 10
    assert basis.total[:2] == pytest.approx(np.median(basis.total[2:]))


def test_a_contract_without_recent_hours_leaves_the_others_of_its_coin_measured() -> None:
    three = two_venues(0.9, 0.001)
    quiet = closes("x", "C", np.zeros(24 * 60))
    panel = build_panel([*three, Closes("x:C/U:U", "C", *_noise(quiet), HOUR_MS)], END, 50)
    closing = panel.closing.copy()
    closing[:, 2] = np.nan
    basis = forecast_basis(replace(panel, closing=closing), 2.0)
    expected = basis_variance(build_panel(three, END, 50), 2.0)
    np.testing.assert_allclose(basis.own[:2], expected)
    assert basis.assumed.tolist() == [False, False, True]


def _noise(series: Closes) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return series.close_ms, series.price * np.exp(rng.normal(0, 0.01, len(series.price)))
