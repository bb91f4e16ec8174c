import math

import numpy as np
import pytest

from perptui.estimation.regime.inputs import (
    MONDAY_MS,
    SideInputs,
    anchors,
    day_windows,
    recent_volatility,
    regime_inputs,
    score,
    trailing_mean,
    volatility_ratios,
)
from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso
from perptui.model.errors import EstimationError


def test_ratios_are_those_of_their_definition() -> None:
    book = np.random.default_rng(6).normal(0, 0.01, 24 * 200)
    ratios = volatility_ratios(book)
    level = math.sqrt(np.mean(book[-180 * 24 :] ** 2))
    b = 0.5 ** (1 / 24)
    weights = b ** np.arange(len(book))[::-1]
    fast = math.sqrt(np.sum(weights * book**2) / weights.sum())
    slow = math.sqrt(np.mean(book[-240:] ** 2))
    assert ratios[-1] == pytest.approx([fast / level, slow / level])
    assert np.isnan(ratios[: 20 * 24 - 1]).all()


def test_the_trailing_mean_leaves_holes_out() -> None:
    x = np.array([1.0, np.nan, 3.0, 5.0, 9.0])
    mean = trailing_mean(x, 3, 2)
    assert np.isnan(mean[:2]).all()
    assert mean[2:].tolist() == [2.0, 4.0, pytest.approx(17 / 3)]


def test_a_day_is_the_24_hours_that_end_with_the_row() -> None:
    book = np.random.default_rng(2).normal(0, 0.01, 60)
    book[40] = np.nan
    day = day_windows(book)
    assert np.isnan(day[:23]).all()
    assert day[30] == pytest.approx([book[7:31].sum(), math.log((book[7:31] ** 2).sum())])
    holed = np.nansum(book[22:46] ** 2) * 24 / 23
    assert day[45] == pytest.approx([np.nansum(book[22:46]), math.log(holed)])


def test_a_day_without_moves_or_with_half_its_hours_missing_is_unknown() -> None:
    book = np.full(80, 0.01)
    book[10:40] = 0.0
    book[50:63] = np.nan
    day = day_windows(book)
    assert np.isfinite(day[32]).all()
    assert np.isnan(day[33:40]).all()
    assert np.isnan(day[62]).all()


def test_an_old_jump_leaves_no_rounding_behind() -> None:
    book = np.full(100, 1e-12)
    book[30] = 0.9
    assert day_windows(book)[60] == pytest.approx([24e-12, math.log(24e-24)])


def test_recent_volatility_halves_the_weight_of_a_day() -> None:
    book = np.random.default_rng(5).normal(0, 0.01, 24 * 12)
    recent = recent_volatility(book, day_windows(book))[-1]
    days = [book[len(book) - 24 * (k + 1) : len(book) - 24 * k] for k in range(10)]
    squares = [float((day**2).sum()) for day in days]
    falls = [float((np.minimum(day, 0.0) ** 2).sum()) for day in days]
    halving = [0.5**k for k in range(10)]

    def log_volatility(values: list[float], weights: list[float]) -> float:
        return 0.5 * math.log(np.dot(values, weights) / sum(weights))

    assert recent == pytest.approx(
        [
            log_volatility(squares, halving),
            log_volatility(squares, [1.0] * 10),
            log_volatility(falls, halving),
        ]
    )
    assert np.isnan(recent_volatility(book, day_windows(book))[: 10 * 24 - 1]).all()


def test_what_models_are_fitted_on_does_not_depend_on_where_the_rows_begin() -> None:
    book = np.random.default_rng(7).standard_t(4, 24 * 40) * 0.005
    whole, late = day_windows(book), day_windows(book[77:])
    np.testing.assert_array_equal(whole[24 * 20 :], late[24 * 20 - 77 :])
    np.testing.assert_array_equal(
        recent_volatility(book, whole)[24 * 20 :],
        recent_volatility(book[77:], late)[24 * 20 - 77 :],
    )


def test_a_score_is_against_the_last_90_days() -> None:
    x = np.random.default_rng(3).normal(2.0, 1.0, 24 * 100)
    last = x[-90 * 24 :]
    assert score(x)[-1] == pytest.approx((x[-1] - last.mean()) / last.std())
    assert np.isnan(score(np.full(24 * 100, 0.1))).all()
    assert np.isnan(score(x[:479])).all()


def test_refits_stand_on_mondays() -> None:
    start = parse_iso("2024-08-07T05:00Z")  # a Wednesday
    rows = anchors(start, 24 * 21)
    stamps = [start + row * HOUR_MS for row in rows.tolist()]
    assert stamps[0] == parse_iso("2024-08-12T00:00Z")
    assert all((stamp - MONDAY_MS) % (7 * DAY_MS) == 0 for stamp in stamps)
    assert len(stamps) == 3
    assert anchors(MONDAY_MS, 1).tolist() == [0]


def test_inputs_carry_what_else_is_known() -> None:
    rng = np.random.default_rng(1)
    book, correlation, funding = rng.normal(0, 0.01, (3, 24 * 30))
    inputs = regime_inputs(book, MONDAY_MS, SideInputs(correlation, funding))
    assert inputs.rows == 24 * 30
    np.testing.assert_array_equal(inputs.correlation, correlation)
    np.testing.assert_array_equal(inputs.funding_z, score(funding))
    assert np.isnan(inputs.spread_z).all()
    with pytest.raises(EstimationError, match="of 720 hours as the book, was"):
        regime_inputs(book, MONDAY_MS, SideInputs(spread=funding[1:]))


@pytest.mark.parametrize(
    ("book", "words"),
    [
        (np.full(479, 0.01), "480 hours of the book for its regime, up to the last, was 479"),
        (np.full(2000, np.nan), "was 0"),
        (np.append(np.full(2000, 0.01), np.nan), "up to the last"),
        (np.zeros(2000), "was 0.0e"),
        (np.random.default_rng(1).normal(0, 1e-14, 2000), "check its units"),
    ],
)
def test_a_book_that_tells_nothing_is_refused(book: np.ndarray, words: str) -> None:
    with pytest.raises(EstimationError, match=words):
        regime_inputs(book)
