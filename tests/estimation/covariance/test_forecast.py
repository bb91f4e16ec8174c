import time
from dataclasses import replace

import numpy as np
import pytest

from perptui.estimation.covariance.basis import Basis
from perptui.estimation.covariance.correlation import correlate, correlation_of, standardise
from perptui.estimation.covariance.forecast import (
    CovarianceSettings,
    add_venues,
    assemble,
    forecast_correlation,
    forecast_covariance,
)
from perptui.estimation.covariance.mixture import forecast_mixture
from perptui.estimation.covariance.repair import is_positive
from perptui.estimation.covariance.shrinkage import (
    ledoit_wolf_constant_correlation,
    one_factor,
    single_factor_intensity,
)
from perptui.estimation.panel import Closes, Panel, build_panel
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso
from perptui.model.errors import EstimationError

END = parse_iso("2024-08-05T00:00Z")
TRUE = np.array([[1.0, 0.7, 0.3], [0.7, 1.0, -0.2], [0.3, -0.2, 1.0]])
BALANCED = CovarianceSettings(63.0, 125.0, 7.0)


def market(coins: int, venues: int, days: int, seed: int = 0) -> Panel:
    """Contracts of correlated coins with a basis of 3 bp an hour at each venue."""
    rng = np.random.default_rng(seed)
    hours = 24 * days + 1
    factor = rng.normal(0, 0.005, (hours, 1))
    coin = np.cumsum(factor + rng.normal(0, 0.004, (hours, coins)), axis=0)
    close_ms = (END - HOUR_MS * np.arange(hours)[::-1]).astype(np.int64)
    series = [
        Closes(
            f"v{venue}:C{k:03d}/U:U",
            f"C{k:03d}",
            close_ms,
            np.exp(coin[:, k] + rng.normal(0, 3e-4, hours)),
            HOUR_MS,
        )
        for k in range(coins)
        for venue in range(venues)
    ]
    return build_panel(series, END, days)


def test_sigma_is_positive_by_construction_with_one_coin_on_two_venues() -> None:
    owner = np.array([0, 0, 1, 2, 2])
    own = np.full(5, 4e-8)
    sigma = assemble(np.array([0.01, 0.02, 0.04]), TRUE, owner, own)
    assert sigma[0, 0] == pytest.approx(0.01 + 4e-8)
    assert sigma[0, 1] == pytest.approx(0.01)
    assert sigma[0, 2] == pytest.approx(0.7 * np.sqrt(0.01 * 0.02))
    assert np.linalg.eigvalsh(sigma)[0] >= 4e-8 * (1 - 1e-6)


def test_contracts_of_one_venue_share_its_shock() -> None:
    basis = Basis(
        own=np.full(3, 1e-8),
        venue=np.array([2e-7, 5e-7]),
        venues=("v", "w"),
        venue_of=np.array([0, 1, 0]),
        assumed=np.zeros(3, dtype=bool),
    )
    added = add_venues(np.zeros((3, 3)), basis)
    g = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(added, g @ np.diag([2e-7, 5e-7]) @ g.T)


def test_the_forecast_is_the_sum_of_its_parts() -> None:
    forecast = forecast_covariance(market(4, 2, 200), BALANCED)
    a = np.equal.outer(forecast.owner, np.arange(4)).astype(np.float64)
    deviation = np.diag(np.sqrt(forecast.coin_variance))
    g = np.equal.outer(forecast.basis.venue_of, np.arange(2)).astype(np.float64)
    coins = a @ deviation @ forecast.correlation.matrix @ deviation @ a.T
    venues = g @ np.diag(forecast.basis.venue) @ g.T
    expected = coins + venues + np.diag(forecast.basis.own)
    np.testing.assert_allclose(forecast.sigma, expected, rtol=1e-12)
    assert forecast.floor == pytest.approx(7 * 4e-8)
    assert forecast.least_eigenvalue >= forecast.floor
    assert forecast.notes == ()


def test_the_default_correlation_is_shrunk_to_one_factor_by_the_stated_intensity() -> None:
    panel = market(6, 1, 200)
    z = standardise(panel.daily, 63.0)
    d = single_factor_intensity(z, 125.0)
    raw = correlate(z, 125.0).matrix
    forecast = forecast_covariance(panel, BALANCED)
    assert forecast.correlation.shrinkage == d
    assert 0.0 < d < 1.0
    expected = (1 - d) * raw + d * one_factor(raw)
    np.testing.assert_allclose(forecast.correlation.matrix, expected)
    unshrunk = forecast_covariance(panel, replace(BALANCED, target="none"))
    np.testing.assert_allclose(unshrunk.correlation.matrix, raw)
    assert unshrunk.correlation.shrinkage == 0.0


def test_another_target_is_taken_on_the_days_that_the_halflife_is_worth() -> None:
    z = np.random.default_rng(2).standard_normal((300, 6)) + 1.0
    z[:250, 5] = np.nan
    # (1 + b)/(1 - b) with b = 2^(-1/21): 60.6 days; the sixth coin is not known on most of them.
    expected = ledoit_wolf_constant_correlation(z[-61:, :5])
    found = forecast_correlation(z, 21.0, "constant correlation")
    np.testing.assert_allclose(found.matrix[:5, :5], correlation_of(expected.matrix))
    assert found.shrinkage == expected.intensity
    np.testing.assert_allclose(found.matrix[5, :5], correlate(z, 21.0).matrix[5, :5])
    with pytest.raises(EstimationError, match="expected one of one factor, identity"):
        forecast_correlation(z, 21.0, "two factors")
    with pytest.raises(EstimationError, match="13 rows or more"):
        forecast_correlation(z[:12], 21.0, "nonlinear")


def test_the_horizon_scales_coins_and_given_variances_are_used() -> None:
    panel = market(3, 1, 120)
    given = np.array([0.001, 0.002, 0.003])
    forecast = forecast_covariance(panel, BALANCED, given)
    np.testing.assert_allclose(forecast.coin_variance, 7 * given)
    np.testing.assert_allclose(np.diag(forecast.sigma), 7 * given + 7 * 4e-8, rtol=1e-7)


def test_the_mixture_decides_the_correlation_where_it_is_asked_to() -> None:
    panel = market(5, 1, 200)
    mixed = forecast_covariance(panel, replace(BALANCED, mixture=True))
    mixture = forecast_mixture(panel.daily)
    deviation = np.sqrt(np.diag(mixture.sigma))
    np.testing.assert_allclose(
        mixed.correlation.matrix, mixture.sigma / np.outer(deviation, deviation)
    )
    assert mixed.mixture is not None
    assert mixed.mixture.weights.sum() == pytest.approx(1.0)
    assert mixed.notes == ()


def test_experts_that_cannot_be_weighed_are_said_in_words() -> None:
    panel = market(5, 1, 200)
    daily = panel.daily.copy()
    daily[-6:, 0] = np.nan
    # With hourly bars `common_daily` is `daily`.
    mixed = forecast_covariance(replace(panel, daily=daily), replace(BALANCED, mixture=True))
    assert mixed.notes == (
        "too few complete days to weigh the correlation's experts: equal weights",
    )


def test_funding_adds_to_the_diagonal_and_again_replaces_what_was_added() -> None:
    forecast = forecast_covariance(market(3, 2, 120), BALANCED)
    extra = np.linspace(1e-6, 6e-6, 6)
    once = forecast.with_extra(extra)
    np.testing.assert_allclose(once.sigma, forecast.sigma + np.diag(extra))
    np.testing.assert_array_equal(once.with_extra(extra).sigma, once.sigma)
    assert once.least_eigenvalue > forecast.least_eigenvalue
    with pytest.raises(EstimationError, match="variances of 0 or more"):
        forecast.with_extra(-extra)
    with pytest.raises(EstimationError, match="variances of 0 or more"):
        forecast.with_extra(np.full(6, np.nan))


def test_under_stress_volatility_doubles_and_coins_move_together() -> None:
    forecast = forecast_covariance(market(3, 2, 120), BALANCED).with_extra(np.full(6, 1e-6))
    stressed = forecast.stressed(towards_one=0.5, factor=2.0)
    np.testing.assert_allclose(np.diag(stressed.sigma), 4 * np.diag(forecast.sigma))
    before, after = forecast.correlation.matrix, stressed.correlation.matrix
    np.testing.assert_allclose(after, 0.5 + 0.5 * before)
    assert stressed.least_eigenvalue >= stressed.floor
    with pytest.raises(EstimationError, match="volatility factor"):
        forecast.stressed(factor=0.5)


def test_a_coin_that_does_not_move_or_is_unknown_is_named() -> None:
    panel = market(3, 1, 120)
    good = np.array([0.001, 0.002, 0.003])
    for bad in (0.0, 1e-28, np.nan, np.inf, -1.0):
        with pytest.raises(EstimationError, match="expected a daily variance of C001 above"):
            forecast_covariance(panel, BALANCED, np.where([False, True, False], bad, good))
    with pytest.raises(EstimationError, match="for each of 3 coins"):
        forecast_covariance(panel, BALANCED, good[:2])
    with pytest.raises(EstimationError, match="expected a positive horizon"):
        forecast_covariance(panel, replace(BALANCED, horizon_days=0.0), good)


def test_a_repair_and_unknown_pairs_are_said_in_words() -> None:
    z = np.random.default_rng(5).standard_normal((60, 12))
    z[np.random.default_rng(6).random(z.shape) < 0.3] = np.nan
    z[:50, 0] = np.nan
    panel = market(12, 1, 120)
    forecast = forecast_covariance(panel, replace(BALANCED, target="none"), z=z)
    assert forecast.correlation.unknown_pairs == 11
    assert any(note.startswith("11 pair(s) without common history") for note in forecast.notes)
    np.fill_diagonal(z, np.nan)
    loose = np.full((60, 3), np.nan)
    # Pairs that contradict each other: A follows B, B follows C, C runs against A.
    first, second, third = np.random.default_rng(1).standard_normal((3, 20))
    loose[:20, 0] = loose[:20, 1] = first
    loose[20:40, 1] = loose[20:40, 2] = second
    loose[40:, 0], loose[40:, 2] = third, -third
    repaired = forecast_covariance(market(3, 1, 120), replace(BALANCED, target="none"), z=loose)
    # Eigenvalues of [[1,1,-1],[1,1,1],[-1,1,1]]: -1, 2, 2.
    assert repaired.correlation.least_before == pytest.approx(-1.0)
    assert "least eigenvalue -1.0e+00" in repaired.notes[0]
    # Nearest: every entry ±1/2, so six entries move by 1/2.
    assert repaired.correlation.distance == pytest.approx(np.sqrt(6) / 2, rel=1e-4)
    assert is_positive(repaired.correlation.matrix)


def test_usual_basis_risk_is_said_in_words() -> None:
    panel = market(4, 2, 120)
    closing = panel.closing.copy()
    closing[:-20, 0] = np.nan
    forecast = forecast_covariance(replace(panel, closing=closing), BALANCED)
    assert forecast.notes == (
        "2 contract(s) with too few closes in common with their coin's others: "
        "usual basis risk assumed",
    )


def test_days_after_the_end_change_nothing() -> None:
    series = []
    rng = np.random.default_rng(3)
    close_ms = (END - HOUR_MS * np.arange(24 * 150)[::-1]).astype(np.int64)
    for k in range(3):
        price = np.exp(np.cumsum(rng.normal(0, 0.01, len(close_ms))))
        series.append(Closes(f"v:C{k}/U:U", f"C{k}", close_ms, price, HOUR_MS))
    for days_back in (1, 7, 30):
        end = END - days_back * DAY_MS
        cut = [
            Closes(c.id, c.coin, c.close_ms[c.close_ms <= end], c.price[c.close_ms <= end], HOUR_MS)
            for c in series
        ]
        whole = forecast_covariance(build_panel(series, end, 100), BALANCED)
        alone = forecast_covariance(build_panel(cut, end, 100), BALANCED)
        assert whole.sigma.tobytes() == alone.sigma.tobytes()


def five_hundred_contracts(seed: int) -> Panel:
    """500 contracts of 400 coins that began on different days, with blocks of days missing."""
    rng = np.random.default_rng(seed)
    days, coins = 400, 400
    loadings = rng.uniform(0.3, 1.2, coins)
    of_coins = rng.standard_normal((days, 1)) * loadings
    of_coins = 0.03 * (of_coins + 0.7 * rng.standard_normal((days, coins)))
    owner = np.concatenate([np.arange(coins), np.arange(100)])
    daily = of_coins[:, owner] + rng.normal(0, 3e-4, (days, 500))
    closing = np.repeat(daily / 24, 24, axis=0) + rng.normal(0, 1e-4, (days * 24, 500))
    for k in range(500):
        begin = int(rng.integers(0, 370))
        daily[:begin, k] = closing[: 24 * begin, k] = np.nan
        for start in rng.integers(0, 390, 5):
            daily[start : start + int(rng.integers(1, 20)), k] = np.nan
    log_price = np.zeros((days + 1, 500))
    return Panel(
        ids=tuple(f"v{k // coins}:C{owner[k]:03d}/U:U" for k in range(500)),
        coins=tuple(f"C{k:03d}" for k in owner),
        end_ms=END,
        hourly=closing,
        daily=daily,
        variance=daily**2,
        log_price=log_price,
        width_ms=np.full(500, HOUR_MS),
        closing=closing,
        common_log_price=log_price,
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_five_hundred_contracts_with_missing_data_are_positive_and_fast(seed: int) -> None:
    panel = five_hundred_contracts(seed)
    begin = time.process_time()
    forecast = forecast_covariance(panel, CovarianceSettings(21.0, 63.0, 7.0))
    spent = time.process_time() - begin
    assert forecast.correlation.repaired
    assert forecast.correlation.least_before < -0.1
    assert forecast.correlation.unknown_pairs > 0
    assert len(forecast.notes) >= 2
    assert np.isfinite(forecast.sigma).all()
    assert forecast.least_eigenvalue >= forecast.floor
    # One second on a quiet core; this bound is against a method that does not scale.
    assert spent < 10.0
