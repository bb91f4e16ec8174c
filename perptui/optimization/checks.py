"""The exact word on a book in lots: every limit in Decimal, and what the book risks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import msgspec
import numpy as np

from perptui.model.forecast import InstrumentForecast
from perptui.model.limit import LimitCheck
from perptui.model.money import ZERO, decimal_of, to_cents
from perptui.model.proposal import BookRisk
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.risk.limits import (
    Book,
    Holding,
    book_volatility,
    check_clusters,
    check_limits,
    check_stress,
    exposures_of,
)
from perptui.risk.liquidation import AccountShock, account_shock

KEPT_DECIMALS = 12
"""Decimals to which figures made of floats are kept in records."""


def exact_book(inputs: ProgramInputs, positions: Sequence[Decimal]) -> Book[Decimal]:
    """Return the book of these signed contracts, to the last digit."""
    notionals = [
        contracts * contract.usd_per_contract
        for contract, contracts in zip(inputs.contracts, positions, strict=True)
    ]
    weights = [float(notional / inputs.equity) for notional in notionals]
    return Book(
        holdings=tuple(
            Holding(
                id=contract.id,
                coin=contract.instrument.coin,
                account=contract.account,
                notional=notional,
                before=contract.notional,
                tiers=contract.instrument.tiers,
                volume_usd_day=_volume(contract.forecast),
                linear=contract.instrument.linear,
            )
            for contract, notional in zip(inputs.contracts, notionals, strict=True)
        ),
        equity=inputs.account_equity,
        volatility=annual_volatility(inputs, np.array(weights)),
        peak_equity=inputs.peak_equity,
    )


def _volume(forecast: InstrumentForecast | None) -> Decimal | None:
    return decimal_of(max(forecast.volume_usd_day, 1.0), "volume") if forecast else None


def annual_volatility(inputs: ProgramInputs, weights: FloatArray) -> float:
    """Return the annualised volatility of a book, fraction of equity, to 12 decimals."""
    covariance = inputs.covariance.tolist()
    return round(book_volatility(weights.tolist(), covariance, inputs.horizon_days), KEPT_DECIMALS)


def checks_of(inputs: ProgramInputs, book: Book[Decimal]) -> tuple[LimitCheck, ...]:
    """Return every limit in force held against an exact book: the desk's, then the strategy's."""
    rules = inputs.in_force
    return (
        *check_limits(book, rules.limits),
        *check_stress(book, rules.limits.liquidation_distance_min, rules.cushion),
        *check_clusters(book, inputs.clusters, inputs.cluster_max),
    )


def with_binding(
    checks: Sequence[LimitCheck], continuous: Sequence[LimitCheck]
) -> tuple[LimitCheck, ...]:
    """Return `checks` marked binding where the optimum before rounding stood at the limit."""
    binding = {check.name for check in continuous if check.binding}
    return tuple(msgspec.structs.replace(check, binding=check.name in binding) for check in checks)


def continuous_book(inputs: ProgramInputs, weights: FloatArray) -> Book[Decimal]:
    """Return the book of unrounded weights, for what binds before rounding."""
    positions = [
        decimal_of(float(weight), "weight") * inputs.equity / contract.usd_per_contract
        for contract, weight in zip(inputs.contracts, weights, strict=True)
    ]
    return exact_book(inputs, positions)


def risk_of(inputs: ProgramInputs, book: Book[Decimal], checks: Sequence[LimitCheck]) -> BookRisk:
    """Return the risk figures of an exact book.

    The worst account is the one a common move liquidates first; where none does, the one that
    uses the largest share of its equity as margin.
    """
    weights = [float(holding.notional / inputs.equity) for holding in book.holdings]
    account, shock = _nearest_liquidation(book)
    fullest = max(
        (check for check in checks if check.name.startswith("margin_ratio:")),
        key=lambda check: check.value,
        default=None,
    )
    carry = [
        carry_usd_day(inputs, index, holding.notional)
        for index, holding in enumerate(book.holdings)
    ]
    return BookRisk(
        volatility_annual=annual_volatility(inputs, np.array(weights)),
        gross=math.fsum(map(abs, weights)),
        net=math.fsum(weights),
        margin_ratio=fullest.value if fullest else 0.0,
        carry_usd_day=sum(carry, ZERO),
        worst_account=account or (fullest.name.partition(":")[2] if fullest else ""),
        liquidation_down=None if shock.down is None else round(float(shock.down), KEPT_DECIMALS),
        liquidation_up=None if shock.up is None else round(float(shock.up), KEPT_DECIMALS),
    )


def _nearest_liquidation(book: Book[Decimal]) -> tuple[str, AccountShock[Decimal]]:
    """Return the account that a common move liquidates first, and both its moves."""
    nearest = ("", AccountShock[Decimal](None, None, "", ""))
    distance = Decimal("Infinity")
    for account, equity in book.equity.items():
        shock = account_shock(equity, exposures_of(book, account))
        moves = [abs(move) for move in (shock.down, shock.up) if move is not None]
        if moves and min(moves) < distance:
            nearest, distance = (account, shock), min(moves)
    return nearest


def carry_usd_day(inputs: ProgramInputs, index: int, notional: Decimal) -> Decimal:
    """Return the expected funding cash flow a day of one position, USD; positive is received."""
    forecast = inputs.contracts[index].forecast
    if forecast is None:
        return ZERO
    a_day = forecast.funding.horizon_mean / inputs.horizon_days
    return to_cents(-notional * decimal_of(round(a_day, 15), "funding"))
