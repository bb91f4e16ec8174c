"""A hidden Markov and a jump model of the book, refitted weekly, read hourly and never smoothed.

Both have three states in rising order of volatility. They are fitted on days that end at 00:00 UTC,
up to a Monday, and speak until the next: what a past hour says is what was known then. Between
refits every hour has its own chain of days that end with it, so a new hour costs one filter step.
A refit is kept by the bytes of the days that it saw: kept and fresh are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.regime.forward_backward import forward
from perptui.estimation.regime.hidden_markov import (
    HiddenMarkov,
    fit_hidden_markov,
    log_density,
    quadratic_terms,
)
from perptui.estimation.regime.inputs import DAY_H, RegimeInputs, anchors
from perptui.estimation.regime.jump_model import JumpModel, fit_jump_model, losses, values
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STATES = 3
WINDOW_DAYS = 365
LEAST_DAYS = 180
"""Whole days that a model is first fitted on; with fewer it is silent."""
KEPT_FITS = 1024
HMM_TOLERANCE = 1e-2
"""Of the log-likelihood in one EM step: beyond it no probability changes in its second digit."""
HMM_STEPS = 60
PENALTY = 1.0
"""lambda: by separation of the next day's volatility on 8 books up to 2022, 1 is best of
1, 3, 6, 10."""
SERIES_WEIGHT = np.array([1.0, 1.0, 1.0, 0.5, 0.5, 0.5])
"""By how much a deviation counts: correlation, funding and spread less than volatilities. On the
book of five coins up to 2022, at full weight they lower stress's volatility over calm's from 2.07
to 1.88."""
LEAST_TOLD = 0.9
"""Share of the days on which an input must be known to speak in the jump model."""
JUMP_STARTS = 4
JUMP_SEED = 20221231


@dataclass(frozen=True, slots=True)
class ModelPath:
    """What one model said by hour: P(state) (T, 3), NaN where silent, and why at the end ("")."""

    probabilities: FloatArray
    silent: str


@lru_cache(maxsize=KEPT_FITS)
def _hidden_markov(days: bytes) -> HiddenMarkov | None:
    """Return the model of days' returns and ln RV, None where they have no three states."""
    y = np.frombuffer(days).reshape(-1, 2)
    try:
        return fit_hidden_markov(y, STATES, iterations=HMM_STEPS, tolerance=HMM_TOLERANCE)
    except EstimationError:
        return None


@dataclass(frozen=True, slots=True)
class _ScaledJumps:
    """A jump model of inputs (P,) less `center`, over `spread`: those of the days it saw.

    An input not known on those days, or that did not move, has an infinite spread: it is silent.
    """

    model: JumpModel
    center: FloatArray
    spread: FloatArray

    def losses(self, x: FloatArray) -> FloatArray:
        """Return ½||z - theta||² (T, K) of rows (T, P); what is not known adds nothing."""
        told = np.isfinite(self.spread)
        z = (x[:, told] - self.center[told]) / self.spread[told]
        loss = losses(z, self.model.centers[:, told])
        unknown = np.flatnonzero(~np.isfinite(z).all(axis=1))
        apart = z[unknown, None, :] - self.model.centers[:, told]
        loss[unknown] = 0.5 * np.nan_to_num(apart**2).sum(axis=2)
        return loss


@lru_cache(maxsize=KEPT_FITS)
def _jump_model(days: bytes, series: int) -> _ScaledJumps | None:
    x = np.frombuffer(days).reshape(-1, series)
    told = np.isfinite(x).mean(axis=0) >= LEAST_TOLD
    x = x[np.isfinite(x[:, told]).all(axis=1)]
    x = np.where(told, x, 0.0)
    center, spread = x.mean(axis=0), x.std(axis=0)
    # Below this the spread of a constant is rounding.
    spread = np.where(spread > 1e-9 * np.abs(x).max(axis=0), spread / SERIES_WEIGHT, np.inf)
    try:
        model = fit_jump_model(
            (x - center) / spread, STATES, PENALTY, starts=JUMP_STARTS, seed=JUMP_SEED
        )
    except EstimationError:
        return None
    return _ScaledJumps(model, center, spread)


@dataclass(frozen=True, slots=True)
class _Refits:
    """The rows from which each refit speaks (F,), and which speaks at each row (T,)."""

    begin: IntArray
    speaks: IntArray


def hidden_markov_path(inputs: RegimeInputs, first: int = 0) -> ModelPath:
    """Return the filtered probabilities of the hidden Markov model's states by hour.

    The filter begins at row `first`; before it the model is silent.
    """
    found = [
        (row - first, model)
        for row, days in _since(training_days(inputs, inputs.day, inputs.day), first)
        if (model := _hidden_markov(days.tobytes())) is not None
    ]
    if not found:
        return _silent(inputs)
    y = inputs.day[first:]
    refits = _refits([row for row, _ in found], len(y))
    logs = _log_emissions(y, [model for _, model in found], refits)
    transitions = np.array([model.transition for _, model in found])[refits.speaks]
    begin = np.full(STATES, 1.0 / STATES)
    filtered, _ = forward(
        np.moveaxis(_chains(logs), 1, 0).copy(), np.moveaxis(_chains(transitions), 1, 0), begin
    )
    said = np.full((inputs.rows, STATES), np.nan)
    spoken = first + int(refits.begin[0])
    said[spoken:] = np.moveaxis(filtered, 0, 1).reshape(-1, STATES)[spoken - first : len(y)]
    return ModelPath(said, "")


def _log_emissions(y: FloatArray, models: list[HiddenMarkov], refits: _Refits) -> FloatArray:
    """Return ln p(y_t | state) (T, K) under the model that speaks at t; 0 where y has a hole."""
    seen = np.isfinite(y[:, :1]) & np.isfinite(y[:, 1:])
    terms = quadratic_terms(np.where(seen, y, 0.0))
    density = log_density(
        np.stack([model.means for model in models]),
        np.stack([model.covariances for model in models]),
    )
    logs = np.empty((len(y), STATES))
    for first, last, index in _spans(refits, len(y)):
        logs[first:last] = terms[first:last] @ density[index].T
    return np.where(seen, logs, 0.0)


def jump_path(inputs: RegimeInputs, first: int = 0) -> ModelPath:
    """Return the online states of the jump model by hour, softly: softmax of -V_t.

    ½||x - theta||² is a log density of deviation one, so V_t holds the log probabilities of the
    best paths; the online state is its least entry. The programme begins at row `first`.
    """
    x = np.column_stack([inputs.recent, inputs.correlation, inputs.funding_z, inputs.spread_z])
    found = [
        (row - first, model)
        for row, days in _since(training_days(inputs, x, inputs.recent), first)
        if (model := _jump_model(days.tobytes(), days.shape[1])) is not None
    ]
    if not found:
        return _silent(inputs)
    x = x[first:]
    refits = _refits([row for row, _ in found], len(x))
    loss = np.empty((len(x), STATES))
    for begin, end, index in _spans(refits, len(x)):
        loss[begin:end] = found[index][1].losses(x[begin:end])
    above = values(_chains(loss), PENALTY).reshape(-1, STATES)[: len(x)]
    weight = np.exp(-above)
    said = np.full((inputs.rows, STATES), np.nan)
    spoken = int(refits.begin[0])
    said[first + spoken :] = (weight / weight.sum(axis=1, keepdims=True))[spoken:]
    return ModelPath(said, "")


def training_days(
    inputs: RegimeInputs, x: FloatArray, needed: FloatArray
) -> list[tuple[int, FloatArray]]:
    """Return for each Monday with history enough its row and the days of `x` before it.

    Days on which not all of `needed` is known are left out.

    The days begin at a Monday too: while the window is not full, they change weekly, not hourly.
    """
    mondays = anchors(inputs.start_ms, inputs.rows)
    known = np.asarray(np.isfinite(needed).all(axis=1), dtype=np.bool_)
    if not known.any():
        return []
    mondays = mondays[mondays > int(np.argmax(known))]
    chosen = []
    for row in mondays.tolist():
        first = max(row - WINDOW_DAYS * DAY_H, int(mondays[0])) + DAY_H - 1
        days = x[first:row:DAY_H]
        days = days[known[first:row:DAY_H]]
        if len(days) >= LEAST_DAYS:
            chosen.append((row, days))
    return chosen


def _since(chosen: list[tuple[int, FloatArray]], first: int) -> list[tuple[int, FloatArray]]:
    """Return the refits that speak at row `first` or later."""
    earlier = sum(row <= first for row, _ in chosen)
    return chosen[max(earlier - 1, 0) :]


def _refits(begin: list[int], rows: int) -> _Refits:
    """Return who speaks where: the row that ends as a fit is made is its first; before, the first.

    A row's index is the number of rows before it, so the row that ends at the anchor is one less.
    """
    at = np.maximum(np.array(begin, dtype=np.int64) - 1, 0)
    speaks = np.maximum(np.searchsorted(at, np.arange(rows), side="right") - 1, 0)
    return _Refits(at, speaks)


def _spans(refits: _Refits, rows: int) -> list[tuple[int, int, int]]:
    edges = [0, *refits.begin[1:].tolist(), rows]
    return [(edges[k], edges[k + 1], k) for k in range(len(refits.begin))]


def _chains(x: FloatArray) -> FloatArray:
    """Return rows (T, ...) as days by hours (D, 24, ...); the last day is filled with its end."""
    missing = -len(x) % DAY_H
    whole = np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) if missing else x
    return whole.reshape(-1, DAY_H, *x.shape[1:])


def _silent(inputs: RegimeInputs) -> ModelPath:
    days = int(np.isfinite(inputs.day).all(axis=1).sum()) // DAY_H
    return ModelPath(
        np.full((inputs.rows, STATES), np.nan),
        f"silent: {days} whole days known, {LEAST_DAYS} up to a Monday are needed"
        if days < LEAST_DAYS + 7
        else "silent: three states were not found",
    )
