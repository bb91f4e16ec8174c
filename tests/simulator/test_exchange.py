"""The exchange core against figures worked out by hand."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perptui.model.clock import HOUR_MS
from perptui.model.order import Side
from perptui.simulator.exchange import Exchange
from perptui.simulator.orders import (
    Order,
    OrderRequest,
    OrderType,
    Reason,
    Refused,
    Status,
    TimeInForce,
)
from perptui.simulator.path import GRID_MS
from tests.simulator.scripted import START_MS, exchange_of

BTC = "BTCUSDT"


def order(
    exchange: Exchange,
    side: Side,
    quantity: str,
    price: str | None = None,
    in_force: TimeInForce = TimeInForce.GTC,
    *,
    reduce_only: bool = False,
    client_id: str = "",
    symbol: str = BTC,
) -> Order:
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    limit = None if price is None else Decimal(price)
    request = OrderRequest(
        symbol, side, kind, Decimal(quantity), limit, in_force, reduce_only, client_id
    )
    return exchange.place(request)


def test_market_order_sweeps_the_levels_and_pays_the_taker_fee() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 3}, equity="1000000")
    offered = list(exchange.books.levels(BTC, Side.BUY, exchange.now_ms))[:40]
    wanted, paid = Decimal("5"), Decimal(0)
    for price, size in offered:
        part = min(size, wanted)
        wanted, paid = wanted - part, paid + part * price
    assert wanted == 0
    filled = order(exchange, Side.BUY, "5")
    assert filled.status is Status.FILLED
    assert filled.turnover == paid
    fees = sum((trade.fee for trade in exchange.trades.values()), Decimal(0))
    assert fees == pytest.approx(paid * Decimal("0.0005"), abs=Decimal("1e-7"))
    assert exchange.account.wallet == Decimal("1000000") - fees
    assert exchange.equity() == Decimal("1000000") - fees + 5 * Decimal(20_000) - paid


def test_what_was_taken_is_gone_and_comes_back() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 3}, equity="10000000")
    before = exchange.books.available(BTC, Side.BUY, Decimal(20_100), exchange.now_ms)
    order(exchange, Side.BUY, "20")
    after = exchange.books.available(BTC, Side.BUY, Decimal(20_100), exchange.now_ms)
    assert before - after == pytest.approx(Decimal(20), abs=Decimal("0.01"))
    # Half of it is back after ten seconds: beside a book that nobody took from, 10 are missing.
    later = exchange.now_ms + 10_000
    untouched = exchange_of({BTC: [20_000.0] * 3}).books
    left, whole = (
        books.available(BTC, Side.BUY, Decimal(20_100), later)
        for books in (exchange.books, untouched)
    )
    assert whole - left == pytest.approx(Decimal(10), abs=Decimal("0.01"))


def test_a_book_taken_whole_ends_at_the_band() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 3}, equity="1000000000", depth=1.0)
    for _ in range(3):
        order(exchange, Side.BUY, "100")
    assert exchange.books.touch(BTC, Side.BUY, exchange.now_ms) == 21_000
    assert exchange.books.touch(BTC, Side.SELL, exchange.now_ms) < 20_000


def test_reduce_only_orders_share_what_there_is_to_reduce() -> None:
    exchange = exchange_of({BTC: [20_000.0, 20_300.0, 20_300.0]})
    order(exchange, Side.BUY, "0.3")
    order(exchange, Side.SELL, "0.2", "20200", reduce_only=True)
    second = order(exchange, Side.SELL, "0.2", "20200", reduce_only=True)
    assert second.request.quantity == Decimal("0.1")
    exchange.advance(START_MS + HOUR_MS + 1_000)
    assert exchange.account.quantity(BTC) == 0
    assert second.status is Status.FILLED


def test_immediate_or_cancel_fills_what_is_there_and_expires() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 3}, equity="10000000")
    there = exchange.books.available(BTC, Side.BUY, Decimal("20001"), exchange.now_ms)
    part = order(exchange, Side.BUY, "900", "20001", TimeInForce.IOC)
    assert part.status is Status.EXPIRED
    assert part.filled == there
    assert not exchange.resting


def test_resting_order_fills_at_its_own_price_as_maker() -> None:
    exchange = exchange_of({BTC: [20_000.0, 19_900.0, 19_900.0]})
    resting = order(exchange, Side.BUY, "0.5", "19950")
    exchange.advance(START_MS + HOUR_MS - GRID_MS)
    assert resting.id in exchange.resting
    exchange.advance(START_MS + HOUR_MS + 1_000)
    assert resting.status is Status.FILLED
    (trade,) = exchange.trades.values()
    assert (trade.price, trade.maker, trade.fee) == (Decimal("19950"), True, Decimal("1.995"))
    assert trade.ts_ms == START_MS + HOUR_MS


def test_resting_order_larger_than_the_book_fills_in_parts() -> None:
    exchange = exchange_of({BTC: [20_000.0, 19_900.0]}, equity="10000000", depth=50.0)
    resting = order(exchange, Side.BUY, "30", "19901")
    exchange.advance(START_MS + HOUR_MS)
    assert resting.status is Status.PARTIALLY_FILLED
    assert 0 < resting.filled < 30
    exchange.advance(START_MS + HOUR_MS + 600_000)
    assert len([t for t in exchange.trades.values() if t.order_id == resting.id]) > 1


def test_post_only_and_fill_or_kill_leave_nothing_behind() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 2}, equity="10000000")
    for in_force, reason in (
        (TimeInForce.GTX, Reason.POST_ONLY),
        (TimeInForce.FOK, Reason.FILL_OR_KILL),
    ):
        with pytest.raises(Refused) as refused:
            order(exchange, Side.BUY, "900", "20001", in_force)
        assert refused.value.reason is reason
    assert not exchange.orders
    assert order(exchange, Side.BUY, "0.1", "19999", TimeInForce.GTX).status is Status.NEW
    assert order(exchange, Side.BUY, "0.1", "20100", TimeInForce.FOK).status is Status.FILLED


@pytest.mark.parametrize(
    ("quantity", "price", "reason"),
    [
        ("0", "20000", Reason.QUANTITY_ZERO),
        ("0.0001", "20000", Reason.PRECISION),
        ("1001", "20000", Reason.QUANTITY_MAX),
        ("121", None, Reason.QUANTITY_MAX),
        ("0.1", "0", Reason.PRICE_ZERO),
        ("0.1", "20000.001", Reason.PRECISION),
        ("0.1", "20000.05", Reason.TICK),
        ("0.1", "21000.1", Reason.PRICE_HIGH),
        ("0.004", "20000", Reason.NOTIONAL),
        ("200", "19999", Reason.MARGIN),
        ("700", "19999", Reason.POSITION_LIMIT),
    ],
)
def test_orders_that_break_a_rule_are_refused(
    quantity: str, price: str | None, reason: Reason
) -> None:
    # 700 BTC at 20,000 is 14M: above the 12M that 50x allows; 4M at 20x needs 200,000 of margin.
    exchange = exchange_of({BTC: [20_000.0] * 2})
    if reason is Reason.POSITION_LIMIT:
        exchange.set_leverage(BTC, Decimal(50))
    with pytest.raises(Refused) as refused:
        order(exchange, Side.BUY, quantity, price)
    assert refused.value.reason is reason
    assert exchange.account.wallet == 100_000
    assert not exchange.orders


def test_sell_below_the_band_and_unknown_symbols_are_refused() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 2})
    with pytest.raises(Refused, match="below the band 19000"):
        order(exchange, Side.SELL, "0.1", "18999")
    with pytest.raises(Refused) as refused:
        order(exchange, Side.SELL, "0.1", "18999", symbol="LUNAUSDT")
    assert refused.value.reason is Reason.SYMBOL


def test_market_order_is_refused_where_the_book_left_the_band() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 3}, gap=-1_500.0)
    with pytest.raises(Refused) as refused:
        order(exchange, Side.BUY, "0.1")
    assert refused.value.reason is Reason.PERCENT_PRICE


def test_reduce_only_never_opens_and_is_cut_to_the_position() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 3})
    with pytest.raises(Refused) as refused:
        order(exchange, Side.SELL, "0.1", reduce_only=True)
    assert refused.value.reason is Reason.REDUCE_ONLY
    order(exchange, Side.BUY, "0.3")
    cut = order(exchange, Side.SELL, "0.5", reduce_only=True)
    assert (cut.request.quantity, cut.status) == (Decimal("0.3"), Status.FILLED)
    assert exchange.account.quantity(BTC) == 0


def test_reduce_only_is_free_of_the_smallest_notional() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 3})
    order(exchange, Side.BUY, "0.006")
    order(exchange, Side.SELL, "0.003", reduce_only=True)
    assert exchange.account.quantity(BTC) == Decimal("0.003")


def test_resting_reduce_only_expires_when_the_position_is_gone() -> None:
    exchange = exchange_of({BTC: [20_000.0, 20_300.0, 20_300.0]})
    order(exchange, Side.BUY, "0.3")
    resting = order(exchange, Side.SELL, "0.3", "20200", reduce_only=True)
    order(exchange, Side.SELL, "0.3")
    exchange.advance(START_MS + HOUR_MS + 1_000)
    assert resting.status is Status.EXPIRED
    assert exchange.account.quantity(BTC) == 0


def test_client_id_is_unique_among_open_orders_only() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 3})
    first = order(exchange, Side.BUY, "0.1", "19000", client_id="same")
    with pytest.raises(Refused) as refused:
        order(exchange, Side.BUY, "0.1", "19000", client_id="same")
    assert refused.value.reason is Reason.DUPLICATE_ID
    exchange.cancel(BTC, None, "same")
    second = order(exchange, Side.BUY, "0.1", "19000", client_id="same")
    assert second.id != first.id
    assert exchange.find(BTC, None, "same") is second
    assert exchange.find(BTC, first.id, None) is first


def test_cancelling_and_finding_what_is_not_there() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 3})
    done = order(exchange, Side.BUY, "0.1")
    for missing in (done.id, 1):
        with pytest.raises(Refused) as refused:
            exchange.cancel(BTC, missing, None)
        assert refused.value.reason is Reason.UNKNOWN_CANCEL
    for key in ((1, None), (None, "never")):
        with pytest.raises(Refused) as refused:
            exchange.find(BTC, *key)
        assert refused.value.reason is Reason.UNKNOWN_ORDER


def test_dead_man_cancels_when_its_time_has_come() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 3})
    resting = order(exchange, Side.BUY, "0.1", "19000")
    exchange.countdowns[BTC] = exchange.now_ms + 5_000
    exchange.advance(START_MS + 4_750)
    assert resting.id in exchange.resting
    exchange.advance(START_MS + 5_000)
    assert resting.status is Status.CANCELED
    assert resting.updated_ms == START_MS + 5_000


def test_funding_is_paid_by_what_is_held_at_the_stamp_at_its_mark() -> None:
    funding = {BTC: [(1, 0.0001, 8.0), (2, -0.0003, 1.0), (3, 0.001, 1.0)]}
    exchange = exchange_of({BTC: [20_000.0, 20_400.0, 21_000.0, 21_000.0]}, funding=funding)
    order(exchange, Side.BUY, "2")
    exchange.advance(START_MS + 2 * HOUR_MS + 500)
    order(exchange, Side.SELL, "2")
    exchange.advance(START_MS + 3 * HOUR_MS + 500)
    booked = [b.amount for b in exchange.account.bookings if b.kind == "FUNDING_FEE"]
    # The mark at the first stamp is the mark at the end of the hour before it.
    assert booked == [
        -2 * Decimal(20_000) * Decimal("0.0001"),
        2 * Decimal(20_400) * Decimal("0.0003"),
    ]


def test_a_position_opened_at_the_stamp_pays_nothing() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 3}, funding={BTC: [(1, 0.01, 8.0)]})
    exchange.advance(START_MS + HOUR_MS)
    order(exchange, Side.BUY, "1")
    exchange.advance(START_MS + 2 * HOUR_MS)
    assert not [b for b in exchange.account.bookings if b.kind == "FUNDING_FEE"]


def test_liquidation_by_hand() -> None:
    # The mark falls in a line from 20,000 to 19,000 over the second hour. At 19,000 the equity is
    # near 10,000 and the maintenance of 1.9M is 0.65 % less 950 = 11,400: liquidated before that.
    exchange = exchange_of({BTC: [20_000.0, 19_000.0, 19_000.0]}, equity="115000")
    order(exchange, Side.BUY, "100")
    order(exchange, Side.SELL, "1", "20900")
    cost, wallet = exchange.account.holdings[BTC].cost, exchange.account.wallet
    exchange.advance(START_MS + 2 * HOUR_MS)
    (event,) = exchange.liquidator.events

    def excess(at_ms: int) -> Decimal:
        passed = Decimal(at_ms - START_MS - HOUR_MS) / HOUR_MS
        mark = 19_000 + 1_000 * (1 - passed)
        return wallet + 100 * mark - cost - (100 * mark * Decimal("0.0065") - 950)

    assert excess(event) <= 0 < excess(event - GRID_MS)
    assert not exchange.resting
    assert exchange.account.quantity(BTC) == 0
    liquidation = list(exchange.orders.values())[-1]
    assert liquidation.request.kind is OrderType.LIQUIDATION
    assert liquidation.client_id.startswith("autoclose-")
    price = liquidation.average_price
    fee = 100 * price * Decimal("0.0125")
    left = wallet + 100 * price - cost - fee
    assert left < 0
    assert exchange.account.wallet == 0
    assert exchange.liquidator.insurance == fee + left


def test_no_liquidation_while_equity_covers_maintenance() -> None:
    exchange = exchange_of({BTC: [20_000.0, 19_000.0, 19_000.0]}, equity="120000")
    order(exchange, Side.BUY, "100")
    exchange.advance(START_MS + 2 * HOUR_MS)
    assert exchange.maintenance() == Decimal(100 * 19_000) * Decimal("0.0065") - 950
    assert exchange.equity() > exchange.maintenance()
    assert not exchange.liquidator.events


def test_initial_margin_counts_the_worse_side_of_open_orders() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 3})
    order(exchange, Side.BUY, "1")
    order(exchange, Side.BUY, "0.5", "19500")
    order(exchange, Side.SELL, "3", "20500")
    mark = exchange.mark(BTC)
    # 1 + 0.5 long against 3 - 1 short: the short side is worse.
    assert exchange.initial() == 2 * mark / 20


def test_leverage_is_bounded_by_contract_position_and_margin() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 3})
    exchange.set_leverage(BTC, Decimal(100))
    order(exchange, Side.BUY, "29")
    for leverage, reason in (
        ("126", Reason.LEVERAGE),
        ("0", Reason.LEVERAGE),
        ("125", Reason.POSITION_LIMIT),
        ("5", Reason.LEVERAGE_MARGIN),
    ):
        with pytest.raises(Refused) as refused:
            exchange.set_leverage(BTC, Decimal(leverage))
        assert refused.value.reason is reason
        assert exchange.account.leverage_of(BTC) == 100


def test_open_orders_are_limited() -> None:
    exchange = exchange_of({BTC: [20_000.0] * 3}, equity="10000000")
    for _ in range(200):
        order(exchange, Side.BUY, "0.01", "19000")
    with pytest.raises(Refused) as refused:
        order(exchange, Side.BUY, "0.01", "19000")
    assert refused.value.reason is Reason.OPEN_ORDERS
    assert len(exchange.cancel_all()) == 200


def history_of(stops: list[int]) -> list[object]:
    """Trade a fixed script with time moved to each of `stops` on the way."""
    prices = [20_000.0, 20_150.0, 19_800.0, 18_900.0, 20_500.0]
    funding = {BTC: [(1, 0.0002, 1.0), (2, 0.0001, 1.0), (4, -0.0001, 2.0)]}
    exchange = exchange_of({BTC: prices}, equity="60000", funding=funding, depth=60.0)
    order(exchange, Side.BUY, "8", "19990")
    order(exchange, Side.SELL, "3", "20100")
    order(exchange, Side.BUY, "10", "19850")
    for stop in sorted(stops):
        exchange.advance(START_MS + stop)
    exchange.advance(START_MS + 5 * HOUR_MS - GRID_MS)
    return [*exchange.trades.values(), *exchange.account.bookings, *exchange.liquidator.events]


@pytest.mark.unmeasured
@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 5 * HOUR_MS - 1), max_size=12))
def test_history_does_not_depend_on_how_time_is_cut(stops: list[int]) -> None:
    assert history_of(stops) == history_of([])
