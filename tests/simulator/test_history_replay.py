"""The exchange on real history: equity identity, funding intervals, a real liquidation.

Expected figures are computed from the Parquet files by plain loops that share nothing with the
simulator but the list of what was traded.
"""

import random
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from perptui.model.clock import DAY_MS, HOUR_MS, parse_iso
from perptui.model.order import Side
from perptui.risk.contract_rules import rules_table
from perptui.risk.margin import maintenance
from perptui.simulator.exchange import Exchange
from perptui.simulator.market import Market
from perptui.simulator.market_replay import ReplayMarket
from perptui.simulator.orders import OrderRequest, OrderType, Refused, TimeInForce, Trade
from perptui.simulator.path import GRID_MS
from perptui.simulator.venue import rules_of

pytestmark = [pytest.mark.history]

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT")
UNIT = Decimal("1e-8")


def booked(amount: Decimal) -> Decimal:
    """Round as venues book: to 1e-8, half to even (ccxt changes the context's rounding)."""
    return amount.quantize(UNIT, rounding=ROUND_HALF_EVEN)


def replay(history_dir: Path, start: str, equity: int) -> Exchange:
    source = ReplayMarket(
        history_dir / "binance", tuple(rules_table().contracts["binanceusdm"]), parse_iso(start)
    )
    market = Market(source)
    return Exchange(market, rules_of("binanceusdm", source), Decimal(equity), source.start_ms)


@cache
def rows(history_dir: Path, name: str) -> dict[int, dict[str, Any]]:
    """Return the rows of a file by stamp, ms."""
    table = pq.read_table(history_dir / "binance" / f"{name}.parquet")
    stamps = pc.cast(table.column("ts"), "int64").to_pylist()
    return dict(zip(stamps, table.drop_columns(["ts"]).to_pylist(), strict=True))


def place(exchange: Exchange, request: OrderRequest) -> None:
    """Place an order; a venue may refuse it, as the trader's orders are blind."""
    try:
        exchange.place(request)
    except Refused:
        return


def random_order(exchange: Exchange, draw: random.Random) -> OrderRequest:
    """Return a small order of any kind in any contract."""
    symbol = draw.choice(SYMBOLS)
    rules = exchange.rules[symbol]
    mark = exchange.mark(symbol)
    side = draw.choice([Side.BUY, Side.SELL])
    quantity = Decimal(draw.randint(500, 30_000)) / mark // rules.step * rules.step
    if draw.random() < 0.4:
        return OrderRequest(symbol, side, OrderType.MARKET, quantity)
    away = Decimal(draw.randint(-40, 40)) / 10_000
    price = mark * (1 + away) // rules.tick * rules.tick
    in_force = draw.choice(list(TimeInForce))
    reduce_only = draw.random() < 0.2
    return OrderRequest(symbol, side, OrderType.LIMIT, quantity, price, in_force, reduce_only)


class Ledger:
    """The identity again, from the files and the list of trades alone."""

    def __init__(self, history_dir: Path) -> None:
        self.marks = {s: rows(history_dir, f"{s}-mark-1h") for s in SYMBOLS}
        self.rates = {s: rows(history_dir, f"{s}-funding") for s in SYMBOLS}
        self.held = dict.fromkeys(SYMBOLS, Decimal(0))
        self.settled = 0

    def mark(self, symbol: str, stamp: int) -> Decimal:
        """Return the mark at a stamp: that of the hour that ended there."""
        return booked(Decimal(repr(self.marks[symbol][stamp - HOUR_MS]["mark_price"])))

    def funding(self, stamp: int) -> Decimal:
        """Return what the book held before `stamp` receives there."""
        received = Decimal(0)
        for symbol, quantity in self.held.items():
            if quantity and stamp in self.rates[symbol]:
                rate = booked(Decimal(repr(self.rates[symbol][stamp]["funding_rate"])))
                received -= booked(quantity * self.mark(symbol, stamp) * rate)
                self.settled += 1
        return received

    def change(self, before: int, after: int, trades: list[Trade]) -> Decimal:
        """Return price P&L + funding - fees over (before, after]."""
        total = Decimal(0)
        for symbol, quantity in self.held.items():
            total += quantity * (self.mark(symbol, after) - self.mark(symbol, before))
        # Fills at the stamp itself come after its settlement.
        for last in (False, True):
            for trade in (t for t in trades if before < t.ts_ms <= after):
                if (trade.ts_ms == after) is last:
                    total += self._book(trade, after)
            total += Decimal(0) if last else self.funding(after)
        return total

    def _book(self, trade: Trade, after: int) -> Decimal:
        signed = trade.quantity if trade.side is Side.BUY else -trade.quantity
        rate = Decimal("0.0002") if trade.maker else Decimal("0.0005")
        self.held[trade.symbol] += signed
        fee = booked(trade.quantity * trade.price * rate)
        return signed * (self.mark(trade.symbol, after) - trade.price) - fee


def trade_for_a_month(exchange: Exchange) -> dict[int, Decimal]:
    """Send seeded orders for 31 days; return the equity at every settlement."""
    draw = random.Random(20240805)
    begin, equity = exchange.now_ms, {exchange.now_ms: exchange.equity()}
    for hour in range(1, 31 * 24 + 1):
        stamp = begin + hour * HOUR_MS
        if draw.random() < 0.6:
            exchange.advance(stamp - draw.randint(1, HOUR_MS // GRID_MS - 1) * GRID_MS)
            place(exchange, random_order(exchange, draw))
            if draw.random() < 0.2:
                exchange.cancel_all()
        exchange.advance(stamp)
        if stamp % (8 * HOUR_MS) == 0:
            equity[stamp] = exchange.equity()
    return equity


@pytest.mark.unmeasured
def test_equity_identity_over_the_month_of_the_crash(history_dir: Path) -> None:
    exchange = replay(history_dir, "2024-08-01T00:00Z", 400_000)
    equity = trade_for_a_month(exchange)
    trades = list(exchange.trades.values())
    assert not exchange.liquidator.events
    assert len(trades) > 300
    assert any(trade.maker for trade in trades)
    ledger = Ledger(history_dir)
    for before, after in pairwise(sorted(equity)):
        expected = ledger.change(before, after, trades)
        assert abs(expected - (equity[after] - equity[before])) <= UNIT, after
    assert ledger.settled > 300


def test_solana_settles_every_two_hours_in_november_2022(history_dir: Path) -> None:
    exchange = replay(history_dir, "2022-11-09T12:00Z", 1_000_000)
    exchange.place(OrderRequest("SOLUSDT", Side.SELL, OrderType.MARKET, Decimal(1_000)))
    seen = {}
    while exchange.now_ms < parse_iso("2022-11-11T00:00Z"):
        following, hours = exchange.market.next_settlement("SOLUSDT", exchange.now_ms)
        seen[following] = hours
        exchange.advance(exchange.now_ms + HOUR_MS)
    recorded = rows(history_dir, "SOLUSDT-funding")
    marks = rows(history_dir, "SOLUSDT-mark-1h")
    stamps = [s for s in recorded if parse_iso("2022-11-09T12:00Z") < s <= exchange.now_ms]
    assert [seen[s] for s in stamps] == [recorded[s]["interval_hours"] for s in stamps]
    assert {2, 4, 8} <= set(seen.values())
    paid = {b.ts_ms: b.amount for b in exchange.account.bookings if b.kind == "FUNDING_FEE"}
    assert sorted(paid) == stamps
    for stamp in stamps:
        rate = booked(Decimal(repr(recorded[stamp]["funding_rate"])))
        mark = booked(Decimal(repr(marks[stamp - HOUR_MS]["mark_price"])))
        # Shorts pay when the rate is below zero: -2 % every two hours at the worst.
        assert paid[stamp] == booked(1_000 * mark * rate)
    assert min(paid.values()) < -200


@pytest.mark.unmeasured
def test_a_long_in_solana_is_liquidated_in_november_2022(history_dir: Path) -> None:
    exchange = replay(history_dir, "2022-11-08T00:00Z", 100_000)
    exchange.place(OrderRequest("SOLUSDT", Side.BUY, OrderType.MARKET, Decimal(8_000)))
    cost = exchange.account.holdings["SOLUSDT"].cost
    exchange.advance(parse_iso("2022-11-10T00:00Z"))
    (event,) = exchange.liquidator.events
    bars = rows(history_dir, "SOLUSDT-1h")
    marks = rows(history_dir, "SOLUSDT-mark-1h")
    bookings = [b for b in exchange.account.bookings if b.ts_ms < event]
    wallet = sum((b.amount for b in bookings), Decimal(0))

    def excess(price: float) -> Decimal:
        notional = 8_000 * Decimal(repr(price))
        return wallet + notional - cost - maintenance(notional, exchange.rules["SOLUSDT"].tiers)

    hour = event // HOUR_MS * HOUR_MS
    gap = max(abs(marks[h]["mark_price"] - bars[h]["close"]) for h in (hour - HOUR_MS, hour))
    assert excess(bars[hour]["low"] - gap) <= 0
    # No hour before it reached the price: the low, less the gap of mark and last, still covers.
    earlier = [h for h in bars if parse_iso("2022-11-08T00:00Z") <= h < hour]
    assert all(excess(marks[h]["mark_price"]) > 0 for h in earlier)
    assert exchange.account.quantity("SOLUSDT") == 0
    kinds = {b.kind for b in exchange.account.bookings if b.ts_ms == event}
    assert {"REALIZED_PNL", "COMMISSION"} <= kinds
    fee = next(b for b in exchange.account.bookings if b.kind == "COMMISSION" and b.ts_ms == event)
    order = list(exchange.orders.values())[-1]
    assert -fee.amount == booked(order.turnover * Decimal("0.0125"))


def test_prices_inside_the_hour_keep_to_the_bar_and_show_no_future(history_dir: Path) -> None:
    exchange = replay(history_dir, "2024-08-05T00:00Z", 1_000)
    bars = rows(history_dir, "BTCUSDT-1h")
    market = exchange.market
    for hour in range(12):
        opened = parse_iso("2024-08-05T00:00Z") + hour * HOUR_MS
        bar = bars[opened]
        series = market.source.series["BTCUSDT"]
        path = market.path("BTCUSDT", series.row(opened))
        assert (path[0], path[-1]) == (bar["open"], bar["close"])
        assert (path.min(), path.max()) == (bar["low"], bar["high"])
        assert len(set(path)) > 10_000


def test_the_mark_of_an_hour_is_known_at_its_end(history_dir: Path) -> None:
    exchange = replay(history_dir, "2024-08-05T00:00Z", 1_000)
    marks = rows(history_dir, "BTCUSDT-mark-1h")
    for hour in range(24):
        stamp = parse_iso("2024-08-05T00:00Z") + hour * HOUR_MS
        expected = marks[stamp - HOUR_MS]["mark_price"]
        assert exchange.market.mark("BTCUSDT", stamp) == pytest.approx(expected, abs=1e-8)


def test_holes_repeat_the_close_and_are_not_traded(history_dir: Path) -> None:
    exchange = replay(history_dir, "2022-02-27T00:00Z", 1_000)
    series = exchange.market.source.series["SOLUSDT"]
    row = series.row(exchange.now_ms)
    assert not series.traded[row]
    before = rows(history_dir, "SOLUSDT-1h")
    last = max(stamp for stamp in before if stamp <= exchange.now_ms)
    assert exchange.now_ms - last < 2 * DAY_MS
    assert series.close[row] == before[last]["close"]
