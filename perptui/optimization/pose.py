"""Pose the program: from a snapshot, its estimates and the desk's limits to its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from perptui.model.errors import OptimizationError
from perptui.model.forecast import Estimates
from perptui.model.limit import Limits
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import StrategyParameters
from perptui.optimization.book import BookBefore, book_before, standing_of
from perptui.optimization.bounds import clusters_of, covariance_root, limit_arrays
from perptui.optimization.costs import impact_coefficients
from perptui.optimization.forecasts import DAYS_A_YEAR
from perptui.optimization.funding_caps import funding_bounds, whole_lots
from perptui.optimization.hedge_shorts import short_bounds
from perptui.optimization.inputs import Contract, FloatArray, ProgramInputs
from perptui.optimization.kept import Kept
from perptui.optimization.scenarios import HorizonScenarios
from perptui.optimization.soft_limits import soft_levels, soft_prices
from perptui.optimization.strategies import InForce, in_force
from perptui.optimization.unmatched import unmatched
from perptui.risk.arrays import LimitArrays

GROUNDS_KEPT = 6
"""A hybrid poses three programs of one snapshot."""
AT_HELD = 1e-9
"""Weight within which a target is what is held."""


class Ground(NamedTuple):
    """What no fixed target changes of a program's inputs."""

    book: BookBefore
    rules: InForce
    clusters: tuple[tuple[str, ...], ...]
    arrays: LimitArrays
    given: Mapping[str, Any]


_GROUNDS: Kept[Ground] = Kept(GROUNDS_KEPT)
_BOOKS: Kept[BookBefore] = Kept(GROUNDS_KEPT)


def program_inputs(
    snapshot: MarketSnapshot,
    estimates: Estimates,
    strategy: StrategyParameters,
    limits: Limits,
    overrides: Mapping[str, float],
    scenarios: HorizonScenarios | None = None,
    *,
    rules: InForce | None = None,
    reduce_only: bool = False,
    stresses: Mapping[str, Mapping[str, float]] | None = None,
) -> ProgramInputs:
    """Return the program's data.

    Parameters
    ----------
    overrides : mapping of str to float
        Target weights fixed by the trader, by instrument id.
    scenarios : HorizonScenarios, optional
        Without them CVaR is not judged.
    rules : InForce, optional
        In place of the strategy's own: a hybrid's are the tighter of two.
    stresses : mapping of str to mapping of str to float, optional
        Named moves by coin that margin must survive too; CVaR has them in its scenarios.

    Raises
    ------
    OptimizationError
        As `book_before` does, or when an override names no contract of the snapshot.
    """
    ground = _GROUNDS.of(
        (snapshot, estimates, scenarios, rules),
        (strategy, limits, stresses),
        lambda: _ground(snapshot, estimates, strategy, limits, scenarios, rules, stresses),
    )
    book, rules, arrays, regime = ground.book, ground.rules, ground.arrays, estimates.regime.label
    contracts, before, reached = book.contracts, book.before, book.drawdown >= limits.drawdown_max
    frozen = _frozen(contracts, limits.restricted, overrides)
    bounds = _bounds(contracts, before, rules.limits, frozen, overrides, reached or reduce_only)
    if (returns := book.returns_with(overrides)) is not book.returns:
        arrays = replace(arrays, scenarios=returns)
    reach = whole_lots(contracts, arrays.trade_max, snapshot.equity_usd)
    lower, upper, capped = funding_bounds(contracts, before, bounds, rules.limits, reach)
    lower, upper, hedging = short_bounds(contracts, before, (lower, upper), strategy, regime)
    silent = () if scenarios is None else scenarios.notes([one.id for one in contracts])
    strangers = unmatched(contracts, limits, strategy, stresses)
    notes = (*strangers, *rules.notes, *capped, *hedging, *frozen.values(), *silent)
    return ProgramInputs(
        **ground.given,
        lower=lower,
        upper=upper,
        limits=arrays,
        in_force=rules,
        cluster_max=strategy.cluster_gross_max,
        clusters=ground.clusters,
        fixed=frozenset(frozen) | frozenset(overrides),
        edited=dict(overrides),
        reduce_only=reached or reduce_only,
        notes=(*notes, *_reducing_note(reached, asked=reduce_only)),
    )


def _ground(
    snapshot: MarketSnapshot,
    estimates: Estimates,
    strategy: StrategyParameters,
    limits: Limits,
    scenarios: HorizonScenarios | None,
    rules: InForce | None,
    stresses: Mapping[str, Mapping[str, float]] | None,
) -> Ground:
    book = _BOOKS.of(
        (snapshot, estimates, scenarios),
        (strategy,),
        lambda: book_before(snapshot, estimates, strategy, scenarios),
    )
    rules = rules or in_force(strategy, limits, estimates, standing_of(book, strategy, limits))
    clusters = clusters_of(book.contracts, estimates, strategy)
    arrays = limit_arrays(
        book.contracts,
        book.account_equity,
        rules,
        book.forecasts,
        clusters,
        strategy,
        book.returns,
        stresses,
    )
    objective = _objective(book, strategy, float(snapshot.equity_usd))
    return Ground(book, rules, clusters, arrays, {**_state(book, snapshot), **objective})


def _state(book: BookBefore, snapshot: MarketSnapshot) -> dict[str, Any]:
    """Return what is held where, and how it varies."""
    return {
        "contracts": book.contracts,
        "equity": snapshot.equity_usd,
        "account_equity": book.account_equity,
        "peak_equity": snapshot.peak_equity_usd,
        "before": book.before,
        "covariance": book.forecasts.covariance,
    }


def _objective(book: BookBefore, strategy: StrategyParameters, equity: float) -> dict[str, Any]:
    """Return the objective's terms: returns and their uncertainty, costs, aversions."""
    contracts, forecasts = book.contracts, book.forecasts
    years = strategy.horizon_days / DAYS_A_YEAR
    apr = {cost.venue: cost.apr for cost in strategy.holding_costs}
    box = strategy.uncertainty if strategy.robust == "box" else 0.0
    ellipsoid = strategy.uncertainty if strategy.robust == "ellipsoid" else 0.0
    return {
        "horizon_days": strategy.horizon_days,
        "expected_return": forecasts.expected_return,
        "uncertainty": box * forecasts.deviation,
        "ellipsoid": ellipsoid,
        "omega_root": covariance_root(forecasts.omega) if ellipsoid else None,
        "linear_cost": forecasts.half_spread + _taker_fees(contracts),
        "impact": impact_coefficients(forecasts.sigma_day, forecasts.volume, equity),
        "holding_cost": np.array([apr.get(one.instrument.venue, 0.0) for one in contracts]) * years,
        "stablecoin_yield": strategy.stablecoin_apr * years,
        **_soft(strategy),
        "risk_aversion": strategy.risk_aversion,
        "cost_aversion": strategy.cost_aversion,
    }


def _soft(strategy: StrategyParameters) -> dict[str, Any]:
    """Return how soft limits give way: level by level, or at a price."""
    levels = soft_levels(strategy)
    return {"soft_levels": levels, "soft_prices": {} if levels else soft_prices(strategy)}


def rules_of(
    snapshot: MarketSnapshot,
    estimates: Estimates,
    strategy: StrategyParameters,
    limits: Limits,
    scenarios: HorizonScenarios | None = None,
) -> InForce:
    """Return the limits in force that `program_inputs` would take of a strategy.

    Raises
    ------
    OptimizationError
        As `program_inputs` does.
    """
    book = book_before(snapshot, estimates, strategy, scenarios)
    return in_force(strategy, limits, estimates, standing_of(book, strategy, limits))


def _taker_fees(contracts: Sequence[Contract]) -> FloatArray:
    return np.array([float(contract.instrument.taker_fee) for contract in contracts])


def _refuse_unknown_targets(contracts: Sequence[Contract], overrides: Mapping[str, float]) -> None:
    unknown = sorted(set(overrides) - {contract.id for contract in contracts})
    if unknown:
        raise OptimizationError(
            f"expected a contract of the desk, was {unknown[0]}; mend the fixed target"
        )


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
    _refuse_unknown_targets(contracts, overrides)
    # A little beyond: a bound that binds together with the gross limit would share its price.
    widest = 1.01 * max(limits.gross_max, float(np.abs(before).max(initial=0.0)))
    lower, upper = np.full(len(contracts), -widest), np.full(len(contracts), widest)
    if reduce_only:
        lower, upper = np.minimum(before, 0.0), np.maximum(before, 0.0)
    for index, contract in enumerate(contracts):
        if contract.id in frozen:
            lower[index] = upper[index] = before[index]
        elif contract.id in overrides:
            if reduce_only:
                _refuse_opening(contract, overrides[contract.id], float(before[index]))
            lower[index] = upper[index] = overrides[contract.id]
    return lower, upper


def _refuse_opening(contract: Contract, target: float, held: float) -> None:
    if not min(held, 0.0) - AT_HELD <= target <= max(held, 0.0) + AT_HELD:
        raise OptimizationError(
            f"expected a target of {contract.id} between 0 and the {held:.4g} held while only "
            f"reducing is allowed, was {target:.4g}; drop it"
        )


def _reducing_note(reached: bool, *, asked: bool) -> tuple[str, ...]:
    if reached:
        return ("the drawdown limit is reached: only reducing is proposed",)
    return ("only reducing is asked for",) if asked else ()
