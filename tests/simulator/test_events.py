"""What happens at a venue unasked: each kind does what it says, and is written down."""

from decimal import Decimal
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from perptui.model.clock import HOUR_MS, ManualClock, parse_iso
from perptui.model.errors import InputError
from perptui.model.order import Side
from perptui.simulator.events import (
    ENDINGS,
    Event,
    EventKind,
    EventScript,
    altered,
    happen,
    random_events,
)
from perptui.simulator.exchange import Exchange
from perptui.simulator.orders import OrderRequest, OrderType, Reason, Refused, Status, TimeInForce
from perptui.simulator.venue import SimulatedVenue, VenueOptions
from perptui.simulator.wire import WireRequest
from tests.simulator.client import Client
from tests.simulator.scripted import START_MS, exchange_of

BTC, ETH = "BTCUSDT", "ETHUSDT"
FUNDING = {BTC: [(8, 0.0001, 8.0), (16, 0.0002, 8.0), (24, 0.0004, 8.0), (32, 0.0008, 8.0)]}


@pytest.fixture
def exchange() -> Exchange:
    return exchange_of({BTC: [20_000.0] * 72, ETH: [1_500.0] * 72}, funding=FUNDING)


def order(exchange: Exchange, quantity: str, symbol: str = BTC, **changes: object) -> OrderRequest:
    size = Decimal(quantity)
    side = Side.BUY if size > 0 else Side.SELL
    limit = exchange.mark(symbol) * (Decimal("1.02") if size > 0 else Decimal("0.98"))
    tick = exchange.rules[symbol].tick
    request = OrderRequest(
        symbol, side, OrderType.LIMIT, abs(size), limit // tick * tick, TimeInForce.IOC
    )
    return msgspec.structs.replace(request, **changes)


def hold(exchange: Exchange, quantity: str, symbol: str = BTC) -> None:
    exchange.place(order(exchange, quantity, symbol))


def test_somebody_else_trades_on_the_account(exchange: Exchange) -> None:
    happen(exchange, Event(EventKind.POSITION_CHANGED, symbol=BTC, amount=Decimal("-0.5")))
    assert exchange.account.quantity(BTC) == Decimal("-0.5")
    (foreign,) = exchange.orders.values()
    assert foreign.client_id.startswith("web_")
    assert (foreign.status, foreign.filled) == (Status.FILLED, Decimal("0.5"))
    assert [trade.order_id for trade in exchange.trades.values()] == [foreign.id]


@pytest.mark.parametrize(("held", "left"), [("0.101", "0.051"), ("-0.101", "-0.051")])
def test_the_venue_deleverages_a_share_at_the_mark(
    exchange: Exchange, held: str, left: str
) -> None:
    hold(exchange, held)
    happen(exchange, Event(EventKind.DELEVERAGED, symbol=BTC, amount=Decimal("0.5")))
    assert exchange.account.quantity(BTC) == Decimal(left)
    last = list(exchange.orders.values())[-1]
    assert last.client_id.startswith("adl_autoclose")
    assert last.average_price == exchange.mark(BTC)
    happen(exchange, Event(EventKind.DELEVERAGED, symbol=ETH, amount=Decimal(1)))
    assert len(exchange.orders) == 2, "nothing is held there"


def test_the_venue_liquidates_the_account(exchange: Exchange) -> None:
    hold(exchange, "0.1")
    happen(exchange, Event(EventKind.LIQUIDATED))
    assert exchange.account.open_holdings() == {}
    assert exchange.liquidator.events == [START_MS]


def test_funding_turns_from_the_next_settlement_on(exchange: Exchange) -> None:
    hold(exchange, "1")
    exchange.advance(START_MS + 9 * HOUR_MS)
    happen(exchange, Event(EventKind.FUNDING_FLIPPED, symbol=BTC))
    exchange.advance(START_MS + 25 * HOUR_MS)
    paid = [b.amount for b in exchange.account.bookings if b.kind == "FUNDING_FEE"]
    # -quantity x mark x rate: the past stays, the future has its sign turned.
    assert paid == [Decimal("-2"), Decimal("4"), Decimal("8")]
    # The scripted source's estimate is the last settled rate, .0004 by now.
    assert exchange.market.source.funding_estimate(BTC, exchange.now_ms) == -0.0004
    assert exchange.market.source.funding_estimate(BTC, START_MS + 8 * HOUR_MS) == 0.0001


def test_funding_is_settled_more_often(exchange: Exchange) -> None:
    exchange.advance(START_MS + 9 * HOUR_MS)
    market = exchange.market
    assert market.next_settlement(BTC, exchange.now_ms) == (START_MS + 16 * HOUR_MS, 8.0)
    happen(exchange, Event(EventKind.FUNDING_INTERVAL, symbol=BTC, amount=Decimal(4)))
    assert market.next_settlement(BTC, exchange.now_ms) == (START_MS + 12 * HOUR_MS, 4.0)
    found = market.settlements(START_MS, START_MS + 24 * HOUR_MS, (BTC,))
    assert [(s.ts_ms - START_MS) // HOUR_MS for s in found] == [8, 12, 16, 20, 24]
    # Half an eight-hour rate each: a day costs what it cost before.
    assert [s.rate for s in found] == pytest.approx([0.0001, 0.0001, 0.0001, 0.0002, 0.0002])
    happen(exchange, Event(EventKind.FUNDING_INTERVAL, symbol=BTC, amount=Decimal(1)))
    hourly = market.settlements(exchange.now_ms, START_MS + 12 * HOUR_MS, (BTC,))
    assert [s.rate for s in hourly] == pytest.approx([0.000025] * 3)
    assert market.source.funding_estimate(BTC, exchange.now_ms) == pytest.approx(0.0001 / 16)


def test_changes_outlive_what_a_generator_adds() -> None:
    venue = SimulatedVenue(VenueOptions(seed=5), ManualClock(parse_iso("2026-11-22T12:34:56Z")))
    exchange = venue.exchange
    begin = exchange.now_ms
    happen(exchange, Event(EventKind.FUNDING_FLIPPED, symbol=BTC))
    source = altered(exchange)
    reach = 30 * 24 * HOUR_MS
    source.extend(begin + reach)
    inner, outer = source.inner.series[BTC], source.series[BTC]
    assert outer.end_ms == inner.end_ms > begin + reach
    later = inner.funding_ms > begin
    assert later.sum() > 80
    assert np.array_equal(outer.funding_rate[later], -inner.funding_rate[later])
    assert np.array_equal(outer.funding_rate[~later], inner.funding_rate[~later])


def test_tiers_change_under_a_position(exchange: Exchange) -> None:
    hold(exchange, "1")
    before, first = exchange.maintenance(), exchange.rules[BTC].tiers[0]
    happen(exchange, Event(EventKind.TIERS_CHANGED, symbol=BTC, amount=Decimal(2)))
    assert exchange.maintenance() == 2 * before
    tiers = exchange.rules[BTC].tiers
    assert tiers[0].max_leverage == first.max_leverage / 2 // 1
    for lower, upper in pairwise(tiers):
        edge = upper.floor_usd
        assert edge * lower.rate - lower.deduction_usd == edge * upper.rate - upper.deduction_usd
    assert exchange.float_tiers[BTC][0].rate == float(2 * first.rate)


def test_a_contract_is_settled_and_takes_no_orders() -> None:
    client = Client()
    client.order(price="20100")
    happen(client.exchange, Event(EventKind.CONTRACT_CLOSED, symbol=BTC))
    assert client.exchange.account.quantity(BTC) == 0
    assert client.order()["code"] == -4108
    status = {
        row["symbol"]: row["status"] for row in client.public("/fapi/v1/exchangeInfo")["symbols"]
    }
    assert status == {BTC: "SETTLING", ETH: "TRADING"}
    happen(client.exchange, Event(EventKind.DELEVERAGED, symbol=BTC, amount=Decimal(1)))


def test_a_contract_goes_on_as_a_thousand_coins() -> None:
    client = Client()
    client.order(price="20100")
    exchange = client.exchange
    equity = exchange.equity()
    event = Event(EventKind.CONTRACT_RENAMED, symbol=BTC, text="1000BTCUSDT", amount=Decimal(1000))
    happen(exchange, event)
    assert exchange.account.open_holdings().keys() == {"1000BTCUSDT"}
    assert exchange.account.quantity("1000BTCUSDT") == Decimal("0.0001")
    assert exchange.mark("1000BTCUSDT") == 20_000_000
    assert exchange.equity() == equity
    listed = [row["symbol"] for row in client.public("/fapi/v1/exchangeInfo")["symbols"]]
    assert listed == [ETH, "1000BTCUSDT"]
    assert client.order()["code"] == -1121
    exchange.advance(exchange.now_ms + 9 * HOUR_MS)
    assert [b.symbol for b in exchange.account.bookings if b.kind == "FUNDING_FEE"] == [
        "1000BTCUSDT"
    ]
    assert exchange.market.source.funding_estimate("1000BTCUSDT", exchange.now_ms) == 0.0001
    happen(exchange, msgspec.structs.replace(event, symbol=ETH))
    assert ETH in exchange.market.listed(exchange.now_ms), "the name is taken"


@pytest.mark.parametrize(
    ("kind", "amount", "reason"),
    [
        (EventKind.MIN_NOTIONAL_CHANGED, "5000", Reason.NOTIONAL),
        (EventKind.STEP_CHANGED, "0.3", Reason.STEP),
        (EventKind.TICK_CHANGED, "7", Reason.TICK),
        (EventKind.BAND_CHANGED, "0.001", Reason.PRICE_HIGH),
    ],
)
def test_a_rule_of_a_contract_changes(
    exchange: Exchange, kind: EventKind, amount: str, reason: Reason
) -> None:
    request = order(exchange, "0.1")
    exchange.place(request)
    happen(exchange, Event(kind, symbol=BTC, amount=Decimal(amount)))
    with pytest.raises(Refused) as refused:
        exchange.place(request)
    assert refused.value.reason is reason


def test_margin_runs_out_on_the_third_of_five_legs() -> None:
    venue = SimulatedVenue(
        VenueOptions(seed=5, book="none"), ManualClock(parse_iso("2026-11-22T12:34:56Z"))
    )
    short = Event(
        EventKind.TRANSFERRED, endpoint="POST /fapi/v1/order", nth=3, amount=Decimal(-404_300)
    )
    venue.events = EventScript((short,))
    client = Client(venue.exchange)
    for leg in range(5):
        venue.answer(WireRequest("POST", "/fapi/v1/order"))
        answer = client.market("BUY", "0.01")
        assert answer.get("code") == (None if leg < 2 else -2019), answer
    (noted,) = [row for row in venue.recorder.all() if row.method == "EVENT"]
    assert noted.path == "/transferred"
    assert msgspec.json.decode(noted.body, type=Event) == short


@pytest.mark.parametrize("status", ENDINGS)
def test_an_order_fills_in_part_and_ends(exchange: Exchange, status: Status) -> None:
    event = Event(EventKind.ENDED_PARTLY, symbol=BTC, amount=Decimal("0.37"), text=status.value)
    happen(exchange, event)
    placed = exchange.place(order(exchange, "0.01", time_in_force=TimeInForce.GTC))
    assert (placed.status, placed.filled) == (status, Decimal("0.003"))
    assert exchange.account.quantity(BTC) == Decimal("0.003")
    assert exchange.resting == {}
    assert exchange.place(order(exchange, "0.01")).status is Status.FILLED, "one order only"


@pytest.mark.parametrize(("seconds", "code"), [(2, None), (-2, -1021), (60, -1021), (-60, -1021)])
def test_the_venues_clock_is_off(seconds: int, code: int | None) -> None:
    # recvWindow is 5 s back and 1 s ahead: a client 2 s behind passes, one 2 s ahead does not.
    client = Client()
    happen(client.exchange, Event(EventKind.CLOCK_SKEWED, amount=Decimal(seconds)))
    served = client.public("/fapi/v1/time")["serverTime"]
    assert served - client.exchange.now_ms == 1000 * seconds
    assert client.order().get("code") == code
    happen(client.exchange, Event(EventKind.CLOCK_SKEWED))
    assert "orderId" in client.order()


def test_events_happen_in_order_of_time_and_are_written_down() -> None:
    clock = ManualClock(parse_iso("2026-11-22T12:34:56Z"))
    venue = SimulatedVenue(VenueOptions(seed=5, book="none"), clock)
    now = venue.exchange.now_ms
    later = Event(EventKind.TRANSFERRED, at_ms=now + 7_000, amount=Decimal(2))
    sooner = Event(EventKind.TRANSFERRED, at_ms=now + 3_000, amount=Decimal(1))
    venue.events = EventScript((later, sooner))
    clock.advance(5)
    venue.advance()
    assert [(b.ts_ms - now, b.amount) for b in venue.exchange.account.bookings][1:] == [
        (3_000, Decimal(1))
    ]
    clock.advance(5)
    venue.advance()
    venue.advance()
    happened = [(row.ts_ms - now, row.method, row.path) for row in venue.recorder.all()]
    assert happened == [(3_000, "EVENT", "/transferred"), (7_000, "EVENT", "/transferred")]


def test_the_control_plane_takes_events() -> None:
    venue = SimulatedVenue(VenueOptions(seed=5), ManualClock(parse_iso("2026-11-22T12:34:56Z")))
    body = '[{"kind": "tiers_changed", "nth": 1, "endpoint": "GET /x", "amount": "%s"}]'
    assert venue.control(WireRequest("POST", "/events", body=body % "2")).status == 200
    assert len(venue.events.events) == 1
    assert venue.control(WireRequest("POST", "/events", body=body % "0")).status == 400


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (Event(EventKind.FUNDING_INTERVAL, symbol=BTC), "above zero of funding_interval"),
        (Event(EventKind.ENDED_PARTLY, symbol=BTC, text="FILLED"), "CANCELED, EXPIRED, REJECTED"),
        (Event(EventKind.CONTRACT_RENAMED, symbol=BTC, amount=Decimal(1), text="X"), "USDT"),
    ],
)
def test_what_cannot_happen_is_refused(event: Event, message: str) -> None:
    with pytest.raises(InputError, match=message):
        EventScript((event,))


def test_a_seed_is_a_list_of_events_and_any_of_them_can_happen() -> None:
    drawn = random_events(3, (BTC, ETH), START_MS + 1, START_MS + 20 * HOUR_MS, 60)
    assert drawn == random_events(3, (BTC, ETH), START_MS + 1, START_MS + 20 * HOUR_MS, 60)
    assert {event.kind for event in drawn} == set(EventKind)
    exchange = exchange_of({BTC: [20_000.0] * 72, ETH: [1_500.0] * 72}, funding=FUNDING)
    hold(exchange, "0.5")
    for event in EventScript(drawn).due(START_MS + 20 * HOUR_MS):
        exchange.advance(event.at_ms)
        happen(exchange, event)
    happen(exchange, Event(EventKind.POSITION_CHANGED, symbol="NOSUCH", amount=Decimal(1)))
