"""Signed reads of a Binance USD-M account."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import islice
from typing import Any, TypeVar

from perptui.model.clock import DAY_MS
from perptui.model.money import ZERO, plain
from perptui.model.order import Side
from perptui.risk.contract_rules import QUOTE
from perptui.risk.liquidation_price import liquidation_price
from perptui.simulator.accounts import Booking
from perptui.simulator.exchange import Exchange
from perptui.simulator.orders import Trade
from perptui.simulator.wire_binance_errors import WireError
from perptui.simulator.wire_binance_market import fixed
from perptui.simulator.wire_binance_params import Params
from perptui.simulator.wire_binance_settings import largest_notional

T = TypeVar("T", Trade, Booking)


class AccountEndpoints:
    """Balance, positions, trades and income."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    @property
    def listed(self) -> tuple[str, ...]:
        """Contracts that trade now."""
        return self.exchange.market.listed(self.exchange.now_ms)

    # ------------------------------------------------------------------ balance

    def account_v3(self, params: Params) -> Any:
        """Answer totals, the asset, and the positions that are open."""
        rows = [self._account_position(symbol) for symbol in self._active()]
        return {**self._totals(), "assets": [self._asset()], "positions": rows}

    def account_v2(self, params: Params) -> Any:
        """Answer as `account_v3`, with every contract and more of its settings."""
        rows = [self._account_position(s) | self._position_settings(s) for s in self.listed]
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": False,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
            **self._totals(),
            "assets": [self._asset()],
            "positions": rows,
        }

    def balance(self, params: Params) -> Any:
        """Answer the wallet of the one asset."""
        asset = self._asset()
        return [
            {
                "accountAlias": "SimulatedUSDM",
                "asset": QUOTE,
                "balance": asset["walletBalance"],
                "crossWalletBalance": asset["crossWalletBalance"],
                "crossUnPnl": asset["crossUnPnl"],
                "availableBalance": asset["availableBalance"],
                "maxWithdrawAmount": asset["maxWithdrawAmount"],
                "marginAvailable": True,
                "updateTime": self.exchange.now_ms,
            }
        ]

    def _money(self) -> dict[str, Decimal]:
        exchange = self.exchange
        equity, initial = exchange.equity(), exchange.initial()
        wallet = exchange.account.wallet
        position = sum((self._position_initial(s) for s in exchange.account.open_holdings()), ZERO)
        available = max(ZERO, equity - initial)
        return {
            "wallet": wallet,
            "unrealised": equity - wallet,
            "equity": equity,
            "initial": initial,
            "position": position,
            "orders": initial - position,
            "maintenance": exchange.maintenance(),
            "available": available,
            "withdrawable": max(ZERO, min(available, wallet)),
        }

    def _totals(self) -> dict[str, str]:
        money = {name: fixed(value, 8) for name, value in self._money().items()}
        return {
            "totalInitialMargin": money["initial"],
            "totalMaintMargin": money["maintenance"],
            "totalWalletBalance": money["wallet"],
            "totalUnrealizedProfit": money["unrealised"],
            "totalMarginBalance": money["equity"],
            "totalPositionInitialMargin": money["position"],
            "totalOpenOrderInitialMargin": money["orders"],
            "totalCrossWalletBalance": money["wallet"],
            "totalCrossUnPnl": money["unrealised"],
            "availableBalance": money["available"],
            "maxWithdrawAmount": money["withdrawable"],
        }

    def _asset(self) -> dict[str, Any]:
        totals = self._totals()
        return {
            "asset": QUOTE,
            "walletBalance": totals["totalWalletBalance"],
            "unrealizedProfit": totals["totalUnrealizedProfit"],
            "marginBalance": totals["totalMarginBalance"],
            "maintMargin": totals["totalMaintMargin"],
            "initialMargin": totals["totalInitialMargin"],
            "positionInitialMargin": totals["totalPositionInitialMargin"],
            "openOrderInitialMargin": totals["totalOpenOrderInitialMargin"],
            "crossWalletBalance": totals["totalCrossWalletBalance"],
            "crossUnPnl": totals["totalCrossUnPnl"],
            "availableBalance": totals["availableBalance"],
            "maxWithdrawAmount": totals["maxWithdrawAmount"],
            "marginAvailable": True,
            "updateTime": self.exchange.now_ms,
        }

    # ------------------------------------------------------------------ positions

    def _active(self) -> list[str]:
        ordered = {o.request.symbol for o in self.exchange.resting.values()}
        held = self.exchange.account.open_holdings()
        return [s for s in self.listed if s in held or s in ordered]

    def _position_initial(self, symbol: str) -> Decimal:
        notional = abs(self.exchange.account.quantity(symbol)) * self.exchange.mark(symbol)
        return notional / self.exchange.account.leverage_of(symbol)

    def _numbers(self, symbol: str) -> dict[str, Any]:
        exchange = self.exchange
        holding = exchange.account.holdings.get(symbol)
        quantity = exchange.account.quantity(symbol)
        mark = exchange.mark(symbol)
        initial = exchange.initial_of(symbol)
        position = self._position_initial(symbol)
        return {
            "symbol": symbol,
            "positionSide": "BOTH",
            "positionAmt": fixed(quantity, exchange.rules[symbol].quantity_decimals),
            "unrealised": fixed(holding.unrealised(mark) if holding else ZERO, 8),
            "entry": plain(round(holding.entry, 10)) if holding and quantity else "0.0",
            "notional": fixed(quantity * mark, 8),
            "initialMargin": fixed(initial, 8),
            "maintMargin": fixed(exchange.maintenance_of(symbol), 8),
            "positionInitialMargin": fixed(position, 8),
            "openOrderInitialMargin": fixed(initial - position, 8),
            "updateTime": holding.updated_ms if holding else 0,
        }

    def _account_position(self, symbol: str) -> dict[str, Any]:
        numbers = self._numbers(symbol)
        unrealised = numbers.pop("unrealised")
        del numbers["entry"], numbers["positionInitialMargin"], numbers["openOrderInitialMargin"]
        numbers["unrealizedProfit"] = unrealised
        return {**numbers, "isolatedMargin": "0", "isolatedWallet": "0"}

    def _position_settings(self, symbol: str) -> dict[str, Any]:
        numbers = self._numbers(symbol)
        bids, asks = self._order_notionals(symbol)
        return {
            "positionInitialMargin": numbers["positionInitialMargin"],
            "openOrderInitialMargin": numbers["openOrderInitialMargin"],
            "leverage": plain(self.exchange.account.leverage_of(symbol)),
            "isolated": False,
            "entryPrice": numbers["entry"],
            "breakEvenPrice": numbers["entry"],
            "maxNotional": largest_notional(self.exchange, symbol),
            "bidNotional": bids,
            "askNotional": asks,
        }

    def _order_notionals(self, symbol: str) -> tuple[str, str]:
        sums = {Side.BUY: ZERO, Side.SELL: ZERO}
        for order in self.exchange.resting_in(symbol):
            sums[order.request.side] += order.remaining * (order.request.price or ZERO)
        return plain(sums[Side.BUY]), plain(sums[Side.SELL])

    def position_risk_v3(self, params: Params) -> Any:
        """Answer open positions, and contracts with open orders."""
        symbol = params.optional_symbol(self.listed)
        return [
            self._risk(s, self._numbers(s)) for s in self._active() if symbol is None or s == symbol
        ]

    def position_risk_v2(self, params: Params) -> Any:
        """Answer every contract, held or not, with its leverage."""
        symbol = params.optional_symbol(self.listed)
        rows = []
        for name in self.listed if symbol is None else (symbol,):
            risk = self._risk(name, self._numbers(name))
            risk |= {
                "leverage": plain(self.exchange.account.leverage_of(name)),
                "maxNotionalValue": largest_notional(self.exchange, name),
                "marginType": "cross",
                "isAutoAddMargin": "false",
            }
            rows.append(risk)
        return rows

    def _risk(self, symbol: str, numbers: dict[str, Any]) -> dict[str, Any]:
        bids, asks = self._order_notionals(symbol)
        unrealised, entry = numbers.pop("unrealised"), numbers.pop("entry")
        return {
            **numbers,
            "entryPrice": entry,
            "breakEvenPrice": entry,
            "markPrice": fixed(self.exchange.mark(symbol), 8),
            "unRealizedProfit": unrealised,
            "liquidationPrice": self._liquidation(symbol),
            "isolatedMargin": "0",
            "isolatedWallet": "0",
            "marginAsset": QUOTE,
            "adl": 2,
            "bidNotional": bids,
            "askNotional": asks,
        }

    def _liquidation(self, symbol: str) -> str:
        exchange = self.exchange
        held = exchange.account.open_holdings()
        if symbol not in held:
            return "0"
        others = {s: h for s, h in held.items() if s != symbol}
        price = liquidation_price(
            held[symbol].quantity,
            held[symbol].entry,
            exchange.account.wallet,
            exchange.rules[symbol].tiers,
            sum((h.unrealised(exchange.mark(s)) for s, h in others.items()), ZERO),
            sum((exchange.maintenance_of(s) for s in others), ZERO),
        )
        return "0" if price is None else fixed(price, 8)

    # ------------------------------------------------------------------ history

    def user_trades(self, params: Params) -> Any:
        """Answer executions of a contract, oldest first."""
        symbol = params.symbol(self.listed)
        order_id, from_id = params.integer("orderId"), params.integer("fromId")
        rows: Iterable[Trade] = (
            t
            for t in self.exchange.trades.values()
            if t.symbol == symbol and (order_id is None or t.order_id == order_id)
        )
        if from_id is not None:
            found = list(islice((t for t in rows if t.id >= from_id), params.limit(500, 1000)))
        else:
            found = self._span(params, rows, params.limit(500, 1000))
        return [self._trade_row(trade) for trade in found]

    def _span(self, params: Params, rows: Iterable[T], limit: int) -> list[T]:
        """Cut `rows` to the asked span of at most 7 days and `limit` rows, as the venue does."""
        start, end = params.integer("startTime"), params.integer("endTime")
        if start is not None and end is not None and end - start > 7 * DAY_MS:
            raise WireError(-4165, "Invalid time interval, maximum time interval is 7 days.")
        latest = self.exchange.now_ms if end is None else end
        earliest = start if start is not None else latest - 7 * DAY_MS
        if start is not None and end is None:
            latest = start + 7 * DAY_MS
        found = [row for row in rows if earliest <= row.ts_ms <= latest]
        return found[-limit:] if start is None else found[:limit]

    def _trade_row(self, trade: Trade) -> dict[str, Any]:
        rules = self.exchange.rules[trade.symbol]
        return {
            "symbol": trade.symbol,
            "id": trade.id,
            "orderId": trade.order_id,
            "side": trade.side.upper(),
            "price": fixed(trade.price, rules.price_decimals),
            "qty": fixed(trade.quantity, rules.quantity_decimals),
            "realizedPnl": fixed(trade.realised, 8),
            "quoteQty": fixed(trade.quantity * trade.price, 8),
            "commission": fixed(trade.fee, 8),
            "commissionAsset": QUOTE,
            "time": trade.ts_ms,
            "positionSide": "BOTH",
            "maker": trade.maker,
            "buyer": trade.side is Side.BUY,
        }

    def income(self, params: Params) -> Any:
        """Answer bookings, oldest first."""
        symbol, kind = params.optional_symbol(self.listed), params.optional("incomeType")
        rows = (
            b
            for b in self.exchange.account.bookings
            if (symbol is None or b.symbol == symbol) and (kind is None or b.kind == kind)
        )
        return [
            {
                "symbol": b.symbol,
                "incomeType": b.kind,
                "income": fixed(b.amount, 8),
                "asset": QUOTE,
                "info": b.info or b.kind,
                "time": b.ts_ms,
                "tranId": b.id,
                "tradeId": b.trade_id,
            }
            for b in self._span(params, rows, params.limit(100, 1000))
        ]
