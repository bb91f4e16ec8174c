"""Which key of config.toml stands behind a limit, so that its row can be edited."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from perptui.model.assignment import LIMITS, PARAMETERS

OTHERWISE = {
    "liquidation": "liquidation_distance_min",
    "margin_stress": "liquidation_distance_min",
    "stress_up": "liquidation_distance_min",
    "stress_down": "liquidation_distance_min",
    "stablecoin": "",
    "cluster": "cluster_gross_max",
}
"""Limits that are not named like their key."""
NOTHING_TOLD: Mapping[str, str] = MappingProxyType({})


def setting_of(name: str, told: Mapping[str, str] = NOTHING_TOLD) -> str:
    """Return the key of an assignment that sets a limit; "" where no one key does.

    Parameters
    ----------
    name : str
        As `LimitRow.name`: ``gross``, ``coin_net:BTC``, ``margin_ratio:binanceusdm``.
    told : mapping of str to str
        `RebalanceView.setting_keys`: what the desk says goes before what the name says, also that
        no one key sets it.
    """
    if name in told:
        return told[name]
    kind = name.partition(":")[0]
    if OTHERWISE.get(kind, kind) == "":
        return ""
    candidates = (OTHERWISE.get(kind, kind), f"{kind}_max", f"{kind}_min")
    return next((key for key in candidates if key in LIMITS or key in PARAMETERS), "")
