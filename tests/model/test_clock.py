from __future__ import annotations

import pytest

from perptui.model.clock import DAY_MS, ManualClock, SystemClock, VenueClock, iso, parse_iso


def test_venue_time_runs_at_its_speed_and_never_jumps_when_the_speed_changes() -> None:
    base = ManualClock(utc_ms=17)
    clock = VenueClock(base, anchor_ms=1_000_000, speed=60.0)
    base.advance(2.5)
    assert clock.utc_ms() == 1_150_000
    clock.set_speed(1.0)
    assert clock.utc_ms() == 1_150_000
    base.advance(3.0)
    assert clock.utc_ms() == 1_153_000
    assert clock.speed == 1.0
    assert clock.monotonic() == base.monotonic()


def test_an_anchor_moves_venue_time() -> None:
    clock = VenueClock(ManualClock(utc_ms=17), anchor_ms=5_000)
    clock.anchor(9_000)
    assert clock.utc_ms() == 9_000


def test_the_machine_clock_moves_forward() -> None:
    clock = SystemClock()
    first = clock.monotonic()
    assert clock.utc_ms() > parse_iso("2024-01-01")
    assert clock.monotonic() >= first


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-02", DAY_MS),
        ("2024-08-05T06:00Z", 1_722_837_600_000),
        ("2024-08-05T08:00+02:00", 1_722_837_600_000),
    ],
)
def test_iso_instants(text: str, ms: int) -> None:
    assert parse_iso(text) == ms
    assert parse_iso(iso(ms)) == ms


def test_iso_shows_milliseconds_only_where_there_are_any() -> None:
    assert iso(1_722_837_600_000) == "2024-08-05T06:00:00Z"
    assert iso(1_722_837_600_250) == "2024-08-05T06:00:00.250Z"
