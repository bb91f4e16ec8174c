"""The real ccxt in front of a real server: every read, and what goes over the wire."""

from decimal import Decimal

import pytest

from perptui.model.clock import ManualClock
from perptui.model.errors import BadResponse
from perptui.model.order import LegState, OrderIntent, Side
from perptui.venues.base import Venue
from tests.venues import payloads
from tests.venues.payloads import BTC, CLIENT_ID, ETH, HOUR_MS, NOW_MS
from tests.venues.wire_server import WireServer

pytestmark = pytest.mark.asyncio


async def test_opening_makes_one_request(server: WireServer, venue: Venue) -> None:
    await venue.open()
    assert server.paths() == ["GET /fapi/v1/exchangeInfo"]
    assert server.requests[0].host == "fapi.binance.com"


async def test_server_time(venue: Venue) -> None:
    reading = await venue.server_time()
    assert reading.value == reading.venue_ms == NOW_MS
    assert reading.source == "binanceusdm time"


async def test_instruments_carry_steps_tiers_and_fees(venue: Venue) -> None:
    reading = await venue.instruments()
    (btc,) = reading.value
    assert (btc.id, btc.coin, btc.settle, btc.venue_symbol) == (BTC, "BTC", "USDT", "BTCUSDT")
    assert (btc.tick, btc.step, btc.min_contracts) == (
        Decimal("0.1"),
        Decimal("0.001"),
        Decimal("0.001"),
    )
    assert (btc.min_notional_usd, btc.max_contracts) == (Decimal(100), Decimal(1000))
    assert (btc.taker_fee, btc.maker_fee) == (Decimal("0.00045"), Decimal("0.00018"))
    assert [tier.rate for tier in btc.tiers] == [Decimal("0.004"), Decimal("0.005")]
    assert [tier.deduction_usd for tier in btc.tiers] == [0, 50]
    assert [tier.cap_usd for tier in btc.tiers] == [50000, None]
    assert btc.active
    assert reading.missing == ()


async def test_account_has_signed_positions_and_lists_what_is_missing(venue: Venue) -> None:
    reading = await venue.account()
    account = reading.value
    assert (account.wallet_usd, account.equity_usd) == (Decimal(100000), Decimal("99879.5"))
    assert account.maintenance_margin_usd == Decimal("258.4")
    assert account.one_way
    (position,) = account.positions
    assert (position.id, position.contracts) == (BTC, Decimal("-1"))
    assert position.venue_liquidation_price == Decimal("163500.12345678")
    assert position.leverage is None
    assert reading.missing == (f"{BTC}.leverage",)


async def test_hedge_mode_is_seen(server: WireServer, venue: Venue) -> None:
    server.answer("/fapi/v1/accountConfig", {"dualSidePosition": True, "multiAssetsMargin": False})
    assert not (await venue.account()).value.one_way


async def test_margin_modes_and_leverages_are_seen(server: WireServer, venue: Venue) -> None:
    usual = (await venue.account()).value
    assert (usual.multi_assets, usual.isolated) == (False, ())
    assert usual.leverages == ((BTC, Decimal(20)), (ETH, Decimal(5)))
    assert usual.all_leverages() == dict(usual.leverages)
    assert isinstance(hash(usual), int)


async def test_several_assets_and_isolated_margin_are_seen(
    server: WireServer, venue: Venue
) -> None:
    server.answer("/fapi/v1/accountConfig", {"dualSidePosition": False, "multiAssetsMargin": True})
    isolated = {"symbol": "ETHUSDT", "marginType": "ISOLATED", "leverage": 5}
    server.answer("/fapi/v1/symbolConfig", [isolated])
    account = (await venue.account()).value
    assert (account.multi_assets, account.isolated) == (True, (ETH,))


async def test_a_leverage_of_nothing_is_refused(server: WireServer, venue: Venue) -> None:
    none = {"symbol": "ETHUSDT", "marginType": "CROSSED", "leverage": 0}
    server.answer("/fapi/v1/symbolConfig", [none])
    with pytest.raises(BadResponse, match="positive leverage"):
        await venue.account()


async def test_quotes_and_funding_share_one_payload(server: WireServer, venue: Venue) -> None:
    quotes = await venue.quotes()
    funding = await venue.funding()
    (quote,) = quotes.value
    assert (quote.mark, quote.index) == (Decimal("64600.1"), Decimal("64612.43021277"))
    assert (quote.bid, quote.ask) == (Decimal("64600.00"), Decimal("64600.10"))
    assert quote.volume_24h_usd == Decimal("15000000000.3")
    assert quotes.venue_ms == NOW_MS
    (open_interval,) = funding.value
    assert (open_interval.rate, open_interval.interval_h) == (Decimal("0.000075"), 8.0)
    assert open_interval.next_ms == NOW_MS + 8 * HOUR_MS
    assert server.paths().count("GET /fapi/v1/premiumIndex") == 1


async def test_bars_are_closed_ones(venue: Venue) -> None:
    hours = [NOW_MS - 3 * HOUR_MS, NOW_MS - 2 * HOUR_MS, NOW_MS - HOUR_MS]
    traded = (await venue.bars(BTC, None, 3)).value
    assert [bar.ts_ms for bar in traded] == hours
    assert (traded[0].open, traded[0].high, traded[0].low) == (64000.0, 64120.0, 63920.0)
    assert (traded[0].close, traded[0].volume) == (64050.0, 1540.25)
    marks = (await venue.mark_bars(BTC, NOW_MS - 3 * HOUR_MS, 2)).value
    assert [bar.ts_ms for bar in marks] == hours[:2]
    assert {bar.volume for bar in marks} == {0.0}


async def test_funding_history_takes_intervals_from_the_gaps(venue: Venue) -> None:
    settled = (await venue.funding_history(BTC, None, 10)).value
    assert [row.ts_ms for row in settled] == [NOW_MS - hours * HOUR_MS for hours in (16, 8, 0)]
    assert {row.interval_h for row in settled} == {8.0}


async def test_book_is_cut_to_the_depth_asked(server: WireServer, venue: Venue) -> None:
    book = (await venue.book(BTC, 1)).value
    assert server.requests[-1].parameters["limit"] == "5"
    assert (book.bids[0].price, book.asks[0].contracts) == (Decimal("64600.00"), Decimal(9))
    assert len(book.bids) == len(book.asks) == 1
    assert book.ts_ms == NOW_MS - 12


async def test_cashflows_and_fills(venue: Venue) -> None:
    (flow,) = (await venue.cashflows(NOW_MS - 2 * HOUR_MS)).value
    assert (flow.kind, flow.amount_usd, flow.id) == ("funding", Decimal("-4.845"), BTC)
    (fill,) = (await venue.fills(BTC, NOW_MS - 2 * HOUR_MS)).value
    assert (fill.side, fill.contracts, fill.price) == (Side.SELL, Decimal("0.8"), Decimal(64600))
    assert (fill.fee_usd, fill.trade_id) == (Decimal("25.84"), "698759")


async def test_orders_are_read_by_client_id(server: WireServer, venue: Venue) -> None:
    (working,) = (await venue.open_orders()).value
    assert (working.state, working.filled, working.average_price) == (
        LegState.OPEN,
        Decimal(0),
        None,
    )
    reading = await venue.order(BTC, CLIENT_ID)
    assert reading.value is not None
    assert reading.value.state is LegState.FILLED
    assert server.requests[-1].parameters["origClientOrderId"] == CLIENT_ID


async def test_only_the_venues_own_word_means_no_such_order(
    server: WireServer, venue: Venue
) -> None:
    server.answer("/fapi/v1/order", {"code": -2013, "msg": "Order does not exist."}, status=400)
    assert (await venue.order(BTC, CLIENT_ID)).value is None


async def test_submit_sends_one_limit_ioc_with_our_id(
    server: WireServer, venue: Venue, intent: OrderIntent, clock: ManualClock
) -> None:
    outcome = await venue.submit(intent, CLIENT_ID)
    assert outcome.state is LegState.ACKED
    assert outcome.report is not None
    assert outcome.report.average_price == Decimal("64600.05")
    assert server.paths() == ["POST /fapi/v1/order"]
    sent = server.requests[0].parameters
    expected = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "reduceOnly": "true",
        "newClientOrderId": CLIENT_ID,
        "recvWindow": "5000",
        "timestamp": str(clock.utc_ms()),
    }
    assert expected.items() <= sent.items()
    assert (Decimal(sent["quantity"]), Decimal(sent["price"])) == (Decimal(1), Decimal(64700))
    assert server.requests[0].headers["x-mbx-apikey"] == payloads.KEY


async def test_cancel_is_by_client_id(server: WireServer, venue: Venue) -> None:
    outcome = await venue.cancel(BTC, CLIENT_ID)
    assert outcome.state is LegState.ACKED
    assert server.paths() == ["DELETE /fapi/v1/order"]
    assert server.requests[0].parameters["origClientOrderId"] == CLIENT_ID
