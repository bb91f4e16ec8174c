"""Each limit of a program as the trader knows it: its name, its setting, and what one unit gives.

A setting may stand behind several limits (one coin_net_max, a limit for each coin; volatility_max
also sets the standalone share): widening it widens all of them, as a what-if would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from perptui.optimization.bounds import risk_sizes
from perptui.optimization.explain.contract_bounds import bound_name, funding_share, why_bound
from perptui.optimization.explain.limit_rows import CORRELATION, CVAR, TARGET, VOLATILITY, Key
from perptui.optimization.forecasts import DAYS_A_YEAR
from perptui.optimization.inputs import ProgramInputs

LOWERED = frozenset({"gross_max", "volatility_max", "cvar_max"})
"""Limits that a strategy lowers by regime, volatility or drawdown."""
STRESS = "liquidation_distance_min"
COIN_NET = "coin_net_max"
DRAWDOWN = "drawdown_max"
CORRELATION_SETTING = "market_correlation_max"
COMMON_MOVES = ("stress_up", "stress_down")
ROUNDING = 1e-9
"""Relative difference at which two ways to the same limit are the same."""

Give = dict[Key, float]


@dataclass(frozen=True)
class Relaxation:
    """How one limit may be relaxed.

    Attributes
    ----------
    name : str
        As `LimitCheck.name`; as `bound_name` has it for a contract's own.
    setting : str
        The key of config.toml, or ``target:<id>``; "" where no one key relaxes it.
    limit : float
        In the units of `setting`.
    give : mapping of Key to float
        Weight units that one unit of the setting gives to each limit behind it.
    floor : bool
        The limit is a least value: relaxing lowers it.
    most : float or None
        Largest change that does anything, where another rule stands behind the limit.
    stops : mapping of Key to float
        Largest widening of single limits, weight units, where another rule stands behind them.
    start : float or None
        Where the setting begins to act, where that is not at `limit`.
    why : str
        Where `setting` is "": what sets the limit instead, in words.
    share : float or None
        Of a limit that is a share of its setting: that share.
    """

    name: str
    setting: str
    limit: float
    give: Mapping[Key, float]
    floor: bool = False
    most: float | None = None
    start: float | None = None
    stops: Mapping[Key, float] = field(default_factory=dict)
    why: str = ""
    share: float | None = None

    def value_after(self, amount: float) -> float:
        """Return the setting relaxed by `amount`."""
        start = self.limit if self.start is None else self.start
        return start - amount if self.floor else start + amount


def relaxation_of(key: Key, inputs: ProgramInputs) -> Relaxation:
    """Return how the limit behind `key` may be relaxed, in terms of the desk's own limits."""
    return _of_desk(relaxation_in_force(key, inputs), inputs)


def relaxation_in_force(key: Key, inputs: ProgramInputs) -> Relaxation:
    """Return how the limit behind `key` may be relaxed, in terms of the limits in force."""
    name, row = key
    if name in {TARGET, "lower", "upper"}:
        return _of_contract(key, inputs)
    if name.startswith("stress_"):
        return _of_stress(key, inputs)
    label = _label(name, row, inputs)
    return _FAMILIES.get(name, _of_book)(label, key, inputs)


def _of_desk(way: Relaxation, inputs: ProgramInputs) -> Relaxation:
    """Return the relaxation in terms of the desk's own limit where the strategy lowered it.

    Gross and volatility are lowered in proportion (regime, simple rule, drawdown); CVaR to what
    drawdown leaves, which no limit on CVaR relaxes.
    """
    rules = inputs.in_force
    if rules.desk is None or way.setting not in LOWERED:
        return way
    desk, held = float(getattr(rules.desk, way.setting)), way.limit
    if held >= desk * (1.0 - ROUNDING):
        return way
    if way.setting == "cvar_max":
        return _of_drawdown(way, inputs)
    share = min(held / desk, rules.exposure) if way.setting == "gross_max" else held / desk
    give = {key: units * share for key, units in way.give.items()}
    # Where turnover stopped the cut short, the setting begins to act above the desk's own.
    return replace(way, limit=desk, start=held / share, give=give)


def _of_drawdown(way: Relaxation, inputs: ProgramInputs) -> Relaxation:
    """Return CVaR's cap where drawdown control sets it: a share of what drawdown leaves."""
    rules, why = inputs.in_force, "drawdown control leaves no more (drawdown_max, drawdown_share)"
    if rules.desk is None or rules.standing is None:
        return replace(way, setting="", why=why)
    left = rules.desk.drawdown_max - rules.standing.drawdown
    if left <= 0.0:
        return replace(way, setting="", why=why)
    rate = way.limit / left
    most = (rules.desk.cvar_max - way.limit) / rate
    return replace(
        way, setting=DRAWDOWN, limit=rules.desk.drawdown_max, give={CVAR: rate}, most=most
    )


def _label(name: str, row: int, inputs: ProgramInputs) -> str:
    """Return the limit's name as `LimitCheck` has it."""
    if name in {"coin_net", "coin_gross"}:
        coins = sorted({contract.instrument.coin for contract in inputs.contracts})
        return f"{name}:{coins[row]}"
    if name in {"venue_gross", "margin_ratio", "free_collateral"}:
        return f"{name}:{list(inputs.account_equity)[row]}"
    if name in {"participation", "standalone_risk"}:
        return f"{name}:{inputs.ids[row]}"
    if name == "cluster":
        members = set(inputs.clusters[row])
        coins = sorted({one.instrument.coin for one in inputs.contracts if one.id in members})
        return f"cluster:{'+'.join(coins)}"
    return name.removesuffix("_up").removesuffix("_down")


def _of_contract(key: Key, inputs: ProgramInputs) -> Relaxation:
    name, row = key
    label = bound_name(inputs, row, upper=name != "lower")
    share = funding_share(inputs, row, upper=name != "lower")
    if share is not None:
        most = inputs.limits.coin_net_max
        return Relaxation(label, COIN_NET, most, _of_coin_net(inputs), share=share)
    bound = float(inputs.lower[row] if name == "lower" else inputs.upper[row])
    if label.startswith(f"{TARGET}:"):
        return Relaxation(label, label, bound, {key: 1.0})
    why = why_bound(inputs, row)
    return Relaxation(label, "", bound, {key: 1.0}, floor=name == "lower", why=why)


def _of_coin_net(inputs: ProgramInputs) -> Give:
    """Return what coin_net_max gives: each coin's net, and each side that funding caps."""
    give = _same("coin_net", inputs)
    for row in range(len(inputs.contracts)):
        for side in ("lower", "upper"):
            share = funding_share(inputs, row, upper=side == "upper")
            if share is not None and share > 0.0:
                give[side, row] = share
    return give


def _of_stress(key: Key, inputs: ProgramInputs) -> Relaxation:
    name, row = key
    account = list(inputs.account_equity)[row]
    limits = inputs.limits
    if name in COMMON_MOVES:
        give = {(each, at): 1.0 for each in COMMON_MOVES for at in range(len(limits.equity_share))}
        label = f"margin_stress:{account}"
        return Relaxation(label, STRESS, limits.stress_move, give, floor=True)
    share = float(limits.equity_share[row])
    why = "a named stress: its moves stand under [stress] in config.toml"
    return Relaxation(f"margin_{name}:{account}", "", 1.0, {key: share}, why=why)


def _same(name: str, inputs: ProgramInputs, scale: float = 1.0) -> Give:
    """Return `scale` for each row of the limit `name`."""
    limits = inputs.limits
    rows = {
        "coin_net": len(limits.coin),
        "coin_gross": len(limits.coin),
        "cluster": len(limits.cluster),
    }
    return {(name, row): scale for row in range(rows.get(name, 1))}


def _of_book(label: str, key: Key, inputs: ProgramInputs) -> Relaxation:
    """Return a limit that stands in config.toml under its own name, in weight units."""
    name = key[0]
    floor = name.endswith("_min")
    setting = name if floor or name == "net_max" else f"{name}_max"
    limit = float(getattr(inputs.limits, setting))
    give = _of_coin_net(inputs) if setting == COIN_NET else _same(name, inputs)
    return Relaxation(label, setting, limit, give, floor=floor)


def _of_cluster(label: str, key: Key, inputs: ProgramInputs) -> Relaxation:
    give = _same("cluster", inputs)
    return Relaxation(label, "cluster_gross_max", inputs.limits.cluster_max, give)


def _of_account(label: str, key: Key, inputs: ProgramInputs) -> Relaxation:
    name, limits = key[0], inputs.limits
    floor = name == "free_collateral"
    setting = f"{name}_min" if floor else f"{name}_max"
    give = {(name, row): float(share) for row, share in enumerate(limits.equity_share)}
    return Relaxation(label, setting, float(getattr(limits, setting)), give, floor=floor)


def _of_turnover(label: str, key: Key, inputs: ProgramInputs) -> Relaxation:
    """Return turnover, which the largest ticket limits too."""
    ticket = float(inputs.in_force.limits.ticket_notional_max_usd)
    equity = float(inputs.equity)
    limit, whole = inputs.limits.turnover_max, ticket / (2.0 * equity)
    if limit >= whole * (1.0 - ROUNDING):
        most = max(inputs.in_force.limits.turnover_max - limit, 0.0) * 2.0 * equity
        give = {key: 1.0 / (2.0 * equity)}
        return Relaxation(label, "ticket_notional_max_usd", ticket, give, most=most)
    return Relaxation(label, "turnover_max", limit, {key: 1.0}, most=whole - limit)


def _of_participation(label: str, key: Key, inputs: ProgramInputs) -> Relaxation:
    """Return the largest trade of a contract: a share of its volume, or the largest order."""
    row, limits = key[1], inputs.in_force.limits
    caps = inputs.limits.trade_max
    order = float(limits.order_notional_max_usd)
    equity = float(inputs.equity)
    whole = order * (1.0 - ROUNDING)
    if caps[row] * equity >= whole:
        rows = [at for at, cap in enumerate(caps) if cap * equity >= whole]
        give = {("participation", at): 1.0 / equity for at in rows}
        stops = _stops(
            {at: min(_share_usd(at, inputs), _venue_usd(at, inputs)) for at in rows}, inputs
        )
        most = max(float(limits.ticket_notional_max_usd) - order, 0.0)
        return Relaxation(label, "order_notional_max_usd", order, give, most=most, stops=stops)
    rows = [at for at in range(len(caps)) if _is_share(at, inputs)]
    if row not in rows:
        why = "the venue takes no larger order"
        return Relaxation(label, "", float(caps[row]), {key: 1.0}, why=why)
    share = limits.participation_max
    give = {("participation", at): _share_usd(at, inputs) / share / equity for at in rows}
    stops = _stops({at: min(order, _venue_usd(at, inputs)) for at in rows}, inputs)
    return Relaxation(label, "participation_max", share, give, stops=stops)


def _stops(most: Mapping[int, float], inputs: ProgramInputs) -> Give:
    """Return by how much each contract's trade may grow to its next cap, given in USD."""
    equity, caps = float(inputs.equity), inputs.limits.trade_max
    return {
        ("participation", row): max(usd / equity - float(caps[row]), 0.0)
        for row, usd in most.items()
        if np.isfinite(usd)
    }


def _is_share(row: int, inputs: ProgramInputs) -> bool:
    """Return whether a share of its volume is what caps a contract's trade."""
    cap = float(inputs.limits.trade_max[row]) * float(inputs.equity)
    share = _share_usd(row, inputs)
    return share > 0.0 and share <= cap * (1.0 + ROUNDING)


def _share_usd(row: int, inputs: ProgramInputs) -> float:
    """Return the share of its daily volume that may be traded of a contract; without end: none."""
    forecast = inputs.contracts[row].forecast
    if forecast is None:
        return float("inf")
    return inputs.in_force.limits.participation_max * max(forecast.volume_usd_day, 1.0)


def _venue_usd(row: int, inputs: ProgramInputs) -> float:
    """Return the largest order the venue takes, USD."""
    contract = inputs.contracts[row]
    largest = contract.instrument.max_contracts
    return float("inf") if largest is None else float(largest * contract.usd_per_contract)


def _of_volatility(label: str, key: Key, inputs: ProgramInputs) -> Relaxation:
    limits = inputs.limits
    horizon = float(np.sqrt(inputs.horizon_days / DAYS_A_YEAR))
    give: Give = {VOLATILITY: horizon}
    most = limits.volatility_max
    for row, size in enumerate(limits.size_max):
        give["standalone_risk", row] = float(size) * horizon / most
    for name, bound in zip(limits.row_names, limits.row_max, strict=True):
        if name.startswith("first_component"):
            give[name, 0] = float(bound) * horizon / most
    return Relaxation(label, "volatility_max", most / horizon, give)


def _of_standalone(label: str, key: Key, inputs: ProgramInputs) -> Relaxation:
    # Worked out from the budget: a share of none has no ratio to its sizes.
    share, limits = inputs.in_force.limits.standalone_risk_max, inputs.limits
    sizes = risk_sizes(limits.sigma, limits.volatility_max)
    give = {("standalone_risk", row): float(size) for row, size in enumerate(sizes)}
    return Relaxation(label, "standalone_risk_max", share, give)


def _of_beta(label: str, key: Key, inputs: ProgramInputs) -> Relaxation:
    give: Give = {("beta_up", 0): 1.0, ("beta_down", 0): 1.0}
    return Relaxation(label, "beta_max", inputs.in_force.limits.beta_max, give)


def _of_component(label: str, key: Key, inputs: ProgramInputs) -> Relaxation:
    share, limits = inputs.in_force.limits.first_component_max, inputs.limits
    give = {
        (name, 0): limits.volatility_max
        for name in limits.row_names
        if name.startswith("first_component")
    }
    return Relaxation(label, "first_component_max", share, give)


def _of_cvar(label: str, key: Key, inputs: ProgramInputs) -> Relaxation:
    return Relaxation(label, "cvar_max", inputs.limits.cvar_max, {CVAR: 1.0})


def _of_stablecoin(label: str, key: Key, inputs: ProgramInputs) -> Relaxation:
    why = "the strategy's stablecoin_min sets it by regime"
    return Relaxation(label, "", inputs.limits.stablecoin_min, {key: 1.0}, floor=True, why=why)


def _of_correlation(label: str, key: Key, inputs: ProgramInputs) -> Relaxation:
    limit = inputs.limits.market_correlation_max
    return Relaxation(label, CORRELATION_SETTING, limit, {CORRELATION: 1.0})


_FAMILIES: Mapping[str, Callable[[str, Key, ProgramInputs], Relaxation]] = {
    "cluster": _of_cluster,
    "venue_gross": _of_account,
    "margin_ratio": _of_account,
    "free_collateral": _of_account,
    "turnover": _of_turnover,
    "participation": _of_participation,
    "volatility": _of_volatility,
    "standalone_risk": _of_standalone,
    "beta_up": _of_beta,
    "beta_down": _of_beta,
    "first_component_up": _of_component,
    "first_component_down": _of_component,
    "cvar": _of_cvar,
    "stablecoin": _of_stablecoin,
    "market_correlation": _of_correlation,
}
