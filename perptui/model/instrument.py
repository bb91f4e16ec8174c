"""What can be traded: an instrument is a contract at a venue."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.record import Record

VENUE_ALIASES = {"binance": "binanceusdm"}
"""Names a person may type, and the ccxt id each stands for."""

HISTORY_FOLDERS = {"binanceusdm": "binance"}
"""Folder of a venue's market history where it differs from the ccxt id."""


class MarginTier(Record, frozen=True):
    """One step of a venue's maintenance schedule: MM(N) = rate·N - deduction_usd on this step.

    Attributes
    ----------
    floor_usd : Decimal
        Notional at which the step starts, USD.
    cap_usd : Decimal | None
        Notional at which it ends; None for the last.
    rate : Decimal
        Maintenance margin rate, fraction of notional.
    deduction_usd : Decimal
        "Maintenance amount" c_k, USD (method §11).
    max_leverage : Decimal
        Highest leverage that the venue allows on this step.
    """

    floor_usd: Decimal
    cap_usd: Decimal | None
    rate: Decimal
    deduction_usd: Decimal
    max_leverage: Decimal


class Instrument(Record, frozen=True, cache_hash=True):
    """A perpetual contract at a venue; `id` is ``venue:CCXT-SYMBOL``.

    Attributes
    ----------
    venue_symbol : str
        The venue's own name (``BTCUSDT``), also the stem of history files.
    contract_size : Decimal
        Base coin per contract (USD per contract when inverse).
    tick, step : Decimal
        Smallest price and quantity increments; `step` in contracts.
    min_contracts, min_notional_usd : Decimal
        Smallest order the venue takes.
    max_contracts : Decimal | None
        Largest order the venue takes, where it says so.
    taker_fee, maker_fee : Decimal
        Fraction of notional.
    tiers : tuple[MarginTier, ...]
        Maintenance schedule, floors rising; empty when not known yet.
    """

    id: str
    venue: str
    symbol: str
    venue_symbol: str
    coin: str
    settle: str
    contract_size: Decimal
    tick: Decimal
    step: Decimal
    min_contracts: Decimal
    min_notional_usd: Decimal
    max_contracts: Decimal | None = None
    taker_fee: Decimal = Decimal("0.0005")
    maker_fee: Decimal = Decimal("0.0002")
    linear: bool = True
    active: bool = True
    tiers: tuple[MarginTier, ...] = ()


def instrument_id(venue: str, symbol: str) -> str:
    """Return ``venue:symbol`` with the venue's alias resolved."""
    return f"{VENUE_ALIASES.get(venue, venue)}:{symbol}"


def split_id(identifier: str) -> tuple[str, str]:
    """Return (venue, CCXT symbol) of an instrument id.

    Raises
    ------
    ValueError
        When `identifier` is not ``venue:BASE/QUOTE:SETTLE``.
    """
    venue, separator, symbol = identifier.partition(":")
    if not separator or "/" not in symbol:
        raise ValueError(
            f"expected venue:BASE/QUOTE:SETTLE, was {identifier!r}; "
            "write it like binanceusdm:BTC/USDT:USDT"
        )
    return VENUE_ALIASES.get(venue, venue), symbol
