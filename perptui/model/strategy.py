"""A strategy's parameters (method §7), under a model version."""

from __future__ import annotations

from perptui.model.record import Record

REGIMES = ("calm", "normal", "stress", "crisis")


class StrategyParameters(Record, frozen=True):
    """What makes `balanced` and `tactical` differ; set in config.toml under ``[strategy.NAME]``.

    Attributes
    ----------
    name : str
        ``balanced`` or ``tactical``.
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
