"""The limits in force as arrays of the program (method §6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from perptui.model.errors import OptimizationError
from perptui.model.forecast import Estimates
from perptui.model.limit import Limits
from perptui.model.money import ZERO, decimal_of
from perptui.model.strategy import StrategyParameters
from perptui.optimization.forecasts import DAYS_A_YEAR, ForecastArrays
from perptui.optimization.inputs import Contract, FloatArray
from perptui.optimization.scenarios import stress_moves
from perptui.optimization.strategies import InForce
from perptui.risk.arrays import LimitArrays
from perptui.risk.margin import leverage_allowed

MARKET_COIN = "BTC"
ROW_NAMES = ("beta_up", "beta_down", "first_component_up", "first_component_down")
TAIL = 0.05
"""Share of the worst scenarios whose mean loss is limited."""
SIZE_FREE = 1e3
"""Largest weight, multiple of equity, that any bound speaks of: no desk reaches it."""
LEAST_DEVIATION = 1e-12
"""Of the market over the horizon: nothing is divided by less."""


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
    scenarios: FloatArray | None = None,
    named: Mapping[str, Mapping[str, float]] | None = None,
) -> LimitArrays:
    """Return every limit in force as arrays.

    Parameters
    ----------
    named : mapping of str to mapping of str to float, optional
        Stresses beside the common moves, see `stress_moves`.
    scenarios : (S, N) array, optional
        Returns over the horizon, funding included; without them CVaR is not judged.
    """
    limits, count = rules.limits, len(contracts)
    equity = float(sum(account_equity.values(), ZERO))
    horizon_years = strategy.horizon_days / DAYS_A_YEAR
    volatility_max = limits.volatility_max * float(np.sqrt(horizon_years))
    returns = np.zeros((0, count)) if scenarios is None else scenarios
    return LimitArrays(
        **_members(contracts, account_equity, clusters),
        **_margins(contracts, limits, equity, named or {}),
        collateral_beta=_collateral_beta(contracts, account_equity),
        **_risks(contracts, forecasts, limits, volatility_max),
        equity_share=np.array([float(value) / equity for value in account_equity.values()]),
        trade_max=trade_caps(contracts, limits, forecasts.volume, equity),
        trade_min=np.full(count, float(limits.trade_min_usd) / equity),
        scenarios=returns,
        scenario_offset=np.zeros(len(returns)),
        gross_max=limits.gross_max,
        net_min=limits.net_min,
        net_max=limits.net_max,
        coin_net_max=limits.coin_net_max,
        coin_gross_max=limits.coin_gross_max,
        venue_gross_max=limits.venue_gross_max,
        margin_ratio_max=limits.margin_ratio_max,
        cushion=rules.cushion,
        depeg=rules.depeg,
        turnover_max=turnover_cap(limits, equity),
        volatility_max=volatility_max,
        covariance_uncertainty=strategy.covariance_uncertainty,
        cluster_max=strategy.cluster_gross_max,
        free_collateral_min=limits.free_collateral_min,
        stablecoin_min=rules.stablecoin_min,
        tail=TAIL,
        cvar_max=limits.cvar_max,
        market_correlation_max=limits.market_correlation_max,
    )


def _members(
    contracts: Sequence[Contract],
    account_equity: Mapping[str, Decimal],
    clusters: Sequence[Sequence[str]],
) -> dict[str, Any]:
    """Return which contract belongs to which coin, account and cluster."""
    coins = sorted({contract.instrument.coin for contract in contracts})
    of_cluster = _membership([[one.id in group for one in contracts] for group in clusters])
    return {
        "coin": _membership([[one.instrument.coin == coin for one in contracts] for coin in coins]),
        "account": _membership(
            [[one.account == key for one in contracts] for key in account_equity]
        ),
        "cluster": of_cluster.reshape(len(clusters), len(contracts)),
    }


def _margins(
    contracts: Sequence[Contract],
    limits: Limits,
    equity: float,
    named: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """Return maintenance tiers, initial margin, and the moves that margin is stressed by."""
    leverage = [float(leverage_of(contract, limits, equity)) for contract in contracts]
    coins = [contract.instrument.coin for contract in contracts]
    stress, names = stress_moves(coins, limits.liquidation_distance_min, named)
    rates, deductions = _tiers(contracts, limits, equity, float(stress.max(initial=0.0)))
    return {
        "tier_rates": rates,
        "tier_deductions": deductions,
        "linear": np.array([float(contract.instrument.linear) for contract in contracts]),
        "initial_rate": 1.0 / np.array(leverage),
        "stress": stress,
        "stress_names": names,
    }


def _collateral_beta(
    contracts: Sequence[Contract], account_equity: Mapping[str, Decimal]
) -> FloatArray:
    """Return 1 for each account that carries inverse contracts: its margin is the coin, (A,)."""
    coin = {one.account for one in contracts if not one.instrument.linear}
    return np.array([float(key in coin) for key in account_equity])


def _risks(
    contracts: Sequence[Contract],
    forecasts: ForecastArrays,
    limits: Limits,
    volatility_max: float,
) -> dict[str, Any]:
    """Return the covariance's root and what is bounded by shares of the risk budget."""
    covariance = forecasts.covariance
    sigma = np.sqrt(np.diag(covariance))
    market = market_of(contracts, forecasts)
    beta, leading = betas(market, covariance), first_component(covariance)
    most = limits.first_component_max * volatility_max
    root = covariance_root(covariance)
    return {
        "root": root,
        "root_offset": np.zeros(len(root)),
        "sigma": sigma,
        "size_max": risk_sizes(sigma, limits.standalone_risk_max * volatility_max),
        "rows": np.array([beta, -beta, leading, -leading]),
        "row_max": np.array([limits.beta_max, limits.beta_max, most, most]),
        "row_names": ROW_NAMES,
        "market": covariance @ market / _deviation(market, covariance),
    }


def turnover_cap(limits: Limits, equity: float) -> float:
    """Return the largest one-way turnover: the limit on it, and what one ticket may hold."""
    return min(limits.turnover_max, float(limits.ticket_notional_max_usd) / (2.0 * equity))


def market_of(contracts: Sequence[Contract], forecasts: ForecastArrays) -> FloatArray:
    """Return the market as a book, (N,): the most liquid contract of `MARKET_COIN`.

    Where none is listed, the most liquid contract of all is the market.
    """
    volume = np.where([one.forecast is not None for one in contracts], forecasts.volume, 0.0)
    of_coin = np.array([one.instrument.coin == MARKET_COIN for one in contracts])
    if (volume * of_coin).any():
        volume = volume * of_coin
    return np.asarray(np.eye(len(contracts))[int(volume.argmax())])


def _deviation(book: FloatArray, covariance: FloatArray) -> float:
    return max(float(np.sqrt(book @ covariance @ book)), LEAST_DEVIATION)


def betas(market: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return each contract's beta to the market, (N,): Sigma b / b'Sigma b."""
    variance = max(float(market @ covariance @ market), LEAST_DEVIATION**2)
    return np.asarray(covariance @ market / variance)


def first_component(covariance: FloatArray) -> FloatArray:
    """Return sqrt(l1)·u1, (N,), of the largest eigenvalue; its sum is not negative.

    |sqrt(l1)·u1'w| is the book's volatility from that component.
    """
    values, vectors = np.linalg.eigh(covariance)
    leading = np.sqrt(max(float(values[-1]), 0.0)) * vectors[:, -1]
    return np.asarray(-leading if leading.sum() < 0.0 else leading)


def risk_sizes(sigma: FloatArray, budget: float) -> FloatArray:
    """Return budget/sigma, (N,), and no infinity: `SIZE_FREE` where nothing moves."""
    return np.asarray(budget / np.maximum(sigma, max(budget, LEAST_DEVIATION) / SIZE_FREE))


def leverage_of(contract: Contract, limits: Limits, equity: float) -> Decimal:
    """Return the leverage at which the account would carry a contract.

    The venue's own setting for a position; where it states none, and where it is more, the highest
    that the tiers allow at the largest notional of one coin that the limits permit.
    """
    largest = decimal_of(min(limits.coin_gross_max, limits.gross_max) * equity, "notional")
    allowed = leverage_allowed(max(largest, abs(contract.notional)), contract.instrument.tiers)
    return allowed if contract.leverage is None else min(contract.leverage, allowed)


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
    contracts: Sequence[Contract], limits: Limits, equity: float, rise: float
) -> tuple[FloatArray, FloatArray]:
    """Return rates and deductions/E, (K, N), of the tiers that a stressed position could reach.

    That is one as large as the limits permit or held, after the largest `rise` of any stress.

    Shorter schedules repeat their last tier, which leaves the maximum as it is.
    """
    largest = max(
        limits.gross_max * equity, *(abs(float(contract.notional)) for contract in contracts)
    ) * (1.0 + rise)
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


def trade_caps(
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
