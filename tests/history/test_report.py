import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.history.clean import clean
from perptui.history.dataset import KINDS, History
from perptui.history.report import CleaningReport, Gap, report_of
from perptui.model.clock import HOUR_MS, iso, parse_iso

NOON = parse_iso("2024-08-05T12:00Z")


def bars(hours: np.ndarray, close: np.ndarray, volume: float = 7.0) -> dict[str, np.ndarray]:
    assert len(hours) == len(close)
    return {
        "open": close.copy(),
        "high": close * 1.01,
        "low": close * 0.99,
        "close": close.copy(),
        "volume": np.full(len(close), volume),
    }


def walk(count: int) -> np.ndarray:
    steps = np.random.default_rng(5).normal(0.0, 0.01, count)
    return np.asarray(100.0 * np.exp(np.cumsum(steps)))


def reported(
    hours: np.ndarray, table: dict[str, np.ndarray], end_h: int, kind: str = "1h"
) -> CleaningReport:
    width = KINDS[kind].width_ms
    stamps = NOON + HOUR_MS * np.asarray(hours, dtype=np.int64)
    return report_of("v/S", kind, width, clean(stamps, table, width), NOON + end_h * HOUR_MS)


def funding(hours: list[int], intervals: list[float], end_h: int) -> CleaningReport:
    table = {
        "funding_rate": np.full(len(hours), 1e-4),
        "interval_hours": np.array(intervals, dtype=np.float64),
    }
    return reported(np.array(hours), table, end_h, "funding")


def test_a_sound_series_has_nothing_to_report() -> None:
    found = reported(np.arange(50), bars(np.arange(50), walk(50)), 50)
    assert (found.rows, found.kept, found.missing_hours) == (50, 50, 0)
    assert (found.first_ms, found.last_ms) == (NOON, NOON + 49 * HOUR_MS)
    assert found.is_clean
    assert reported(np.arange(50), bars(np.arange(50), walk(50)), 0).rows == 0
    assert reported(np.arange(50), bars(np.arange(50), walk(50)), 0).first_ms is None


def test_gaps_are_listed_with_their_ends_the_open_one_too() -> None:
    hours = np.array([0, 1, 5, 6, 7])
    found = reported(hours, bars(hours, walk(5)), 10)
    hour = [NOON + k * HOUR_MS for k in range(11)]
    assert found.gaps == (Gap(hour[2], hour[5], 3.0), Gap(hour[8], hour[10], 2.0))
    assert found.lines() == (
        "v/S: 5 h missing in 2 gap(s): "
        f"{iso(hour[2])} to {iso(hour[5])}, {iso(hour[8])} to {iso(hour[10])}",
    )


def test_many_gaps_are_named_by_their_longest() -> None:
    hours = np.array([0, 3, 7, 12, 14, 16])
    (line,) = reported(hours, bars(hours, walk(6)), 17).lines()
    assert line.startswith("v/S: 11 h missing in 5 gap(s): 2024-08-05T20:00:00Z")
    assert line.endswith(" and 2 shorter")


def test_everything_that_was_done_to_the_rows_is_counted() -> None:
    hours = np.array([0, 1, 2, 2, 4, 3, 5, 6])
    close = walk(8)
    close[3] = close[2]
    table = bars(hours, close)
    table["close"][6] = np.nan
    found = reported(hours, table, 7)
    assert (found.rows, found.kept, found.out_of_order) == (8, 6, 1)
    assert [(one.reason, one.rows) for one in found.left_out] == [
        ("a stamp that is there already", 1),
        ("a value that is not a number", 1),
    ]
    assert found.left_out[1].first_ms == found.left_out[1].last_ms == NOON + 5 * HOUR_MS
    # What was left out is missing: nothing takes its place.
    assert found.gaps == (Gap(NOON + 5 * HOUR_MS, NOON + 6 * HOUR_MS, 1.0),)
    assert len(found.lines()) == 4


def test_bad_prints_stuck_feeds_and_idle_markets_are_named() -> None:
    close = walk(60)
    close[10] *= 5.0
    close[20:27] = close[20]
    table = bars(np.arange(60), close)
    table["volume"][40:43] = 0.0
    table["volume"][50:52] = 0.0
    found = reported(np.arange(60), table, 60)
    assert found.bad_prints == (NOON + 10 * HOUR_MS,)
    assert [(one.what, one.rows) for one in found.suspicions] == [("stuck", 7), ("idle", 3)]
    stuck, idle = found.suspicions
    assert (stuck.first_ms, stuck.last_ms) == (NOON + 20 * HOUR_MS, NOON + 26 * HOUR_MS)
    assert stuck.text.startswith("close unchanged for 7 bars, 2024-08-06T08:00:00Z to ")
    assert idle.text.startswith("no volume in 3 bars")
    assert any("bad print" in line for line in found.lines())


@pytest.mark.parametrize(("factor", "text"), [(1000.0, "1e3 times higher"), (0.01, "1e2 times lo")])
def test_another_scale_is_a_stretch_and_a_crash_is_not(factor: float, text: str) -> None:
    close = walk(60)
    close[30:40] *= factor
    found = reported(np.arange(60), bars(np.arange(60), close), 60)
    (one,) = found.suspicions
    assert (one.what, one.rows, one.first_ms) == ("scale", 10, NOON + 30 * HOUR_MS)
    assert text in one.text
    crash = walk(60)
    crash[30:] /= 9.0
    assert reported(np.arange(60), bars(np.arange(60), crash), 60).is_clean


def test_prints_of_some_bars_and_days_in_other_units_are_in_the_report() -> None:
    close = walk(300)
    close[20:24] *= 1.5
    close[100:200] *= 50.0
    table = bars(np.arange(300), close)
    found = reported(np.arange(300), table, 300)
    assert found.bad_prints == tuple(NOON + hour * HOUR_MS for hour in range(20, 24))
    (one,) = found.suspicions
    assert (one.what, one.rows, one.first_ms) == ("scale", 100, NOON + 100 * HOUR_MS)
    assert re.match(r"prices x[45]\d\.?\d? for 100 h, ", one.text)
    # Before they came back nobody could know.
    assert reported(np.arange(300), table, 200).suspicions == ()
    assert reported(np.arange(300), table, 23).bad_prints == ()


def test_an_interval_that_the_stamps_contradict_is_named() -> None:
    found = funding([0, 8, 16, 20, 24, 28], [8] * 6, 30)
    (one,) = found.suspicions
    assert one.text.startswith("interval says 8 h, stamps are 4 h apart, 3 time(s)")
    assert (one.first_ms, one.last_ms) == (NOON + 20 * HOUR_MS, NOON + 28 * HOUR_MS)
    assert found.gaps == ()
    wide = funding([0, 8, 16, 24, 32], [4] * 5, 33)
    assert wide.suspicions[0].text.startswith("interval says 4 h, stamps are 8 h apart, 4 time(s)")
    assert wide.gaps == ()


def test_settlements_that_are_not_there_are_missing_and_no_other_interval() -> None:
    found = funding([0, 8, 32, 40], [8] * 4, 57)
    assert found.suspicions == ()
    hour = {k: NOON + k * HOUR_MS for k in (8, 24, 40, 56)}
    assert found.gaps == (Gap(hour[8], hour[24], 16.0), Gap(hour[40], hour[56], 16.0))


def test_a_venue_may_change_its_interval() -> None:
    assert funding([0, 8, 12, 16, 17, 18, 26], [8, 8, 4, 4, 1, 1, 8], 30).is_clean


def test_depth_has_gaps_too() -> None:
    table = {"bid_depth": np.full(4, 5.0), "ask_depth": np.full(4, 6.0)}
    found = reported(np.array([0, 8, 24, 32]), table, 33, "depth1pct-8h")
    assert found.gaps == (Gap(NOON + 8 * HOUR_MS, NOON + 16 * HOUR_MS, 8.0),)


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from([1.0, 1.0, 2.0, 1000.0, np.nan])),
        max_size=40,
    ),
    st.integers(0, 42),
)
def test_a_file_cut_at_a_time_has_the_report_of_then(
    rows: list[tuple[int, float]], cut: int
) -> None:
    hours = np.array([hour for hour, _ in rows], dtype=np.int64)
    close = np.array([price for _, price in rows], dtype=np.float64)
    whole = bars(hours, close)
    # A bar is known when it closed.
    early = hours < cut
    short = {name: column[early] for name, column in whole.items()}
    assert reported(hours, whole, cut) == reported(hours[early], short, cut)


@given(st.lists(st.integers(1, 12), max_size=15), st.integers(0, 60), st.sampled_from([1.0, 4, 8]))
def test_funding_cut_at_a_time_has_the_report_of_then(
    steps: list[int], cut: int, interval: float
) -> None:
    hours = np.cumsum(np.array([0, *steps])).tolist()
    early = [hour for hour in hours if hour <= cut]
    whole = funding(hours, [interval] * len(hours), cut)
    assert whole == funding(early, [interval] * len(early), cut)


@pytest.mark.history
def test_the_real_history_has_the_holes_that_its_provenance_states(history_dir: Path) -> None:
    history = History(history_dir)
    end_ms = parse_iso("2025-07-01T00:00Z")
    for symbol in ("SOLUSDT", "XRPUSDT"):
        found = history.report("binance", symbol, "1h", end_ms)
        # PROVENANCE: 2022-02-26..28 and 2022-04-01..02, 120 bars.
        assert found.missing_hours == 120
        days = [(iso(gap.from_ms)[:10], iso(gap.to_ms)[:10]) for gap in found.gaps]
        assert days == [("2022-02-26", "2022-03-01"), ("2022-04-01", "2022-04-03")]
    for symbol in ("BTCUSDT", "ETHUSDT"):
        assert all(one.is_clean for one in history.reports("bybit", symbol, end_ms))
    depth = history.report("binance", "BTCUSDT", "depth1pct-8h", end_ms)
    assert depth.series == "binanceusdm/BTCUSDT-depth1pct-8h"
    assert depth.missing_hours == 28 * 8
