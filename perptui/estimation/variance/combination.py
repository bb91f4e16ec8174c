"""Several variance forecasts made one: levelled, scored on what came, weighted by their scores.

A model may be silent on some days of some contracts (NaN). It is scored on what it said itself,
and it has no weight where it is silent; model 0 speaks in its place wherever a forecast is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perptui.estimation.losses import qlike, squared_error
from perptui.estimation.panel import IntArray
from perptui.estimation.recursion import BoolArray, FloatArray, decay, decayed_sum, divided, ewma

LEVEL_HALFLIFE_DAYS = 60.0
LEVEL_RANGE = (0.7, 1.6)
SCORE_HALFLIFE_DAYS = 60.0
"""Of the mean losses, times H for H days ahead: overlapping targets, as many of their own."""
SCORE_TEMPERATURE = 0.02
"""T0 of the weights exp(-(Q - min Q)/T0) (method §2)."""
EQUAL_SHARE = 0.1
OWN_SHARE = 0.5
"""Of a contract's own scores in those that weigh its models; the rest is all contracts' mean."""
SHRINKAGE_SCORES = 60.0
"""n of n/(n + 60·H), what is believed of a mean of n scores: a newcomer counts as model 0 does."""
LEAST_SCORES = 20
"""Scores below which a loss is not shown, gives no weight and corrects no level."""


@dataclass(frozen=True, slots=True)
class Combination:
    """M models' forecasts made on D days for N contracts, levelled and combined.

    Attributes
    ----------
    levelled : (M, D, N) array
        Level-corrected; model 0's where a model is silent.
    combined : (D, N) array
        exp(sum of weight · ln levelled); NaN where no model speaks.
    weights : (M, D, N) array
        Sum to one over models; 0 where a model is silent; NaN where all are.
    losses, squared_errors : (M, D, N) array
        QLIKE and squared error of `levelled`, at the day when its target was complete; NaN for a
        model that has said nothing about the contract by then.
    scores : (M, D, N) array of int
        Targets by then that the model was judged on, of its own forecasts alone.
    """

    levelled: FloatArray
    combined: FloatArray
    weights: FloatArray
    losses: FloatArray
    squared_errors: FloatArray
    scores: IntArray


def combine(
    forecasts: FloatArray, variance: FloatArray, horizon: int, preferred: BoolArray
) -> Combination:
    """Return the combination of `forecasts` (M, D, N) of the mean daily variance of `horizon` days.

    Parameters
    ----------
    forecasts : (M, D, N) array
        Row t was made at the end of day t for days t+1..t+H; NaN or not positive where a model is
        silent.
    variance : (D, N) array
        Realised variance by day.
    horizon : int
        H, days.
    preferred : (M,) array of bool
        The models that share the weight where they speak; the others do where none of these does.
    """
    target = complete_mean(variance, horizon)[:, None, :]
    own = np.moveaxis(np.where(forecasts > 0, forecasts, np.nan), 0, 1)
    own = level_corrected(own, target, horizon)
    before = delayed(own, horizon)
    losses = qlike(target, before)
    scores = np.cumsum(np.isfinite(losses), axis=0)
    speaks = np.isfinite(own)
    relative = mean_relative_losses(losses, scores, horizon)
    weights = combination_weights(relative, speaks, preferred)
    combined = geometric_mean(own, weights)
    spoken = np.logical_or.accumulate(np.isfinite(before), axis=0)
    shown = np.where(spoken, _filled(before), np.nan)
    return Combination(
        levelled=np.moveaxis(_filled(own), 1, 0),
        combined=combined,
        weights=np.moveaxis(weights, 1, 0),
        losses=np.moveaxis(np.where(spoken, _filled(losses), np.nan), 1, 0),
        squared_errors=np.moveaxis(squared_error(target, shown), 1, 0),
        scores=np.moveaxis(scores, 1, 0),
    )


def geometric_mean(x: FloatArray, weights: FloatArray) -> FloatArray:
    """Return exp(sum of weights · ln x) over axis 1, (D, M, N) to (D, N); NaN where weights are.

    Taken about the heaviest term, so that one with all the weight comes back to the last digit.
    """
    heaviest = np.where(np.isfinite(weights), weights, 0.0).argmax(axis=1)[:, None]
    about = np.take_along_axis(x, heaviest, axis=1)
    logs = np.log(x / about, out=np.zeros(x.shape), where=weights > 0)
    mean: FloatArray = about[:, 0] * np.exp((weights * logs).sum(axis=1))
    return mean


def _filled(x: FloatArray) -> FloatArray:
    """Return `x` (D, M, N), where a model has no value with that of the first that has one."""
    known = np.isfinite(x)
    first = np.take_along_axis(x, known.argmax(axis=1)[:, None], axis=1)
    filled: FloatArray = np.where(known, x, first)
    return filled


def complete_mean(variance: FloatArray, horizon: int) -> FloatArray:
    """Return the mean of rows t-H+1..t at row t, (D, N); NaN unless all H are there."""
    total = np.full(variance.shape, np.nan)
    total[horizon - 1 :] = 0.0
    for lag in range(min(horizon, len(variance))):
        total[horizon - 1 :] += variance[horizon - 1 - lag : len(variance) - lag]
    return total / horizon


def delayed(x: FloatArray, rows: int) -> FloatArray:
    """Return `x` (D, ...) as many rows later, NaN before."""
    later = np.full(x.shape, np.nan)
    later[rows:] = x[: max(len(x) - rows, 0)]
    return later


def level_corrected(forecast: FloatArray, target: FloatArray, horizon: int) -> FloatArray:
    """Return `forecast` times clip(ratio^(1/(1+H)), .7, 1.6), by day, (D, ...).

    The ratio is EWMA(target)/EWMA(the forecast of it), half-life 60 d (method §2, where the
    exponent is 1). A mean of 60 days holds 60/H targets of their own, so the less is believed of it
    the longer H is. On ten coins from 2021 to 2022 log-HAR's mean QLIKE is .513 with this exponent
    and .515 with 1 for one day ahead, and .284 against .302 for seven.
    `target[t]` belongs to `forecast[t - H]`. With fewer than 20 pairs nothing is corrected.
    """
    before = delayed(forecast, horizon)
    paired = np.isfinite(before) & np.isfinite(target)
    # Over the same pairs the weights of the two means are the same, and drop out of their ratio.
    b = decay(LEVEL_HALFLIFE_DAYS)
    above = decayed_sum(np.where(paired, target, 0.0), b)
    below = decayed_sum(np.where(paired, before, 0.0), b)
    enough = np.cumsum(paired, axis=0) >= LEAST_SCORES
    ratio = divided(above, below, enough & (above > 0) & (below > 0), 1.0)
    corrected: FloatArray = forecast * np.clip(ratio ** (1.0 / (1.0 + horizon)), *LEVEL_RANGE)
    return corrected


def mean_relative_losses(losses: FloatArray, scores: IntArray, horizon: int) -> FloatArray:
    """Return each model's mean loss less model 0's, (D, M, N), as far as it is to be believed.

    Half own and half the mean of all contracts, each shrunk towards 0 by its number of scores.
    Differences are taken day by day before they are averaged, so that a model which was silent on
    wild days, or speaks for quiet contracts only, gains nothing by it. NaN where too few to judge.
    """
    excess = ewma(losses - losses[:, :1], SCORE_HALFLIFE_DAYS * horizon)
    judged = np.isfinite(excess) & (scores >= LEAST_SCORES)
    believed = scores / (scores + SHRINKAGE_SCORES * horizon)
    own = np.where(judged, excess * believed, 0.0)
    count = judged.sum(axis=2, keepdims=True)
    pooled = divided(own.sum(axis=2, keepdims=True), count, count > 0)
    shared: FloatArray = np.where(judged, OWN_SHARE * own + (1.0 - OWN_SHARE) * pooled, pooled)
    return shared


def combination_weights(losses: FloatArray, speaks: BoolArray, preferred: BoolArray) -> FloatArray:
    """Return the models' weights, (D, M, N), from mean losses of that shape; they sum to one.

    omega_m is proportional to exp(-(Q_m - min Q)/T0), then 10 % toward equal (method §2), over the
    models that take part: the first of these sets that is not empty.

    1. preferred, speaking, and judged;
    2. preferred and speaking, at equal weights;
    3. speaking, and judged;
    4. speaking, at equal weights.
    """
    judged = np.isfinite(losses)
    wanted = speaks & preferred[:, None]
    part = speaks
    for candidates in (speaks & judged, wanted, wanted & judged):
        part = np.where(candidates.any(axis=1, keepdims=True), candidates, part)
    known = np.where(part & judged, losses, np.inf)
    best = known.min(axis=1, keepdims=True)
    # Where nothing is judged all are alike: inf - inf would say nothing.
    excess = np.where(np.isfinite(best), known, 0.0) - np.where(np.isfinite(best), best, 0.0)
    raw = np.where(part, np.exp(-excess / SCORE_TEMPERATURE), 0.0)
    count = part.sum(axis=1, keepdims=True)
    share = divided(raw, raw.sum(axis=1, keepdims=True), count > 0)
    weights: FloatArray = (1.0 - EQUAL_SHARE) * share + EQUAL_SHARE * divided(
        part.astype(np.float64), count, count > 0
    )
    return weights
