"""What a what-if leaves of the desk's limits and strategy, and whether its proposal may be sent."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from perptui.model.limit import Limits
from perptui.model.several import SEVERAL, text_of, values_of
from perptui.model.strategy import StrategyParameters
from perptui.model.whatif import WhatIf

_KINDS = {field.name: field.type for field in msgspec.structs.fields(Limits)}
_GUARDS = {
    "cluster_correlation": 1,
    "cluster_gross_max": 1,
    "covariance_uncertainty": -1,
    "depeg": -1,
    "drawdown_control": -1,
    "drawdown_share": 1,
    "exposure_by_regime": 1,
    "exposure_min": 1,
    "follow_regime": -1,
    "horizon_days": -1,
    "leverage_cut": 1,
    "margin_cushion": -1,
    "put_premium_max": 1,
    "soft_penalty": -1,
    "stablecoin_min": -1,
    "volatility_target": 1,
    "volatility_threshold": 1,
}
"""Parameters that limit the book: the direction in which each is looser. CVaR is limited over the
horizon: a shorter one leaves more room."""
_MEASURES = frozenset(
    {
        "combined_correlation",
        "combined_volatility",
        "correlation_halflife_days",
        "volatility_halflife_days",
    }
)
"""Parameters that say how risk is measured: another measure is held against the same limits."""
_SUPPOSED = frozenset({"holding_costs"})
"""Parameters that say what is so in the market: another value is never sent, as other costs."""
_WAYS = {"soft_order": ("lexicographic", "penalty")}
"""Parameters that are words: their values, the strictest first."""


def bent_limits(what_if: WhatIf, limits: Limits) -> Limits:
    """Return `limits` with those that the what-if sets, in the types of their fields."""
    if not what_if.limits:
        return limits
    bent = {name: _typed(name, value) for name, value in what_if.limits.items()}
    return msgspec.structs.replace(limits, **bent)


def _typed(name: str, value: float) -> float | int | Decimal:
    kind = _KINDS[name]
    if kind is Decimal:
        return Decimal(repr(value))
    return round(value) if kind is int else value


def bent_strategy(what_if: WhatIf, strategy: StrategyParameters) -> StrategyParameters:
    """Return `strategy` with the parameters that the what-if sets, and its puts beside its own."""
    if not what_if.parameters and not what_if.puts:
        return strategy
    puts = (*strategy.puts, *what_if.puts)
    bent = {name: _value(name, given) for name, given in what_if.parameters.items()}
    return msgspec.structs.replace(strategy, **{"puts": puts, **bent})


def _value(name: str, given: float | bool | str) -> Any:
    return values_of(name, str(given)) if name in SEVERAL else given


def bounds_set(what_if: WhatIf, limits: Limits, strategy: StrategyParameters) -> dict[str, float]:
    """Return each limit as it is set, by its key of config.toml, the what-if's in their place.

    Limits are all there, of the strategy's parameters those that are called a most or a least. What
    a proposal is held to may be lower: by drawdown, regime or turnover.
    """
    tables = bent_limits(what_if, limits), bent_strategy(what_if, strategy)
    return {
        name: float(value)
        for table in tables
        for name in table.__struct_fields__
        if name.endswith(("_max", "_min"))
        and isinstance(value := getattr(table, name), float | int)
    }


def shown_only(
    what_if: WhatIf,
    limits: Limits,
    strategy: StrategyParameters,
    blended: Sequence[StrategyParameters] = (),
) -> tuple[str, ...]:
    """Return why a proposal on `what_if` may be looked at but never sent, in words; none: it may.

    Parameters
    ----------
    limits, strategy : Limits, StrategyParameters
        The desk's own, before anything was bent.
    blended : sequence of StrategyParameters
        Those that a hybrid hands over between: parameters are bent in each of them.
    """
    reasons = [f"{name}: supposed, not so in the market" for name in what_if.hypothetical]
    # More for one side of a book is less for the other.
    reasons += [f"stress:{key}: not a stress of the desk's" for key in sorted(what_if.stresses)]
    for name in sorted(what_if.limits):
        own, bent = float(getattr(limits, name)), what_if.limits[name]
        if bent < own if name.endswith("_min") or name == "trade_min_usd" else bent > own:
            reasons.append(f"{name} {bent:g} is looser than the desk's {own:g}")
    for name in sorted(what_if.parameters):
        said = (_loosened(name, what_if.parameters[name], one) for one in (strategy, *blended))
        reasons.extend(tuple(dict.fromkeys(text for text in said if text))[:1])
    return tuple(reasons)


def _loosened(name: str, bent: float | bool | str, strategy: StrategyParameters) -> str:
    """Return in words how a bent parameter leaves more room than a strategy's own; "": not so."""
    own = getattr(strategy, name)
    if name in SEVERAL:
        values = values_of(name, str(bent))
        how = "is supposed, not" if name in _SUPPOSED else "is looser than"
        differs = values != own if name in _SUPPOSED else _leaves_more(name, values, own)
        return f"{name} {bent} {how} the desk's {text_of(own)}" if differs else ""
    if name in _MEASURES and bent != own:
        return f"{name} {_shown(bent)} measures risk otherwise than the desk's {_shown(own)}"
    looser = name in _GUARDS and _GUARDS[name] * (float(bent) - float(own)) > 0
    if name in _WAYS:
        looser = _WAYS[name].index(str(bent)) > _WAYS[name].index(own)
    return f"{name} {_shown(bent)} is looser than the desk's {_shown(own)}" if looser else ""


def _leaves_more(name: str, bent: tuple[Any, ...], own: tuple[Any, ...]) -> bool:
    """Return whether values leave more room: in any regime, or by one more name."""
    if name in _GUARDS:
        return any(_GUARDS[name] * (one - other) > 0 for one, other in zip(bent, own, strict=True))
    return not set(bent) <= set(own)


def _shown(value: float | bool | str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else f"{value:g}"
