"""GARCH(1,1), GJR and EGARCH(1,1) by maximum likelihood, and the gates that a fit must pass.

With normal errors GARCH and GJR are fitted by our own scoring, everything else through `arch`. The
last digits of its optimiser depend on the threads of BLAS: no live figure comes from it.

Returns enter as fractions and are fitted in percent without rescaling; variances leave as fractions
squared per day. The recursion starts from the **presample rule** h_0 = e_0² = mean(e²) (Fiorentini,
Calzolari & Panattoni 1996), never from the library's weighted backcast: on their benchmark that one
gives alpha .1455 where .1531 is published.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from perptui.estimation.panel import SMALLEST_DAILY_VOLATILITY
from perptui.estimation.recursion import FloatArray, decay
from perptui.estimation.variance.garch_scoring import fit_by_scoring
from perptui.model.errors import EstimationError

Model = Literal["garch", "gjr", "egarch"]
Distribution = Literal["normal", "t", "skewt"]
Mean = Literal["zero", "constant"]

LEAST_DAYS = 500
LARGEST_PERSISTENCE = 0.999
BAND = (0.25, 4.0)
"""Of a usable next-day variance, relative to the EWMA of squared returns."""
BAND_HALFLIFE_DAYS = 21.0
LARGEST_SHARE_MISSING = 0.1
LARGEST_SHARE_OF_ONE_DAY = 0.5
"""Of the sum of squares: a series of one jump has no dynamics to fit."""
LEAST_SHARE_MOVING = 0.5
OMEGA_BOUNDS = (1e-6, 9.9)
"""Relative to mean(e²): arch searches in [1e-8, 10]."""
PERCENT = 100.0
LONGEST_HORIZON_DAYS = 30
MEAN_ABSOLUTE_NORMAL = float(np.sqrt(2.0 / np.pi))
_STRATA = 4096
_STRATUM_MIDPOINTS = (np.arange(_STRATA) + 0.5) / _STRATA


@dataclass(frozen=True, slots=True)
class Specification:
    """Which model, which distribution of its errors, and whether its mean is estimated."""

    model: Model = "garch"
    distribution: Distribution = "normal"
    mean: Mean = "zero"


@dataclass(frozen=True, slots=True)
class GarchFit:
    """A fit; parameters are those of returns in percent, NaN where none could be made.

    garch, gjr: h' = omega + (alpha + gamma·1[e<0])·e² + beta·h.
    egarch: ln h' = omega + alpha·(|z| - sqrt(2/pi)) + gamma·z + beta·ln h.

    Attributes
    ----------
    shape : tuple of float
        () for normal, (nu,) for t, (nu, lambda) for the skewed t of Hansen (1994).
    presample : float
        mean(e²), percent squared; through `arch`, which keeps it fixed, about the sample's mean
        where the mean is estimated.
    negative_share : float
        E[z²·1(z<0)]: 1/2 where the distribution is symmetric.
    shock_moments : tuple of float
        For egarch E[exp(beta^i·(alpha(|z| - sqrt(2/pi)) + gamma·z))], i = 0..28; else empty.
    log_likelihood : float
        Of the returns in percent.
    observations : int
    reasons : tuple of str
        Why it must not be used, in words; empty when it may.
    """

    specification: Specification
    mean: float
    omega: float
    alpha: float
    gamma: float
    beta: float
    shape: tuple[float, ...]
    presample: float
    negative_share: float
    shock_moments: tuple[float, ...]
    log_likelihood: float
    observations: int
    converged: bool
    reasons: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether it passed every gate."""
        return not self.reasons

    @property
    def persistence(self) -> float:
        """Return p: of the variance, alpha + gamma·E[z²1(z<0)] + beta; of ln h in egarch, beta."""
        if self.specification.model == "egarch":
            return self.beta
        return self.alpha + self.gamma * self.negative_share + self.beta

    @property
    def unconditional_variance(self) -> float:
        """Return omega/(1-p) as a fraction squared per day; NaN where p >= 1.

        For egarch it is exp(omega/(1-beta)), the variance at the mean of ln h.
        """
        p = self.persistence
        if not p < 1.0:
            return float("nan")
        level = self.omega / (1.0 - p)
        return (np.exp(level) if self.specification.model == "egarch" else level) / PERCENT**2


def fit_garch(returns: FloatArray, specification: Specification) -> GarchFit:
    """Fit `specification` to daily returns (T,), fractions; holes (NaN) are left out.

    The same under every filter of warnings: what `arch` says of its convergence is in `reasons`,
    not in a warning. A fit that breaks a gate (method §2, §14) says why; callers let EWMA speak.

    Raises
    ------
    EstimationError
        When `returns` is not one series or the model is none of ours.
    """
    if returns.ndim != 1:
        raise EstimationError(f"expected returns (T,), was {returns.shape}; pass one contract")
    if specification.model not in ("garch", "gjr", "egarch"):
        raise EstimationError(
            f"expected garch, gjr or egarch, was {specification.model}; mend the settings"
        )
    seen = np.asarray(returns[np.isfinite(returns)], dtype=np.float64)
    refusal = _refusal(seen, len(returns))
    if refusal:
        return _no_fit(specification, len(seen), f"{specification.model}: {refusal}")
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            percent = PERCENT * seen
            if specification.distribution == "normal" and specification.model != "egarch":
                return _by_scoring(percent, specification)
            return _through_arch(percent, specification)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        return _no_fit(specification, len(seen), f"{specification.model}: no fit, {error}")


def _refusal(seen: FloatArray, days: int) -> str:
    """Return why nothing can be fitted to `seen` of `days` days; "" when something can."""
    if len(seen) < LEAST_DAYS:
        return f"{len(seen)} of {LEAST_DAYS} days"
    if days - len(seen) > LARGEST_SHARE_MISSING * days:
        return f"{days - len(seen)} of {days} days missing"
    squares = seen**2
    volatility = float(np.std(seen))
    if not volatility >= SMALLEST_DAILY_VOLATILITY:
        return f"daily volatility {volatility:.0e}, below {SMALLEST_DAILY_VOLATILITY:.0e}"
    if np.count_nonzero(seen) < LEAST_SHARE_MOVING * len(seen):
        return f"no move on {np.count_nonzero(seen == 0)} of {len(seen)} days"
    share = float(squares.max() / squares.sum())
    if share > LARGEST_SHARE_OF_ONE_DAY:
        return f"one day holds {share:.0%} of the variance"
    return ""


def _no_fit(specification: Specification, observations: int, reason: str) -> GarchFit:
    nan = float("nan")
    return GarchFit(
        specification,
        nan,
        nan,
        nan,
        nan,
        nan,
        (),
        nan,
        nan,
        (),
        nan,
        observations,
        False,
        (reason,),
    )


def _by_scoring(percent: FloatArray, specification: Specification) -> GarchFit:
    scored = fit_by_scoring(
        percent,
        leverage=specification.model == "gjr",
        constant=specification.mean == "constant",
    )
    mean, omega, alpha, gamma, beta = (float(value) for value in scored.parameters)
    fit = GarchFit(
        specification=specification,
        mean=mean,
        omega=omega,
        alpha=alpha,
        gamma=gamma,
        beta=beta,
        shape=(),
        presample=scored.presample,
        negative_share=0.5,
        shock_moments=(),
        log_likelihood=scored.log_likelihood,
        observations=len(percent),
        converged=scored.converged,
        reasons=(),
    )
    return _gated(fit, percent - mean, float(scored.variances[-1]))


def _through_arch(percent: FloatArray, specification: Specification) -> GarchFit:
    from arch import arch_model

    constant = specification.mean == "constant"
    model = arch_model(
        percent,
        mean="Constant" if constant else "Zero",
        vol="EGARCH" if specification.model == "egarch" else "GARCH",
        o=0 if specification.model == "garch" else 1,
        dist=specification.distribution,
        rescale=False,
    )
    presample = float(np.mean((percent - (percent.mean() if constant else 0.0)) ** 2))
    result = model.fit(disp="off", show_warning=False, backcast=presample)
    values = [float(value) for value in np.asarray(result.params)]
    mean = values.pop(0) if constant else 0.0
    omega, alpha = values[:2]
    gamma = 0.0 if specification.model == "garch" else values[2]
    beta, *shape = values[2 if specification.model == "garch" else 3 :]
    egarch = specification.model == "egarch"
    fit = GarchFit(
        specification=specification,
        mean=mean,
        omega=omega,
        alpha=alpha,
        gamma=gamma,
        beta=beta,
        shape=tuple(shape),
        presample=presample,
        negative_share=float(model.distribution.partial_moment(2, 0.0, shape or None)),
        shock_moments=_shock_moments(model.distribution, shape, alpha, gamma, beta)
        if egarch
        else (),
        log_likelihood=float(result.loglikelihood),
        observations=len(percent),
        converged=result.convergence_flag == 0,
        reasons=(),
    )
    h = np.asarray(result.conditional_volatility) ** 2
    return _gated(fit, percent - mean, float(h[-1]))


def _shock_moments(
    distribution: Any, shape: list[float], alpha: float, gamma: float, beta: float
) -> tuple[float, ...]:
    """Return E[exp(beta^i·g(z))] over a stratified draw of z: the middle of 4096 equal strata.

    Under a t distribution the expectation is infinite (Nelson 1991), and any simulation of it is an
    accident of its largest draw. Strata cut the tail where one draw in 8192 lies, always the same.
    """
    z = np.asarray(distribution.ppf(_STRATUM_MIDPOINTS, shape or None))
    shock = alpha * (np.abs(z) - MEAN_ABSOLUTE_NORMAL) + gamma * z
    powers = beta ** np.arange(LONGEST_HORIZON_DAYS - 1)
    return tuple(float(np.mean(np.exp(power * shock))) for power in powers)


def _gated(fit: GarchFit, residuals: FloatArray, last_variance: float) -> GarchFit:
    """Return `fit` with the reasons to reject it."""
    reasons = []
    if not fit.persistence < LARGEST_PERSISTENCE:
        reasons.append(f"persistence {fit.persistence:.4f}, at least {LARGEST_PERSISTENCE}")
    elif not fit.converged:
        reasons.append("did not converge")
    if fit.specification.model != "egarch" and fit.alpha == fit.gamma == 0.0:
        # Then beta is anything: the likelihood of a constant variance is flat in it.
        reasons.append("no response to shocks")
    low, high = (fit.presample * bound for bound in OMEGA_BOUNDS)
    if fit.specification.model != "egarch" and not low < fit.omega < high:
        reasons.append(f"omega {fit.omega:.1e} at its bound")
    ahead = next_variance(fit, float(residuals[-1]), last_variance)
    words = band_words(ahead, _last_ewma(residuals**2))
    if words:
        reasons.append(words)
    return replace(fit, reasons=tuple(f"{fit.specification.model}: {one}" for one in reasons))


def next_variance(fit: GarchFit, residual: float, variance: float) -> float:
    """Return h' after a day of `residual` e and `variance` h, in percent and percent squared."""
    if fit.specification.model == "egarch":
        z = residual / np.sqrt(variance)
        shock = fit.alpha * (abs(z) - MEAN_ABSOLUTE_NORMAL) + fit.gamma * z
        return float(np.exp(fit.omega + shock + fit.beta * np.log(variance)))
    response = fit.alpha + fit.gamma * (residual < 0)
    return float(fit.omega + response * residual**2 + fit.beta * variance)


def _last_ewma(squares: FloatArray) -> float:
    """Return the last row of `ewma(squares, BAND_HALFLIFE_DAYS)`, without those before."""
    weights = decay(BAND_HALFLIFE_DAYS) ** np.arange(len(squares))[::-1]
    return float((weights * squares).sum() / weights.sum())


def band_words(variance: float, level: float) -> str:
    """Return why `variance` is no forecast beside the EWMA `level`; "" when it is one."""
    if BAND[0] * level <= variance <= BAND[1] * level:
        return ""
    return f"next variance {variance / level:.2f} times EWMA, outside {BAND[0]:g} to {BAND[1]:g}"
