"""Pose the program: from a snapshot, its estimates and the desk's limits to its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise

import numpy as np

from perptui.model.account import Account
from perptui.model.errors import OptimizationError
from perptui.model.forecast import Estimates
from perptui.model.instrument import Instrument
from perptui.model.limit import Limits
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import StrategyParameters
from perptui.optimization.bounds import clusters_of, limit_arrays
from perptui.optimization.costs import impact_coefficients
from perptui.optimization.forecasts import ForecastArrays
from perptui.optimization.funding_caps import funding_bounds
from perptui.optimization.inputs import Contract, FloatArray, ProgramInputs
from perptui.optimization.strategies import in_force

ZERO = Decimal(0)


def program_inputs(
    snapshot: MarketSnapshot,
    estimates: Estimates,
    strategy: StrategyParameters,
    limits: Limits,
    overrides: Mapping[str, float],
) -> ProgramInputs:
    """Return the program's data.

    Parameters
    ----------
    overrides : mapping of str to float
        Target weights fixed by the trader, by instrument id.

    Raises
    ------
    OptimizationError
        When there is nothing to optimise, equity is not positive, the estimates are of another
        time or horizon, or an override names no contract of the snapshot.
    """
    _refuse_mismatch(snapshot, estimates, strategy)
    equity = snapshot.equity_usd
    contracts = _contracts(snapshot, estimates)
    _refuse_unknown_targets(contracts, overrides)
    forecasts = ForecastArrays.of(contracts, estimates, strategy)
    before = np.array([float(contract.notional / equity) for contract in contracts])
    rules = in_force(strategy, limits, estimates.regime, float(np.abs(before).sum()))
    reduce_only = _drawdown(snapshot, equity) >= limits.drawdown_max
    frozen = _frozen(contracts, limits.restricted, overrides)
    bounds = _bounds(contracts, before, rules.limits, frozen, overrides, reduce_only)
    clusters = clusters_of(contracts, estimates, strategy)
    accounts = {account.key: account.equity_usd for account in snapshot.accounts}
    arrays = limit_arrays(contracts, accounts, rules, forecasts, clusters, strategy)
    lower, upper, paying = funding_bounds(contracts, before, bounds, rules.limits, arrays.trade_max)
    return ProgramInputs(
        contracts=contracts,
        equity=equity,
        account_equity=accounts,
        peak_equity=snapshot.peak_equity_usd,
        horizon_days=estimates.horizon_days,
        expected_return=forecasts.expected_return,
        uncertainty=strategy.uncertainty * forecasts.deviation,
        covariance=forecasts.covariance,
        before=before,
        linear_cost=forecasts.half_spread + _taker_fees(contracts),
        impact=impact_coefficients(forecasts.sigma_day, forecasts.volume, float(equity)),
        lower=lower,
        upper=upper,
        risk_aversion=strategy.risk_aversion,
        cost_aversion=strategy.cost_aversion,
        limits=arrays,
        in_force=rules,
        cluster_max=strategy.cluster_gross_max,
        clusters=clusters,
        fixed=frozenset(frozen) | frozenset(overrides),
        edited=dict(overrides),
        reduce_only=reduce_only,
        notes=(*rules.notes, *paying, *frozen.values(), *_drawdown_note(reduce_only)),
    )


def _taker_fees(contracts: Sequence[Contract]) -> FloatArray:
    return np.array([float(contract.instrument.taker_fee) for contract in contracts])


def _refuse_mismatch(
    snapshot: MarketSnapshot, estimates: Estimates, strategy: StrategyParameters
) -> None:
    equity = snapshot.equity_usd
    if equity <= 0:
        raise OptimizationError(f"expected a positive equity, was {equity}; fund an account first")
    if estimates.as_of_ms > snapshot.as_of_ms:
        raise OptimizationError("expected estimates no younger than the snapshot; estimate again")
    if estimates.horizon_days != strategy.horizon_days:
        raise OptimizationError(
            f"expected estimates over {strategy.horizon_days:g} d, was "
            f"{estimates.horizon_days:g} d; estimate again for this strategy"
        )


def _refuse_unknown_targets(contracts: Sequence[Contract], overrides: Mapping[str, float]) -> None:
    unknown = sorted(set(overrides) - {contract.id for contract in contracts})
    if unknown:
        raise OptimizationError(
            f"expected a contract of the desk, was {unknown[0]}; mend the fixed target"
        )


def _contracts(snapshot: MarketSnapshot, estimates: Estimates) -> tuple[Contract, ...]:
    marks = {quote.id: quote.mark for quote in snapshot.quotes}
    forecasts = {forecast.id: forecast for forecast in estimates.instruments}
    positions = {
        position.id: (account, position)
        for account in snapshot.accounts
        for position in account.positions
        if position.contracts
    }
    known = {instrument.id for instrument in snapshot.instruments if instrument.id in marks}
    homeless = sorted(set(positions) - known)
    if homeless:
        raise OptimizationError(
            f"expected a mark of every position, was none of {homeless[0]}; wait for its quote"
        )
    contracts = []
    for instrument in sorted(snapshot.instruments, key=lambda one: one.id):
        held = positions.get(instrument.id)
        account = held[0] if held else _account_of(instrument, snapshot.accounts)
        usable = instrument.id in forecasts and instrument.tiers
        if account is None or instrument.id not in marks or not (held or usable):
            continue
        _refuse_missing_tiers(instrument)
        position = held[1].contracts if held else ZERO
        forecast = forecasts.get(instrument.id)
        leverage = held[1].leverage if held else None
        contracts.append(
            Contract(instrument, account.key, marks[instrument.id], position, forecast, leverage)
        )
    if not any(contract.forecast for contract in contracts):
        raise OptimizationError(
            "expected at least one contract with estimates and an account, was none; "
            "wait for market history"
        )
    return tuple(contracts)


def _refuse_missing_tiers(instrument: Instrument) -> None:
    rates = [tier.rate for tier in instrument.tiers]
    if not rates or any(after <= before for before, after in pairwise(rates)):
        raise OptimizationError(
            f"expected rising maintenance tiers of {instrument.id}, was {len(rates)} usable; "
            "wait until the venue's tiers are read"
        )


def _account_of(instrument: Instrument, accounts: Sequence[Account]) -> Account | None:
    at_venue = (account for account in accounts if account.venue == instrument.venue)
    return next(at_venue, None)


def _frozen(
    contracts: Sequence[Contract], restricted: Sequence[str], overrides: Mapping[str, float]
) -> dict[str, str]:
    """Return why each contract that must keep its position does."""
    reasons = {}
    for contract in contracts:
        if contract.id in restricted:
            reasons[contract.id] = f"{contract.id} is restricted: kept as it is"
        elif not contract.instrument.active:
            reasons[contract.id] = f"{contract.id} is not trading at the venue: kept as it is"
        elif contract.forecast is None and contract.id not in overrides:
            reasons[contract.id] = (
                f"{contract.id} has no estimates: kept as it is, its risk taken as the wildest's"
            )
    for identifier in sorted(set(reasons) & set(overrides)):
        raise OptimizationError(
            f"expected no fixed target where nothing may be traded: {reasons[identifier]}; drop it"
        )
    return reasons


def _bounds(
    contracts: Sequence[Contract],
    before: FloatArray,
    limits: Limits,
    frozen: Mapping[str, str],
    overrides: Mapping[str, float],
    reduce_only: bool,
) -> tuple[FloatArray, FloatArray]:
    widest = max(limits.gross_max, float(np.abs(before).max(initial=0.0)))
    lower, upper = np.full(len(contracts), -widest), np.full(len(contracts), widest)
    if reduce_only:
        lower, upper = np.minimum(before, 0.0), np.maximum(before, 0.0)
    for index, contract in enumerate(contracts):
        if contract.id in frozen:
            lower[index] = upper[index] = before[index]
        elif contract.id in overrides:
            lower[index] = upper[index] = overrides[contract.id]
    return lower, upper


def _drawdown(snapshot: MarketSnapshot, equity: Decimal) -> float:
    peak = snapshot.peak_equity_usd
    return 0.0 if peak is None or peak <= equity else float(1 - equity / peak)


def _drawdown_note(reduce_only: bool) -> tuple[str, ...]:
    return ("the drawdown limit is reached: only reducing is proposed",) if reduce_only else ()
