"""The project's dated table of contract rules, for work on history without a venue."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any

from perptui.model.instrument import Instrument, MarginTier, instrument_id
from perptui.risk.margin import deductions

TABLE = "venue_tables.toml"


@dataclass(frozen=True)
class VenueTable:
    """Contract rules of several venues as of one date.

    Attributes
    ----------
    date, source : str
        When the rules held, and where they come from, in words.
    instruments : tuple of Instrument
        USDT perpetuals, sorted by id.
    """

    date: str
    source: str
    instruments: tuple[Instrument, ...]

    @property
    def venues(self) -> tuple[str, ...]:
        """Venues in the table, sorted."""
        return tuple(sorted({instrument.venue for instrument in self.instruments}))

    def of(self, venue: str) -> tuple[Instrument, ...]:
        """Return the instruments of one venue."""
        return tuple(one for one in self.instruments if one.venue == venue)


@cache
def venue_table() -> VenueTable:
    """Return the table shipped with the package."""
    text = resources.files("perptui.quant").joinpath(TABLE).read_text(encoding="utf-8")
    return table_of(tomllib.loads(text))


def table_of(tree: dict[str, Any]) -> VenueTable:
    """Return the table that a TOML tree describes.

    Raises
    ------
    ValueError
        When a schedule's floors or rates do not rise.
    KeyError
        When a field or a named schedule is missing.
    """
    schedules = {name: _tiers(schedule) for name, schedule in tree["tiers"].items()}
    instruments = [
        _instrument(venue, rules, coin, contract, schedules)
        for venue, rules in tree["venues"].items()
        for coin, contract in rules["contracts"].items()
    ]
    rows = tuple(sorted(instruments, key=lambda one: one.id))
    return VenueTable(tree["date"], " ".join(tree["source"].split()), rows)


def _tiers(schedule: dict[str, Any]) -> tuple[MarginTier, ...]:
    floors = [Decimal(floor) for floor in schedule["floors"]]
    rates = [Decimal(rate) for rate in schedule["rates"]]
    caps = [after for _, after in pairwise(floors)]
    return tuple(
        MarginTier(floor, cap, rate, amount, Decimal(leverage))
        for floor, cap, rate, amount, leverage in zip(
            floors,
            [*caps, None],
            rates,
            deductions(floors, rates),
            schedule["leverage"],
            strict=True,
        )
    )


def _instrument(
    venue: str,
    rules: dict[str, Any],
    coin: str,
    contract: dict[str, str],
    schedules: dict[str, tuple[MarginTier, ...]],
) -> Instrument:
    symbol = f"{coin}/USDT:USDT"
    return Instrument(
        id=instrument_id(venue, symbol),
        venue=venue,
        symbol=symbol,
        venue_symbol=f"{coin}USDT",
        coin=coin,
        settle="USDT",
        contract_size=Decimal(1),
        tick=Decimal(contract["tick"]),
        step=Decimal(contract["step"]),
        min_contracts=Decimal(contract["min_contracts"]),
        min_notional_usd=Decimal(contract["min_notional_usd"]),
        max_contracts=Decimal(contract["max_contracts"]),
        taker_fee=Decimal(rules["taker_fee"]),
        maker_fee=Decimal(rules["maker_fee"]),
        tiers=schedules[contract["tiers"]],
    )
