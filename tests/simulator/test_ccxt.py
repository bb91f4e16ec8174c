"""The real ccxt against the simulated venue over its UNIX socket."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import ccxt
import pytest

from perptui.model.clock import HOUR_MS, ManualClock
from perptui.simulator.venue import SimulatedVenue

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"

pytestmark = [pytest.mark.asyncio]


async def test_markets_have_the_contracts_rules(exchange: Any, venue: SimulatedVenue) -> None:
    assert len(exchange.markets) == 10
    market = exchange.market(BTC)
    rules = venue.exchange.rules["BTCUSDT"]
    assert Decimal(str(market["precision"]["price"])) == rules.tick
    assert Decimal(str(market["precision"]["amount"])) == rules.step
    assert Decimal(str(market["limits"]["cost"]["min"])) == rules.min_notional
    assert (market["contractSize"], market["swap"], market["linear"]) == (1.0, True, True)


async def test_time_positions_balance(exchange: Any, venue: SimulatedVenue) -> None:
    assert await exchange.fetch_time() == venue.exchange.now_ms
    balance = await exchange.fetch_balance()
    equity = Decimal(balance["info"]["totalMarginBalance"])
    assert equity == pytest.approx(Decimal(404_310), abs=Decimal("1e-6"))
    positions = {p["symbol"]: p for p in await exchange.fetch_positions()}
    assert len(positions) == 6
    assert (positions[BTC]["side"], positions["SOL/USDT:USDT"]["side"]) == ("long", "short")
    gross = sum(p["notional"] for p in positions.values())
    assert gross == pytest.approx(2.711 * 404_310, rel=0.01)
    for symbol, position in positions.items():
        holding = venue.exchange.account.holdings[symbol.replace("/", "").partition(":")[0]]
        assert position["contracts"] == float(abs(holding.quantity))
        assert position["entryPrice"] == pytest.approx(float(holding.entry))
        profit = float(holding.unrealised(venue.exchange.mark(position["info"]["symbol"])))
        assert position["unrealizedPnl"] == pytest.approx(profit, abs=1e-6)


async def test_marks_funding_and_intervals(exchange: Any, venue: SimulatedVenue) -> None:
    rates = await exchange.fetch_funding_rates()
    assert rates[BTC]["markPrice"] == float(venue.exchange.mark("BTCUSDT"))
    assert rates[BTC]["fundingTimestamp"] > venue.exchange.now_ms
    intervals = await exchange.fetch_funding_intervals()
    assert {s: row["interval"] for s, row in intervals.items()} == {
        "DOGE/USDT:USDT": "4h",
        "AVAX/USDT:USDT": "4h",
    }
    history = await exchange.fetch_funding_rate_history(BTC, limit=30)
    assert len(history) == 30
    steps = {b["timestamp"] - a["timestamp"] for a, b in pairwise(history)}
    assert steps == {8 * HOUR_MS}


async def test_bars_books_and_tickers(exchange: Any, venue: SimulatedVenue) -> None:
    since = venue.exchange.now_ms - 200 * 24 * HOUR_MS
    bars = await exchange.fetch_ohlcv(BTC, "1h", since=since, limit=1000)
    assert len(bars) == 1000
    assert all(low <= min(o, c) and high >= max(o, c) for _, o, high, low, c, _ in bars)
    latest = await exchange.fetch_ohlcv(BTC, "1h", limit=3)
    assert latest[-1][0] == venue.exchange.now_ms // HOUR_MS * HOUR_MS
    book = await exchange.fetch_order_book(BTC, 20)
    assert len(book["bids"]) == len(book["asks"]) == 20
    tickers = await exchange.fetch_tickers()
    assert book["bids"][0][0] <= tickers[BTC]["last"] <= book["asks"][0][0]
    touch = await exchange.fetch_bids_asks([BTC])
    assert touch[BTC]["bid"] == book["bids"][0][0]
    assert (await exchange.fetch_open_interest(BTC))["openInterestAmount"] > 0


async def test_tiers_leverage_and_mode(exchange: Any, venue: SimulatedVenue) -> None:
    tiers = await exchange.fetch_leverage_tiers()
    expected = venue.exchange.rules["ETHUSDT"].tiers
    assert [t["maintenanceMarginRate"] for t in tiers[ETH]] == [float(t.rate) for t in expected]
    await exchange.set_leverage(10, ETH)
    assert (await exchange.fetch_leverages())[ETH]["longLeverage"] == 10
    assert (await exchange.fetch_position_mode())["hedged"] is False
    fee = await exchange.fetch_trading_fee(BTC)
    assert (fee["maker"], fee["taker"]) == (0.0002, 0.0005)


async def test_an_order_is_sent_queried_and_booked(exchange: Any) -> None:
    ask = (await exchange.fetch_order_book(BTC, 5))["asks"][0][0]
    terms = {"timeInForce": "IOC", "newClientOrderId": "pt" + "0" * 30}
    order = await exchange.create_order(BTC, "limit", "buy", 0.01, ask, terms)
    assert (order["status"], order["filled"], order["symbol"]) == ("closed", 0.01, BTC)
    assert order["clientOrderId"] == "pt" + "0" * 30
    found = await exchange.fetch_order(None, BTC, {"origClientOrderId": order["clientOrderId"]})
    assert (found["id"], found["average"]) == (order["id"], ask)
    (trade,) = await exchange.fetch_my_trades(BTC)
    assert (trade["order"], trade["amount"], trade["takerOrMaker"]) == (order["id"], 0.01, "taker")
    assert trade["fee"]["cost"] == pytest.approx(0.01 * ask * 0.0005)
    income = await exchange.fapiPrivateGetIncome({"incomeType": "COMMISSION"})
    assert float(income[0]["income"]) == pytest.approx(-trade["fee"]["cost"])


async def test_resting_orders_are_listed_and_cancelled(exchange: Any) -> None:
    bid = (await exchange.fetch_order_book(ETH, 5))["bids"][0][0]
    price = round(bid * 0.98, 2)
    order = await exchange.create_order(ETH, "limit", "buy", 0.1, price, {"timeInForce": "GTX"})
    assert order["status"] == "open"
    assert [o["id"] for o in await exchange.fetch_open_orders()] == [order["id"]]
    assert (await exchange.cancel_order(order["id"], ETH))["status"] == "canceled"
    await exchange.create_order(ETH, "limit", "buy", 0.1, price)
    await exchange.cancel_all_orders(ETH)
    assert await exchange.fetch_open_orders() == []
    assert len(await exchange.fetch_orders(ETH)) == 2


async def test_a_batch_rejects_item_by_item(exchange: Any) -> None:
    bid = (await exchange.fetch_order_book(ETH, 5))["bids"][0][0]
    item = {"symbol": ETH, "type": "limit", "side": "buy", "amount": 0.1}
    answers = await exchange.create_orders(
        [
            item | {"price": round(bid * 0.98, 2)},
            item | {"price": round(bid * 0.5, 2)} | {"side": "sell"},
        ]
    )
    assert {o["status"] for o in answers} == {"open", "rejected"}


@pytest.mark.parametrize(
    ("amount", "factor", "params", "error", "code"),
    [
        (900.0, 0.99, {}, ccxt.InsufficientFunds, "-2019"),
        (0.001, 0.5, {}, ccxt.InvalidOrder, "-4164"),
        (0.01, 1.2, {}, ccxt.BadRequest, "-4016"),
        (0.01, 0.99, {"reduceOnly": True}, ccxt.InvalidOrder, "-2022"),
        (0.01, 1.01, {"timeInForce": "GTX"}, ccxt.OrderNotFillable, "-5022"),
        (20.0, 1.0001, {"timeInForce": "FOK"}, ccxt.OrderNotFillable, "-5021"),
    ],
)
async def test_refusals_are_the_classes_of_the_real_venue(
    exchange: Any, amount: float, factor: float, params: dict[str, Any], error: Any, code: str
) -> None:
    price = round((await exchange.fetch_ticker(BTC))["last"] * factor, 1)
    with pytest.raises(error, match=code):
        await exchange.create_order(BTC, "limit", "buy", amount, price, params)


async def test_errors_of_keys_clock_and_ids(
    exchange: Any, venue: SimulatedVenue, clock: ManualClock
) -> None:
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        await exchange.fetch_order("1", BTC)
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        await exchange.cancel_order("1", BTC)
    exchange.milliseconds = lambda: venue.clock.utc_ms() + 2_000
    with pytest.raises(ccxt.InvalidNonce, match="-1021"):
        await exchange.fetch_balance()
    exchange.milliseconds = venue.clock.utc_ms
    exchange.secret = "wrong"
    with pytest.raises(ccxt.AuthenticationError, match="-1022"):
        await exchange.fetch_balance()


async def test_time_passes_at_the_clocks_pace(
    exchange: Any, venue: SimulatedVenue, clock: ManualClock
) -> None:
    before = await exchange.fetch_time()
    clock.advance(0.25)
    venue.set_speed(60)
    clock.advance(1)
    assert await exchange.fetch_time() == before + 250 + 60_000
