"""The limits of `perptui.risk.limits` over many books at once, in numpy.

Rounding to lots asks the same question of hundreds of neighbouring books; here they are rows of
one matrix. Weights are fractions of total equity. The answers are tested equal to `limits`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from perptui.risk.tail import shortfall

FloatArray = npt.NDArray[np.float64]

CORRELATION_OFF = 1.0
"""Correlation with the market from which no book is too alike: then there is no such limit."""


@dataclass(frozen=True, eq=False)
class LimitArrays:
    """All limits of one book as arrays: N contracts, A accounts, C coins, K tiers, G clusters.

    Q are stress moves, M linear rows, S scenarios, R rows of the covariance's root.

    Attributes
    ----------
    coin, account, cluster : (C, N), (A, N), (G, N) arrays of 0 and 1
        Membership. A column without an account is a hedge that no venue carries (a put): it has
        no part in gross, net and turnover.
    equity_share : (A,) array
        Equity of each account over total equity.
    tier_rates, tier_deductions : (K, N) arrays
        r_k, and c_k over total equity: MM = max_k(r_k|w| - c_k).
    linear : (N,) array of 0 and 1
        0 for an inverse contract, whose notional does not move with its price.
    root, root_offset : (R, N), (R,) arrays
        Any F with F'F = Sigma over the horizon; what other holdings add to F w.
    sigma : (N,) array
        Deviation of each contract over the horizon, sqrt(Sigma_ii).
    trade_max, trade_min : (N,) arrays
        Largest |z| of each contract, and the smallest one that is worth making.
    size_max : (N,) array
        Largest |w|: its standalone share of the risk budget.
    initial_rate : (N,) array
        Initial margin per unit of notional.
    stress, stress_names : (Q, N) array, Q strings
        Price moves of each scenario, and its name. The first two are "up" and "down".
    rows, row_max, row_names : (M, N), (M,) arrays, M strings
        Signed linear limits a'w <= b: "beta_up", "beta_down", "first_component_up", ...
    scenarios, scenario_offset : (S, N), (S,) arrays
        Returns over the horizon, funding included, and what other holdings add to the book's;
        S may be 0: CVaR is not judged.
    market : (N,) array
        Covariance with the market over the market's deviation: market'w / s(w) is the book's
        correlation with it.
    covariance_uncertainty : float
        rho_S of the robust risk s_wc = sqrt(|F w|² + rho_S (sigma'|w|)²).
    volatility_max : float
        Bound on s_wc over the horizon, not annualised.
    cushion, depeg : float
        (1 + cushion)·MM after a stress move must fit in the stressed equity, of which the
        collateral itself has lost `depeg`.
    free_collateral_min, stablecoin_min : float
        Shares of each account's and of all equity that no initial margin binds.
    tail, cvar_max : float
        Share of worst scenarios, and the bound on their mean loss, over the horizon.
    market_correlation_max : float
        Bound on the absolute correlation with the market; 1 is off.
    market_offset : float
        What other holdings add to market'w.
    collateral_beta : (A,) array of 0 and 1, optional
        1 where an account's collateral is coin, which moves with the common stress; none does.
    room : mapping of str to (k,) array
        By how much limits have given way, by name, CVaR left out: while a book is reduced that
        one proposal cannot bring within them.
    """

    coin: FloatArray
    account: FloatArray
    cluster: FloatArray
    equity_share: FloatArray
    tier_rates: FloatArray
    tier_deductions: FloatArray
    linear: FloatArray
    root: FloatArray
    root_offset: FloatArray
    sigma: FloatArray
    trade_max: FloatArray
    trade_min: FloatArray
    size_max: FloatArray
    initial_rate: FloatArray
    stress: FloatArray
    stress_names: tuple[str, ...]
    rows: FloatArray
    row_max: FloatArray
    row_names: tuple[str, ...]
    scenarios: FloatArray
    scenario_offset: FloatArray
    market: FloatArray
    gross_max: float
    net_min: float
    net_max: float
    coin_net_max: float
    coin_gross_max: float
    venue_gross_max: float
    margin_ratio_max: float
    cushion: float
    depeg: float
    turnover_max: float
    volatility_max: float
    covariance_uncertainty: float
    cluster_max: float
    free_collateral_min: float
    stablecoin_min: float
    tail: float
    cvar_max: float
    market_correlation_max: float
    market_offset: float = 0.0
    collateral_beta: FloatArray | None = None
    room: Mapping[str, FloatArray] = field(default_factory=dict)

    def shocked_rates(self, move: FloatArray | float) -> FloatArray:
        """Return r_k·(1 + move), (K, N): the rates on today's notional after moves of prices.

        Parameters
        ----------
        move : (N,) array or float
            Of each contract, or of all alike.
        """
        return np.asarray(self.tier_rates * (1.0 + move * self.linear))

    @cached_property
    def margin_rates(self) -> FloatArray:
        """Rates r_k of the plain margin and of that after each stress, (Q + 1, K, N)."""
        return np.array([self.tier_rates, *map(self.shocked_rates, self.stress)])

    @cached_property
    def without_tail(self) -> LimitArrays:
        """The same without scenarios: CVaR is not judged."""
        return replace(self, scenarios=self.scenarios[:0], scenario_offset=self.scenario_offset[:0])

    @cached_property
    def row_places(self) -> dict[str, slice | list[int]]:
        """Places of the linear rows of each name, names in the order of their first.

        A slice where they stand together, as they mostly do: it is read without a copy.
        """
        places: dict[str, list[int]] = {}
        for place, name in enumerate(self.row_names):
            places.setdefault(name, []).append(place)
        return {
            name: slice(at[0], at[-1] + 1) if at[-1] - at[0] + 1 == len(at) else at
            for name, at in places.items()
        }

    @cached_property
    def counted(self) -> FloatArray:
        """1 for each contract that some account carries, (N,)."""
        return np.asarray(self.account.sum(axis=0))

    def stressed_equity(self) -> FloatArray:
        """Return `equity_in_stress`, (Q, A)."""
        return self.equity_in_stress

    @cached_property
    def equity_in_stress(self) -> FloatArray:
        """Each account's equity in each stress, (Q, A), P&L left out, over total equity.

        The collateral has lost `depeg`; coin has moved besides with the common stresses, and with
        its contracts in the others: with the one that falls most.
        """
        moved = np.full((len(self.stress), len(self.equity_share)), 1.0 - self.depeg)
        if self.collateral_beta is not None:
            common = np.array([self.stress_move, -self.stress_move])
            moved[:2] += np.outer(common, self.collateral_beta)
            inverse = (self.account > 0.0) & (self.linear == 0.0)
            own = np.where(inverse, self.stress[2:, None, :], np.inf).min(axis=2, initial=np.inf)
            moved[2:] += np.where(np.isfinite(own), own, 0.0)
        return np.asarray(moved * self.equity_share)

    def row(self, name: str) -> FloatArray:
        """Return the coefficients (N,) of the first linear row of that name.

        Raises
        ------
        ValueError
            When there is none.
        """
        return np.asarray(self.rows[self.row_names.index(name)])

    def row_bound(self, name: str) -> float:
        """Return the bound of the first linear row of that name; raises as `row` does."""
        return float(self.row_max[self.row_names.index(name)])

    @property
    def stress_move(self) -> float:
        """The common move of the first two scenarios."""
        return float(self.stress[0, 0])

    @property
    def has_tail(self) -> bool:
        """Whether there are scenarios to judge CVaR by."""
        return len(self.scenarios) > 0

    @property
    def caps_correlation(self) -> bool:
        """Whether the correlation with the market is limited."""
        return self.market_correlation_max < CORRELATION_OFF


def maintenance(weights: FloatArray, rates: FloatArray, deductions: FloatArray) -> FloatArray:
    """Return max_k(r_k|w| - c_k) of each contract, (..., N).

    Parameters
    ----------
    weights : (..., N) array
    rates, deductions : (..., K, N), (K, N) arrays
    """
    size = np.abs(weights)[..., None, :]
    return np.asarray((rates * size - deductions).max(axis=-2))


def plain_risk(weights: FloatArray, limits: LimitArrays) -> FloatArray:
    """Return s = |F w| over the horizon of books (M, N), shape (M,)."""
    spread = weights @ limits.root.T + limits.root_offset
    return np.asarray(np.sqrt((spread * spread).sum(axis=1)))


def robust_risk(weights: FloatArray, limits: LimitArrays) -> FloatArray:
    """Return s_wc = sqrt(|F w|² + rho_S (sigma'|w|)²) over the horizon of books (M, N), (M,)."""
    alone = np.abs(weights) @ limits.sigma
    return np.asarray(
        np.hypot(plain_risk(weights, limits), np.sqrt(limits.covariance_uncertainty) * alone)
    )


def book_shortfall(weights: FloatArray, limits: LimitArrays) -> FloatArray:
    """Return the CVaR over the horizon of books (M, N), a positive loss, (M,); S at least 1."""
    return shortfall(weights @ limits.scenarios.T + limits.scenario_offset, limits.tail)


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
        Without scenarios there is no "cvar", without a cap on it no "market_correlation".
    """
    excess = cheap_excess(weights, before, limits)
    if limits.has_tail:
        excess["cvar"] = book_shortfall(weights, limits)[:, None] - limits.cvar_max
    return excess


def cheap_excess(
    weights: FloatArray, before: FloatArray, limits: LimitArrays
) -> dict[str, FloatArray]:
    """Return what `limit_excess` does, but for "cvar", which costs more than all others."""
    parts = {
        **weight_excess(weights, before, limits),
        **account_excess(weights, limits),
        **_correlation_excess(weights, limits),
    }
    for name, room in limits.room.items():
        parts[name] = parts[name] - room
    return parts


def weight_excess(
    weights: FloatArray, before: FloatArray, limits: LimitArrays
) -> dict[str, FloatArray]:
    """Return what `cheap_excess` does, but for accounts and correlation; `room` not counted."""
    size, trade = np.abs(weights), np.abs(weights - before)
    counted = limits.counted[:, None]
    net = weights @ counted
    bound = size @ limits.initial_rate
    return {
        "gross": size @ counted - limits.gross_max,
        "net_min": limits.net_min - net,
        "net_max": net - limits.net_max,
        "coin_net": np.abs(weights @ limits.coin.T) - limits.coin_net_max,
        "coin_gross": size @ limits.coin.T - limits.coin_gross_max,
        "turnover": 0.5 * (trade @ counted) - limits.turnover_max,
        "volatility": robust_risk(weights, limits)[:, None] - limits.volatility_max,
        "participation": trade - limits.trade_max,
        "cluster": size @ limits.cluster.T - limits.cluster_max,
        "standalone_risk": size - limits.size_max,
        "stablecoin": bound[:, None] - (1.0 - limits.stablecoin_min),
        **_row_excess(weights, limits),
    }


def _row_excess(weights: FloatArray, limits: LimitArrays) -> dict[str, FloatArray]:
    if not limits.row_names:
        return {}
    over = weights @ limits.rows.T - limits.row_max
    return {name: over[:, places] for name, places in limits.row_places.items()}


def account_excess(weights: FloatArray, limits: LimitArrays) -> dict[str, FloatArray]:
    """Return what `limit_excess` does, of the limits of accounts, `room` not counted."""
    size = np.abs(weights)
    equity, account = limits.equity_share, limits.account.T
    margins = maintenance(weights[:, None], limits.margin_rates, limits.tier_deductions)
    needed = margins @ account
    earned = (weights[:, None, :] * limits.stress) @ account
    stressed = (1.0 + limits.cushion) * needed[:, 1:] - limits.equity_in_stress - earned
    return {
        "venue_gross": size @ account - limits.venue_gross_max * equity,
        "margin_ratio": needed[:, 0] - limits.margin_ratio_max * equity,
        "free_collateral": (size * limits.initial_rate) @ account
        - (1.0 - limits.free_collateral_min) * equity,
        **{f"stress_{name}": stressed[:, row] for row, name in enumerate(limits.stress_names)},
    }


def _correlation_excess(weights: FloatArray, limits: LimitArrays) -> dict[str, FloatArray]:
    """Return |cov(book, market)|/sigma_b - rho·s(w); a book without risk is like nothing."""
    if not limits.caps_correlation:
        return {}
    risk = plain_risk(weights, limits)
    shared = np.abs(weights @ limits.market + limits.market_offset)
    alike = shared - limits.market_correlation_max * risk
    return {"market_correlation": np.where(risk > 0.0, alike, -1.0)[:, None]}
