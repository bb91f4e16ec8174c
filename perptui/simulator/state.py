"""What the simulated exchange knows at a moment: prices, account, orders, trades.

Matching, liquidation and the screening of quiet stretches work on it; only `Exchange` moves time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from perptui.model.money import ZERO
from perptui.model.order import Side
from perptui.risk.contract_rules import ContractRules
from perptui.risk.margin import float_tiers, initial_margin, maintenance
from perptui.simulator.accounts import MarginAccount, booked
from perptui.simulator.book import Books
from perptui.simulator.market import Market
from perptui.simulator.orders import OPEN, Order, OrderRequest, Status, Stop, Trade
from perptui.simulator.path import GRID_MS
from perptui.simulator.validation import worst_quantity

ORDERS_KEPT = 20_000
TRADES_KEPT = 50_000
FIRST_ID = 8_389_765_000


class Ending(NamedTuple):
    """How the next order in a contract ends: at the share `filled` of it, as `status`."""

    filled: Decimal
    status: Status


class VenueState:
    """One venue with one margin account, at `now_ms`.

    Parameters
    ----------
    market : Market
        Prices and funding.
    rules : dict of str to ContractRules
        One per symbol of the market.
    equity : Decimal
        The opening wallet, USD; 0 where a book is opened first.
    start_ms : int
        Venue time at which the exchange opens.

    Attributes
    ----------
    endings : dict of str to Ending
        By symbol: endings that were scripted, each for one order.
    skew_ms : int
        How far the clock that the venue shows and checks signatures by runs ahead of `now_ms`.
    """

    def __init__(
        self, market: Market, rules: dict[str, ContractRules], equity: Decimal, start_ms: int
    ) -> None:
        self.market = market
        self.rules = rules
        self.books = Books(market, rules)
        self.now_ms = start_ms // GRID_MS * GRID_MS
        self.account = MarginAccount(ZERO)
        if equity:
            self.account.book(self.now_ms, "TRANSFER", "", equity)
        self.float_tiers = {symbol: float_tiers(r.tiers) for symbol, r in rules.items()}
        self.resting: dict[int, Order] = {}
        self.waiting: dict[int, Stop] = {}
        self.orders: OrderedDict[int, Order] = OrderedDict()
        self.trades: OrderedDict[int, Trade] = OrderedDict()
        self.last_id = FIRST_ID
        self.endings: dict[str, Ending] = {}
        self.skew_ms = 0

    # ------------------------------------------------------------------ prices and margin

    def mark(self, symbol: str) -> Decimal:
        """Return the mark of `symbol` now, USD, to 1e-8."""
        return booked(Decimal(repr(self.market.mark(symbol, self.now_ms))))

    def marks(self, symbols: Iterable[str]) -> dict[str, Decimal]:
        """Return the marks of `symbols` now."""
        return {symbol: self.mark(symbol) for symbol in symbols}

    def equity(self) -> Decimal:
        """Return wallet plus unrealised P&L now, USD."""
        return self.account.equity(self.marks(self.account.open_holdings()))

    def maintenance_of(self, symbol: str) -> Decimal:
        """Return the maintenance margin of one position now, USD."""
        quantity = self.account.quantity(symbol)
        if not quantity:
            return ZERO
        return maintenance(quantity * self.mark(symbol), self.rules[symbol].tiers)

    def initial_of(self, symbol: str, extra: Order | None = None) -> Decimal:
        """Return the initial margin of a position with its open orders, USD."""
        resting = self.resting_in(symbol)
        if extra is not None:
            resting.append(extra)
        quantity = worst_quantity(self.account.quantity(symbol), resting)
        return initial_margin(quantity * self.mark(symbol), self.account.leverage_of(symbol))

    def maintenance(self) -> Decimal:
        """Return the account's maintenance margin now, USD."""
        return sum((self.maintenance_of(s) for s in self.account.open_holdings()), ZERO)

    def initial(self) -> Decimal:
        """Return the account's initial margin with open orders now, USD."""
        symbols = {o.request.symbol for o in self.resting.values()}
        symbols |= set(self.account.open_holdings())
        return sum((self.initial_of(symbol) for symbol in symbols), ZERO)

    def resting_in(self, symbol: str) -> list[Order]:
        """Return the open orders in `symbol`, oldest first."""
        return [o for o in self.resting.values() if o.request.symbol == symbol]

    # ------------------------------------------------------------------ orders

    def register(self, order: Order) -> None:
        """Give an order its id and keep it, at the cost of the oldest that is closed."""
        order.id = self.take_id()
        order.client_id = order.client_id or f"auto{order.id}"
        self.orders[order.id] = order
        while len(self.orders) > ORDERS_KEPT:
            oldest = next(iter(self.orders))
            if self.orders[oldest].status in OPEN:
                self.orders.move_to_end(oldest)
            else:
                del self.orders[oldest]

    def take_id(self) -> int:
        """Return the next id of an order, a stop or a trade."""
        self.last_id += 1
        return self.last_id

    def execute(
        self, order: Order, quantity: Decimal, price: Decimal, fee: Decimal, maker: bool
    ) -> None:
        """Book an execution of `order`: trade, holding, wallet and the order's own state."""
        request = order.request
        trade_id = self.take_id()
        signed = quantity if request.side is Side.BUY else -quantity
        realised = self.account.trade(request.symbol, signed, price, fee, self.now_ms, trade_id)
        self.trades[trade_id] = Trade(
            trade_id,
            order.id,
            order.client_id,
            request.symbol,
            request.side,
            quantity,
            price,
            fee,
            realised,
            maker,
            self.now_ms,
        )
        if len(self.trades) > TRADES_KEPT:
            self.trades.popitem(last=False)
        order.filled += quantity
        order.turnover += quantity * price
        order.updated_ms = self.now_ms
        order.status = Status.PARTIALLY_FILLED if order.remaining else Status.FILLED
        if order.status is Status.FILLED:
            self.resting.pop(order.id, None)

    def close_order(self, order: Order, status: Status) -> None:
        """Take an open order from the book, with the status it ends in."""
        order.status = status
        order.updated_ms = self.now_ms
        del self.resting[order.id]

    def cancel_all(self, symbol: str | None = None) -> list[Order]:
        """Cancel the open orders in `symbol`, or all of them, and return them."""
        found = list(self.resting.values()) if symbol is None else self.resting_in(symbol)
        for order in found:
            self.close_order(order, Status.CANCELED)
        return found

    def new_order(self, request: OrderRequest, client_id: str) -> Order:
        """Register an order of the venue itself (liquidation), unchecked."""
        order = Order(0, request, client_id, self.now_ms, self.now_ms)
        self.register(order)
        return order
