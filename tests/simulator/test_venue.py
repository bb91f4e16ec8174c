"""Putting a venue together: options, opening books, the clock, the recorder."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perptui.model.clock import DAY_MS, HOUR_MS, ManualClock, iso, parse_iso
from perptui.model.errors import HistoryError, InputError
from perptui.risk.contract_rules import rules_table
from perptui.simulator.clock import MarketClock
from perptui.simulator.faults import Fault, FaultKind, FaultScript
from perptui.simulator.recorder import Recorder
from perptui.simulator.venue import SimulatedVenue, VenueOptions
from perptui.simulator.wire import WireRequest, json_reply

NOW = parse_iso("2026-11-22T12:34:56Z")


def venue_of(**options: object) -> SimulatedVenue:
    return SimulatedVenue(msgspec.convert(options, VenueOptions), ManualClock(NOW))


def test_the_demonstrations_book_is_six_positions_near_three_times_equity() -> None:
    venue = venue_of(seed=3)
    held = venue.exchange.account.open_holdings()
    notional = {s: h.quantity * venue.exchange.mark(s) for s, h in held.items()}
    gross = sum(map(abs, notional.values())) / Decimal(404_310)
    assert len(held) == 6
    assert Decimal("2.5") < gross < 3
    assert min(notional.values()) < 0 < max(notional.values())
    assert venue.exchange.equity() == pytest.approx(Decimal(404_310), abs=Decimal("1e-8"))
    bookings = [(b.kind, b.amount) for b in venue.exchange.account.bookings]
    assert bookings == [("TRANSFER", venue.exchange.account.wallet)]


def test_entries_are_prices_of_the_markets_own_past() -> None:
    venue = venue_of(seed=3)
    for symbol, holding in venue.exchange.account.open_holdings().items():
        series = venue.source.series[symbol]
        row = series.row(NOW)
        week = slice(row - 7 * 24, row + 1)
        assert series.low[week].min() <= float(holding.entry) <= series.high[week].max()
        assert holding.entry % venue.exchange.rules[symbol].tick == 0


def test_no_book_and_another_equity() -> None:
    venue = venue_of(book="none", equity="1234.5")
    assert not venue.exchange.account.open_holdings()
    assert venue.exchange.equity() == Decimal("1234.5")


def test_a_book_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "book.json"
    rows = [
        {"id": "binance:BTC/USDT:USDT", "contracts": "-0.5", "entry_price": "90000"},
        {"id": "bybit:BTC/USDT:USDT", "contracts": "0.5", "entry_price": "90000"},
    ]
    file.write_bytes(msgspec.json.encode(rows))
    venue = venue_of(book=str(file))
    (holding,) = venue.exchange.account.open_holdings().values()
    assert (holding.quantity, holding.entry) == (Decimal("-0.5"), Decimal(90_000))
    assert venue.exchange.equity() == pytest.approx(Decimal(404_310), abs=Decimal("1e-8"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "contracts, entry_price"),
        ('[{"id": "binanceusdm:BTC", "contracts": 1, "entry_price": 1}]', "venue:BASE/QUOTE"),
        ('[{"id": "binanceusdm:LUNA/USDT:USDT", "contracts": 1, "entry_price": 1}]', "this market"),
        (
            '[{"id": "binanceusdm:BTC/USDT:USDT", "contracts": 0.0001, "entry_price": 1}]',
            "multiple",
        ),
        ('[{"id": "binanceusdm:BTC/USDT:USDT", "contracts": 1, "entry_price": 0}]', "above 0"),
        ('[{"id": "binanceusdm:BTC/USDT:USDT", "contracts": 900, "entry_price": 1}]', "equity"),
    ],
)
def test_a_book_that_cannot_be_opened(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "book.json"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        venue_of(book=str(file))


def test_a_book_file_that_is_not_there() -> None:
    with pytest.raises(InputError, match="--book"):
        venue_of(book="/nowhere/book.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wire": "kraken"}, "expected a wire"),
        ({"start": "yesterday"}, "ISO 8601"),
        ({"speed": -1.0}, "speed between"),
        ({"data": "/nowhere"}, "hourly history"),
    ],
)
def test_options_that_are_wrong(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        venue_of(**options)


def test_a_start_of_ones_own_and_a_speed() -> None:
    clock = ManualClock(NOW)
    options = VenueOptions(start="2025-01-01T00:00Z", speed=10.0)
    venue = SimulatedVenue(options, clock)
    clock.advance(2)
    assert venue.state()["utc_ms"] == parse_iso("2025-01-01T00:00:20Z")
    venue.advance()
    assert venue.exchange.now_ms == parse_iso("2025-01-01T00:00:20Z")


def test_faults_may_be_given_from_the_start() -> None:
    script = FaultScript((Fault("*", 1, FaultKind.OVERLOADED),))
    venue = SimulatedVenue(VenueOptions(), ManualClock(NOW), script)
    reply, fault = venue.answer(WireRequest("GET", "/fapi/v1/time"))
    assert (reply.status, fault) == (503, script.faults[0])
    reply, fault = venue.answer(WireRequest("GET", "/fapi/v1/time"))
    assert (reply.status, fault) == (200, None)


@pytest.mark.history
def test_replay_of_a_moment(history_dir: Path) -> None:
    venue = venue_of(data=str(history_dir), start="2024-08-04T12:00Z")
    assert venue.state()["label"] == "REPLAY"
    assert len(venue.exchange.account.open_holdings()) == 5
    assert venue.exchange.now_ms == parse_iso("2024-08-04T12:00Z")


@pytest.mark.history
def test_replay_without_a_start_and_beyond_the_end(history_dir: Path) -> None:
    venue = venue_of(data=str(history_dir))
    assert iso(venue.source.start_ms) == "2020-07-29T00:00:00Z"
    listed = venue.exchange.market.listed(venue.exchange.now_ms)
    assert "SOLUSDT" not in listed, "it was listed in September"
    with pytest.raises(InputError, match="within the history"):
        venue_of(data=str(history_dir), start="2026-01-01")


@pytest.mark.history
def test_a_history_stands_still_at_its_end(history_dir: Path) -> None:
    clock = ManualClock(NOW)
    options = VenueOptions(data=str(history_dir), start="2025-06-30T23:30Z")
    venue = SimulatedVenue(options, clock)
    clock.advance(7200)
    venue.advance()
    assert venue.exchange.now_ms == parse_iso("2025-06-30T23:59:59.750Z")
    price = venue.exchange.market.last("BTCUSDT", venue.exchange.now_ms)
    assert price == venue.source.series["BTCUSDT"].close[-1]


STAMPS = [NOW // HOUR_MS * HOUR_MS + i * HOUR_MS for i in range(300 * 24)]


def write(folder: Path, name: str, stamps: list[int], **columns: list[float]) -> None:
    """Write a small history file."""
    ts = pa.array(stamps, pa.timestamp("ms", tz="UTC"))
    pq.write_table(pa.table({"ts": ts, **columns}), folder / f"{name}.parquet")


def bars_of(stamps: list[int]) -> dict[str, list[float]]:
    """Return flat bars at 20,000."""
    names = ("open", "high", "low", "close", "volume")
    return {name: [20_000.0] * len(stamps) for name in names}


def test_a_history_without_marks_or_depth_uses_the_traded_price(tmp_path: Path) -> None:
    folder = tmp_path / "binance"
    folder.mkdir()
    write(folder, "BTCUSDT-1h", STAMPS, **bars_of(STAMPS))
    write(folder, "BTCUSDT-funding", STAMPS[8:9], funding_rate=[0.0001], interval_hours=[8.0])
    venue = venue_of(data=str(tmp_path), book="none")
    market, now = venue.exchange.market, venue.exchange.now_ms
    assert venue.source.start_ms == STAMPS[0] + 210 * DAY_MS
    assert venue.exchange.mark("BTCUSDT") == 20_000
    # Depth within 1 % is then a share of the day's volume, and the next stamp keeps the interval.
    assert market.depth("BTCUSDT", now) == pytest.approx((24 * 20_000 * 0.006,) * 2)
    stamp, hours = market.next_settlement("BTCUSDT", now)
    assert (hours, stamp % (8 * HOUR_MS)) == (8.0, 0)
    assert now < stamp <= now + 8 * HOUR_MS


def test_histories_that_cannot_be_replayed(tmp_path: Path) -> None:
    folder = tmp_path / "binance"
    folder.mkdir()
    write(folder, "BTCUSDT-1h", STAMPS, **bars_of(STAMPS))
    with pytest.raises(InputError, match=r"BTCUSDT-funding\.parquet beside"):
        venue_of(data=str(tmp_path))
    write(folder, "BTCUSDT-1h", STAMPS[:2][::-1], **bars_of(STAMPS[:2]))
    with pytest.raises(HistoryError, match="rising stamps"):
        venue_of(data=str(tmp_path))
    write(folder, "BTCUSDT-1h", [], **bars_of([]))
    with pytest.raises(HistoryError, match="expected rows in BTCUSDT-1h"):
        venue_of(data=str(tmp_path))


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "binance"
    folder.mkdir()
    (folder / "BTCUSDT-1h.parquet").write_bytes(b"not parquet")
    with pytest.raises(HistoryError, match=r"BTCUSDT-1h\.parquet"):
        venue_of(data=str(tmp_path))


def test_market_clock_stops_at_the_end() -> None:
    base = ManualClock(0)
    clock = MarketClock(base, 1_000, 2.0, 6_000)
    base.advance(1)
    assert clock.utc_ms() == 3_000
    base.advance(100)
    assert clock.utc_ms() == 5_999


def test_recorder_keeps_orders_when_reads_push_each_other_out() -> None:
    recorder = Recorder(kept=3)
    reply = json_reply({"a": "x" * 9_000})
    recorder.keep(1, WireRequest("POST", "/order"), reply)
    for number in range(5):
        recorder.keep(number, WireRequest("GET", f"/{number}"), reply)
    recorder.keep(9, WireRequest("DELETE", "/order"), None, "banned")
    kept = recorder.all()
    assert [row.path for row in kept] == ["/order", "/2", "/3", "/4", "/order"]
    assert [row.number for row in kept] == [1, 4, 5, 6, 7]
    assert (kept[-1].handled, kept[-1].fault, kept[-1].status) == (False, "banned", 0)
    assert len(kept[0].reply) == 4_096


def test_a_contract_lists_when_its_history_begins() -> None:
    venue = venue_of(seed=1)
    series = venue.source.series["BTCUSDT"]
    assert NOW - series.first_ms > 200 * DAY_MS
    assert venue.exchange.market.listed(series.first_ms - HOUR_MS) == ()


def test_contracts_the_table_does_not_know_are_traded_on_assumed_rules(tmp_path: Path) -> None:
    folder = tmp_path / "binance"
    folder.mkdir()
    for symbol in ("BTCUSDT", "1000PEPEUSDT", "BTCUSDC", "LONEUSDT"):
        write(folder, f"{symbol}-1h", STAMPS, **bars_of(STAMPS))
        if symbol != "LONEUSDT":
            rates: dict[str, list[float]] = {"funding_rate": [1e-4], "interval_hours": [8.0]}
            write(folder, f"{symbol}-funding", STAMPS[:1], **rates)
    venue = venue_of(data=str(tmp_path), book="none")
    assert venue.exchange.market.symbols == ("BTCUSDT", "1000PEPEUSDT")
    rules = venue.exchange.rules["1000PEPEUSDT"]
    price = Decimal(repr(bars_of(STAMPS)["open"][0]))
    assert rules.assumed
    assert Decimal("0.5") < rules.step * price <= 5
    assert venue.state()["detail"].endswith("; rules assumed of 1000PEPEUSDT")
    reply = venue.answer(WireRequest("GET", "/fapi/v1/exchangeInfo"))[0]
    listed = {row["symbol"] for row in msgspec.json.decode(reply.body)["symbols"]}
    assert listed == {"BTCUSDT", "1000PEPEUSDT"}


def test_the_venue_tells_the_rules_that_proposals_on_history_assume() -> None:
    venue = venue_of(seed=1)
    reply = venue.answer(WireRequest("GET", "/fapi/v1/exchangeInfo"))[0]
    listed = msgspec.json.decode(reply.body)["symbols"]
    assert len(listed) == 10
    for row in listed:
        assumed = rules_table().rules("binanceusdm", row["symbol"]).instrument
        filters = {one["filterType"]: one for one in row["filters"]}
        lot = filters["LOT_SIZE"]
        assert Decimal(filters["PRICE_FILTER"]["tickSize"]) == assumed.tick
        assert Decimal(lot["stepSize"]) == assumed.step
        assert Decimal(lot["minQty"]) == assumed.min_contracts
        assert Decimal(lot["maxQty"]) == assumed.max_contracts
        assert Decimal(filters["MIN_NOTIONAL"]["notional"]) == assumed.min_notional_usd
        assert venue.exchange.rules[row["symbol"]].tiers == assumed.tiers
