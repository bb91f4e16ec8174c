"""The limits of `perptui.risk.limits` over many books at once, in numpy.

Rounding to lots asks the same question of hundreds of neighbouring books; here they are rows of
one matrix. Weights are fractions of total equity. The answers are tested equal to `limits`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LimitArrays:
    """All limits of one book as arrays: N contracts, A accounts, C coins, K tiers, G clusters.

    Attributes
    ----------
    coin, account, cluster : (C, N), (A, N), (G, N) arrays of 0 and 1
        Membership.
    equity_share : (A,) array
        Equity of each account over total equity.
    tier_rates, tier_deductions : (K, N) arrays
        r_k, and c_k over total equity: MM = max_k(r_k|w| - c_k).
    linear : (N,) array of 0 and 1
        0 for an inverse contract, whose notional does not move with its price.
    root : (R, N) array
        Any F with F'F = Sigma over the horizon.
    volatility_max : float
        Over the horizon, not annualised.
    stress_move, cushion : float
        (1 + cushion)·MM after either common move ±stress_move must fit in the stressed equity.
    trade_max : (N,) array
        Largest |z| of each contract.
    """

    coin: FloatArray
    account: FloatArray
    cluster: FloatArray
    equity_share: FloatArray
    tier_rates: FloatArray
    tier_deductions: FloatArray
    linear: FloatArray
    root: FloatArray
    trade_max: FloatArray
    gross_max: float
    net_min: float
    net_max: float
    coin_net_max: float
    coin_gross_max: float
    venue_gross_max: float
    margin_ratio_max: float
    stress_move: float
    cushion: float
    turnover_max: float
    volatility_max: float
    cluster_max: float

    def shocked_rates(self, move: float) -> FloatArray:
        """Return r_k·(1 + move), (K, N): the rates on today's notional after a common move."""
        return np.asarray(self.tier_rates * (1.0 + move * self.linear))


def maintenance(weights: FloatArray, rates: FloatArray, deductions: FloatArray) -> FloatArray:
    """Return max_k(r_k|w| - c_k) of each contract, shape of `weights` (..., N).

    Parameters
    ----------
    weights : (..., N) array
    rates, deductions : (K, N) arrays
    """
    size = np.abs(weights)[..., None, :]
    return np.asarray((rates * size - deductions).max(axis=-2))


def limit_excess(
    weights: FloatArray, before: FloatArray, limits: LimitArrays
) -> dict[str, FloatArray]:
    """Return by how much each limit is exceeded, in weight units; negative is room.

    Parameters
    ----------
    weights : (M, N) array
        Books, one a row.
    before : (N,) array
        The book before the trade.

    Returns
    -------
    dict of (M, k) arrays
        k is 1 for a book limit, A, C, G or N for one of accounts, coins, clusters or contracts.
    """
    size, trade = np.abs(weights), np.abs(weights - before)
    net = weights.sum(axis=1, keepdims=True)
    of_coin = weights @ limits.coin.T
    return {
        "gross": size.sum(axis=1, keepdims=True) - limits.gross_max,
        "net_min": limits.net_min - net,
        "net_max": net - limits.net_max,
        "coin_net": np.abs(of_coin) - limits.coin_net_max,
        "coin_gross": size @ limits.coin.T - limits.coin_gross_max,
        "turnover": 0.5 * trade.sum(axis=1, keepdims=True) - limits.turnover_max,
        "volatility": np.linalg.norm(weights @ limits.root.T, axis=1, keepdims=True)
        - limits.volatility_max,
        "participation": trade - limits.trade_max,
        "cluster": size @ limits.cluster.T - limits.cluster_max,
        **_account_excess(weights, size, limits),
    }


def _account_excess(
    weights: FloatArray, size: FloatArray, limits: LimitArrays
) -> dict[str, FloatArray]:
    equity = limits.equity_share
    needed = maintenance(weights, limits.tier_rates, limits.tier_deductions) @ limits.account.T
    excess = {
        "venue_gross": size @ limits.account.T - limits.venue_gross_max * equity,
        "margin_ratio": needed - limits.margin_ratio_max * equity,
    }
    net = weights @ limits.account.T
    for name, move in (("stress_up", limits.stress_move), ("stress_down", -limits.stress_move)):
        rates = limits.shocked_rates(move)
        stressed = maintenance(weights, rates, limits.tier_deductions) @ limits.account.T
        excess[name] = (1.0 + limits.cushion) * stressed - (equity + move * net)
    return excess


def worst_excess(weights: FloatArray, before: FloatArray, limits: LimitArrays) -> FloatArray:
    """Return the largest excess over all limits of each book, (M,); at most 0 keeps them all."""
    parts = limit_excess(weights, before, limits).values()
    return np.asarray(np.max([part.max(axis=1) for part in parts if part.shape[1]], axis=0))


def total_excess(
    weights: FloatArray, before: FloatArray, limits: LimitArrays, headroom: float = 0.0
) -> FloatArray:
    """Return the sum of all excesses, each limit tightened by `headroom`, of each book, (M,).

    Zero exactly where every limit holds; it falls when any one of several broken limits is mended,
    which the largest excess does not.
    """
    parts = limit_excess(weights, before, limits).values()
    return np.asarray(np.sum([np.maximum(part + headroom, 0.0).sum(axis=1) for part in parts], 0))
