"""The desk's state: what is missing is named, what is old is stale, nothing is a zero."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from perptui.desk.kept import KeptFile
from perptui.desk.state import DeskState, interval_s
from perptui.model.account import Position
from perptui.model.clock import DAY_MS, HOUR_MS, ManualClock
from perptui.settings.load import load
from tests.desk.market import (
    BTC,
    ETH,
    FUNDING,
    INSTRUMENTS,
    NOW_MS,
    QUOTES,
    VENUE,
    account,
    flow,
    reading,
)

POLLING = load().settings.polling


def made(clock: ManualClock) -> DeskState:
    return DeskState({VENUE: (BTC, ETH)}, POLLING, clock)


def filled(clock: ManualClock) -> DeskState:
    state = made(clock)
    now = clock.monotonic()
    state.observe(VENUE, "instruments", reading(INSTRUMENTS, now))
    state.observe(VENUE, "quotes", reading(QUOTES, now))
    state.observe(VENUE, "funding", reading(FUNDING, now))
    state.observe(VENUE, "account", reading(account(), now))
    return state


def test_a_snapshot_waits_for_each_call_by_name() -> None:
    clock = ManualClock(NOW_MS)
    state = made(clock)
    assert state.snapshot() is None
    assert state.why_no_snapshot() == f"waiting for {VENUE} contracts"
    state.observe(VENUE, "instruments", reading(INSTRUMENTS))
    state.observe(VENUE, "quotes", reading(QUOTES))
    state.fail(VENUE, "account", "bad response")
    assert state.why_no_snapshot() == f"waiting for {VENUE} account: bad response"


def test_a_snapshot_holds_market_and_book_sorted_by_id() -> None:
    clock = ManualClock(NOW_MS)
    state = filled(clock)
    snapshot = state.snapshot()
    assert snapshot is not None
    assert snapshot.as_of_ms == NOW_MS
    assert [row.id for row in snapshot.instruments] == [BTC, ETH]
    assert [row.id for row in snapshot.quotes] == [BTC, ETH]
    assert snapshot.equity_usd == Decimal(30000)
    assert snapshot.peak_equity_usd == Decimal(30000)


def test_a_snapshot_stands_until_a_reading_changes_it_or_a_poll_has_passed() -> None:
    clock = ManualClock(NOW_MS)
    state = filled(clock)
    first = state.snapshot()
    clock.advance(0.5)
    assert state.snapshot() is first
    state.observe(VENUE, "quotes", reading(QUOTES, clock.monotonic()))
    assert state.snapshot() is first
    dearer = tuple(msgspec.structs.replace(one, mark=one.mark + 1) for one in QUOTES)
    state.observe(VENUE, "quotes", reading(dearer, clock.monotonic()))
    moved = state.snapshot()
    assert moved is not None
    assert moved.as_of_ms == NOW_MS + 500
    assert moved.quotes == dearer
    clock.advance(POLLING.marks_s + 0.1)
    later = state.snapshot()
    assert later is not None
    assert later.as_of_ms == clock.utc_ms()


def test_a_snapshot_does_not_stand_over_the_hour() -> None:
    clock = ManualClock(NOW_MS // HOUR_MS * HOUR_MS + HOUR_MS - 100)
    state = filled(clock)
    first = state.snapshot()
    clock.advance(0.2)
    later = state.snapshot()
    assert first is not None
    assert later is not None
    assert later.as_of_ms == first.as_of_ms + 200


def test_older_than_three_intervals_is_stale_and_says_why() -> None:
    clock = ManualClock(NOW_MS)
    state = filled(clock)
    venue = state.picture.venues[0]
    clock.advance(3 * POLLING.marks_s)
    assert not state.is_stale(venue, "quotes")
    clock.advance(0.001)
    assert state.is_stale(venue, "quotes")
    assert not state.is_stale(venue, "account")
    state.fail(VENUE, "quotes", "rate limited until 07:24")
    assert state.snapshot() is None
    assert state.why_no_snapshot() == f"{VENUE} quotes is stale: rate limited until 07:24"


def test_a_reading_ends_the_trouble_of_its_call_only() -> None:
    clock = ManualClock(NOW_MS)
    state = filled(clock)
    state.fail(VENUE, "quotes", "no answer")
    clock.advance(2)
    state.fail(VENUE, "quotes", "no answer again")
    state.fail(VENUE, "account", "no answer")
    assert state.picture.venues[0].troubles["quotes"].since_mono == clock.monotonic() - 2
    state.observe(VENUE, "quotes", reading(QUOTES, clock.monotonic()))
    assert set(state.picture.venues[0].troubles) == {"account"}
    state.recover(VENUE, "account")
    assert state.picture.venues[0].troubles == {}


def test_a_failure_keeps_the_old_reading() -> None:
    state = filled(ManualClock(NOW_MS))
    state.fail(VENUE, "account", "html")
    assert state.picture.equity_usd == Decimal(30000)


def test_a_held_contract_without_a_mark_refuses_the_snapshot() -> None:
    clock = ManualClock(NOW_MS)
    state = filled(clock)
    held = account()
    strange = Position(f"{VENUE}:DOGE/USDT:USDT", Decimal(7), Decimal("0.1"))
    held = msgspec.structs.replace(held, positions=(*held.positions, strange))
    state.observe(VENUE, "account", reading(held, clock.monotonic()))
    assert "no mark for binanceusdm:DOGE/USDT:USDT" in state.why_no_snapshot()


def test_the_peak_is_the_highest_equity_and_survives_a_fall() -> None:
    clock = ManualClock(NOW_MS)
    state = filled(clock)
    for equity in ("31500", "29000"):
        state.observe(VENUE, "account", reading(account(NOW_MS + 1, equity=equity)))
    assert state.picture.peak_usd == Decimal(31500)
    assert state.picture.equity_usd == Decimal(29000)


def test_equity_is_unknown_until_every_account_was_read() -> None:
    state = DeskState({VENUE: (BTC,), "bybit": ()}, POLLING, ManualClock(NOW_MS))
    state.observe(VENUE, "account", reading(account()))
    assert state.picture.equity_usd is None


def test_pictures_are_replaced_never_changed() -> None:
    calls: list[int] = []
    clock = ManualClock(NOW_MS)
    state = DeskState({VENUE: (BTC,)}, POLLING, clock, changed=lambda: calls.append(1))
    before = state.picture
    state.observe(VENUE, "account", reading(account()))
    state.add_flows(VENUE, [flow("fee", "-1", NOW_MS + 1)])
    state.tell("warn", "something")
    assert before.venues[0].account is None
    assert before.news == ()
    assert len(calls) == 3
    assert state.picture.news[0].text == "something"


def test_flows_before_the_first_reading_are_nothing_to_count_from() -> None:
    state = made(ManualClock(NOW_MS))
    state.add_flows(VENUE, [flow("fee", "-1", NOW_MS + 1)])
    assert state.picture.venues[0].day is None


def test_booked_funding_is_news_once() -> None:
    state = filled(ManualClock(NOW_MS))
    flows = [flow("funding", "-7.8", NOW_MS + 1), flow("funding", "3.2", NOW_MS + 1, number=2)]
    state.add_flows(VENUE, flows)
    state.add_flows(VENUE, flows)
    assert [line.text for line in state.picture.news] == [f"funding -4.60 booked at {VENUE}"]


def test_each_call_has_the_interval_of_the_settings() -> None:
    assert interval_s(POLLING, "account") == 3.0
    assert interval_s(POLLING, "quotes") == 2.0


def test_history_and_offset_are_kept() -> None:
    state = made(ManualClock(NOW_MS))
    state.set_history("", NOW_MS)
    state.set_offset(VENUE, -12.5)
    assert state.picture.bars_ms == NOW_MS
    assert state.picture.venues[0].offset_ms == -12.5


def kept_after(folder: Path, *equities: str) -> KeptFile:
    file = KeptFile(folder / "peak")
    state = DeskState({VENUE: (BTC,)}, POLLING, ManualClock(NOW_MS), kept=file)
    assert state.kept is None
    for after_ms, equity in enumerate(equities):
        state.observe(VENUE, "account", reading(account(NOW_MS + after_ms, equity=equity)))
    file.keep(state.kept)
    return KeptFile(folder / "peak")


def restarted(file: KeptFile, ts_ms: int, equity: str) -> DeskState:
    state = DeskState({VENUE: (BTC,)}, POLLING, ManualClock(ts_ms), kept=file)
    state.observe(VENUE, "account", reading(account(ts_ms, equity=equity)))
    return state


def test_a_restart_within_the_day_forgets_neither_peak_nor_loss(tmp_path: Path) -> None:
    """Opened at 30,000, peak 31,500, down to 29,100 when it came back: 900 lost today."""
    file = kept_after(tmp_path, "30000", "31500", "29500")
    state = restarted(file, NOW_MS + 60_000, "29100")
    day = state.picture.venues[0].day
    assert day is not None
    assert (day.since_ms, day.opening_usd) == (NOW_MS, Decimal(30000))
    assert day.profit().total_usd == Decimal(-900)
    assert state.picture.peak_usd == Decimal(31500)


def test_a_restart_on_another_day_counts_from_then(tmp_path: Path) -> None:
    file = kept_after(tmp_path, "30000")
    state = restarted(file, NOW_MS + DAY_MS, "29100")
    day = state.picture.venues[0].day
    assert day is not None
    assert (day.since_ms, day.opening_usd) == (NOW_MS + DAY_MS, Decimal(29100))
    assert state.picture.peak_usd == Decimal(30000)


def test_a_damaged_file_counts_from_now_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "peak").write_text("garbage")
    state = restarted(KeptFile(tmp_path / "peak"), NOW_MS, "29100")
    assert state.picture.peak_usd == Decimal(29100)
    assert "count from now" in state.picture.news[-1].text
