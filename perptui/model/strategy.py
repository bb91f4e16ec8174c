"""A strategy's parameters (method §7), under a model version."""

from __future__ import annotations

from typing import Literal

from perptui.model.record import Record
from perptui.model.whatif import PutQuote

REGIMES = ("calm", "normal", "stress", "crisis")
SOFT_LIMITS = {
    "cvar": 3,
    "volatility": 3,
    "standalone_risk": 3,
    "market_correlation": 5,
    "first_component": 5,
    "beta": 5,
    "cluster": 5,
    "net": 5,
    "turnover": 6,
}
"""Limits that may be soft, and their level (method §6), 1 the most important. Those of levels 1 and
2 (margins, gross, venue and coin limits) never are; drawdown acts through cvar and volatility. Net
and turnover are in the program only: the desk's gate holds every order to them."""


class HoldingCost(Record, frozen=True):
    """What holding a position at a venue costs a year, fraction of notional, either side."""

    venue: str
    apr: float


class StrategyParameters(Record, frozen=True):
    """What makes `balanced` and `tactical` differ; set in config.toml under ``[strategy.NAME]``.

    Attributes
    ----------
    name : str
        ``balanced``, ``tactical`` or ``hybrid``.
    model_version : str
        Written into each proposal, ticket and audit record.
    horizon_days : float
        Decision horizon H, days: returns, risk and costs are for H.
    risk_aversion : float
        gamma in ½ gamma w'Sigma w.
    cost_aversion : float
        lambda_c on transaction costs.
    uncertainty : float
        z_c of the robust mean: rho_i = z_c sqrt(Omega_ii); 0 switches it off.
    volatility_halflife_days, correlation_halflife_days : float
        Iterated EWMA half-lives.
    volatility_target : float
        Annualised; the exposure scale is target over forecast within the regime's cap.
    exposure_by_regime : tuple[float, float, float, float]
        Cap of the exposure scale in calm, normal, stress, crisis.
    exposure_min : float
        Floor of the exposure scale before the regime's cap.
    follow_regime : bool
        True: gross limit and cushion follow the regime (tactical).
    combined_volatility : bool
        True: the combined forecast; False: iterated EWMA alone.
    combined_correlation : bool
        True: iterated EWMAs of several half-lives, weighted by recent likelihood (CM-IEWMA);
        False: the one with the half-lives above.
    margin_cushion : tuple[float, float, float, float]
        Extra share of maintenance margin by regime: (1 + cushion)·MM <= stressed equity.
    cluster_correlation : float
        Contracts correlated above this form one cluster (balanced); 1 switches clusters off.
    cluster_gross_max : float
        Bound on sum|w| inside a cluster, multiple of equity.
    robust : str
        Shape of the uncertainty of expected returns: ``box`` (rho'|w|, rho from `uncertainty`),
        ``ellipsoid`` (k·||Omega^1/2 w||, k from `uncertainty`) or ``off``.
    covariance_uncertainty : float
        rho_S of the robust risk s² = w'Sigma w + rho_S (sum sigma_i|w_i|)²; 0 is off.
    holding_costs : tuple[HoldingCost, ...]
        Venue and borrow cost of positions, by venue.
    drawdown_control : bool
        True: the risk budget shrinks with drawdown: volatility_max·(1 - DD/DD_max), and CVaR at
        most `drawdown_share` of what is left to DD_max.
    drawdown_share : float
        eta of that.
    volatility_threshold, leverage_cut : float
        The simple rule: above this annualised forecast of the equal-weight book, the gross limit
        is multiplied by `leverage_cut`; a threshold of 10 is off.
    stablecoin_min : tuple[float, float, float, float]
        Least share of total equity that no initial margin binds, by regime.
    stablecoin_apr : float
        What that share earns a year.
    depeg : float
        Loss of the collateral's own value in the margin stress, fraction.
    hedge_from : str
        Regime from which hedges may be opened: calm, ..., crisis; ``never``.
    hedge_shorts : tuple[str, ...]
        Instrument ids that may be sold short as hedges only, outside the universe else.
    puts : tuple[PutQuote, ...]
        Puts on offer to the desk.
    put_premium_max : float
        Premium of all puts together, fraction of equity.
    soft_limits : tuple[str, ...]
        Limits that may be exceeded at a price, from the least important on: `SOFT_LIMITS`.
    soft_penalty : float
        That price for the most important of them, objective per unit of the limit; each less
        important level costs a quarter of it.
    soft_order : str
        ``penalty``, or ``lexicographic``: least violation level by level.
    blend : tuple[str, ...]
        Of a hybrid: the strategies it hands over between, core first; empty for others.
    tracking_penalty : float
        eta of a hybrid's re-solve ½ eta (w - w_mix)'Sigma(w - w_mix).
    """

    name: str
    model_version: str
    horizon_days: float
    risk_aversion: float
    cost_aversion: float
    uncertainty: float
    volatility_halflife_days: float
    correlation_halflife_days: float
    volatility_target: float
    exposure_by_regime: tuple[float, float, float, float]
    exposure_min: float
    follow_regime: bool
    combined_volatility: bool
    margin_cushion: tuple[float, float, float, float]
    cluster_correlation: float
    cluster_gross_max: float
    combined_correlation: bool = False
    robust: Literal["box", "ellipsoid", "off"] = "box"
    covariance_uncertainty: float = 0.0
    holding_costs: tuple[HoldingCost, ...] = ()
    drawdown_control: bool = False
    drawdown_share: float = 1.0
    volatility_threshold: float = 10.0
    leverage_cut: float = 1.0
    stablecoin_min: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    stablecoin_apr: float = 0.0
    depeg: float = 0.0
    hedge_from: Literal["calm", "normal", "stress", "crisis", "never"] = "never"
    hedge_shorts: tuple[str, ...] = ()
    puts: tuple[PutQuote, ...] = ()
    put_premium_max: float = 0.0
    soft_limits: tuple[str, ...] = ()
    soft_penalty: float = 1.0
    soft_order: Literal["penalty", "lexicographic"] = "penalty"
    blend: tuple[str, ...] = ()
    tracking_penalty: float = 4.0
