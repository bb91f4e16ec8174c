"""Which key of config.toml stands behind a limit, so that its row can be edited."""

from __future__ import annotations

from collections.abc import Iterable

from perptui.model.assignment import LIMITS, PARAMETERS
from perptui.model.explanation import LimitPrice

OTHERWISE = {
    "liquidation": "liquidation_distance_min",
    "margin_stress": "liquidation_distance_min",
    "stress_up": "liquidation_distance_min",
    "stress_down": "liquidation_distance_min",
    "stablecoin": "",
    "cluster": "cluster_gross_max",
}
"""Limits that are not named like their key."""


def setting_of(name: str, prices: Iterable[LimitPrice] = ()) -> str:
    """Return the key of an assignment that sets a limit; "" where no one key does.

    Parameters
    ----------
    name : str
        As `LimitRow.name`: ``gross``, ``coin_net:BTC``, ``margin_ratio:binanceusdm``.
    prices : iterable of LimitPrice
        Of the proposal that stands: what the desk says goes before what the name says, also that
        no one key sets it.
    """
    told = {price.name: price.setting for price in prices}
    if name in told:
        return told[name]
    kind = name.partition(":")[0]
    if OTHERWISE.get(kind, kind) == "":
        return ""
    candidates = (OTHERWISE.get(kind, kind), f"{kind}_max", f"{kind}_min")
    return next((key for key in candidates if key in LIMITS or key in PARAMETERS), "")
