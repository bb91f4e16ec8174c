"""Leverage, brackets, fees and modes of a Binance USD-M account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from perptui.model.money import plain
from perptui.risk.margin import notional_allowed
from perptui.simulator.exchange import Exchange
from perptui.simulator.wire_binance_errors import WireError, invalid
from perptui.simulator.wire_binance_market import fixed
from perptui.simulator.wire_binance_params import Params

UNLIMITED = "1000000000000"


def largest_notional(exchange: Exchange, symbol: str) -> str:
    """Return the largest position that the leverage set for `symbol` allows, USD."""
    bound = notional_allowed(exchange.account.leverage_of(symbol), exchange.rules[symbol].tiers)
    return UNLIMITED if bound is None else plain(bound)


class SettingsEndpoints:
    """What an account is set to.

    Attributes
    ----------
    rights : dict
        What the key may do where that is not the usual, by the venue's names; None: not told.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.dual_side = False
        self.rights: dict[str, bool | None] = {}

    @property
    def listed(self) -> tuple[str, ...]:
        """Contracts that trade now."""
        return self.exchange.market.listed(self.exchange.now_ms)

    def leverage_bracket(self, params: Params) -> Any:
        """Answer the maintenance schedules."""
        symbol = params.optional_symbol(self.listed)
        return [
            {"symbol": s, "notionalCoef": 1, "brackets": self._brackets(s)}
            for s in (self.listed if symbol is None else (symbol,))
        ]

    def _brackets(self, symbol: str) -> list[dict[str, Any]]:
        tiers = self.exchange.rules[symbol].tiers
        return [
            {
                "bracket": number,
                "initialLeverage": int(tier.max_leverage),
                "notionalCap": int(UNLIMITED if tier.cap_usd is None else tier.cap_usd),
                "notionalFloor": int(tier.floor_usd),
                "maintMarginRatio": float(tier.rate),
                "cum": float(tier.deduction_usd),
            }
            for number, tier in enumerate(tiers, start=1)
        ]

    def set_leverage(self, params: Params) -> Any:
        """Set the leverage of a contract."""
        symbol = params.symbol(self.listed)
        leverage = params.integer("leverage")
        if leverage is None:
            raise invalid("leverage")
        self.exchange.set_leverage(symbol, Decimal(leverage))
        return {
            "symbol": symbol,
            "leverage": leverage,
            "maxNotionalValue": largest_notional(self.exchange, symbol),
        }

    def set_margin_type(self, params: Params) -> Any:
        """Refuse: the account is a cross-margin one."""
        params.symbol(self.listed)
        kind = params.text("marginType")
        if kind == "CROSSED":
            raise WireError(-4046, "No need to change margin type.")
        if kind == "ISOLATED":
            raise WireError(
                -4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode."
            )
        raise invalid("marginType")

    def dual_side_mode(self, params: Params) -> Any:
        """Answer whether the account is in hedge mode."""
        return {"dualSidePosition": self.dual_side}

    def set_dual_side(self, params: Params) -> Any:
        """Change the position mode, where nothing is open."""
        params.text("dualSidePosition")
        wanted = params.flag("dualSidePosition")
        if wanted == self.dual_side:
            raise WireError(-4059, "No need to change position side.")
        if self.exchange.resting:
            raise WireError(-4067, "Position side cannot be changed if there exists open orders.")
        if self.exchange.account.open_holdings():
            raise WireError(-4068, "Position side cannot be changed if there exists position.")
        self.dual_side = wanted
        return {"code": 200, "msg": "success"}

    def multi_assets(self, params: Params) -> Any:
        """Answer that only the quote asset is collateral."""
        return {"multiAssetsMargin": False}

    def account_config(self, params: Params) -> Any:
        """Answer the account's permissions and modes."""
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": False,
            "dualSidePosition": self.dual_side,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def api_restrictions(self, params: Params) -> Any:
        """Answer what the key may do, which the control plane can change."""
        return {
            "ipRestrict": True,
            "createTime": 1_623_840_271_000,
            "enableInternalTransfer": False,
            "enableFutures": True,
            "enablePortfolioMarginTrading": False,
            "enableVanillaOptions": False,
            "permitsUniversalTransfer": False,
            "enableReading": True,
            "enableSpotAndMarginTrading": False,
            "enableWithdrawals": False,
            "enableMargin": False,
        } | self.rights

    def symbol_config(self, params: Params) -> Any:
        """Answer leverage and margin mode by contract."""
        symbol = params.optional_symbol(self.listed)
        return [
            {
                "symbol": s,
                "marginType": "CROSSED",
                "isAutoAddMargin": False,
                "leverage": int(self.exchange.account.leverage_of(s)),
                "maxNotionalValue": largest_notional(self.exchange, s),
            }
            for s in (self.listed if symbol is None else (symbol,))
        ]

    def commission_rate(self, params: Params) -> Any:
        """Answer the fees of a contract."""
        symbol = params.symbol(self.listed)
        rules = self.exchange.rules[symbol]
        return {
            "symbol": symbol,
            "makerCommissionRate": fixed(rules.maker_fee, 6),
            "takerCommissionRate": fixed(rules.taker_fee, 6),
        }
