"""Random programs of every shape, with limits tightened to where they bind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.pose import program_inputs
from perptui.optimization.program.convex import solve_roughly
from perptui.risk.arrays import limit_excess
from tests.optimization.market import BALANCED, WIDE, estimates, instrument, snapshot

VENUES = ("binanceusdm", "bybit")
FEATURES = ("impact", "ellipsoid", "robust", "yield", "factors", "pinned", "inverse")


@dataclass(frozen=True)
class Shape:
    """What compilation fixes of a random program, but for its cones."""

    coins: int
    venues: int = 1
    features: tuple[str, ...] = ()


def random_program(shape: Shape, seed: int) -> ProgramInputs:
    """Return a program in which no limit binds."""
    rng = np.random.default_rng(seed)
    legs = sorted(
        (
            instrument(f"C{coin:03d}", venue)
            for coin in range(shape.coins)
            for venue in VENUES[: shape.venues]
        ),
        key=lambda one: one.id,
    )
    count = len(legs)
    marks = {leg.id: "100" for leg in legs}
    held = {
        leg.id: f"{weight:.3f}" for leg, weight in zip(legs, rng.normal(0, 150, count), strict=True)
    }
    equity = dict.fromkeys(VENUES[: shape.venues], "100000")
    factors = rng.normal(0.0, 0.05, (3, count)) + 0.05
    specific = rng.uniform(0.05, 0.12, count) ** 2
    sigma = factors.T @ factors + np.diag(specific)
    mean = rng.normal(0.0, 0.02, count)
    inputs = program_inputs(
        snapshot(legs, marks, equity, held),
        estimates(legs, marks, mean.tolist(), sigma.tolist(), deviation=[4e-3] * count),
        msgspec.structs.replace(
            BALANCED, risk_aversion=float(rng.uniform(1.0, 4.0)), cluster_correlation=1.0
        ),
        WIDE,
        {},
    )
    inputs = _tiered(inputs, rng)
    inputs = replace(inputs, impact=np.zeros(count))
    for feature in shape.features:
        inputs = _with_feature(inputs, feature, rng, factors, specific)
    return inputs


def _tiered(inputs: ProgramInputs, rng: np.random.Generator) -> ProgramInputs:
    """Return the inputs with margin tiers, clusters, rows and initial rates of its size of book."""
    count = len(inputs.before)
    rates = np.cumsum(rng.uniform(0.01, 0.03, (4, count)), axis=0)
    floors = np.cumsum(rng.uniform(0.02, 0.15, (3, count)), axis=0)
    deductions = np.vstack([np.zeros(count), np.cumsum(floors * np.diff(rates, axis=0), axis=0)])
    rows = rng.normal(0.0, 1.0, (2, count))
    limits = replace(
        inputs.limits,
        tier_rates=rates,
        tier_deductions=deductions,
        cluster=(rng.uniform(size=(2, count)) < 0.6).astype(float),
        cluster_max=5.0,
        stress=np.vstack([np.full((1, count), 0.2), np.full((1, count), -0.2)]),
        rows=rows,
        row_max=np.full(2, 5.0),
        row_names=("beta_up", "beta_down"),
        initial_rate=rng.uniform(0.02, 0.2, count),
        free_collateral_min=-5.0,
        margin_ratio_max=5.0,
        stablecoin_min=-5.0,
        trade_max=np.full(count, 5.0),
        size_max=np.full(count, 5.0),
        cushion=0.5,
        depeg=-5.0,
    )
    return replace(inputs, limits=limits)


def _with_feature(
    inputs: ProgramInputs,
    feature: str,
    rng: np.random.Generator,
    factors: FloatArray,
    specific: FloatArray,
) -> ProgramInputs:
    count, limits = len(inputs.before), inputs.limits
    if feature == "impact":
        return replace(inputs, impact=rng.uniform(1e-3, 8e-3, count))
    if feature == "ellipsoid":
        root = rng.normal(0.0, 4e-3, (count, count)) / np.sqrt(count)
        if heads(rng):
            root = np.diag(np.abs(np.diagonal(root)) + 1e-3)
        return replace(inputs, ellipsoid=0.7, omega_root=root, uncertainty=np.zeros(count))
    if feature == "robust":
        offset = rng.normal(0.0, 1e-3, len(limits.root))
        return replace(
            inputs, limits=replace(limits, covariance_uncertainty=0.05, root_offset=offset)
        )
    if feature == "yield":
        return replace(inputs, stablecoin_yield=2e-3, holding_cost=rng.uniform(0.0, 1e-3, count))
    if feature == "factors":
        root = np.vstack([factors, np.diag(np.sqrt(specific))])
        return replace(
            inputs,
            factors=factors,
            specific=specific,
            covariance=factors.T @ factors + np.diag(specific),
            limits=replace(limits, root=root, root_offset=rng.normal(0.0, 1e-3, len(root))),
        )
    if feature == "pinned":
        return _pinned(inputs, rng)
    if feature == "inverse":
        return replace(inputs, limits=replace(limits, linear=np.arange(float(count)) % 2.0))
    raise ValueError(feature)


def heads(rng: np.random.Generator) -> bool:
    """Toss a coin."""
    return bool(rng.uniform() < 0.5)


def _pinned(inputs: ProgramInputs, rng: np.random.Generator) -> ProgramInputs:
    """Return the inputs with a contract fixed, one kept and one that may only be reduced."""
    lower, upper = inputs.lower.copy(), inputs.upper.copy()
    count = len(lower)
    lower[0] = upper[0] = rng.normal(0.0, 0.1)
    if count > 2:
        lower[1] = upper[1] = inputs.before[1]
        lower[2], upper[2] = min(inputs.before[2], 0.0), max(inputs.before[2], 0.0)
    return replace(inputs, lower=lower, upper=upper)


SCALARS = {
    "gross": "gross_max",
    "net_max": "net_max",
    "coin_net": "coin_net_max",
    "coin_gross": "coin_gross_max",
    "turnover": "turnover_max",
    "volatility": "volatility_max",
    "cluster": "cluster_max",
}
"""Limits whose excess falls one for one with a scalar."""
OF_CONTRACTS = ("participation", "standalone_risk")
TIGHTENED = (
    *SCALARS,
    "net_min",
    "venue_gross",
    "margin_ratio",
    "free_collateral",
    "stablecoin",
    "stress_up",
    "participation",
    "standalone_risk",
    "beta_up",
)


ROOM = 1e-4
"""Beside what the safe book needs: a set without an interior tests the solvers, not the program."""


def tightened(
    inputs: ProgramInputs, names: Sequence[str], rng: np.random.Generator
) -> ProgramInputs:
    """Return the inputs with limits moved to between the optimum and a book half way to a safe one.

    That book keeps them all, so that they never clash.
    """
    free = solve_roughly(inputs)
    assert free.status == "optimal"
    best = free.exact
    safe = np.clip(0.6 * best + 0.4 * inputs.before, inputs.lower, inputs.upper)
    high = limit_excess(best[None, :], inputs.before, inputs.limits)
    low = limit_excess(safe[None, :], inputs.before, inputs.limits)
    limits = inputs.limits
    for name in names:
        share = float(rng.uniform(0.2, 0.8))
        top, bottom = high[name][0], low[name][0]
        if name not in OF_CONTRACTS:
            top, bottom = top.max(keepdims=True), bottom.max(keepdims=True)
        if name == "stress_up":
            # What tightens one stress tightens both.
            bottom = np.maximum(bottom, low["stress_down"].max())
        limits = _moved(limits, name, np.maximum(share * top + (1.0 - share) * bottom, bottom))
    return replace(inputs, limits=limits)


def _moved(limits: Any, name: str, by: FloatArray) -> Any:
    """Return the limits with one of them tighter by `-by`, its excess at a book in between."""
    most = float(by.max())
    if name in SCALARS:
        return replace(limits, **{SCALARS[name]: getattr(limits, SCALARS[name]) + most})
    if name == "net_min":
        return replace(limits, net_min=limits.net_min - most)
    share = float(limits.equity_share.max())
    if name == "venue_gross":
        return replace(limits, venue_gross_max=limits.venue_gross_max + most / share)
    if name == "margin_ratio":
        return replace(limits, margin_ratio_max=limits.margin_ratio_max + most / share)
    if name == "free_collateral":
        return replace(limits, free_collateral_min=limits.free_collateral_min - most / share)
    if name == "stablecoin":
        return replace(limits, stablecoin_min=limits.stablecoin_min - most)
    if name.startswith("stress_"):
        return replace(limits, depeg=limits.depeg - most / share)
    if name == "participation":
        return replace(limits, trade_max=limits.trade_max + by + ROOM)
    if name == "standalone_risk":
        return replace(limits, size_max=limits.size_max + by + ROOM)
    row_max = limits.row_max.copy()
    row_max[limits.row_names.index(name)] += most
    return replace(limits, row_max=row_max)
