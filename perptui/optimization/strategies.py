"""How a strategy reads the regime: the limits and the cushion in force (method §5, §6, §7)."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from perptui.model.forecast import RegimeForecast
from perptui.model.limit import Limits
from perptui.model.strategy import REGIMES, StrategyParameters

CALM_CUSHION = REGIMES.index("normal")
REACH = 0.98
"""Share of the turnover limit that a cut toward a lower gross limit may use up."""


@dataclass(frozen=True)
class InForce:
    """Limits and parameters in force at one time.

    Attributes
    ----------
    limits : Limits
        The desk's, with the gross limit scaled where the strategy follows the regime.
    cushion : float
        Extra share of maintenance margin under stress.
    exposure : float
        The exposure scale that was applied; 1 where the strategy does not follow the regime.
    notes : tuple of str
        What a trader must know about them.
    depeg : float
        Loss of the collateral's own value in the margin stress, fraction.
    stablecoin_min : float
        Least share of total equity that no initial margin binds.
    """

    limits: Limits
    cushion: float
    exposure: float
    notes: tuple[str, ...]
    depeg: float = 0.0
    stablecoin_min: float = 0.0


def in_force(
    strategy: StrategyParameters, limits: Limits, regime: RegimeForecast, gross_now: float
) -> InForce:
    """Return what holds for `strategy` in `regime`.

    A strategy that follows the regime (tactical) has gross <= gross_max·e and the regime's
    cushion. A cut that one proposal's turnover cannot reach is made as far as turnover goes:
    the scaled limit is the strategy's; the desk's own gross limit is never raised.

    Parameters
    ----------
    gross_now : float
        sum|w| before the trade.
    """
    if not strategy.follow_regime:
        return InForce(limits, strategy.margin_cushion[CALM_CUSHION], 1.0, ())
    exposure = min(regime.exposure, 1.0)
    wanted = limits.gross_max * exposure
    reachable = gross_now - 2.0 * limits.turnover_max * REACH
    gross_max = min(limits.gross_max, max(wanted, reachable))
    notes = [f"gross limit {gross_max:.3g} = {limits.gross_max:g} x exposure {exposure:.3g}"]
    if reachable > wanted:
        notes = [
            f"gross limit {wanted:.3g} of the regime is out of one proposal's turnover: "
            f"this one goes to {gross_max:.3g}, propose again after it"
        ]
    cushion = strategy.margin_cushion[REGIMES.index(regime.label)]
    scaled = msgspec.structs.replace(limits, gross_max=gross_max)
    return InForce(scaled, cushion, exposure, tuple(notes))
