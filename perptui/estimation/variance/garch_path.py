"""What a fit says of the days ahead: the variance filter, and its mean over a horizon."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perptui.estimation.recursion import FloatArray, carried
from perptui.estimation.variance.garch import (
    LONGEST_HORIZON_DAYS,
    MEAN_ABSOLUTE_NORMAL,
    PERCENT,
    GarchFit,
)
from perptui.model.errors import EstimationError


def variance_path(fit: GarchFit, returns: FloatArray) -> FloatArray:
    """Return h (T + 1,), the variance of each day of `returns` (T,) and of the day after.

    Fractions squared per day. h_0 follows from the presample rule; a NaN is a day without news,
    after which h' is its own expectation.
    """
    return variance_paths([fit], returns[:, None])[:, 0]


def variance_paths(fits: Sequence[GarchFit], returns: FloatArray) -> FloatArray:
    """Return h (T + 1, K) for K fits of one model, each filtering its own column of `returns`.

    Raises
    ------
    EstimationError
        When the fits are of egarch and others mixed: their recursions differ.
    """
    exponential = {fit.specification.model == "egarch" for fit in fits}
    if len(exponential) != 1:
        raise EstimationError("expected fits of one kind, was egarch among others; split them")
    residuals = PERCENT * returns - _each(fits, "mean")
    path = _exponential if exponential.pop() else _linear
    h: FloatArray = path(fits, residuals) / PERCENT**2
    return h


def _each(fits: Sequence[GarchFit], name: str) -> FloatArray:
    return np.array([getattr(fit, name) for fit in fits], dtype=np.float64)


def _linear(fits: Sequence[GarchFit], residuals: FloatArray) -> FloatArray:
    omega, alpha, gamma, beta = (_each(fits, name) for name in ("omega", "alpha", "gamma", "beta"))
    hole = np.isnan(residuals)
    squares = np.where(hole, 0.0, residuals) ** 2
    news = omega + (alpha + gamma * (residuals < 0)) * squares
    kept = np.where(hole, _each(fits, "persistence"), beta)
    first = omega + (alpha + 0.5 * gamma + beta) * _each(fits, "presample")
    inputs, shares = np.vstack([first, news]), np.vstack([first, kept])
    return np.column_stack([carried(inputs[:, k], shares[:, k]) for k in range(len(fits))])


def _exponential(fits: Sequence[GarchFit], residuals: FloatArray) -> FloatArray:
    omega, alpha, gamma, beta = (_each(fits, name) for name in ("omega", "alpha", "gamma", "beta"))
    hole = np.isnan(residuals)
    size = np.where(hole, 0.0, np.abs(residuals))
    response = np.where(residuals < 0, alpha - gamma, alpha + gamma) * size
    level = omega - np.where(hole, 0.0, alpha * MEAN_ABSOLUTE_NORMAL)
    log_h = np.empty((len(residuals) + 1, len(fits)))
    log_h[0] = omega + beta * np.log(_each(fits, "presample"))
    for t in range(len(residuals)):
        log_h[t + 1] = level[t] + response[t] * np.exp(-0.5 * log_h[t]) + beta * log_h[t]
    h: FloatArray = np.exp(log_h)
    return h


def mean_variance_ahead(fit: GarchFit, first: FloatArray, horizon: int) -> FloatArray:
    """Return the mean daily variance of the next `horizon` days, given tomorrow's `first` (...).

    garch, gjr: v + (h_1 - v)(1 - p^H)/(H(1 - p)), p = alpha + beta + gamma·E[z²1(z<0)], v the
    unconditional variance. egarch: ln h_k is linear in ln h_1, so h_k has the expectation
    h_1^(beta^(k-1))·exp(omega·(1 + beta + ...))·prod of `shock_moments` (Nelson 1991, theorem 2.2
    for the normal); nothing is left to chance. Fractions squared per day.

    Raises
    ------
    EstimationError
        When the fit was rejected, or H is outside 1..30.
    """
    if not fit.usable:
        raise EstimationError(
            f"expected a fit that passed its gates, was {'; '.join(fit.reasons)}; use EWMA"
        )
    if not 1 <= horizon <= LONGEST_HORIZON_DAYS:
        raise EstimationError(
            f"expected a horizon of 1 to {LONGEST_HORIZON_DAYS} days, was {horizon}; change it"
        )
    if fit.specification.model == "egarch":
        return _mean_exponential(fit, first, horizon)
    p, v = fit.persistence, fit.unconditional_variance
    share = (1.0 - p**horizon) / (horizon * (1.0 - p))
    mean: FloatArray = v + (first - v) * share
    return mean


def _mean_exponential(fit: GarchFit, first: FloatArray, horizon: int) -> FloatArray:
    log_first = np.log(first * PERCENT**2)
    total, level, power = np.zeros(np.shape(first)), 0.0, 1.0
    for k in range(horizon):
        total = total + np.exp(level + power * log_first)
        if k + 1 < horizon:
            level += fit.omega * power + np.log(fit.shock_moments[k])
            power *= fit.beta
    mean: FloatArray = total / horizon / PERCENT**2
    return mean
