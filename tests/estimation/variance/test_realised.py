import numpy as np
import pytest

from perptui.estimation.panel import Closes, Panel, build_panel
from perptui.estimation.variance.realised import downside_deviation, realised_measures
from perptui.model.clock import HOUR_MS, parse_iso

END = parse_iso("2022-06-01T00:00Z")


def panel_of(returns: np.ndarray, days: int, hours: int = 1) -> Panel:
    width = hours * HOUR_MS
    close_ms = END - width * np.arange(len(returns))[::-1].astype(np.int64)
    price = 100 * np.exp(np.cumsum(returns))
    return build_panel([Closes("v:A/U:U", "A", close_ms, price, width)], END, days)


def test_semivariances_are_the_sums_of_their_sides() -> None:
    returns = np.random.default_rng(0).normal(0, 0.01, 24 * 5 + 1)
    measures = realised_measures(panel_of(returns, 5))
    day = returns[-24:]
    assert measures.variance[-1, 0] == pytest.approx((day**2).sum())
    assert measures.downside[-1, 0] == pytest.approx((day[day < 0] ** 2).sum())
    assert measures.upside[-1, 0] == pytest.approx((day[day > 0] ** 2).sum())
    np.testing.assert_allclose(measures.downside + measures.upside, measures.variance)
    assert measures.moves[-1, 0] == 24


def test_bipower_variation_is_the_formula_and_unbiased_for_normal_returns() -> None:
    returns = np.random.default_rng(1).normal(0, 0.01, 24 * 4000 + 1)
    measures = realised_measures(panel_of(returns, 4000))
    day = np.abs(returns[-24:])
    written = 0.5 * np.pi * 24 / 23 * (day[1:] * day[:-1]).sum()
    assert measures.bipower[-1, 0] == pytest.approx(written)
    # Var(BV) is about 2.6·IV²/n (Barndorff-Nielsen & Shephard 2004); five standard errors.
    error = 5 * np.sqrt(2.6 / 24 / 4000)
    assert measures.bipower.mean() == pytest.approx(24 * 0.01**2, rel=error)


def test_a_jump_stands_in_the_jump_part_and_hardly_in_bipower() -> None:
    returns = np.random.default_rng(2).normal(0, 0.001, 24 * 200 + 1)
    calm = realised_measures(panel_of(returns, 200))
    jumped = returns.copy()
    jumped[-12] = 0.1
    measures = realised_measures(panel_of(jumped, 200))
    assert measures.jump[-1, 0] == pytest.approx(0.1**2, rel=0.25)
    assert calm.jump[-1, 0] < 0.05 * measures.jump[-1, 0]
    np.testing.assert_array_equal(measures.jump[:-1], calm.jump[:-1])


def test_three_bars_a_day_are_flagged_and_have_no_bipower_variation() -> None:
    returns = np.random.default_rng(3).normal(0, 0.02, 3 * 60)
    measures = realised_measures(panel_of(returns, 40, hours=8))
    assert measures.coarse.all()
    assert np.isnan(measures.bipower).all()
    assert np.isnan(measures.jump).all()
    np.testing.assert_allclose(measures.variance[-1, 0], (returns[-3:] ** 2).sum())
    assert np.isfinite(measures.downside).all()


def test_a_day_with_too_few_hours_has_no_measure() -> None:
    returns = np.random.default_rng(4).normal(0, 0.01, 24 * 3)
    close_ms = END - HOUR_MS * np.arange(len(returns))[::-1].astype(np.int64)
    kept = np.ones(len(returns), dtype=bool)
    kept[-20:] = False
    price = 100 * np.exp(np.cumsum(returns))
    closes = Closes("v:A/U:U", "A", close_ms[kept], price[kept], HOUR_MS)
    measures = realised_measures(build_panel([closes], END, 2))
    assert np.isnan(measures.variance[-1, 0])
    for measure in (measures.downside, measures.upside, measures.bipower, measures.jump):
        assert np.isnan(measure[-1, 0])
        assert np.isfinite(measure[0, 0])
    assert not measures.coarse[0]


def test_no_day_says_anything_of_another() -> None:
    returns = np.random.default_rng(6).normal(0, 0.01, 24 * 60 + 1)
    whole, cut = (realised_measures(panel_of(part, 50)) for part in (returns, returns[: -24 * 9]))
    for name in ("variance", "downside", "upside", "bipower", "jump", "moves"):
        late, early = getattr(whole, name), getattr(cut, name)
        assert late[:-9].tobytes() == early[9:].tobytes()


def test_downside_deviation_averages_over_all_days() -> None:
    returns = np.array([[0.01, np.nan], [-0.02, 0.03], [0.0, -0.04], [-0.01, np.nan]])
    written = np.sqrt(365 * np.array([(0.02**2 + 0.01**2) / 4, 0.04**2 / 2]))
    assert downside_deviation(returns) == pytest.approx(written)
    assert float(downside_deviation(returns[:, 0])) == pytest.approx(written[0])


def test_downside_deviation_of_symmetric_returns_is_half_the_variance() -> None:
    returns = np.random.default_rng(5).normal(0, 0.03, 200_000)
    assert float(downside_deviation(returns)) == pytest.approx(
        0.03 * np.sqrt(365 / 2), rel=4 * np.sqrt(5 / 4 / 200_000)
    )


def test_downside_deviation_of_nothing_is_not_a_number() -> None:
    assert np.isnan(downside_deviation(np.full((3, 1), np.nan))).all()
    above = downside_deviation(np.array([0.02, 0.0]), acceptable=0.01, periods_a_year=1.0)
    assert float(above) == pytest.approx(np.sqrt(0.01**2 / 2))
