"""The rules of each contract at the simulated venue, from a dated table."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from importlib import resources
from typing import Any

import msgspec

from perptui.model.errors import InputError
from perptui.model.instrument import MarginTier
from perptui.risk.margin import deductions

QUOTE = "USDT"


class ContractRules(msgspec.Struct, frozen=True):
    """What the venue demands of an order in one linear perpetual contract.

    Attributes
    ----------
    symbol, coin : str
        ``BTCUSDT`` and ``BTC``.
    tick, step : Decimal
        Price and quantity increments; the step is the smallest quantity too.
    min_notional : Decimal
        USD; reduce-only orders are free of it.
    max_limit, max_market : Decimal
        Largest quantity of a LIMIT and of a MARKET order.
    band : Decimal
        PERCENT_PRICE: a price may stray this fraction from the mark.
    half_spread : Decimal
        Half the distance between best bid and ask, fraction of the price.
    funding_cap : Decimal
        Bound on the absolute funding rate of a settlement.
    liquidation_fee : Decimal
        Fraction of the notional that a liquidation costs, paid into the insurance fund.
    """

    symbol: str
    coin: str
    tick: Decimal
    step: Decimal
    min_notional: Decimal
    max_limit: Decimal
    max_market: Decimal
    band: Decimal
    half_spread: Decimal
    funding_cap: Decimal
    maker_fee: Decimal
    taker_fee: Decimal
    liquidation_fee: Decimal
    tiers: tuple[MarginTier, ...]

    @property
    def price_decimals(self) -> int:
        """Digits after the point in a price."""
        return _decimals(self.tick)

    @property
    def quantity_decimals(self) -> int:
        """Digits after the point in a quantity."""
        return _decimals(self.step)


def _decimals(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def tier_schedule(rows: list[list[str]]) -> tuple[MarginTier, ...]:
    """Return tiers from rows of (floor, rate, leverage), deductions computed."""
    floors = [Decimal(row[0]) for row in rows]
    rates = [Decimal(row[1]) for row in rows]
    caps: list[Decimal | None] = [*floors[1:], None]
    amounts = deductions(floors, rates)
    return tuple(
        MarginTier(floor_usd=floor, cap_usd=cap, rate=rate, deduction_usd=c, max_leverage=leverage)
        for floor, cap, rate, c, leverage in zip(
            floors, caps, rates, amounts, (Decimal(row[2]) for row in rows), strict=True
        )
    )


def load_contracts() -> dict[str, ContractRules]:
    """Return the rules of every contract in the table, by symbol."""
    source = resources.files("perptui.simulator") / "contracts.toml"
    table: dict[str, Any] = tomllib.loads(source.read_text(encoding="utf-8"))
    schedules = {name: tier_schedule(rows) for name, rows in table["tiers"].items()}
    fees = {name: Decimal(table[name]) for name in ("maker_fee", "taker_fee", "liquidation_fee")}
    return {
        symbol: ContractRules(
            symbol=symbol,
            coin=symbol.removesuffix(QUOTE),
            tiers=schedules[row["tiers"]],
            **{name: Decimal(value) for name, value in row.items() if name != "tiers"},
            **fees,
        )
        for symbol, row in table["contracts"].items()
    }


def rules_for(symbols: tuple[str, ...]) -> dict[str, ContractRules]:
    """Return the rules of `symbols`.

    Raises
    ------
    InputError
        When a symbol has no rules in the table.
    """
    known = load_contracts()
    for symbol in symbols:
        if symbol not in known:
            raise InputError(
                f"expected a contract the simulated venue knows, was {symbol}; "
                f"choose from {', '.join(sorted(known))}"
            )
    return {symbol: known[symbol] for symbol in symbols}
