"""Rules of contracts that market history does not hold: the project's one dated table."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from perptui.model.errors import InputError
from perptui.model.instrument import Instrument, MarginTier, instrument_id
from perptui.model.money import truncate_to_step
from perptui.risk.margin import deductions

QUOTE = "USDT"
TABLE = "contract_rules.toml"
TICK_DIGITS = 4
"""A price that the table does not know has this many digits after its first."""
STEP_USD = Decimal(5)
"""One step of a contract that the table does not know is worth at most this."""
MARKET_SHARE = Decimal("0.1")
"""Largest market order over largest order where the table does not know them."""


class ContractRules(msgspec.Struct, frozen=True):
    """What a venue demands of an order in one linear perpetual contract.

    Attributes
    ----------
    venue : str
        ccxt's id.
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
    assumed : bool
        True where the table does not know the contract.
    """

    venue: str
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
    assumed: bool = False

    @property
    def price_decimals(self) -> int:
        """Digits after the point in a price."""
        return _decimals(self.tick)

    @property
    def quantity_decimals(self) -> int:
        """Digits after the point in a quantity."""
        return _decimals(self.step)

    @property
    def instrument(self) -> Instrument:
        """The contract as the desk knows it."""
        symbol = f"{self.coin}/{QUOTE}:{QUOTE}"
        return Instrument(
            id=instrument_id(self.venue, symbol),
            venue=self.venue,
            symbol=symbol,
            venue_symbol=self.symbol,
            coin=self.coin,
            settle=QUOTE,
            contract_size=Decimal(1),
            tick=self.tick,
            step=self.step,
            min_contracts=self.step,
            min_notional_usd=self.min_notional,
            max_contracts=self.max_limit,
            taker_fee=self.taker_fee,
            maker_fee=self.maker_fee,
            tiers=self.tiers,
        )


class RulesTable(msgspec.Struct, frozen=True):
    """Contract rules of several venues as of one date.

    Attributes
    ----------
    date, source : str
        When the rules held, and where they come from, in words.
    """

    date: str
    source: str
    contracts: dict[str, dict[str, ContractRules]]
    fees: dict[str, dict[str, Decimal]]
    cautious: dict[str, Decimal]
    cautious_tiers: tuple[MarginTier, ...]

    @property
    def venues(self) -> tuple[str, ...]:
        """Venues in the table, sorted."""
        return tuple(sorted(self.contracts))

    def rules(self, venue: str, symbol: str, price: Decimal | None = None) -> ContractRules:
        """Return the rules of a contract; assumed ones from its price where it is not known.

        Raises
        ------
        InputError
            When the table does not know it and there is no price, or its symbol names no coin
            against USDT, or the venue is not in the table.
        """
        known = self.contracts.get(venue, {})
        if symbol in known:
            return known[symbol]
        coin = symbol.removesuffix(QUOTE)
        if price is None or venue not in self.fees or coin in {symbol, ""}:
            raise InputError(
                f"expected a {QUOTE} contract that the table knows or that has a price, was "
                f"{symbol} at {venue}; choose from {', '.join(sorted(known)) or self.venues}"
            )
        return self._assumed(venue, symbol, coin, price)

    def _assumed(self, venue: str, symbol: str, coin: str, price: Decimal) -> ContractRules:
        """Return rules from a price: fine enough to trade, and cautious in everything else."""
        if price <= 0:
            raise InputError(f"expected a positive price of {symbol}, was {price}; mend the data")
        step = _power_of_ten((STEP_USD / price).adjusted())
        most = truncate_to_step(self.cautious["max_notional"] / price, step)
        rest = {name: value for name, value in self.cautious.items() if name != "max_notional"}
        return ContractRules(
            venue=venue,
            symbol=symbol,
            coin=coin,
            tick=_power_of_ten(price.adjusted() - TICK_DIGITS),
            step=step,
            max_limit=most,
            max_market=truncate_to_step(most * MARKET_SHARE, step),
            tiers=self.cautious_tiers,
            assumed=True,
            **rest,
            **self.fees[venue],
        )


def _decimals(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _power_of_ten(exponent: int) -> Decimal:
    return Decimal(1).scaleb(exponent)


def tier_schedule(rows: Sequence[Sequence[str]]) -> tuple[MarginTier, ...]:
    """Return tiers from rows of (floor, rate, leverage), deductions computed.

    Raises
    ------
    ValueError
        When floors or rates do not rise.
    """
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


@cache
def rules_table() -> RulesTable:
    """Return the table shipped with the package."""
    text = resources.files("perptui.risk").joinpath(TABLE).read_text(encoding="utf-8")
    return table_of(tomllib.loads(text))


def table_of(tree: dict[str, Any]) -> RulesTable:
    """Return the table that a TOML tree describes.

    Raises
    ------
    ValueError
        When a schedule's floors or rates do not rise.
    KeyError
        When a field or a named schedule is missing.
    """
    schedules = {name: tier_schedule(rows) for name, rows in tree["tiers"].items()}
    fees: dict[str, dict[str, Any]] = {
        venue: {name: Decimal(text) for name, text in rules.items() if name.endswith("_fee")}
        for venue, rules in tree["venues"].items()
    }
    contracts = {
        venue: {
            f"{coin}{QUOTE}": ContractRules(
                venue=venue,
                symbol=f"{coin}{QUOTE}",
                coin=coin,
                tiers=schedules[row["tiers"]],
                **_numbers(row),
                **fees[venue],
            )
            for coin, row in rules["contracts"].items()
        }
        for venue, rules in tree["venues"].items()
    }
    cautious = tree["assumed"]
    return RulesTable(
        date=tree["date"],
        source=" ".join(tree["source"].split()),
        contracts=contracts,
        fees=fees,
        cautious=_numbers(cautious),
        cautious_tiers=schedules[cautious["tiers"]],
    )


def _numbers(row: dict[str, str]) -> dict[str, Any]:
    return {name: Decimal(text) for name, text in row.items() if name != "tiers"}
