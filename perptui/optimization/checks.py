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
from perptui.optimization.bounds import leverage_of
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.soft_limits import is_soft
from perptui.risk.arrays import book_shortfall, plain_risk, robust_risk
from perptui.risk.holding_limits import check_beta, check_collateral, check_standalone_risk
from perptui.risk.limits import (
    DAYS_A_YEAR,
    Book,
    Holding,
    blocking,
    book_volatility,
    ceiling,
    check_clusters,
    check_limits,
    check_stress,
)

COMPONENT_ROWS = frozenset({"first_component_up", "first_component_down"})
GATED = frozenset({"net_min", "net_max", "turnover"})
"""Limits that may be soft in the program and never are at the desk's gate."""
KEPT_DECIMALS = 12
"""Decimals to which figures made of floats are kept in records."""


def exact_book(inputs: ProgramInputs, positions: Sequence[Decimal]) -> Book[Decimal]:
    """Return the book of these signed contracts, to the last digit; its risk is the robust one."""
    notionals = [
        contracts * contract.usd_per_contract
        for contract, contracts in zip(inputs.contracts, positions, strict=True)
    ]
    weights = np.array([float(notional / inputs.equity) for notional in notionals])
    limits, equity = inputs.in_force.limits, float(inputs.equity)
    year = math.sqrt(DAYS_A_YEAR / inputs.horizon_days)
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
                leverage=leverage_of(contract, limits, equity),
            )
            for contract, notional in zip(inputs.contracts, notionals, strict=True)
        ),
        equity=inputs.account_equity,
        volatility=_kept(float(robust_risk(weights[None, :], inputs.limits)[0]) * year),
        peak_equity=inputs.peak_equity,
    )


def weights_of(inputs: ProgramInputs, book: Book[Decimal]) -> FloatArray:
    """Return an exact book's weights, (N,)."""
    return np.array([float(holding.notional / inputs.equity) for holding in book.holdings])


def _kept(value: float) -> float:
    return round(value, KEPT_DECIMALS)


def _volume(forecast: InstrumentForecast | None) -> Decimal | None:
    return decimal_of(max(forecast.volume_usd_day, 1.0), "volume") if forecast else None


def annual_volatility(inputs: ProgramInputs, weights: FloatArray) -> float:
    """Return the annualised volatility of a book, fraction of equity, to 12 decimals."""
    covariance = inputs.covariance.tolist()
    return _kept(book_volatility(weights.tolist(), covariance, inputs.horizon_days))


def checks_of(inputs: ProgramInputs, book: Book[Decimal]) -> tuple[LimitCheck, ...]:
    """Return every limit in force held against an exact book: the desk's, then the strategy's."""
    rules, limits = inputs.in_force, inputs.in_force.limits
    year = math.sqrt(DAYS_A_YEAR / inputs.horizon_days)
    own_risk = _by_id(inputs, inputs.limits.sigma * year)
    return (
        *check_limits(book, limits),
        *check_beta(
            book,
            _by_id(inputs, inputs.limits.row("beta_up")),
            limits.beta_max,
            _kept(limits.beta_max - inputs.limits.row_bound("beta_up")),
        ),
        *check_standalone_risk(book, own_risk, limits.standalone_risk_max, limits.volatility_max),
        *check_collateral(book, limits.free_collateral_min, rules.stablecoin_min),
        *_float_checks(inputs, weights_of(inputs, book)),
        *check_stress(
            book, limits.liquidation_distance_min, rules.cushion, rules.depeg, stresses_of(inputs)
        ),
        *check_clusters(book, inputs.clusters, inputs.cluster_max),
    )


def _by_id(inputs: ProgramInputs, values: FloatArray) -> dict[str, Decimal]:
    return {
        name: decimal_of(float(value), "figure")
        for name, value in zip(inputs.ids, values, strict=True)
    }


def stresses_of(inputs: ProgramInputs) -> dict[str, dict[str, Decimal]]:
    """Return the stresses beyond the two common moves, by name."""
    named = zip(inputs.limits.stress_names[2:], inputs.limits.stress[2:], strict=True)
    return {name: _by_id(inputs, moves) for name, moves in named}


def _float_checks(inputs: ProgramInputs, weights: FloatArray) -> tuple[LimitCheck, ...]:
    """Return the limits on what only floats can measure, to 12 decimals."""
    arrays, limits = inputs.limits, inputs.in_force.limits
    books = weights[None, :]
    over = arrays.rows @ weights - arrays.row_max
    leading = [o for o, name in zip(over, arrays.row_names, strict=True) if name in COMPONENT_ROWS]
    share = limits.first_component_max + float(max(leading)) / arrays.volatility_max
    checks = [ceiling("first_component", _kept(share), limits.first_component_max)]
    if arrays.has_tail:
        shortfall = float(book_shortfall(books, arrays)[0])
        checks.append(ceiling("cvar", _kept(shortfall), arrays.cvar_max))
    if arrays.caps_correlation:
        risk = float(plain_risk(books, arrays)[0])
        shared = abs(float(weights @ arrays.market) + arrays.market_offset)
        alike = shared / risk if risk > 0.0 else 0.0
        checks.append(ceiling("market_correlation", _kept(alike), arrays.market_correlation_max))
    return tuple(checks)


def forbidding(
    inputs: ProgramInputs,
    checks: Sequence[LimitCheck],
    now: Sequence[LimitCheck],
    *,
    reducing: bool,
) -> tuple[LimitCheck, ...]:
    """Return the failed checks that forbid a book's orders.

    A trade that only reduces is judged as `blocking` judges it by the book as it is, `now`, and a
    soft limit gives way; but what the desk's gate holds of every order does so for nobody.
    """
    return tuple(
        check
        for check in blocking(checks, now, reducing=reducing)
        if check.name in GATED or not is_soft(check.name, inputs)
    )


def given_way(inputs: ProgramInputs, checks: Sequence[LimitCheck]) -> tuple[str, ...]:
    """Return in words which soft limits a book is beyond."""
    return tuple(
        f"{check.name} gives way: {check.value:.6g} beyond its soft limit {check.limit:.6g}"
        for check in checks
        if not check.ok and check.name not in GATED and is_soft(check.name, inputs)
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


def carry_usd_day(inputs: ProgramInputs, index: int, notional: Decimal) -> Decimal:
    """Return the expected funding cash flow a day of one position, USD; positive is received."""
    forecast = inputs.contracts[index].forecast
    if forecast is None:
        return ZERO
    a_day = forecast.funding.horizon_mean / inputs.horizon_days
    return to_cents(-notional * decimal_of(round(a_day, 15), "funding"))
