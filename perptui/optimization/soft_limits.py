"""Which limits may give way, at what price, and what a limit is once it has given way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from perptui.model.strategy import SOFT_LIMITS, StrategyParameters
from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.risk.arrays import LimitArrays

GATED = frozenset({"net_min", "net_max", "turnover"})
"""Limits that may be soft in the program and never are at the desk's gate."""
LESS = 0.25
"""Price of a limit over that of the next more important one."""
EXCESS_NAMES: Mapping[str, tuple[str, ...]] = {
    "net": ("net_min", "net_max"),
    "beta": ("beta_up", "beta_down"),
    "first_component": ("first_component_up", "first_component_down"),
    **{name: (name,) for name in SOFT_LIMITS if name not in {"net", "beta", "first_component"}},
}
"""The names in `limit_excess` of each limit that may be soft."""


def soft_prices(strategy: StrategyParameters) -> dict[str, float]:
    """Return what a weight unit beyond each soft limit costs, by its name in `limit_excess`.

    The last one named is the most important and costs `soft_penalty`; each one before it costs a
    quarter of the next. An L1 penalty is exact: the limit holds as a hard one would as long as its
    price there is below the penalty.
    """
    prices: dict[str, float] = {}
    for rank, name in enumerate(reversed(strategy.soft_limits)):
        price = strategy.soft_penalty * LESS**rank
        prices |= dict.fromkeys(EXCESS_NAMES[name], price)
    return prices


def soft_levels(strategy: StrategyParameters) -> tuple[tuple[str, ...], ...]:
    """Return the names in `limit_excess` level by level, the most important first.

    Empty unless the strategy's order is ``lexicographic``.
    """
    if strategy.soft_order != "lexicographic":
        return ()
    return tuple(EXCESS_NAMES[name] for name in reversed(strategy.soft_limits))


def gate_kept(inputs: ProgramInputs) -> ProgramInputs:
    """Return the inputs with the limits hard that the desk's gate holds of every order."""
    prices = {name: price for name, price in inputs.soft_prices.items() if name not in GATED}
    levels = (tuple(name for name in names if name not in GATED) for names in inputs.soft_levels)
    return replace(inputs, soft_prices=prices, soft_levels=tuple(filter(None, levels)))


def level_prices(levels: Sequence[Sequence[str]], names: Collection[str]) -> dict[str, float]:
    """Return what a weight unit beyond those of `names` costs: a quarter of the level before.

    Parameters
    ----------
    levels : sequence of sequences of str
        As `soft_levels` gives them.
    """
    return {
        name: LESS**rank for rank, level in enumerate(levels) for name in level if name in names
    }


def is_soft(check: str, inputs: ProgramInputs) -> bool:
    """Return whether a `LimitCheck` by that name is of a soft limit."""
    soft = {*inputs.soft_prices, *(name for level in inputs.soft_levels for name in level)}
    name = check.partition(":")[0]
    return name in soft or f"{name}_up" in soft


def with_room(
    inputs: ProgramInputs, room: Mapping[str, FloatArray], weights: FloatArray
) -> ProgramInputs:
    """Return the inputs with limits that have given way by `room`, and nothing soft about those.

    Parameters
    ----------
    room : mapping of str to (k,) array
        Weight units, by names of `EXCESS_NAMES`; limits not named stay.
    weights : (N,) array
        The book that took the room: a correlation is relaxed to what is that book's.
    """
    limits = inputs.limits
    for name, more in room.items():
        if more.any():
            limits = _relaxed(limits, name, more, weights)
    prices = {name: price for name, price in inputs.soft_prices.items() if name not in room}
    return replace(inputs, limits=limits, soft_prices=prices)


def _relaxed(limits: LimitArrays, name: str, more: FloatArray, weights: FloatArray) -> LimitArrays:
    widest = float(more.max())
    if name == "net_min":
        return replace(limits, net_min=limits.net_min - widest)
    if name == "standalone_risk":
        return replace(limits, size_max=limits.size_max + more)
    if name == "market_correlation":
        risk = float(np.linalg.norm(limits.root @ weights + limits.root_offset))
        rho = limits.market_correlation_max + widest / max(risk, np.finfo(float).tiny)
        return replace(limits, market_correlation_max=min(rho, 1.0))
    if name in limits.row_names:
        of_name = np.array([one == name for one in limits.row_names])
        row_max = limits.row_max.copy()
        row_max[of_name] += more
        return replace(limits, row_max=row_max)
    field = name if name == "net_max" else f"{name}_max"
    return replace(limits, **{field: getattr(limits, field) + widest})
