"""How much of the book to hold: volatility target over forecast, capped by regime (method §5)."""

from __future__ import annotations

from collections.abc import Sequence

from perptui.model.strategy import StrategyParameters

RATE_LIMIT = 0.25
"""Exposure rises by at most this much a bar, and falls at once (method §5)."""


def exposure_scale(
    chances: Sequence[float],
    volatility: float,
    strategy: StrategyParameters,
    before: float | None,
) -> float:
    """Return e = sum over regimes of P_s·min(max(target/forecast, e_min), cap_s), rate-limited.

    Parameters
    ----------
    chances : sequence of 4 floats
        P(calm), P(normal), P(stress), P(crisis).
    volatility : float
        Annualised forecast of the equal-weight book (Moreira & Muir 2017: scale by it).
    before : float, optional
        The scale of the previous bar: e rises by at most .25 above it.
    """
    wanted = max(strategy.volatility_target / volatility, strategy.exposure_min)
    caps = strategy.exposure_by_regime
    scale = sum(chance * min(wanted, cap) for chance, cap in zip(chances, caps, strict=True))
    return scale if before is None else min(scale, before + RATE_LIMIT)
