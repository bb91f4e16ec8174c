"""GARCH(1,1) and GJR with normal errors by scoring with analytic derivatives.

The likelihood is the one that `arch` maximises, and the presample rule h_0 = e_0² = mean(e²) is
part of it, its derivative by the mean included (Fiorentini, Calzolari & Panattoni 1996). One
filter gives the variances and one all their derivatives. The search starts as Fisher scoring, whose
steps are safe far from the optimum, and ends as BFGS from that information, which needs fewer near
it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perptui.estimation.recursion import BoolArray, FloatArray, carried

STARTS = ((0.05, 0.98), (0.1, 0.95), (0.2, 0.9))
"""Response to a shock, and persistence; omega by variance targeting."""
SCORING_STEPS = 4
MOST_STEPS = 100
MOST_HALVINGS = 30
GAIN = 1e-11
"""Expected gain of a step in log-likelihood below which the search ends."""
SLACK = 1e-9
"""By how much rounding may let a step's log-likelihood fall."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The end of a search, in the units of the returns.

    Attributes
    ----------
    parameters : (5,) array
        mean, omega, alpha, gamma, beta; what was not free is 0.
    variances : (T,) array
        h of each day.
    presample : float
        mean(e²) at this mean.
    converged : bool
        Whether it ended inside the parameters' bounds; at a bound, search otherwise.
    """

    parameters: FloatArray
    variances: FloatArray
    presample: float
    log_likelihood: float
    converged: bool


@dataclass(frozen=True, slots=True)
class _News:
    """What each day's variance reacts to at one mean of `unit`; on the first day, the presample.

    `squares` and `negative` (T,) are yesterday's e² and e²·1[e<0]; without leverage the latter is
    not looked at, and `negative` is empty.
    """

    unit: FloatArray
    mean: float
    residuals: FloatArray
    presample: float
    todays: FloatArray
    squares: FloatArray
    negative: FloatArray


@dataclass(frozen=True, slots=True)
class _Point:
    """A set of parameters with its news, variances and log-likelihood."""

    parameters: FloatArray
    news: _News
    variances: FloatArray
    log_likelihood: float


def fit_by_scoring(returns: FloatArray, *, leverage: bool, constant: bool) -> Scored:
    """Maximise the normal likelihood of `returns` (T,) over omega, alpha, beta and what is asked.

    Parameters
    ----------
    returns : (T,) array
        Not all equal; in any unit, percent as a rule.
    leverage : bool
        Whether gamma is free (GJR).
    constant : bool
        Whether the mean is free; else it is 0.
    """
    scale = float(np.sqrt(np.mean((returns - (returns.mean() if constant else 0.0)) ** 2)))
    unit = returns / scale
    free = np.array([constant, True, True, leverage, True])
    point, converged = _climbed(_start(unit, leverage, constant), free)
    units = np.array([scale, scale**2, 1.0, 1.0, 1.0])
    return Scored(
        point.parameters * units,
        point.variances * scale**2,
        point.news.presample * scale**2,
        point.log_likelihood - len(unit) * float(np.log(scale)),
        converged,
    )


def _start(unit: FloatArray, leverage: bool, constant: bool) -> _Point:
    mean = float(unit.mean()) if constant else 0.0
    news = _news(unit, mean, leverage)
    points = []
    for response, persistence in STARTS:
        alpha, gamma = (0.5 * response, response) if leverage else (response, 0.0)
        values = np.array([mean, 1.0 - persistence, alpha, gamma, persistence - response])
        points.append(_evaluated(news, values))
    return max(points, key=lambda point: point.log_likelihood)


def _climbed(point: _Point, free: BoolArray) -> tuple[_Point, bool]:
    """Return the maximum above `point`, and whether it was reached."""
    score, information = _derivatives(point, free)
    inverse = _inverse(information)
    for count in range(MOST_STEPS):
        step = np.zeros(5)
        step[free] = inverse @ score
        if float(score @ step[free]) < GAIN:
            return point, True
        better = _searched(point, step)
        if better is None:
            return point, False
        before, moved = score, (better.parameters - point.parameters)[free]
        score, information = _derivatives(better, free)
        if count < SCORING_STEPS:
            inverse = _inverse(information)
        else:
            inverse = _updated(inverse, moved, before - score)
        point = better
    return point, False


def _inverse(information: FloatArray) -> FloatArray:
    inverse: FloatArray = np.linalg.inv(information).astype(np.float64, copy=False)
    return inverse


def _updated(inverse: FloatArray, moved: FloatArray, fell: FloatArray) -> FloatArray:
    """Return the inverse Hessian after a step that `moved` and by which the score `fell` (BFGS)."""
    curvature = float(moved @ fell)
    if not curvature > 0.0:
        return inverse
    left = np.eye(len(moved)) - np.outer(moved, fell) / curvature
    updated: FloatArray = left @ inverse @ left.T + np.outer(moved, moved) / curvature
    return updated


def _searched(point: _Point, step: FloatArray) -> _Point | None:
    """Return the first of step, step/2, ... that is allowed and no worse; None if none is."""
    for halving in range(MOST_HALVINGS):
        values = point.parameters + step * 0.5**halving
        if _allowed(values):
            there = _evaluated(_moved(point.news, float(values[0])), values)
            if there.log_likelihood >= point.log_likelihood - SLACK:
                return there
    return None


def _allowed(parameters: FloatArray) -> bool:
    _, omega, alpha, gamma, beta = parameters
    least = min(omega, alpha, alpha + gamma, beta)
    return bool(least > 0.0 and alpha + 0.5 * gamma + beta < 1.0)


def _news(unit: FloatArray, mean: float, leverage: bool) -> _News:
    residuals = unit - mean
    todays = residuals**2
    presample = float(todays.mean())
    squares = np.empty(len(unit))
    squares[0], squares[1:] = presample, todays[:-1]
    negative = np.empty(len(unit) if leverage else 0)
    if leverage:
        negative[0], negative[1:] = 0.5 * presample, todays[:-1] * (residuals[:-1] < 0)
    return _News(unit, mean, residuals, presample, todays, squares, negative)


def _moved(news: _News, mean: float) -> _News:
    """Return the news at another mean."""
    if mean == news.mean:
        return news
    return _news(news.unit, mean, len(news.negative) > 0)


def _evaluated(news: _News, parameters: FloatArray) -> _Point:
    _, omega, alpha, gamma, beta = parameters
    inputs = omega + alpha * news.squares
    if len(news.negative):
        inputs += gamma * news.negative
    inputs[0] += beta * news.presample
    variances = carried(inputs, beta)
    total = np.log(variances).sum() + (news.todays / variances).sum()
    likelihood = -0.5 * (len(variances) * np.log(2.0 * np.pi) + total)
    return _Point(parameters, news, variances, float(likelihood))


def _derivatives(point: _Point, free: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the score and the expected information of the free parameters."""
    news, h = point.news, point.variances
    inputs = np.empty((len(h), np.count_nonzero(free)), order="F")
    first = int(free[0])
    if free[0]:
        inputs[:, 0] = _by_mean(point)
    inputs[:, first], inputs[:, first + 1] = 1.0, news.squares
    if free[3]:
        inputs[:, first + 2] = news.negative
    inputs[0, -1], inputs[1:, -1] = news.presample, h[:-1]
    relative = (carried(inputs, float(point.parameters[4])).T / h).T
    score = 0.5 * (news.todays / h - 1.0) @ relative
    information = 0.5 * relative.T @ relative
    if free[0]:
        score[0] += (news.residuals / h).sum()
        information[0, 0] += (1.0 / h).sum()
    return score, information


def _by_mean(point: _Point) -> FloatArray:
    """Return the derivative by the mean of what enters each day's variance besides its lag.

    e moves by -1, and with it its square and the presample's.
    """
    e = point.news.residuals
    _, _, alpha, gamma, beta = point.parameters
    inputs = np.empty(len(e))
    inputs[0] = -2.0 * float(e.mean()) * (alpha + 0.5 * gamma + beta)
    inputs[1:] = -2.0 * (alpha + gamma * (e[:-1] < 0)) * e[:-1]
    return inputs
