"""Prices of limits: what one more unit of each, as it stands in config.toml, is worth a day.

The dual of a limit is the objective's gain per weight unit of room (method §12, Duals). A setting
gives room to the limits behind it at a rate of its own: annual volatility by the root of the
horizon, a margin ratio by the account's share of equity, a liquidation distance by the stressed
margin it moves. Floors are relaxed downward; a limit that does not bind costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import msgspec
import numpy as np

from perptui.model.explanation import LimitPrice
from perptui.model.limit import LimitCheck, Limits
from perptui.optimization.explain.contract_bounds import (
    AT_CAP,
    TRADE_MIN,
    bound_name,
    brought_down,
    funding_share,
)
from perptui.optimization.explain.ledger import priced
from perptui.optimization.explain.relaxation import (
    COIN_NET,
    COMMON_MOVES,
    DRAWDOWN,
    STRESS,
    Relaxation,
    relaxation_in_force,
)
from perptui.optimization.explain.slopes import Slopes, at_optimum
from perptui.optimization.explain.ties import price_ranges
from perptui.optimization.explain.wording import DOLLARS
from perptui.optimization.funding_caps import whole_lots
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.lots import Lots
from perptui.optimization.program.active import CORRELATION, RISK, Key
from perptui.optimization.program.kinks import MARGIN
from perptui.optimization.program.solution import Solution
from perptui.optimization.strategies import InForce
from perptui.risk.arrays import plain_risk

Way = Literal["up", "down"]
BUMP = 1e-6
"""Relative change of a setting by which the rate of the limit in force is found."""
FLOORS = {"net_min": "net_min", "liquidation": STRESS, "free_collateral": "free_collateral_min"}
SETTINGS = {"margin_stress": STRESS, "cluster": "cluster_gross_max", "net_max": "net_max"}
DOWNWARD = frozenset({*FLOORS, "margin_stress", "stablecoin", TRADE_MIN})
"""Families of limits that give room when they are lowered."""
UNSET = frozenset({"stablecoin"})
"""Limits that the strategy sets by regime: no one key."""
NAMED_STRESS = "margin_stress_"
"""Begins the names of limits whose moves stand in a table of their own: no one key."""
SHARES = {
    "standalone_risk": "standalone_risk_max",
    "first_component": "first_component_max",
}
"""Limits that are set as shares of the risk budget, and checked as volatility."""
CENTS = 2
BUDGET = "volatility_max"
CONTROL = "drawdown_control"
"""Row of what drawdown_max is worth through the risk budget, which volatility_max sets as well."""


@dataclass(frozen=True)
class _Priced:
    """One limit's price in objective per unit of its setting, and its range where it has ties."""

    price: float
    setting: str
    limit: float
    low: float = 0.0
    high: float = 0.0
    tied: bool = False
    rate: float = 1.0
    down: bool = False

    def joined(self, other: _Priced) -> _Priced:
        """Return both sides of one limit as one."""
        return replace(
            self,
            price=self.price + other.price,
            low=self.low + other.low,
            high=self.high + other.high,
            tied=self.tied or other.tied,
        )

    def times(self, scale: float) -> _Priced:
        """Return the price in other units."""
        return replace(self, price=self.price * scale, low=self.low * scale, high=self.high * scale)

    def record(self, name: str, limit: float, value: float) -> LimitPrice:
        """Return it as a record; a range without an end is none."""
        shown = self.tied and np.isfinite(self.high)
        low, high = (self.low, self.high) if shown else (None, None)
        way: Way = "down" if self.down else _way_of(name, self.setting)
        return LimitPrice(name, self.price, self.setting, limit, value, low, high, way)


def limit_prices(
    inputs: ProgramInputs,
    solution: Solution,
    optimum: Sequence[LimitCheck],
    slopes: Slopes | None = None,
) -> tuple[LimitPrice, ...]:
    """Return the price of every limit, those checked first, then bounds and fixed targets.

    Parameters
    ----------
    optimum : sequence of LimitCheck
        Of the book before rounding.
    slopes : Slopes, optional
        At the optimum, where they are at hand.
    """
    slopes = slopes or at_optimum(inputs, solution)
    found = _by_name(inputs, solution, slopes)
    day = float(inputs.equity) / inputs.horizon_days
    rows = []
    for check in optimum:
        one = found.pop(check.name, None)
        setting = setting_of(check.name)
        rows.append(
            LimitPrice(
                check.name,
                0.0,
                setting,
                *_in_shares(check, inputs),
                direction=_way_of(check.name, setting),
            )
            if one is None
            else one.times(day).record(check.name, *_as_set(check, one, inputs))
        )
    rows.extend(one.times(day).record(name, one.limit, one.limit) for name, one in found.items())
    return (*rows, *_too_small(inputs))


def _too_small(inputs: ProgramInputs) -> tuple[LimitPrice, ...]:
    """Return the smallest trade against each that is left out as smaller, USD.

    Worth nothing until it comes down to that trade: a threshold, no limit with a slope.
    """
    equity, least = float(inputs.equity), inputs.limits.trade_min
    smallest = Lots.of(inputs).least
    rows = []
    for at, name in enumerate(inputs.ids):
        if name in inputs.left_out:
            setting = "trade_min_usd" if least[at] >= smallest[at] else ""
            wanted = abs(inputs.left_out[name]) * equity
            limit = round(float(smallest[at]) * equity, CENTS)
            row = LimitPrice(f"{TRADE_MIN}:{name}", 0.0, setting, limit, round(wanted, CENTS))
            rows.append(msgspec.structs.replace(row, direction=_way_of(row.name, setting)))
    return tuple(rows)


def _way_of(name: str, setting: str) -> Way:
    """Return the way in which a limit gives room; what drawdown control sets goes by its key."""
    floor = name.partition(":")[0] in DOWNWARD and setting != DRAWDOWN
    return "down" if floor else "up"


def _as_set(check: LimitCheck, one: _Priced, inputs: ProgramInputs) -> tuple[float, float]:
    """Return limit and value in the units of the setting that has the price.

    Largest orders and tickets are USD, where the check they share is a fraction; a limit that
    drawdown control sets is said as the drawdown_max that would just carry the value.
    """
    if one.setting == DRAWDOWN:
        return one.limit, one.limit + (check.value - check.limit) / one.rate
    if one.setting not in DOLLARS:
        return _in_shares(check, inputs)
    usd = 2.0 * float(inputs.equity)
    if check.name != "turnover":
        row = inputs.ids.index(check.name.partition(":")[2])
        forecast = inputs.contracts[row].forecast
        usd = 0.0 if forecast is None else max(forecast.volume_usd_day, 1.0)
    return one.limit, check.value * usd


def _in_shares(check: LimitCheck, inputs: ProgramInputs) -> tuple[float, float]:
    """Return limit and value in the units of config.toml: shares of the risk budget in force."""
    share = SHARES.get(check.name.partition(":")[0])
    budget = inputs.in_force.limits.volatility_max
    if share is None or budget <= 0.0:
        return check.limit, check.value
    return float(getattr(inputs.in_force.limits, share)), check.value / budget


def setting_of(name: str) -> str:
    """Return the key of config.toml that sets the limit of that `LimitCheck` name."""
    return _setting_of_family(name.partition(":")[0])


@cache
def _setting_of_family(family: str) -> str:
    if family in UNSET or family.startswith(NAMED_STRESS):
        return ""
    return {**FLOORS, **SETTINGS}.get(family, f"{family}_max")


def _by_name(
    inputs: ProgramInputs,
    solution: Solution,
    slopes: Slopes,
) -> dict[str, _Priced]:
    prices, ranges = priced(solution.prices), price_ranges(inputs, solution, slopes)
    found: dict[str, _Priced] = {}
    for key in _charging({**prices, **ranges}, inputs):
        way = relaxation_in_force(key, inputs)
        # Shares of the risk budget have rows of their own settings, and widen with it besides.
        own = {key: _rate(key, way.give, inputs, solution, slopes)}
        one = _through(way.give if key == RISK else own, way, prices, ranges)
        before = found.get(way.name)
        found[way.name] = one if before is None else before.joined(one)
    rules = inputs.in_force
    budget = sum(one.price for one in found.values() if one.setting == BUDGET)
    ways = {one.setting: _setter(one.setting, rules) for one in found.values()}
    found = {name: _charged(one, ways[one.setting], rules) for name, one in found.items()}
    if budget > 0.0:
        control = budget * _in_force_slopes(DRAWDOWN, (BUDGET,), rules).get(BUDGET, 0.0)
        if control > 0.0:
            found[CONTROL] = _Priced(control, DRAWDOWN, rules.limits.drawdown_max)
    return found | _bounds(inputs, solution)


def _charging(met: Mapping[Key, object], inputs: ProgramInputs) -> tuple[Key, ...]:
    """Return the limits that have a row: those met, and the risk budget where a share of it is."""
    shared = met.keys() & relaxation_in_force(RISK, inputs).give.keys()
    return tuple(dict.fromkeys((*met, RISK) if shared else met))


def _through(
    give: Mapping[Key, float],
    way: Relaxation,
    prices: Mapping[Key, float],
    ranges: Mapping[Key, tuple[float, float]],
) -> _Priced:
    """Return what one unit of a setting is worth through the limits that it gives room to."""
    paid = {key: prices.get(key, 0.0) for key in give}
    ends = [ranges.get(key, (price, price)) for key, price in paid.items()]
    low, high = (
        sum(rate * end[side] for rate, end in zip(give.values(), ends, strict=True))
        for side in (0, 1)
    )
    worth = sum(paid[key] * rate for key, rate in give.items())
    tied = not ranges.keys().isdisjoint(give)
    return _Priced(worth, way.setting, way.limit, low, high, tied=tied)


def _rate(
    key: Key,
    give: Mapping[Key, float],
    inputs: ProgramInputs,
    solution: Solution,
    slopes: Slopes,
) -> float:
    """Return the weight units of room that one unit of its setting gives to a limit."""
    if key[0] in COMMON_MOVES:
        return _stress_rate(key, inputs, solution, slopes)
    if key == CORRELATION:
        return float(plain_risk(solution.exact[None, :], inputs.limits)[0])
    return give.get(key, 0.0)


def _stress_rate(key: Key, inputs: ProgramInputs, solution: Solution, slopes: Slopes) -> float:
    """Return by how much a stressed margin limit's excess grows with the size of its move.

    (1 + cushion)·r_k·|w| of each linear leg, at the tier that the dual stands on, what the book
    loses, and what the collateral does where it is coin.
    """
    limits, (name, account) = inputs.limits, key
    scenario = limits.stress_names.index(name.removeprefix("stress_"))
    way = 1.0 if name == COMMON_MOVES[0] else -1.0
    scale = 1.0 + limits.stress[scenario] * limits.linear
    stressed = slopes.features[MARGIN + 1 + scenario] * solution.exact
    margin = (1.0 + limits.cushion) * limits.linear * stressed / np.where(scale > 0.0, scale, 1.0)
    beta = limits.collateral_beta
    coin = 0.0 if beta is None else beta[account] * limits.equity_share[account]
    return float(way * (limits.account[account] @ (margin - solution.exact) - coin))


def _setter(setting: str, rules: InForce) -> tuple[str, float]:
    """Return which key sets the limit in force behind `setting`, and d limit / d that key.

    Its own, unless drawdown control does. "" where a lower limit is approached only as far as one
    proposal's trades reach: then no one key does.
    """
    own = _in_force_slopes(setting, (setting,), rules).get(setting, 1.0)
    if own > 0.0:
        return setting, own
    by = _in_force_slopes(DRAWDOWN, (setting,), rules).get(setting, 0.0)
    return (DRAWDOWN, by) if by > 0.0 else ("", 1.0)


def _charged(one: _Priced, way: tuple[str, float], rules: InForce) -> _Priced:
    """Return a price per unit of the key that sets the limit in force."""
    setting, rate = way
    if setting == one.setting:
        return one.times(rate)
    limit = rules.limits.drawdown_max if setting else one.limit
    return replace(one.times(rate), setting=setting, limit=limit, rate=rate)


def _in_force_slopes(
    setting: str,
    names: Sequence[str],
    rules: InForce,
) -> dict[str, float]:
    """Return d limit in force / d setting of each name, by central differences; {}: not known."""
    desk, remade = rules.desk, rules.remade
    if desk is None or remade is None or setting not in Limits.__struct_fields__:
        return {}
    at = float(getattr(desk, setting))
    step = BUMP * max(abs(at), BUMP)
    ends = []
    for value in (at - step, at + step):
        bent = msgspec.structs.replace(desk, **{setting: value})
        ends.append(remade(bent).limits)
    low, high = ends
    return {
        name: (float(getattr(high, name)) - float(getattr(low, name))) / (2.0 * step)
        for name in names
    }


def _bounds(inputs: ProgramInputs, solution: Solution) -> dict[str, _Priced]:
    """Return the prices of bounds, and of fixed targets signed: what raising the target gains."""
    found = {}
    for at in np.flatnonzero(solution.bound_price).tolist():
        price, weight = float(solution.bound_price[at]), float(solution.exact[at])
        if inputs.ids[at] in inputs.left_out:
            continue
        name = bound_name(inputs, at, upper=price > 0.0)
        share = funding_share(inputs, at, upper=price > 0.0)
        if inputs.lower[at] == inputs.upper[at]:
            setting = name if name.startswith("target:") else ""
            found[name] = _Priced(price, setting, weight)
        elif share is not None:
            found[name] = _Priced(abs(price) * share, COIN_NET, inputs.limits.coin_net_max)
        else:
            found[name] = _of_reach(abs(price), at, inputs, upper=price > 0.0)
    return found


def _of_reach(price: float, at: int, inputs: ProgramInputs, *, upper: bool) -> _Priced:
    """Return the price of a bound that no funding cap sets by itself.

    Where a position beyond its cap is brought down by as much as one proposal's trades reach, what
    lets them reach farther asks for more: a price below zero.
    """
    cut = brought_down(inputs, at, upper=upper)
    if cut <= 0.0:
        bound = float(inputs.upper[at] if upper else inputs.lower[at])
        return _Priced(price, "", bound, down=not upper)
    caps = inputs.limits.trade_max
    reach = float(whole_lots(inputs.contracts, caps, inputs.equity)[at])
    if abs(cut - reach) > AT_CAP:
        most = inputs.in_force.limits.turnover_max
        return _Priced(-price * cut / most, "turnover_max", most)
    way = relaxation_in_force(("participation", at), inputs)
    return _Priced(-price * way.give.get(("participation", at), 0.0), way.setting, way.limit)
