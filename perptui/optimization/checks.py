"""The exact word on a book in lots: every limit in Decimal, and what the book risks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec
import numpy as np

from perptui.model.forecast import InstrumentForecast
from perptui.model.limit import LimitCheck, Limits
from perptui.model.money import ZERO, decimal_of, to_cents
from perptui.optimization.bounds import leverage_of
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.kept import Kept
from perptui.optimization.soft_limits import GATED, is_soft
from perptui.risk.arrays import book_shortfall, plain_risk, robust_risk
from perptui.risk.book import Book, Holding, floated
from perptui.risk.holding_limits import (
    check_beta,
    check_collateral,
    check_standalone_risk,
    share_of_budget,
)
from perptui.risk.limits import (
    DAYS_A_YEAR,
    blocking,
    book_volatility,
    ceiling,
    check_clusters,
    check_limits,
    check_stress,
    like,
)
from perptui.risk.margin import Number

COMPONENT_ROWS = frozenset({"first_component_up", "first_component_down"})
KEPT_DECIMALS = 12
"""Decimals to which figures made of floats are kept in records."""
TERMS_KEPT = 6
"""Sets of contracts whose terms are kept: of a what-if and of a hybrid's parts."""


def exact_book(inputs: ProgramInputs, positions: Sequence[Decimal]) -> Book[Decimal]:
    """Return the book of these signed contracts, to the last digit; its risk is the robust one."""
    terms = _terms_of(inputs)
    notionals = [
        contracts * value for value, contracts in zip(terms.values, positions, strict=True)
    ]
    weights = np.array([float(notional / inputs.equity) for notional in notionals])
    return _book(inputs, terms.held, notionals, inputs.account_equity, inputs.peak_equity, weights)


def float_book(inputs: ProgramInputs, weights: FloatArray) -> Book[float]:
    """Return the book of unrounded weights, for what binds before rounding."""
    peak = None if inputs.peak_equity is None else float(inputs.peak_equity)
    equity = {account: float(value) for account, value in inputs.account_equity.items()}
    notionals = (weights * float(inputs.equity)).tolist()
    return _book(inputs, _terms_of(inputs).floated, notionals, equity, peak, weights)


def _book(
    inputs: ProgramInputs,
    held: Sequence[Holding[Number]],
    notionals: Sequence[Number],
    equity: Mapping[str, Number],
    peak: Number | None,
    weights: FloatArray,
) -> Book[Number]:
    year = math.sqrt(DAYS_A_YEAR / inputs.horizon_days)
    return Book(
        holdings=tuple(one.at(notional) for one, notional in zip(held, notionals, strict=True)),
        equity=equity,
        volatility=_kept(float(robust_risk(weights[None, :], inputs.limits)[0]) * year),
        peak_equity=peak,
    )


def rough_book(inputs: ProgramInputs, book: Book[Decimal]) -> Book[float]:
    """Return an exact book in floats, for figures that no limit is held against."""
    return Book(
        holdings=tuple(
            one.at(float(exact.notional))
            for one, exact in zip(_terms_of(inputs).floated, book.holdings, strict=True)
        ),
        equity={account: float(equity) for account, equity in book.equity.items()},
    )


class _Terms(NamedTuple):
    """Contracts as a book holds them before the trade, USD per contract, and funding a day."""

    values: tuple[Decimal, ...]
    funding: tuple[Decimal | None, ...]
    held: tuple[Holding[Decimal], ...]
    floated: tuple[Holding[float], ...]


_TERMS: Kept[_Terms] = Kept(TERMS_KEPT)


def _terms_of(inputs: ProgramInputs) -> _Terms:
    same = inputs.contracts, inputs.in_force
    return _TERMS.of(same, (inputs.equity, inputs.horizon_days), lambda: _terms(inputs))


def _terms(inputs: ProgramInputs) -> _Terms:
    limits, equity = inputs.in_force.limits, float(inputs.equity)
    held = tuple(
        Holding(
            id=contract.id,
            coin=contract.instrument.coin,
            account=contract.account,
            notional=contract.notional,
            before=contract.notional,
            tiers=contract.instrument.tiers,
            volume_usd_day=_volume(contract.forecast),
            linear=contract.instrument.linear,
            leverage=leverage_of(contract, limits, equity),
        )
        for contract in inputs.contracts
    )
    values = tuple(contract.usd_per_contract for contract in inputs.contracts)
    funding = tuple(_funding(one.forecast, inputs.horizon_days) for one in inputs.contracts)
    return _Terms(values, funding, held, tuple(map(floated, held)))


def _funding(forecast: InstrumentForecast | None, horizon_days: float) -> Decimal | None:
    """Return the expected funding a day of a unit long, fraction; None without a forecast."""
    if forecast is None:
        return None
    return decimal_of(round(forecast.funding.horizon_mean / horizon_days, 15), "funding")


def weights_of(book: Book[Number]) -> FloatArray:
    """Return a book's weights, (N,)."""
    equity = book.total
    return np.array([float(holding.notional / equity) for holding in book.holdings])


def _kept(value: float) -> float:
    return round(value, KEPT_DECIMALS)


def _volume(forecast: InstrumentForecast | None) -> Decimal | None:
    return decimal_of(max(forecast.volume_usd_day, 1.0), "volume") if forecast else None


def annual_volatility(inputs: ProgramInputs, weights: FloatArray) -> float:
    """Return the annualised volatility of a book, fraction of equity, to 12 decimals."""
    covariance = inputs.covariance.tolist()
    return _kept(book_volatility(weights.tolist(), covariance, inputs.horizon_days))


def checks_of(inputs: ProgramInputs, book: Book[Number]) -> tuple[LimitCheck, ...]:
    """Return every limit in force held against a book: the desk's, then the strategy's.

    Exact of an exact book; of a book of floats, as floats are.
    """
    rules = inputs.in_force
    limits: Limits = rules.limits
    number: Callable[[float], Number] = _number_of(book)
    year = math.sqrt(DAYS_A_YEAR / inputs.horizon_days)
    own_risk: dict[str, Number] = _by_id(inputs, inputs.limits.sigma * year, number)
    betas: dict[str, Number] = _by_id(inputs, inputs.limits.row("beta_up"), number)
    others = _kept(limits.beta_max - inputs.limits.row_bound("beta_up"))
    moves: dict[str, dict[str, Number]] = stresses_of(inputs, number)
    least, budget = limits.liquidation_distance_min, limits.volatility_max
    checks = list(check_limits(book, limits))
    checks += check_beta(book, betas, limits.beta_max, others)
    checks += check_standalone_risk(book, own_risk, limits.standalone_risk_max, budget)
    checks += check_collateral(book, limits.free_collateral_min, rules.stablecoin_min)
    checks += _float_checks(inputs, weights_of(book))
    checks += check_stress(book, least, rules.cushion, rules.depeg, moves)
    checks += check_clusters(book, inputs.clusters, inputs.cluster_max)
    return tuple(checks)


def _number_of(book: Book[Number]) -> Callable[[float], Number]:
    """Return how a float becomes the kind of number that a book is of."""
    total = book.total
    return lambda value: like(total, value)


def _by_id(
    inputs: ProgramInputs, values: FloatArray, number: Callable[[float], Number]
) -> dict[str, Number]:
    return dict(zip(inputs.ids, map(number, values.tolist()), strict=True))


def stresses_of(
    inputs: ProgramInputs, number: Callable[[float], Number]
) -> dict[str, dict[str, Number]]:
    """Return the stresses beyond the two common moves, by name, their moves in kind."""
    named = zip(inputs.limits.stress_names[2:], inputs.limits.stress[2:], strict=True)
    return {name: _by_id(inputs, moves, number) for name, moves in named}


def _float_checks(inputs: ProgramInputs, weights: FloatArray) -> tuple[LimitCheck, ...]:
    """Return the limits on what only floats can measure, to 12 decimals."""
    arrays, limits = inputs.limits, inputs.in_force.limits
    books = weights[None, :]
    over = arrays.rows @ weights - arrays.row_max
    leading = [o for o, name in zip(over, arrays.row_names, strict=True) if name in COMPONENT_ROWS]
    year = math.sqrt(DAYS_A_YEAR / inputs.horizon_days)
    most = share_of_budget(limits.first_component_max, limits.volatility_max)
    beyond = float(max(leading)) * year
    checks = [ceiling("first_component", _kept(most + beyond), most)]
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


def left_broken(
    inputs: ProgramInputs, checks: Sequence[LimitCheck], now: Sequence[LimitCheck]
) -> tuple[LimitCheck, ...]:
    """Return the hard limits that a book is beyond as the one of `now` is."""
    before = {check.name for check in now if not check.ok}
    return tuple(
        check
        for check in checks
        if not check.ok
        and check.name in before
        and (check.name in GATED or not is_soft(check.name, inputs))
    )


def mends_any(checks: Sequence[LimitCheck], now: Sequence[LimitCheck]) -> bool:
    """Return whether a book is better at one of the limits that are broken `now`, if any are.

    A reduction that leaves each of them as it is would pass by what is wrong; of a drawdown no
    trade mends anything.
    """
    after = {check.name: check.value for check in checks}
    was = [check for check in now if not check.ok and check.name != "drawdown"]
    return not was or any(
        check.name not in after
        or (after[check.name] > check.value if check.at_least else after[check.name] < check.value)
        for check in was
    )


def gated(name: str, inputs: ProgramInputs) -> bool:
    """Return whether a limit is soft in the program and never at the desk's gate."""
    return name in GATED and is_soft(name, inputs)


def given_way(inputs: ProgramInputs, checks: Sequence[LimitCheck]) -> tuple[str, ...]:
    """Return in words which soft limits a book is beyond."""
    return tuple(
        f"{check.name} gives way by {abs(check.value - check.limit):.2g}: {check.value:.6g} "
        f"against its soft limit {check.limit:.6g}"
        for check in checks
        if not check.ok and check.name not in GATED and is_soft(check.name, inputs)
    )


def with_binding(
    checks: Sequence[LimitCheck], continuous: Sequence[LimitCheck]
) -> tuple[LimitCheck, ...]:
    """Return `checks` marked binding where the optimum before rounding stood at the limit."""
    binding = {check.name for check in continuous if check.binding}
    return tuple(
        check
        if check.binding == (check.name in binding)
        else msgspec.structs.replace(check, binding=not check.binding)
        for check in checks
    )


def carries_usd_day(inputs: ProgramInputs, notionals: Iterable[Decimal]) -> list[Decimal]:
    """Return the expected funding cash flow a day of each position, USD; positive is received."""
    return [
        ZERO if rate is None else to_cents(-notional * rate)
        for rate, notional in zip(_terms_of(inputs).funding, notionals, strict=True)
    ]
