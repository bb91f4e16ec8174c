"""GARCH(1,1) and GJR with normal errors by scoring with analytic derivatives.

The likelihood is the one that `arch` maximises, and the presample rule h_0 = e_0² = mean(e²) is
part of it, its derivative by the mean included (Fiorentini, Calzolari & Panattoni 1996). One
filter gives the variances and one all their derivatives. The search starts as Fisher scoring, whose
steps are safe far from the optimum, and ends as BFGS from that information, which needs fewer near
it.

Inside, GJR has a response to a rise, alpha, and one to a fall, alpha + gamma: its constraints are
then bounds of single parameters. A parameter that a step would carry beyond its bound stays on it
while the likelihood falls away from it (the sign of Karush, Kuhn & Tucker); the others go on.

Sums over days are numpy's own. Those of BLAS depend on how many threads it has, and a fit must have
the same bytes under any number; products of 5 by 5 are too small to be shared out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perptui.estimation.recursion import BoolArray, FloatArray, carried, divided

LASTING = ((0.05, 0.98), (0.1, 0.95), (0.2, 0.9))
"""Starts: response to a shock, and persistence; omega by variance targeting."""
PASSING = ((0.1, 0.15), (0.1, 0.6))
"""Starts of shocks that pass: little dynamics has a maximum with beta near one and one near 0."""
WEAK = 8.0
"""Gain of log-likelihood over a variance that never changes, below which they are tried too."""
SCORING_STEPS = 3
MOST_STEPS = 100
MOST_HALVINGS = 30
GAIN = 1e-11
"""Expected gain of a step in log-likelihood below which the search ends."""
LAST_GAIN = 1e-8
"""That of a step after which no other is worth its derivatives."""
SLACK = 1e-9
"""By how much rounding may let a step's log-likelihood fall."""
RIDGE = 1e-12
"""Share of the information's diagonal that is added to it: without a response to shocks beta is not
identified, and what the likelihood is flat in must not stop a search."""
BOUNDS = np.array([-np.inf, 1e-8, 0.0, 0.0, 0.0])
"""Least mean, omega, response to a rise (without leverage, to both), response to a fall, and beta,
of returns whose variance is one; omega's is that of `arch`."""


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
        Whether it ended at a maximum, inside the parameters' bounds or on them.
    """

    parameters: FloatArray
    variances: FloatArray
    presample: float
    log_likelihood: float
    converged: bool


@dataclass(frozen=True, slots=True)
class _News:
    """What each day's variance reacts to at one mean of `unit`; on the first day, the presample.

    With leverage `rises` and `falls` (T,) are yesterday's e²·1[e>=0] and e²·1[e<0], and half of the
    presample each; without it `rises` is all of e² and `falls` is empty.
    """

    unit: FloatArray
    mean: float
    residuals: FloatArray
    presample: float
    todays: FloatArray
    rises: FloatArray
    falls: FloatArray


@dataclass(frozen=True, slots=True)
class _Point:
    """Parameters (5,) in the order of `BOUNDS`, their news, variances and log-likelihood."""

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
    asked = np.array([constant, True, True, leverage, True])
    point, converged = _highest(unit, asked)
    mean, omega, rise, fall, beta = (float(value) for value in point.parameters)
    gamma = fall - rise if leverage else 0.0
    return Scored(
        np.array([mean * scale, omega * scale**2, rise, gamma, beta]),
        point.variances * scale**2,
        point.news.presample * scale**2,
        point.log_likelihood - len(unit) * float(np.log(scale)),
        converged,
    )


def _highest(unit: FloatArray, asked: BoolArray) -> tuple[_Point, bool]:
    """Return the higher of the maxima above the starts, and whether it was reached."""
    news = _news(unit, float(unit.mean()) if asked[0] else 0.0, bool(asked[3]))
    found = _climbed(_start(news, LASTING), asked)
    constant = -0.5 * len(unit) * (np.log(2.0 * np.pi * news.presample) + 1.0)
    if found[0].log_likelihood - constant > WEAK:
        return found
    other = _climbed(_start(news, PASSING), asked)
    return max(found, other, key=lambda one: one[0].log_likelihood)


def _start(news: _News, starts: Sequence[tuple[float, float]]) -> _Point:
    """Return the likeliest of `starts`."""
    points = []
    for response, persistence in starts:
        half = 0.5 * response
        rise, fall = (half, response + half) if len(news.falls) else (response, 0.0)
        values = np.array([news.mean, 1.0 - persistence, rise, fall, persistence - response])
        points.append(_evaluated(news, values))
    return max(points, key=lambda point: point.log_likelihood)


def _climbed(point: _Point, asked: BoolArray) -> tuple[_Point, bool]:
    """Return the maximum above `point`, and whether it was reached."""
    score, curvature = _derivatives(point, asked)
    for count in range(MOST_STEPS):
        bound = point.parameters[asked] <= BOUNDS[asked]
        step = np.zeros(5)
        step[asked] = _step(bound, score, curvature)
        gain = float(score @ step[asked])
        if gain < GAIN:
            return point, True
        better = _searched(point, step)
        if better is None:
            return point, False
        if gain < LAST_GAIN:
            return better, True
        before, moved = score, (better.parameters - point.parameters)[asked]
        score, information = _derivatives(better, asked)
        if count < SCORING_STEPS:
            curvature = information
        else:
            curvature = _updated(curvature, moved, before - score)
        point = better
    return point, False


def _step(bound: BoolArray, score: FloatArray, curvature: FloatArray) -> FloatArray:
    """Return the step of the K parameters, 0 for those that a bound holds.

    It holds a parameter that lies on it (`bound`) when the score, or the step, points beyond it.
    """
    ridged = curvature.copy()
    np.einsum("kk->k", ridged)[:] *= 1.0 + RIDGE
    if not bound.any():
        return _solved(ridged, score)
    free = ~(bound & (score <= 0.0))
    while True:
        step = np.zeros(len(score))
        step[free] = _solved(ridged[np.ix_(free, free)], score[free])
        beyond = bound & (step < 0.0)
        if not beyond.any():
            return step
        free &= ~beyond


def _solved(matrix: FloatArray, right: FloatArray) -> FloatArray:
    solution: FloatArray = np.linalg.solve(matrix, right).astype(np.float64, copy=False)
    return solution


def _updated(curvature: FloatArray, moved: FloatArray, fell: FloatArray) -> FloatArray:
    """Return the negative Hessian (K, K) after a step that `moved`; the score `fell` (BFGS).

    The score of a parameter that a bound holds falls too, which tells how it goes with the others.
    """
    gained = float(moved @ fell)
    if not gained > 0.0:
        return curvature
    turned = curvature @ moved
    lost = np.outer(turned, turned) / (moved @ turned)
    updated: FloatArray = curvature + np.outer(fell, fell) / gained - lost
    return updated


def _searched(point: _Point, step: FloatArray) -> _Point | None:
    """Return the first of step, step/2, ... that is allowed and no worse; None if none is.

    A step that would go beyond a bound ends on the first that it meets.
    """
    room = divided(BOUNDS - point.parameters, step, step < 0.0, np.inf)
    longest = min(1.0, float(room.min()))
    for halving in range(MOST_HALVINGS):
        share = longest * 0.5**halving
        values = np.where(room <= share, BOUNDS, point.parameters + share * step)
        if _persistence(values, point.news) < 1.0:
            there = _evaluated(_moved(point.news, float(values[0])), values)
            if there.log_likelihood >= point.log_likelihood - SLACK:
                return there
    return None


def _persistence(parameters: FloatArray, news: _News) -> float:
    _, _, rise, fall, beta = parameters
    return float((0.5 * (rise + fall) if len(news.falls) else rise) + beta)


def _news(unit: FloatArray, mean: float, leverage: bool) -> _News:
    residuals = unit - mean
    todays = residuals**2
    presample = float(todays.mean())
    yesterdays = todays[:-1]
    if not leverage:
        rises, falls = np.append(presample, yesterdays), np.empty(0)
    else:
        fell = residuals[:-1] < 0
        rises = np.append(0.5 * presample, np.where(fell, 0.0, yesterdays))
        falls = np.append(0.5 * presample, np.where(fell, yesterdays, 0.0))
    return _News(unit, mean, residuals, presample, todays, rises, falls)


def _moved(news: _News, mean: float) -> _News:
    """Return the news at another mean."""
    if mean == news.mean:
        return news
    return _news(news.unit, mean, len(news.falls) > 0)


def _evaluated(news: _News, parameters: FloatArray) -> _Point:
    _, omega, rise, fall, beta = parameters
    inputs = omega + rise * news.rises
    if len(news.falls):
        inputs += fall * news.falls
    inputs[0] += beta * news.presample
    variances = carried(inputs, beta)
    total = np.log(variances).sum() + (news.todays / variances).sum()
    likelihood = -0.5 * (len(variances) * np.log(2.0 * np.pi) + total)
    return _Point(parameters, news, variances, float(likelihood))


def _derivatives(point: _Point, asked: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the score (K,) and the expected information (K, K) of what is asked."""
    news, h = point.news, point.variances
    inputs = np.empty((np.count_nonzero(asked), len(h)))
    first = int(asked[0])
    if asked[0]:
        inputs[0] = _by_mean(point)
    inputs[first], inputs[first + 1] = 1.0, news.rises
    if asked[3]:
        inputs[first + 2] = news.falls
    inputs[-1, 0], inputs[-1, 1:] = news.presample, h[:-1]
    moves = carried(inputs.T, float(point.parameters[4])).T / h
    score = 0.5 * np.einsum("kt,t->k", moves, news.todays / h - 1.0)
    information = 0.5 * np.einsum("kt,jt->kj", moves, moves)
    if asked[0]:
        score[0] += (news.residuals / h).sum()
        information[0, 0] += (1.0 / h).sum()
    return score, information


def _by_mean(point: _Point) -> FloatArray:
    """Return the derivative by the mean of what enters each day's variance besides its lag.

    e moves by -1, and with it its square and the presample's.
    """
    e = point.news.residuals
    _, _, rise, fall, _ = point.parameters
    inputs = np.empty(len(e))
    inputs[0] = -2.0 * float(e.mean()) * _persistence(point.parameters, point.news)
    response = np.where(e[:-1] < 0, fall, rise) if len(point.news.falls) else rise
    inputs[1:] = -2.0 * response * e[:-1]
    return inputs
