"""Expected price drift by lookbacks of 1, 7 and 30 days, shrunk, blended, and judged.

Drifts are arithmetic: m_L = ln(P_t/P_{t-L})/L + ½ sigma². A drift of zero is then a price that
expects nothing, whatever its volatility; in logs, zero would promise ½ sigma² a day. What is
judged is what would have been used: shrunk, weighted as known then, drawn together, and capped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from perptui.estimation.drift.blend import (
    LOOKBACKS,
    bayes_stein,
    effective_lookback,
    walked_weights,
)
from perptui.estimation.recursion import BoolArray, FloatArray, divided

LARGEST_INFORMATION = 0.25
"""|D| is capped at this many standard deviations of the horizon's return."""
EVIDENCE_DAYS = 365
LEAST_FORECASTS = 60
"""Days with a forecast and its outcome, below which there is no evidence."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Drift per day of C coins.

    Attributes
    ----------
    by_lookback : (3, C) array
        k_L·m_L for each of `LOOKBACKS`.
    blend : (C,) array
        Their weighted sum, capped; zero when the walk-forward evidence is against it.
    posterior_variance : (C,) array
        tau²·(1-k) = k·sigma²/L_eff, of the daily drift; zero where the drift is left out (k = 0):
        what is then unknown is risk, and stands in the covariance.
    r_squared : float
        Walk-forward, against a forecast of zero; NaN when there are too few forecasts.
    forecasts : int
        Days that were judged.
    tau : float
        Prior standard deviation of a daily drift.
    weights : (3,) array
        omega: the weights of `LOOKBACKS` in force.
    pull : float
        phi: how far the coins' drifts are drawn to a common one (Bayes-Stein).
    """

    by_lookback: FloatArray
    blend: FloatArray
    posterior_variance: FloatArray
    r_squared: float
    forecasts: int
    tau: float
    weights: FloatArray
    pull: float

    @property
    def has_evidence(self) -> bool:
        """Whether past forecasts beat a forecast of zero."""
        return bool(self.r_squared > 0.0)

    @property
    def words(self) -> str:
        """Whether the drift is used, on what evidence, and how it is made."""
        if not np.isfinite(self.r_squared):
            return f"drift left out: {self.forecasts} past forecasts are too few to judge it"
        evidence = f"walk-forward R² {self.r_squared:.2%} on {self.forecasts} d"
        if not self.has_evidence:
            return f"drift left out: {evidence}"
        blend = ", ".join(
            f"{lookback} d {weight:.2f}"
            for lookback, weight in zip(LOOKBACKS, self.weights, strict=True)
        )
        return f"drift in use: {evidence}; weights {blend}; {self.pull:.0%} to the common drift"


@dataclass(frozen=True, slots=True)
class DriftPath:
    """Drift per day of C coins, as it was forecast at the end of each of D days.

    Attributes
    ----------
    blends : (D, C) array
        Shrunk, weighted, drawn together, capped; NaN where a lookback is not known.
    shrunk : (3, D, C) array
        k_L·m_L.
    weights : (D, 3) array
        omega in force.
    lookback : (D,) array
        L_eff of these weights, days.
    pull : (D,) array
        phi of Bayes-Stein.
    prior : (D,) array
        tau².
    """

    blends: FloatArray
    shrunk: FloatArray
    weights: FloatArray
    lookback: FloatArray
    pull: FloatArray
    prior: FloatArray


def lookback_drifts(log_price: FloatArray, variance: FloatArray) -> FloatArray:
    """Return m_L by day, (3, D, C), from log prices (D + 1, C) and daily variances (D, C)."""
    days = len(log_price) - 1
    drifts = np.full((len(LOOKBACKS), days, log_price.shape[1]), np.nan)
    for row, lookback in enumerate(LOOKBACKS):
        if days >= lookback:
            moved = (log_price[lookback:] - log_price[:-lookback]) / lookback
            drifts[row, lookback - 1 :] = moved + 0.5 * variance[lookback - 1 :]
    return drifts


def prior_variance(
    drifts: FloatArray, variance: FloatArray, mean_correlation: FloatArray
) -> FloatArray:
    """Return tau² by day, (D,): the prior variance of a daily drift, by the method of moments.

    Each day Var_cs(m_L) - (1-rho)·mean(sigma²)/L over coins estimates it; days so far are
    averaged, and lookbacks with weights proportional to L, which is the precision of that average
    (each term's variance goes with 1/L², the number of separate windows with 1/L). A day counts
    with the coins known on it, two at least.

    Parameters
    ----------
    drifts : (3, D, C) array
    variance : (D, C) array
        Of daily returns.
    mean_correlation : (D,) array
        rho, mean over pairs.
    """
    total, weight = np.zeros(len(variance)), np.zeros(len(variance))
    for lookback, drift in zip(LOOKBACKS, drifts, strict=True):
        known = np.isfinite(drift) & np.isfinite(variance)
        noise = (1.0 - mean_correlation) * _mean(variance, known) / lookback
        spread = (drift - _mean(drift, known)[:, None]) ** 2
        coins = known.sum(axis=1)
        dispersion = divided(np.where(known, spread, 0.0).sum(axis=1), coins - 1, coins > 1)
        excess = dispersion - noise
        total += lookback * np.cumsum(np.where(coins > 1, excess, 0.0))
        weight += lookback * np.cumsum(coins > 1)
    return np.maximum(divided(total, weight, weight > 0, 0.0), 0.0)


def _mean(x: FloatArray, known: BoolArray) -> FloatArray:
    count = known.sum(axis=1)
    return divided(np.where(known, x, 0.0).sum(axis=1), count, count > 0)


def shrinkage(tau2: FloatArray, variance: FloatArray, lookback: float) -> FloatArray:
    """Return k = tau²/(tau² + sigma²/L), (D, C)."""
    prior = tau2[:, None]
    k: FloatArray = prior / (prior + variance / lookback)
    return k


def forecast_drift(
    log_price: FloatArray, variance: FloatArray, mean_correlation: FloatArray, horizon_days: float
) -> Drift:
    """Return the drift at the last day, and how such forecasts did on the days before.

    Parameters
    ----------
    log_price : (D + 1, C) array
        Coins' log prices at days' ends.
    variance : (D, C) array
        Forecast of the daily variance made on each day.
    mean_correlation : (D,) array
        Mean over pairs, known on each day.
    horizon_days : float
        H; the evidence is about the next round(H) days, at least one.
    """
    path = drift_path(log_price, variance, mean_correlation, horizon_days)
    ahead = max(1, round(horizon_days))
    r_squared, forecasts = walk_forward(path.blends, log_price, variance, ahead)
    k = shrinkage(path.prior[-1:], variance[-1:], float(path.lookback[-1]))[0]
    posterior = path.prior[-1] * (1.0 - k)
    blend = np.where(np.isfinite(path.blends[-1]), path.blends[-1], 0.0)
    if not r_squared > 0.0:
        blend, posterior = np.zeros(len(blend)), np.zeros(len(blend))
    last = path.shrunk[:, -1]
    return Drift(
        by_lookback=np.where(np.isfinite(last), last, 0.0) + 0.0,
        blend=blend,
        posterior_variance=posterior,
        r_squared=r_squared,
        forecasts=forecasts,
        tau=float(np.sqrt(path.prior[-1])),
        weights=path.weights[-1],
        pull=float(path.pull[-1]),
    )


def present_drift(
    drift: Drift,
    moved: FloatArray,
    variance: FloatArray,
    mean_correlation: float,
    horizon_days: float,
) -> Drift:
    """Return `drift` with the lookbacks of the present hour; the evidence and the prior stay.

    Parameters
    ----------
    drift : Drift
        Made at the last day's end.
    moved : (3, C) array
        ln P_t/P_{t-L} for each of `LOOKBACKS`; NaN where not known.
    variance : (C,) array
        Present forecast of the daily variance.
    mean_correlation : float
        Over pairs, at the last day's end.
    horizon_days : float
        H, for the cap.
    """
    lookbacks = np.array(LOOKBACKS, dtype=np.float64)[:, None]
    means = moved / lookbacks + 0.5 * variance
    prior = drift.tau**2
    shrunk = prior / (prior + variance / lookbacks) * means
    lookback = effective_lookback(drift.weights[None, :])
    blend, pull = bayes_stein(
        (drift.weights @ shrunk)[None, :],
        (drift.weights @ means)[None, :],
        variance[None, :],
        np.array([mean_correlation]),
        lookback,
    )
    cap = LARGEST_INFORMATION * np.sqrt(variance / horizon_days)
    known = np.where(np.isfinite(blend[0]), np.clip(blend[0], -cap, cap), 0.0)
    posterior = prior * (1.0 - prior / (prior + variance / lookback))
    nothing = np.zeros(len(variance))
    return replace(
        drift,
        by_lookback=np.where(np.isfinite(shrunk), shrunk, 0.0) + 0.0,
        blend=known if drift.has_evidence else nothing,
        posterior_variance=posterior if drift.has_evidence else nothing,
        pull=float(pull[0]),
    )


def drift_path(
    log_price: FloatArray, variance: FloatArray, mean_correlation: FloatArray, horizon_days: float
) -> DriftPath:
    """Return the drift as it was forecast on each day; arguments as of `forecast_drift`.

    Row t is the same whatever comes after it.
    """
    ahead = max(1, round(horizon_days))
    drifts = lookback_drifts(log_price, variance)
    prior = prior_variance(drifts, variance, mean_correlation)
    shrunk = np.stack(
        [
            shrinkage(prior, variance, lookback) * drift
            for lookback, drift in zip(LOOKBACKS, drifts, strict=True)
        ]
    )
    weights = walked_weights(shrunk, outcomes(log_price, variance, ahead), variance, ahead)
    lookback = effective_lookback(weights)
    blends, pull = bayes_stein(
        np.einsum("dl,ldc->dc", weights, shrunk),
        np.einsum("dl,ldc->dc", weights, drifts),
        variance,
        mean_correlation,
        lookback,
    )
    cap = LARGEST_INFORMATION * np.sqrt(variance / horizon_days)
    return DriftPath(np.clip(blends, -cap, cap), shrunk, weights, lookback, pull, prior)


def outcomes(log_price: FloatArray, variance: FloatArray, horizon: int) -> FloatArray:
    """Return the arithmetic drift a day over the `horizon` days after each, (D, C).

    NaN on the last `horizon` days. `variance` (D, C) is the forecast of the daily variance made
    on each day.
    """
    came = np.full(variance.shape, np.nan)
    moved = (log_price[1 + horizon :] - log_price[1 : max(len(log_price) - horizon, 1)]) / horizon
    came[: len(moved)] = moved + 0.5 * variance[: len(moved)]
    return came


def walk_forward(
    blends: FloatArray, log_price: FloatArray, variance: FloatArray, horizon: int
) -> tuple[float, int]:
    """Return the out-of-sample R² of past blends against zero, and the number of days judged.

    The outcome of day t is the arithmetic drift over the `horizon` days after it; squared errors
    are divided by each coin's variance, so that no coin speaks alone. Each blend used only days
    up to its own. NaN with fewer than `LEAST_FORECASTS` days.
    """
    came = outcomes(log_price, variance, horizon)[:-horizon][-EVIDENCE_DAYS:]
    made, scale = (x[:-horizon][-EVIDENCE_DAYS:] for x in (blends, variance))
    judged = np.isfinite(made) & np.isfinite(came)
    forecasts = int(np.count_nonzero(judged.any(axis=1)))
    if forecasts < LEAST_FORECASTS:
        return float("nan"), forecasts
    missed = ((came - made) ** 2 / scale)[judged].sum()
    nothing = (came**2 / scale)[judged].sum()
    return float(1.0 - missed / nothing), forecasts
