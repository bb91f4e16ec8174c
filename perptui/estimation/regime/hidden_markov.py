"""Gaussian hidden Markov models: EM from several starts (Baum, Petrie, Soules & Weiss 1970)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.regime.forward_backward import over_states, run_backward, run_forward
from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEAST_DAYS_OF_STATE = 8.0
"""A state with a smaller expected number of observations is no state: the start is dropped."""
LEAST_VARIANCE = 1e-5
"""Of a state along any axis, relative to that of all observations."""
SHORT_RUN = 8
"""EM steps that all starts make; then the best goes on alone."""
STAY = 0.95
"""Probability of staying that every start begins with."""


@dataclass(frozen=True, slots=True)
class HiddenMarkov:
    """A K-state Gaussian model of P series; states in rising order of the last series' mean.

    Attributes
    ----------
    initial : (K,) array
        P(S_1).
    transition : (K, K) array
        From row to column.
    means : (K, P) array
    covariances : (K, P, P) array
    loglik : float
        Of the observations that it was fitted on, in their units.
    iterations : int
        EM steps of the start that won.
    """

    initial: FloatArray
    transition: FloatArray
    means: FloatArray
    covariances: FloatArray
    loglik: float
    iterations: int

    def log_emission(self, y: FloatArray) -> FloatArray:
        """Return ln p(y_t | state), (T, K), of observations (T, P); 0 where one has a hole."""
        seen = np.asarray(np.isfinite(y).all(axis=1), dtype=np.bool_)
        terms = quadratic_terms(np.where(seen[:, None], y, 0.0))
        logs = terms @ log_density(self.means, self.covariances).T
        return np.where(seen[:, None], logs, 0.0)


def quadratic_terms(y: FloatArray) -> FloatArray:
    """Return 1, y_i and y_i·y_j for i <= j as columns: a Gaussian's logarithm is linear in them."""
    first, second, _ = _pairs(y.shape[1])
    return np.column_stack([np.ones(len(y)), y, y[:, first] * y[:, second]])


@lru_cache(maxsize=8)
def _pairs(series: int) -> tuple[IntArray, IntArray, FloatArray]:
    """Return i and j of each i <= j, and what a precision counts for: -1/2 where they are equal."""
    first, second = np.triu_indices(series)
    return first, second, np.where(first == second, -0.5, -1.0)


def log_density(means: FloatArray, covariances: FloatArray, least: float = 0.0) -> FloatArray:
    """Return the coefficients (..., K, terms) of each state's log density.

    A variance below `least` along any axis counts as `least`.
    """
    series = means.shape[-1]
    first, second, counts = _pairs(series)
    spread, axes = np.linalg.eigh(covariances)
    spread = np.maximum(spread, least)
    precision = (axes / spread[..., None, :]) @ np.swapaxes(axes, -1, -2)
    tilt = (precision @ means[..., None])[..., 0]
    rows = np.empty((*means.shape[:-1], 1 + series + len(first)))
    apart = np.log(spread) + means * tilt
    rows[..., 0] = -0.5 * (apart.sum(axis=-1) + series * math.log(2.0 * math.pi))
    rows[..., 1 : 1 + series] = tilt
    rows[..., 1 + series :] = precision[..., first, second] * counts
    return rows


@dataclass(slots=True)
class _Parameters:
    """Of B starts at once: initial (B, K), transition (B, K, K), means (B, K, P), covariances."""

    initial: FloatArray
    transition: FloatArray
    means: FloatArray
    covariances: FloatArray
    pace: FloatArray | None = None
    """Of the step before, (B, 1, T)."""

    def only(self, start: int) -> _Parameters:
        one = slice(start, start + 1)
        return _Parameters(
            self.initial[one],
            self.transition[one],
            self.means[one],
            self.covariances[one],
            None if self.pace is None else self.pace[one],
        )


def fit_hidden_markov(
    y: FloatArray,
    states: int = 2,
    *,
    iterations: int = 100,
    tolerance: float = 1e-4,
    start: HiddenMarkov | None = None,
) -> HiddenMarkov:
    """Return the maximum-likelihood model of `y` (T, P) by EM (Baum et al. 1970).

    The starts split the rows by quantiles of the last series; all run `SHORT_RUN` steps, then the
    best goes on until the log-likelihood gains less than `tolerance` in a step. Nothing is drawn,
    so the same rows give the same bytes. With `start` that is the only one.

    Raises
    ------
    EstimationError
        With holes, fewer than 20 rows a state, a series that does not vary, or when every start
        ends in a state that hardly occurs.
    """
    _check_observations(y, states)
    center, spread = y.mean(axis=0), y.std(axis=0)
    terms = quadratic_terms((y - center) / spread)
    now = _starts(terms, states) if start is None else _standardised(start, center, spread)
    now, loglik, weights = _em_step(terms, now)
    for _ in range(1, SHORT_RUN):
        now, loglik, weights = _em_step(terms, now)
    usable = np.where(weights.min(axis=1) >= LEAST_DAYS_OF_STATE, loglik, -np.inf)
    best = int(np.argmax(usable))
    now, reached, done = _run_on(terms, now.only(best), float(loglik[best]), iterations, tolerance)
    if not np.isfinite(usable[best]) or reached is None:
        raise EstimationError(
            f"expected {states} states with {LEAST_DAYS_OF_STATE:g} rows each, was fewer; "
            "give it more history"
        )
    order = np.argsort(now.means[0, :, -1], kind="stable")
    scale = np.multiply.outer(spread, spread)
    return HiddenMarkov(
        initial=now.initial[0, order],
        transition=now.transition[0][np.ix_(order, order)],
        means=center + spread * now.means[0, order],
        covariances=scale * now.covariances[0, order],
        loglik=reached - len(y) * float(np.log(spread).sum()),
        iterations=done,
    )


def _standardised(start: HiddenMarkov, center: FloatArray, spread: FloatArray) -> _Parameters:
    return _Parameters(
        start.initial[None],
        start.transition[None],
        ((start.means - center) / spread)[None],
        (start.covariances / np.multiply.outer(spread, spread))[None],
    )


def _check_observations(y: FloatArray, states: int) -> None:
    if not np.isfinite(y).all():
        raise EstimationError("expected rows without holes, was NaN among them; leave those out")
    if len(y) < 20 * states:
        raise EstimationError(
            f"expected {20 * states} rows for {states} states, was {len(y)}; give it more history"
        )
    size = np.abs(y).max(axis=0)
    if not (y.std(axis=0) > 1e-12 * size).all():
        raise EstimationError("expected series that vary, was a constant; leave it out")


def _run_on(
    terms: FloatArray, now: _Parameters, before: float, iterations: int, tolerance: float
) -> tuple[_Parameters, float | None, int]:
    """Return the parameters whose log-likelihood gained less than `tolerance`, it, and the steps.

    The log-likelihood is None where a state all but vanished on the way.
    """
    done = SHORT_RUN
    while True:
        after, loglik, weights = _em_step(terms, now)
        if weights.min() < LEAST_DAYS_OF_STATE:
            return now, None, done
        if loglik[0] - before < tolerance or done >= iterations:
            return now, float(loglik[0]), done
        now, before, done = after, float(loglik[0]), done + 1


def _starts(terms: FloatArray, states: int) -> _Parameters:
    """Return starts that split the last series at its quantiles: halves, thirds, a long tail."""
    series = _series_of(terms)
    rank = np.argsort(np.argsort(terms[:, series], kind="stable"), kind="stable") / len(terms)
    even = np.arange(1, states) / states
    splits = (even, 0.5 * (1.0 + even), even**0.5, 1.0 - 0.4 * 0.5 ** np.arange(1, states))
    parts = [np.searchsorted(split, rank, side="right") for split in splits]
    member = np.stack([[part == state for state in range(states)] for part in parts])
    stay = np.full((states, states), (1.0 - STAY) / max(states - 1, 1))
    np.fill_diagonal(stay, STAY if states > 1 else 1.0)
    means, covariances, weights = _moments(member.astype(np.float64), terms)
    initial = weights / weights.sum(axis=1, keepdims=True)
    return _Parameters(initial, np.repeat(stay[None], len(splits), axis=0), means, covariances)


def _series_of(terms: FloatArray) -> int:
    """Return P of the (P+1)(P+2)/2 columns of `quadratic_terms`."""
    return (math.isqrt(8 * terms.shape[1] + 1) - 3) // 2


def _moments(member: FloatArray, terms: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return means (B, K, P), covariances and weights (B, K) under memberships (B, K, T)."""
    series = _series_of(terms)
    sums = member @ terms
    weights = sums[..., 0]
    each = sums[..., 1:] / np.maximum(weights, 1e-12)[..., None]
    means = each[..., :series]
    first, second, _ = _pairs(series)
    covariances = np.empty((*means.shape, series))
    covariances[..., first, second] = each[..., series:] - means[..., first] * means[..., second]
    covariances[..., second, first] = covariances[..., first, second]
    return means, covariances, weights


def _em_step(terms: FloatArray, now: _Parameters) -> tuple[_Parameters, FloatArray, FloatArray]:
    """Return the parameters after one step, the log-likelihood before it, and the weights."""
    logs = log_density(now.means, now.covariances, LEAST_VARIANCE) @ terms.T
    run = run_forward(logs, now.transition[:, None], now.initial, now.pace)
    beta = run_backward(run, now.transition)
    posterior = run.alpha * beta
    share = 1.0 / over_states(np.add, posterior)
    posterior *= share
    beta *= run.emission
    beta *= share
    moves = now.transition * (run.before[:, :, 1:] @ np.swapaxes(beta[:, :, 1:], 1, 2))
    transition = moves / np.maximum(moves.sum(axis=2, keepdims=True), 1e-300)
    means, covariances, weights = _moments(posterior, terms)
    after = _Parameters(posterior[:, :, 0], transition, means, covariances, run.pace)
    return after, run.loglik, weights
