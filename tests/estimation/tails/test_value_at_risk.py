from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.value_at_risk import (
    METHODS,
    SPANS,
    TAIL,
    books,
    mean_tick,
    p_values,
    path_of,
    read_market,
    riskmetrics_quantiles,
    rows_of,
)
from perptui.estimation.funding.forecast import Settled
from perptui.estimation.panel import Closes, build_panel
from perptui.estimation.tails.sample import historical
from perptui.estimation.tails.value_at_risk import (
    BURN_IN_DAYS,
    HALFLIVES_DAYS,
    RESIDUAL_HALFLIFE_DAYS,
    WINDOW_DAYS,
    ValueAtRiskPath,
    book_var_path,
    equal_weights,
    filtered_quantiles,
    funding_by_hour,
    simple_returns,
    trailing_quantiles,
    var_paths,
)
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso
from perptui.model.errors import EstimationError

END = parse_iso("2024-08-05T00:00Z")
N = 3


def hours(days: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    level = np.repeat(np.exp(np.cumsum(rng.normal(0, 0.05, days))), 24)[:, None]
    moved = 0.004 * level * rng.standard_t(4, (24 * days, N))
    paid = np.zeros(moved.shape)
    paid[7::8] = rng.normal(1e-4, 1e-4, paid[7::8].shape)
    return moved, paid


def quantile_of_one_day(residual: np.ndarray, day: int, probability: float) -> float:
    """The rule in so many words: sort, accumulate the weights, join their middles."""
    pairs = sorted(
        (residual[past], 2.0 ** ((past - day) / RESIDUAL_HALFLIFE_DAYS))
        for past in range(max(0, day + 1 - WINDOW_DAYS), day + 1)
        if np.isfinite(residual[past])
    )
    values = np.array([value for value, _ in pairs])
    weight = np.array([weight for _, weight in pairs])
    middle = (np.cumsum(weight) - weight / 2) / weight.sum()
    return float(np.interp(probability, middle, values))


@pytest.mark.parametrize("probability", [0.05, 0.01, 0.4])
def test_the_trailing_quantile_is_that_of_a_plain_loop(probability: float) -> None:
    residual = np.random.default_rng(2).standard_t(4, 900)
    residual[[3, 200, 201, 202, 700]] = np.nan
    residual[300:310] = -1.5
    found = trailing_quantiles(residual, probability)
    # 59 residuals stand before day 59, because one of these is a hole.
    assert np.isnan(found[:60]).all()
    for day in [*range(60, 140), *range(480, 600, 7), 899]:
        assert found[day] == pytest.approx(quantile_of_one_day(residual, day, probability))
    late = trailing_quantiles(residual, probability, 777)
    np.testing.assert_allclose(late, found[777:], rtol=1e-12)
    assert len(trailing_quantiles(residual, probability, 900)) == 0


def test_the_forecast_is_the_deviation_times_the_quantile_of_past_residuals() -> None:
    rng = np.random.default_rng(4)
    returns, variance = rng.normal(0, 0.03, 300), np.exp(rng.normal(-7, 0.5, 300))
    mean = sum(pd.Series(variance).ewm(halflife=h).mean() for h in HALFLIVES_DAYS) / 2
    deviation = np.sqrt(np.asarray(mean))
    residual = np.append(np.nan, returns[1:] / deviation[:-1])
    residual[: BURN_IN_DAYS + 1] = np.nan
    found = filtered_quantiles(returns, variance, 0.95)
    for day in (90, 150, 299):
        expected = -deviation[day] * quantile_of_one_day(residual, day, 0.05)
        assert found[day] == pytest.approx(expected, rel=1e-9)


def test_with_a_constant_variance_it_is_near_the_historical_figure() -> None:
    returns = np.random.default_rng(5).standard_t(5, 500) * 0.02
    found = filtered_quantiles(returns, np.full(500, 0.0007), 0.95)[-1]
    # Recent days weigh more, so the samples differ: within two standard errors of either.
    past = historical(returns, 0.95)
    assert found == pytest.approx(past.var, abs=2 * past.error)


def test_a_day_returns_price_less_funding_at_the_weights_of_the_day_before() -> None:
    moved, paid = hours(100)
    weights = np.random.default_rng(1).normal(size=(100, N))
    path = book_var_path(moved, paid, weights)
    growth = np.exp(moved[24 * 41 : 24 * 42].sum(axis=0)) - 1
    expected = weights[40] @ (growth - paid[24 * 41 : 24 * 42].sum(axis=0))
    assert path.realised[40] == pytest.approx(expected)
    assert np.isnan(path.realised[-1])
    dear = book_var_path(moved, paid + 0.001 / 24, np.ones(N) / N)
    free = book_var_path(moved, paid, np.ones(N) / N)
    np.testing.assert_allclose(dear.realised[:-1] - free.realised[:-1], -0.001)


def test_a_book_with_other_weights_is_judged_on_its_own_past() -> None:
    moved, paid = hours(400)
    one, other = np.array([1.0, 0.0, 0.0]), np.array([0.3, -0.5, 0.2])
    weights = np.where(np.arange(400)[:, None] < 250, one, other)
    mixed = book_var_path(moved, paid, weights)
    np.testing.assert_array_equal(
        mixed.forecast[:250], book_var_path(moved, paid, one).forecast[:250]
    )
    alone = book_var_path(moved, paid, other)
    np.testing.assert_allclose(mixed.forecast[250:], alone.forecast[250:], rtol=1e-12)
    doubled = book_var_path(moved, paid, 2 * other)
    np.testing.assert_allclose(doubled.forecast[250:], 2 * mixed.forecast[250:], rtol=1e-12)
    empty = book_var_path(moved, paid, np.zeros(N))
    assert np.isnan(empty.forecast).all()


def test_no_day_uses_a_later_hour() -> None:
    moved, paid = hours(700)
    weights = np.repeat(np.random.default_rng(3).normal(size=(100, N)), 7, axis=0)
    for held in (weights, np.ones(N) / N):
        whole = book_var_path(moved, paid, held, step_hours=8)
        for day in np.random.default_rng(6).integers(90, 700, 6):
            cut = held[:day] if held.ndim == 2 else held
            early = book_var_path(moved[: 24 * day], paid[: 24 * day], cut, step_hours=8)
            assert early.forecast.tobytes() == whole.forecast[:day].tobytes()
            assert early.realised[:-1].tobytes() == whole.realised[: day - 1].tobytes()


def test_before_its_listing_a_contract_moves_as_the_others() -> None:
    moved, paid = hours(300)
    listed = moved.copy()
    moved[: 24 * 150, 2] = np.nan
    book = np.array([0.5, -0.2, -0.3])
    path = book_var_path(moved, paid, book, step_hours=24)
    # Daily returns of the others' mean, price and funding, stand in for the third contract.
    growth = np.expm1(listed.reshape(300, 24, N).sum(axis=1)) - paid.reshape(300, 24, N).sum(axis=1)
    growth[:150, 2] = growth[:150, :2].mean(axis=1)
    daily = growth @ book
    np.testing.assert_allclose(path.forecast, filtered_quantiles(daily, daily**2, 0.95))
    assert np.isfinite(path.forecast[100:]).all()
    # What was not there was not held: its return is not made up.
    assert np.isnan(path.realised[:149]).all()
    assert np.isfinite(path.realised[149:-1]).all()


def test_days_on_which_most_of_a_book_is_unknown_are_left_out() -> None:
    moved, paid = hours(300)
    moved[: 24 * 150, 2] = np.nan
    path = book_var_path(moved, paid, np.array([0.3, 0.0, -0.7]))
    # Twenty days for a deviation, sixty residuals after it.
    assert np.isnan(path.forecast[: 150 + BURN_IN_DAYS + 60]).all()
    assert np.isfinite(path.forecast[150 + BURN_IN_DAYS + 60 :]).all()


def test_levels_together_are_levels_one_by_one() -> None:
    moved, paid = hours(300)
    moved[: 24 * 40, 1] = np.nan
    weights = np.tile([0.3, 0.2, -0.7], (300, 1))
    weights[:80, 1] = 0.0
    both = var_paths(simple_returns(moved, paid, 8), weights, (0.95, 0.99))
    for level, path in zip((0.95, 0.99), both, strict=True):
        alone = book_var_path(moved, paid, weights, level, 8)
        assert path.forecast.tobytes() == alone.forecast.tobytes()
        assert path.realised.tobytes() == alone.realised.tobytes()
    with pytest.raises(EstimationError, match="finite weights"):
        var_paths(simple_returns(moved, paid), np.full(3, np.nan), (0.95,))


def test_riskmetrics_is_the_normal_of_an_ewma_of_squares() -> None:
    returns = np.random.default_rng(7).normal(0, 0.02, 400)
    smoothed = pd.Series(returns**2).ewm(alpha=0.06).mean()
    found = riskmetrics_quantiles(returns, np.zeros(400), 0.95)
    np.testing.assert_allclose(
        found[59:], 1.6448536 * np.sqrt(np.asarray(smoothed))[59:], rtol=1e-6
    )
    assert np.isnan(found[:59]).all()
    np.testing.assert_array_equal(riskmetrics_quantiles(returns, returns, 0.95, 100), found[100:])


def test_a_settlement_belongs_to_the_hour_that_it_ends() -> None:
    stamps = END - HOUR_MS * np.array([50, 48, 40, 32, 24, 16, 8, 0, -8], dtype=np.int64)
    settled = Settled(stamps, np.array([9.0, 9, 1, 2, 3, 4, 5, 6, 9]), np.full(9, 8.0))
    found = funding_by_hour(settled, END, 2)
    assert found.shape == (48,)
    assert found[[7, 15, 23, 31, 39, 47]].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert found.sum() == 21.0
    assert found.reshape(2, 24).sum(axis=1).tolist() == [6.0, 15.0]


def test_a_rate_that_is_missing_is_missing() -> None:
    # Every 8 h, the one of 24 h ago lost; then every 2 h; nothing in the last 9 h.
    ago = np.array([40, 32, 16, 14, 12, 10])
    length = np.array([8.0, 8, 8, 2, 2, 2])
    settled = Settled(END - HOUR_MS * ago, np.full(6, 0.1), length)
    found = funding_by_hour(settled, END, 2)
    # Known up to 8 h after a settlement: what is due at that very stamp may still be read.
    unknown = [*range(7), *range(24, 31), 46, 47]
    assert np.flatnonzero(np.isnan(found)).tolist() == unknown
    assert np.nansum(found) == pytest.approx(0.6)
    for hour in range(0, 24, 5):
        early = funding_by_hour(settled, END - HOUR_MS * hour, 1)
        assert early.tobytes() == found[24 - hour : 48 - hour].tobytes()
    assert np.isnan(funding_by_hour(settled, END - 30 * DAY_MS, 2)).all()
    assert np.isnan(funding_by_hour(settled, END + 30 * DAY_MS, 2)).all()


def test_a_day_without_its_funding_is_not_known() -> None:
    moved, paid = hours(200)
    paid[24 * 150 + 3, 1] = np.nan
    path = book_var_path(moved, paid, np.ones(N) / N)
    assert np.flatnonzero(np.isnan(path.realised)).tolist() == [149, 199]
    assert np.isfinite(path.forecast[100:]).all()
    without = book_var_path(moved, paid, np.array([1.0, 0.0, -1.0]))
    assert np.isfinite(without.realised[:-1]).all()


def test_each_coin_has_one_equal_part_from_its_thirtieth_day() -> None:
    rng = np.random.default_rng(9)
    series = []
    for venue, coin, listed in (("a", "X", 60), ("b", "X", 60), ("a", "Y", 60), ("a", "Z", 20)):
        count = 24 * listed + 1
        close_ms = (END - HOUR_MS * np.arange(count)[::-1]).astype(np.int64)
        price = 10 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
        series.append(Closes(f"{venue}:{coin}", coin, close_ms, price, HOUR_MS))
    weights = equal_weights(build_panel(series, END, 60))
    np.testing.assert_array_equal(weights[:29], 0.0)
    np.testing.assert_allclose(weights[29:], np.tile([0.25, 0.25, 0.5, 0.0], (31, 1)))


def test_what_does_not_fit_is_refused() -> None:
    moved, paid = hours(3)
    for arguments, words in (
        ((moved[:-1], paid[:-1], np.ones(N)), "whole days"),
        ((moved[:0], paid[:0], np.ones(N)), "whole days"),
        ((moved, paid[:, :2], np.ones(N)), "expected funding of shape"),
        ((moved, np.where(paid == 0, np.inf, paid), np.ones(N)), "or infinite"),
        ((moved, paid, np.full(N, np.nan)), "finite weights"),
        ((moved, paid, np.ones(N), 1.5), "between .5 and 1"),
        ((moved, paid, np.ones(N), 0.95, 7), "divides a day"),
    ):
        with pytest.raises(EstimationError, match=words):
            book_var_path(*arguments)


@pytest.fixture(scope="module")
def judged(history_dir: Path) -> dict[str, dict[str, ValueAtRiskPath]]:
    market = read_market(history_dir, parse_iso("2025-07-01T00:00Z"))
    return {
        book: {name: path_of(market, weights, method) for name, method in METHODS.items()}
        for book, weights in books(market).items()
    }


@pytest.mark.history
@pytest.mark.parametrize("book", ["equal weight", "carry"])
def test_real_losses_go_beyond_it_as_often_and_as_scattered_as_promised(
    judged: dict[str, dict[str, ValueAtRiskPath]], book: str
) -> None:
    ours, yardstick = judged[book]["filtered historical"], judged[book]["RiskMetrics normal"]
    days = len(ours.forecast)
    whole = rows_of(days, ("2021-01-01", "2025-07-01"))
    assert len(whole) == 4 * 365 + 1 + 181
    assert np.isfinite(ours.forecast[whole]).all()
    assert min(p_values(ours, whole)) > TAIL
    passed = [min(p_values(ours, rows_of(days, span))) > TAIL for span in SPANS.values()]
    assert sum(passed) >= 4
    assert mean_tick(ours, whole) < mean_tick(yardstick, whole)


@pytest.mark.history
def test_real_values_at_risk_end_where_the_files_do(history_dir: Path) -> None:
    late = read_market(history_dir, parse_iso("2021-09-01T00:00Z"))
    early = read_market(history_dir, parse_iso("2021-05-20T00:00Z"))
    cut = early.panel.days
    for (name, weights), before in zip(books(late).items(), books(early).values(), strict=True):
        method = METHODS["filtered historical"]
        whole, short = path_of(late, weights, method), path_of(early, before, method)
        assert short.forecast.tobytes() == whole.forecast[:cut].tobytes(), name
    assert (late.panel.end_ms - early.panel.end_ms) // DAY_MS == late.panel.days - cut
