"""What stands behind a contract's own bounds: funding caps, fixed targets, nothing to be traded.

A bound that expected funding sets is a share of the coin's limit and moves with it; the others no
one key of config.toml moves, and it is said why.
"""

from __future__ import annotations

from perptui.optimization.inputs import ProgramInputs

AT_CAP = 1e-9
"""Weight within which a bound is that of the expected funding (`funding_caps`)."""
TRADE_MIN = "trade_min"
"""Name of the row of a trade that is too small to be made."""
UNSAID = "the strategy bounds it"
REDUCING = "only reducing is allowed"


def funding_share(inputs: ProgramInputs, at: int, *, upper: bool) -> float | None:
    """Return the share of coin_net_max that funding leaves a side, where that is its bound.

    None too where what is held beyond the cap is only brought down toward it: then the reach of
    one proposal is the bound.
    """
    forecast = inputs.contracts[at].forecast
    if forecast is None or inputs.lower[at] == inputs.upper[at]:
        return None
    funding = forecast.funding
    share = funding.long_cap if upper else funding.short_cap
    most = inputs.in_force.limits.coin_net_max
    bound = float(inputs.upper[at] if upper else -inputs.lower[at])
    stands = most > 0.0 and abs(bound - share * most) <= AT_CAP
    return share if share < 1.0 and stands else None


def brought_down(inputs: ProgramInputs, at: int, *, upper: bool) -> float:
    """Return how far a bound lies below a position beyond its funding cap, weight; 0 elsewhere.

    It is as far as one proposal's trades reach: more of them lower the bound.
    """
    forecast, sign = inputs.contracts[at].forecast, 1.0 if upper else -1.0
    held = sign * float(inputs.before[at])
    if forecast is None or inputs.lower[at] == inputs.upper[at] or held <= 0.0:
        return 0.0
    funding = forecast.funding
    share = funding.long_cap if upper else funding.short_cap
    beyond = share < 1.0 and held > share * inputs.in_force.limits.coin_net_max
    bound = float(inputs.upper[at] if upper else -inputs.lower[at])
    stays = funding_share(inputs, at, upper=upper) is None
    return max(held - bound, 0.0) if beyond and stays else 0.0


def bound_name(inputs: ProgramInputs, at: int, *, upper: bool) -> str:
    """Return the name of what fixes or bounds one contract on a side.

    ``target:<id>`` of a fixed target, ``held:<id>`` where nothing may be traded,
    ``trade_min:<id>`` where a trade is too small to be made, ``funding_cap:<id>`` and
    ``bound:<id>`` of bounds.
    """
    name = inputs.ids[at]
    if name in inputs.left_out:
        return f"{TRADE_MIN}:{name}"
    if inputs.lower[at] == inputs.upper[at]:
        if name in inputs.edited:
            return f"target:{name}"
        # A flat position that may only be reduced is bounded to nothing; others stay as they are.
        return f"{'held' if name in inputs.fixed else 'bound'}:{name}"
    kind = "bound" if funding_share(inputs, at, upper=upper) is None else "funding_cap"
    return f"{kind}:{name}"


def why_bound(inputs: ProgramInputs, at: int) -> str:
    """Return why a contract is held or bounded, in the words of the proposal's notes."""
    name = inputs.ids[at]
    own = next((note for note in inputs.notes if note.startswith((f"{name} ", f"{name}:"))), "")
    if own:
        return own
    return (inputs.notes[-1] if inputs.notes else REDUCING) if inputs.reduce_only else UNSAID
