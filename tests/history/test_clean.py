from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.history.clean import clean, disorder, left_out, missing_hours, summary
from perptui.model.clock import HOUR_MS, MINUTE_MS

NOON = 1_722_859_200_000  # 2024-08-05T12:00Z


def bars(count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    ts = NOON + HOUR_MS * np.arange(count, dtype=np.int64)
    close = 100.0 + np.arange(count)
    table = {
        "open": close - 0.5,
        "high": close + 1.0,
        "low": close - 1.0,
        "close": close.copy(),
        "volume": np.full(count, 7.0),
    }
    return ts, table


def test_a_sound_series_is_left_alone() -> None:
    ts, table = bars(5)
    cleaned = clean(ts, table, HOUR_MS)
    np.testing.assert_array_equal(cleaned.ts_ms, ts)
    np.testing.assert_array_equal(cleaned.table["close"], table["close"])
    assert cleaned.dropped == ()


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("volume", np.nan, "a value that is not a number"),
        ("close", np.inf, "a value that is not a number"),
        ("low", -1.0, "a price that is not positive"),
        ("close", 250.0, "open or close outside of low and high"),
        ("high", 90.0, "open or close outside of low and high"),
        ("volume", -1.0, "a volume below zero"),
    ],
)
def test_an_impossible_row_is_dropped_with_its_reason(
    column: str, value: float, reason: str
) -> None:
    ts, table = bars(5)
    table[column][2] = value
    cleaned = clean(ts, table, HOUR_MS)
    assert [(row.ts_ms, row.reason) for row in cleaned.dropped] == [(int(ts[2]), reason)]
    np.testing.assert_array_equal(cleaned.ts_ms, np.delete(ts, 2))


def test_a_stamp_between_two_bars_is_dropped_but_funding_may_settle_at_any_time() -> None:
    ts, table = bars(3)
    ts[1] += 60_000
    assert clean(ts, table, HOUR_MS).dropped[0].reason == "a stamp between two bars"
    assert clean(ts, table, 0).dropped == ()


def test_rows_of_one_stamp_are_kept_once_when_they_agree_and_never_when_they_differ() -> None:
    ts, table = bars(4)
    ts[2] = ts[1]
    differing = clean(ts, table, HOUR_MS)
    assert differing.table["close"].tolist() == [100.0, 103.0]
    reason = "a stamp of rows that differ, none of which is kept"
    assert [(row.ts_ms, row.reason) for row in differing.dropped] == [(int(ts[1]), reason)] * 2
    for column in table.values():
        column[2] = column[1]
    agreeing = clean(ts, table, HOUR_MS)
    assert agreeing.table["close"].tolist() == [100.0, 101.0, 103.0]
    assert [row.reason for row in agreeing.dropped] == ["a stamp that is there already"]


def test_a_bad_row_does_not_stand_against_a_good_one_of_its_stamp() -> None:
    ts, table = bars(4)
    ts[2] = ts[1]
    table["close"][1] = np.nan
    assert clean(ts, table, HOUR_MS).table["close"].tolist() == [100.0, 102.0, 103.0]


@pytest.mark.unmeasured
@given(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from([-1.0, 1.0, 2.0])), max_size=20),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_changes_nothing(rows: list[tuple[int, float]], random: Random) -> None:
    answers = []
    for _ in range(2):
        ts = NOON + HOUR_MS * np.array([hour for hour, _ in rows], dtype=np.int64)
        price = np.array([value for _, value in rows], dtype=np.float64)
        cleaned = clean(ts, {"mark_price": price}, HOUR_MS)
        lines = left_out(cleaned.dropped, NOON + 9 * HOUR_MS)
        answers.append((cleaned.ts_ms.tolist(), cleaned.table["mark_price"].tolist(), lines))
        random.shuffle(rows)
    assert answers[0] == answers[1]


@pytest.mark.parametrize(("rate", "kept"), [(0.04, 1), (-0.1, 1), (50.0, 0), (-3.0, 0)])
def test_a_rate_that_no_venue_charges_is_left_out(rate: float, kept: int) -> None:
    table = {"funding_rate": np.array([rate]), "interval_hours": np.array([8.0])}
    cleaned = clean(np.array([NOON], dtype=np.int64), table, 0)
    assert len(cleaned.ts_ms) == kept
    reasons = [row.reason for row in cleaned.dropped]
    assert reasons == ["a funding rate beyond 10% a settlement"] * (1 - kept)


def test_a_funding_interval_must_be_whole_hours() -> None:
    ts = NOON + 8 * HOUR_MS * np.arange(3, dtype=np.int64)
    table = {"funding_rate": np.array([1e-4, 2e-4, 3e-4]), "interval_hours": np.array([8, 0.5, 4])}
    cleaned = clean(ts, table, 0)
    assert cleaned.table["funding_rate"].tolist() == [1e-4, 3e-4]
    assert cleaned.dropped[0].reason == "an interval that is no whole hour"


@given(st.lists(st.tuples(st.integers(0, 12), st.floats(-1, 5)), max_size=30), st.integers(0, 12))
def test_cutting_before_cleaning_and_after_agree(rows: list[tuple[int, float]], cut: int) -> None:
    ts = NOON + HOUR_MS * np.array([hour for hour, _ in rows], dtype=np.int64)
    price = np.array([value for _, value in rows], dtype=np.float64)
    end = NOON + HOUR_MS * cut
    whole = clean(ts, {"mark_price": price}, HOUR_MS)
    early = clean(ts[ts <= end], {"mark_price": price[ts <= end]}, HOUR_MS)
    kept = whole.ts_ms <= end
    np.testing.assert_array_equal(whole.ts_ms[kept], early.ts_ms)
    np.testing.assert_array_equal(whole.table["mark_price"][kept], early.table["mark_price"])
    assert summary("s", whole, end) == summary("s", early, end)


def test_the_summary_counts_rows_by_reason_and_names_the_first() -> None:
    ts, table = bars(6)
    table["close"][[1, 4]] = np.nan
    lines = summary("binance/BTCUSDT-1h", clean(ts, table, HOUR_MS), int(ts[-1]))
    assert lines == (
        "binance/BTCUSDT-1h: 2 row(s) left out for a value that is not a number, "
        "first 2024-08-05T13:00:00Z",
    )


def test_missing_hours_count_what_is_not_there_since_the_series_began() -> None:
    ts = NOON + HOUR_MS * np.array([0, 1, 5, 6], dtype=np.int64)
    assert missing_hours(ts, HOUR_MS, NOON, NOON + 7 * HOUR_MS) == 3
    assert missing_hours(ts, HOUR_MS, NOON - 50 * HOUR_MS, NOON + 7 * HOUR_MS) == 3
    assert missing_hours(ts, HOUR_MS, NOON + 5 * HOUR_MS, NOON + 9 * HOUR_MS) == 2
    assert missing_hours(ts[:0], HOUR_MS, NOON, NOON + 4 * HOUR_MS) == 4


def test_rows_behind_a_later_one_are_counted_as_known_then() -> None:
    ts = NOON + HOUR_MS * np.array([0, 3, 1, 2, 4], dtype=np.int64)
    # Hours 1 and 2 came behind hour 3; before hour 3 nobody could know.
    expected = NOON + HOUR_MS * np.array([[1, 3], [2, 3]])
    np.testing.assert_array_equal(disorder(ts), expected)
    cleaned = clean(ts, {"mark_price": np.full(5, 2.0)}, HOUR_MS)
    assert cleaned.ts_ms.tolist() == sorted(ts.tolist())
    assert summary("s", cleaned, NOON + 2 * HOUR_MS) == ()
    assert summary("s", cleaned, NOON + 3 * HOUR_MS) == (
        "s: 2 row(s) came out of order and were sorted",
    )
    assert not len(disorder(np.sort(ts)))


def test_settlements_are_stamped_at_the_nearest_minute() -> None:
    """Binance stamps them some milliseconds late: 1600000000003 and the like."""
    ts = NOON + 8 * HOUR_MS * np.arange(4, dtype=np.int64)
    table = {"funding_rate": np.full(4, 1e-4), "interval_hours": np.full(4, 8.0)}
    late = ts + np.array([3, 900, -40, 29_999])
    assert clean(late, table, 0).ts_ms.tolist() == ts.tolist()
    assert clean(ts + MINUTE_MS // 2, table, 0).ts_ms.tolist() == (ts + MINUTE_MS).tolist()
    # One settlement that came twice, exact and late, is one.
    twice = {name: np.repeat(column[:2], 2) for name, column in table.items()}
    both = np.array([ts[0], ts[0] + 7, ts[1], ts[1] + 7])
    assert clean(both, twice, 0).ts_ms.tolist() == ts[:2].tolist()
    # Depth is stamped as it was found.
    depth = {"bid_depth": np.ones(4), "ask_depth": np.ones(4)}
    assert clean(late[:2], {n: c[:2] for n, c in depth.items()}, 0).ts_ms.tolist() == [*late[:2]]
