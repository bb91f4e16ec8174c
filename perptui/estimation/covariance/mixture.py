"""CM-IEWMA: several iterated EWMAs combined by the recent likelihood of their factors.

Johansson, Ogut, Pelger, Schmelzle & Boyd (2023), "A simple method for predicting covariance
matrices of financial returns" (method §3.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.covariance.correlation import CorrelationState, advance, state_of
from perptui.estimation.covariance.repair import repair
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]

EXPERTS = ((10.0, 21.0), (21.0, 63.0), (63.0, 125.0))
"""Half-lives in days of volatility and correlation."""
FIRST_DIAGONAL = 1.05
"""The fastest expert's variances are raised by 5 %, which regularises it."""
WINDOW_DAYS = 10
LEAST_WINDOW_DAYS = 5
"""Complete days below which experts have equal weights."""
LEAST_DAYS = 30
"""Days of a coin before it takes part."""
_BARRIER_START, _BARRIER_END, _BARRIER_STEP = 1e-2, 1e-10, 0.01
_MOST_NEWTON = 30
_INSIDE = 0.99


@dataclass(frozen=True, slots=True)
class Mixture:
    """Covariance of the next day's returns, and how it was mixed.

    Attributes
    ----------
    sigma : (K, K) array
        Of the coins in `coins`, positive definite.
    coins : (K,) array
        Columns that take part.
    weights : (E,) array
        Of the experts, on the simplex.
    days : int
        Days that decided the weights; 0 means equal weights for want of data.
    """

    sigma: FloatArray
    coins: NDArray[np.int64]
    weights: FloatArray
    days: int


def forecast_mixture(
    daily: FloatArray,
    experts: tuple[tuple[float, float], ...] = EXPERTS,
    window_days: int = WINDOW_DAYS,
) -> Mixture:
    """Return the combined forecast for the day after the last row of `daily` (D, C).

    Sigma = (L L')^-1 with L = sum pi_k L_k, L_k the Cholesky factor of expert k's precision. pi
    maximises sum_t [sum_i ln L_t,ii - ½||L_t' r_t||²] over the last `window_days` days, each L_t
    from forecasts made the day before. The factor depends on the order of columns.

    Raises
    ------
    EstimationError
        When no coin has `LEAST_DAYS` days before the window.
    """
    start = max(0, len(daily) - window_days)
    coins = np.flatnonzero(np.isfinite(daily[:start]).sum(axis=0) >= LEAST_DAYS)
    if not len(coins):
        raise EstimationError(
            f"expected a coin with {LEAST_DAYS} days of returns before the last {window_days}, "
            "was none; fetch history"
        )
    returns = daily[:, coins]
    factors = np.array(
        [
            _factors(returns, start, halflives, FIRST_DIAGONAL if k == 0 else 1.0)
            for k, halflives in enumerate(experts)
        ]
    )
    recent = returns[start:]
    usable = np.isfinite(recent).all(axis=1)
    days = int(usable.sum()) if usable.sum() >= LEAST_WINDOW_DAYS else 0
    weights = np.full(len(experts), 1.0 / len(experts))
    if days:
        weights = maximum_likelihood_weights(factors[:, :-1][:, usable], recent[usable])
    return Mixture(_covariance(weights, factors[:, -1]), coins, weights, days)


def _covariance(weights: FloatArray, factors: FloatArray) -> FloatArray:
    inverse = np.linalg.inv(np.einsum("k,kij->ij", weights, factors))
    sigma: FloatArray = inverse.T @ inverse
    return sigma


def _factors(
    returns: FloatArray, start: int, halflives: tuple[float, float], diagonal: float
) -> FloatArray:
    """Return one expert's factors of precision, made before each row from `start` and at the end.

    (D - start + 1, K, K), lower triangular.
    """
    state = state_of(returns[:start], *halflives)
    factors = [_precision_factor(state, diagonal)]
    for row in returns[start:]:
        state = advance(state, row)
        factors.append(_precision_factor(state, diagonal))
    return np.array(factors)


def _precision_factor(state: CorrelationState, diagonal: float) -> FloatArray:
    matrix, _ = state.correlation()
    deviation = np.sqrt(state.variance)
    if not (deviation > 0).all():
        raise EstimationError(
            f"expected coins that move, was {int((~(deviation > 0)).sum())} constant; leave it out"
        )
    sigma = repair(matrix).matrix * np.outer(deviation, deviation)
    sigma[np.diag_indices(len(sigma))] *= diagonal
    factor: FloatArray = np.linalg.cholesky(np.linalg.inv(sigma))
    return factor


def maximum_likelihood_weights(factors: FloatArray, returns: FloatArray) -> FloatArray:
    """Return the weights (E,) on the simplex that make `returns` (M, K) likeliest.

    Parameters
    ----------
    factors : (E, M, K, K) array
        Lower Cholesky factors of precision, positive on the diagonal.
    returns : (M, K) array
        Of the days that they were made for.

    Notes
    -----
    Concave: ln of linear forms less a quadratic form of dimension E. Solved by Newton's method on
    a logarithmic barrier, to a duality gap of E·1e-10 a day and coin.
    """
    experts, days, coins = factors.shape[:3]
    forms = np.einsum("emkk->mke", factors).reshape(days * coins, experts)
    images = np.einsum("emij,mi->emj", factors, returns).reshape(experts, days * coins)
    scale = 1.0 / (days * coins)
    problem = _Barrier(forms, images @ images.T * scale, scale)
    weights = np.full(experts, 1.0 / experts)
    strength = _BARRIER_START
    while strength >= _BARRIER_END:
        weights = problem.centre(weights, strength)
        strength *= _BARRIER_STEP
    simplex: FloatArray = weights / weights.sum()
    return simplex


@dataclass(frozen=True, slots=True)
class _Barrier:
    """f(w) = scale·sum ln(forms w) - ½ w'Qw + strength·sum ln w, on the plane sum w = 1."""

    forms: FloatArray
    quadratic: FloatArray
    scale: float

    def value(self, weights: FloatArray, strength: float) -> float:
        likely = self.scale * float(np.log(self.forms @ weights).sum())
        barrier = strength * float(np.log(weights).sum())
        return likely - 0.5 * float(weights @ self.quadratic @ weights) + barrier

    def centre(self, weights: FloatArray, strength: float) -> FloatArray:
        """Return the maximum at one strength of the barrier, from `weights` inside."""
        for _ in range(_MOST_NEWTON):
            step, gain = self._newton(weights, strength)
            if gain <= 1e-3 * strength * len(weights):
                break
            falling = step < 0
            reach = np.min(-weights[falling] / step[falling]) if falling.any() else np.inf
            length = min(1.0, _INSIDE * float(reach))
            before = self.value(weights, strength)
            while self.value(weights + length * step, strength) < before and length > 1e-12:
                length /= 2.0
            weights = weights + length * step
        return weights

    def _newton(self, weights: FloatArray, strength: float) -> tuple[FloatArray, float]:
        """Return the Newton step on the plane, and the gain in value that it promises, doubled."""
        size = len(weights)
        relative = self.forms / (self.forms @ weights)[:, None]
        gradient = self.scale * relative.sum(axis=0) - self.quadratic @ weights
        gradient = gradient + strength / weights
        curvature = self.scale * relative.T @ relative + self.quadratic
        curvature = curvature + np.diag(strength / weights**2)
        system = np.ones((size + 1, size + 1))
        system[:size, :size], system[size, size] = curvature, 0.0
        step = np.linalg.solve(system, np.append(gradient, 0.0))[:size]
        return step, float(step @ curvature @ step)
