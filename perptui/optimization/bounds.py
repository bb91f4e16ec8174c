"""The limits in force as arrays of the program (method §6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from perptui.model.errors import OptimizationError
from perptui.model.forecast import Estimates
from perptui.model.limit import Limits
from perptui.model.strategy import StrategyParameters
from perptui.optimization.forecasts import DAYS_A_YEAR, ForecastArrays
from perptui.optimization.inputs import Contract, FloatArray
from perptui.optimization.strategies import InForce
from perptui.risk.arrays import LimitArrays


def clusters_of(
    contracts: Sequence[Contract], estimates: Estimates, strategy: StrategyParameters
) -> tuple[tuple[str, ...], ...]:
    """Return the connected groups of contracts whose correlation is above the strategy's bar."""
    if strategy.cluster_correlation >= 1.0:
        return ()
    wanted = {contract.id for contract in contracts}
    names = [forecast.id for forecast in estimates.instruments]
    linked = np.array(estimates.correlation) > strategy.cluster_correlation
    left = [index for index, name in enumerate(names) if name in wanted]
    clusters = []
    while left:
        group, frontier = set(), {left[0]}
        while frontier:
            group |= frontier
            frontier = {j for i in frontier for j in left if linked[i, j]} - group
        left = [index for index in left if index not in group]
        if len(group) > 1:
            clusters.append(tuple(names[index] for index in sorted(group)))
    return tuple(clusters)


def limit_arrays(
    contracts: Sequence[Contract],
    account_equity: Mapping[str, Decimal],
    rules: InForce,
    forecasts: ForecastArrays,
    clusters: Sequence[Sequence[str]],
    strategy: StrategyParameters,
    equity: float,
) -> LimitArrays:
    """Return every limit in force as arrays.

    Parameters
    ----------
    equity : float
        Total equity, USD.
    """
    limits = rules.limits
    rates, deductions = _tiers(contracts, limits, equity)
    coins = sorted({contract.instrument.coin for contract in contracts})
    horizon_years = strategy.horizon_days / DAYS_A_YEAR
    return LimitArrays(
        coin=_membership([[one.instrument.coin == coin for one in contracts] for coin in coins]),
        account=_membership([[one.account == key for one in contracts] for key in account_equity]),
        cluster=_membership([[one.id in group for one in contracts] for group in clusters]).reshape(
            len(clusters), len(contracts)
        ),
        equity_share=np.array([float(value) / equity for value in account_equity.values()]),
        tier_rates=rates,
        tier_deductions=deductions,
        linear=np.array([float(contract.instrument.linear) for contract in contracts]),
        root=covariance_root(forecasts.covariance),
        trade_max=_trade_max(contracts, limits, forecasts.volume, equity),
        gross_max=limits.gross_max,
        net_min=limits.net_min,
        net_max=limits.net_max,
        coin_net_max=limits.coin_net_max,
        coin_gross_max=limits.coin_gross_max,
        venue_gross_max=limits.venue_gross_max,
        margin_ratio_max=limits.margin_ratio_max,
        stress_move=limits.liquidation_distance_min,
        cushion=rules.cushion,
        turnover_max=min(
            limits.turnover_max, float(limits.ticket_notional_max_usd) / (2.0 * equity)
        ),
        volatility_max=limits.volatility_max * float(np.sqrt(horizon_years)),
        cluster_max=strategy.cluster_gross_max,
    )


def _membership(rows: list[list[bool]]) -> FloatArray:
    return np.array(rows, dtype=float)


def covariance_root(covariance: FloatArray) -> FloatArray:
    """Return F (N, N) with F'F = Sigma, by its eigenvalues; rounding noise below 0 becomes 0.

    Raises
    ------
    OptimizationError
        When Sigma is not positive semidefinite beyond rounding.
    """
    values, vectors = np.linalg.eigh(covariance)
    if values[0] < -1e-8 * max(values[-1], 0.0):
        raise OptimizationError(
            f"expected a positive semidefinite covariance, was one with eigenvalue {values[0]:g}; "
            "repair the estimate"
        )
    return np.asarray(np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T)


def _tiers(
    contracts: Sequence[Contract], limits: Limits, equity: float
) -> tuple[FloatArray, FloatArray]:
    """Return rates and deductions/E, (K, N), of the tiers that a stressed position could reach.

    Shorter schedules repeat their last tier, which leaves the maximum as it is.
    """
    largest = max(
        limits.gross_max * equity, *(abs(float(contract.notional)) for contract in contracts)
    ) * (1.0 + limits.liquidation_distance_min)
    reached = [
        [tier for tier in contract.instrument.tiers if float(tier.floor_usd) <= largest]
        or [contract.instrument.tiers[0]]
        for contract in contracts
    ]
    depth = max(map(len, reached))
    padded = [tiers + [tiers[-1]] * (depth - len(tiers)) for tiers in reached]
    rates = np.array([[float(tier.rate) for tier in tiers] for tiers in padded])
    deductions = np.array([[float(tier.deduction_usd) / equity for tier in t] for t in padded])
    return rates.T.copy(), deductions.T.copy()


def _trade_max(
    contracts: Sequence[Contract], limits: Limits, volume: FloatArray, equity: float
) -> FloatArray:
    """Return the largest |z| of each contract: participation, the order limit, the venue's own."""
    caps = limits.participation_max * volume
    caps = np.minimum(caps, float(limits.order_notional_max_usd))
    for index, contract in enumerate(contracts):
        most = contract.instrument.max_contracts
        if most is not None:
            caps[index] = min(caps[index], float(most * contract.usd_per_contract))
    return np.asarray(caps / equity)
