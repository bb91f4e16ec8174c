"""How a strategy reads regime, volatility and drawdown: the limits in force (method §5, §6, §7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec

from perptui.model.forecast import Estimates
from perptui.model.limit import Limits
from perptui.model.strategy import REGIMES, StrategyParameters
from perptui.risk.holding_limits import BOUND_DECIMALS

CALM_CUSHION = REGIMES.index("normal")
REACH = 0.98
"""Share of the turnover limit that a cut toward a lower limit may use up."""
RULE_OFF = 10.0
"""Threshold of volatility from which the simple rule never acts."""
FLOORS = frozenset({"net_min", "liquidation_distance_min", "free_collateral_min", "trade_min_usd"})
"""Limits of which the larger one is the stricter."""
TRADING_COSTS = 0.005
"""Share of each account's equity set aside in a margin stress for what the trade itself costs
(method §6, "- fees"): twice the fees of one whole turnover in an account with half the equity."""
BUDGET_MIN = 0.01
"""Share of a risk limit that drawdown leaves: a limit of nothing leaves no room to solve in."""


@dataclass(frozen=True)
class Standing:
    """Where the book stands before the trade: what the limits in force depend on.

    Attributes
    ----------
    gross : float
        sum|w|.
    volatility : float
        Annualised, of the robust risk.
    shortfall : float or None
        CVaR over the horizon; None without scenarios.
    drawdown : float
        1 - equity/peak.
    reach : float
        Share by which one proposal could cut every position at once.
    """

    gross: float
    volatility: float
    shortfall: float | None
    drawdown: float
    reach: float

    def cut_to(self, wanted: float, now: float, most: float) -> float:
        """Return the limit of one proposal on its way from `now` to a `wanted` one below `most`.

        To as many decimals as the figures are kept to that are held against it: unrounded, a book
        just inside it could be written as just outside.
        """
        return min(most, round(max(wanted, now * (1.0 - self.reach)), BOUND_DECIMALS))


@dataclass(frozen=True)
class InForce:
    """Limits and parameters in force at one time.

    Attributes
    ----------
    limits : Limits
        The desk's, lowered where the strategy follows regime, volatility or drawdown.
    cushion : float
        Extra share of maintenance margin under stress.
    exposure : float
        The exposure scale that was applied; 1 where the strategy does not follow the regime.
    notes : tuple of str
        What a trader must know about them.
    depeg : float
        Loss of the collateral's own value in the margin stress, `TRADING_COSTS` with it, fraction.
    stablecoin_min : float
        Least share of total equity that no initial margin binds.
    desk, standing : Limits, Standing or None
        What they were worked out from. A hybrid's are the tighter of two, which stand differently:
        it has no `standing`.
    remade : callable, optional
        What other limits of the desk would have led to.
    """

    limits: Limits
    cushion: float
    exposure: float
    notes: tuple[str, ...]
    depeg: float = 0.0
    stablecoin_min: float = 0.0
    desk: Limits | None = None
    standing: Standing | None = None
    remade: Callable[[Limits], InForce] | None = field(default=None, compare=False, repr=False)


def in_force(
    strategy: StrategyParameters, limits: Limits, estimates: Estimates, standing: Standing
) -> InForce:
    """Return what holds for `strategy` now.

    A lowered limit that one proposal's turnover cannot reach is approached as far as turnover
    goes: what is asked for is the strategy's, and the desk's own limit is never raised.
    """
    regime = REGIMES.index(estimates.regime.label)
    follows = strategy.follow_regime
    rules = InForce(
        limits,
        strategy.margin_cushion[regime if follows else CALM_CUSHION],
        min(estimates.regime.exposure, 1.0) if follows else 1.0,
        (),
        depeg=strategy.depeg + TRADING_COSTS,
        stablecoin_min=strategy.stablecoin_min[regime],
        desk=limits,
        standing=standing,
        remade=lambda desk: in_force(strategy, desk, estimates, standing),
    )
    if rules.stablecoin_min > 0.0:
        rules = _noted(
            rules, f"{rules.stablecoin_min:.0%} of equity binds no margin in {REGIMES[regime]}"
        )
    for step in _STEPS:
        rules = step(rules, strategy, estimates, standing)
    return rules


def _noted(rules: InForce, note: str, **limits: float) -> InForce:
    changed = msgspec.structs.replace(rules.limits, **limits)
    return replace(rules, limits=changed, notes=(*rules.notes, note))


def _follow_regime(
    rules: InForce, strategy: StrategyParameters, _: Estimates, standing: Standing
) -> InForce:
    """Scale the gross limit by the regime's exposure (tactical)."""
    if not strategy.follow_regime:
        return rules
    most = rules.limits.gross_max
    wanted = most * rules.exposure
    gross_max = _reachable(wanted, rules.limits, standing)
    note = f"gross limit {gross_max:.3g} = {most:g} x exposure {rules.exposure:.3g}"
    if gross_max > wanted:
        note = (
            f"gross limit {wanted:.3g} of the regime is out of one proposal's turnover: "
            f"this one goes to {gross_max:.3g}, propose again after it"
        )
    return _noted(rules, note, gross_max=gross_max)


def _cut_leverage(
    rules: InForce, strategy: StrategyParameters, estimates: Estimates, standing: Standing
) -> InForce:
    """Cut the gross limit when volatility passes a threshold: the simple rule."""
    volatility, threshold = estimates.book_volatility, strategy.volatility_threshold
    if threshold >= RULE_OFF or volatility is None or volatility <= threshold:
        return rules
    most = rules.limits.gross_max
    wanted = most * strategy.leverage_cut
    gross_max = _reachable(wanted, rules.limits, standing)
    note = (
        f"volatility {volatility:.1%} is beyond {threshold:.1%}: "
        f"gross limit {most:.3g} cut to {wanted:.3g}"
    )
    if gross_max > wanted:
        note += f"; this proposal's turnover goes to {gross_max:.3g}, propose again after it"
    return _noted(rules, note, gross_max=gross_max)


def _reachable(wanted: float, limits: Limits, standing: Standing) -> float:
    """Return a gross limit on the way to a `wanted` one, any leg being cut first."""
    reachable = standing.gross - 2.0 * limits.turnover_max * REACH
    return min(limits.gross_max, max(wanted, reachable))


def _control_drawdown(
    rules: InForce, strategy: StrategyParameters, _: Estimates, standing: Standing
) -> InForce:
    """Shrink the risk budget as drawdown nears its limit (Grossman and Zhou 1993).

    volatility_max·max(0, 1 - DD/DD_max), and CVaR at most eta·(DD_max - DD).
    """
    limits = rules.limits
    if not strategy.drawdown_control or limits.drawdown_max <= 0.0:
        return rules
    left = max(limits.drawdown_max - standing.drawdown, 0.0)
    budget = max(left / limits.drawdown_max, BUDGET_MIN)
    volatility_max = standing.cut_to(
        limits.volatility_max * budget, standing.volatility, limits.volatility_max
    )
    least = BUDGET_MIN * limits.cvar_max
    cvar_max = standing.cut_to(
        max(min(strategy.drawdown_share * left, limits.cvar_max), least),
        0.0 if standing.shortfall is None else standing.shortfall,
        limits.cvar_max,
    )
    if volatility_max == limits.volatility_max and cvar_max == limits.cvar_max:
        return rules
    note = (
        f"drawdown {standing.drawdown:.1%} of at most {limits.drawdown_max:.1%}: "
        f"robust volatility at most {volatility_max:.1%}, CVaR at most {cvar_max:.1%}"
    )
    return _noted(rules, note, volatility_max=volatility_max, cvar_max=cvar_max)


_STEPS: tuple[Callable[[InForce, StrategyParameters, Estimates, Standing], InForce], ...] = (
    _follow_regime,
    _cut_leverage,
    _control_drawdown,
)


def tighter(one: InForce, other: InForce) -> InForce:
    """Return what keeps to both: of each limit the stricter, for a hybrid's two strategies."""
    strict = {
        name: _stricter(name, getattr(one.limits, name), getattr(other.limits, name))
        for name in one.limits.__struct_fields__
        if name != "restricted"
    }
    restricted = tuple(dict.fromkeys((*one.limits.restricted, *other.limits.restricted)))
    return InForce(
        limits=msgspec.structs.replace(one.limits, **strict, restricted=restricted),
        cushion=max(one.cushion, other.cushion),
        exposure=min(one.exposure, other.exposure),
        notes=tuple(dict.fromkeys((*one.notes, *other.notes))),
        depeg=max(one.depeg, other.depeg),
        stablecoin_min=max(one.stablecoin_min, other.stablecoin_min),
        desk=one.desk if one.desk == other.desk else None,
        remade=_tighter_anew(one.remade, other.remade),
    )


def _tighter_anew(
    one: Callable[[Limits], InForce] | None, other: Callable[[Limits], InForce] | None
) -> Callable[[Limits], InForce] | None:
    if one is None or other is None:
        return None
    return lambda desk: tighter(one(desk), other(desk))


def _stricter(name: str, one: float, other: float) -> float:
    return max(one, other) if name in FLOORS else min(one, other)
