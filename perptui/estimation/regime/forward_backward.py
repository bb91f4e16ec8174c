"""Filter and smoother of a finite Markov chain behind observations, exactly and in few long steps.

The forward recursion alpha_t = (A' alpha_{t-1}) e_t is linear, so a stretch of it is one banded
lower triangular system, and the backward recursion is the same system transposed: LAPACK runs both
and no time step is a Python call. Emissions are scaled in logs beforehand and the recursion is
normalised between stretches; one that still leaves the range of floats is run in shorter ones.
Only the filter, P(S_t | y_1..t), is for a screen; the smoother serves estimation (method §5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]

STRETCHES = (512, 32, 1)
"""Steps solved at once; the next length is taken where one leaves the range of floats."""
_SMALLEST, _LARGEST = 1e-250, 1e250


def forward(
    log_emission: FloatArray, transition: FloatArray, initial: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return filtered probabilities P(S_t | y_1..t) and the log-likelihood (Hamilton 1989).

    Parameters
    ----------
    log_emission : (..., T, K) array
        ln p(y_t | S_t = k); several chains may stand in front.
    transition : (K, K) or (..., T, K, K) array
        From row to column; the row t of a changing one leads from t-1 to t.
    initial : (K,) or (..., K) array
        P(S_1).

    Returns
    -------
    filtered : (..., T, K) array
    loglik : (...) array

    Raises
    ------
    EstimationError
        When an emission is NaN, or an observation cannot come from any state that can be reached.
    """
    front, (rows, states) = log_emission.shape[:-2], log_emission.shape[-2:]
    chains = np.swapaxes(log_emission.reshape(-1, rows, states), 1, 2)
    count = len(chains)
    leads = (
        transition.reshape(count, rows, states, states)
        if transition.ndim > 2
        else np.broadcast_to(transition, (count, 1, states, states))
    )
    begin = np.broadcast_to(initial, (*front, states)).reshape(count, states)
    run = run_forward(chains, leads, begin)
    filtered = np.swapaxes(run.alpha / over_states(np.add, run.alpha), 1, 2)
    return filtered.reshape(log_emission.shape), run.loglik.reshape(front)


@dataclass(frozen=True, slots=True)
class Run:
    """A forward pass of B chains: scaled emissions, alpha and what led to it, all (B, K, T)."""

    emission: FloatArray
    alpha: FloatArray
    before: FloatArray
    bands: tuple[FloatArray, ...]
    loglik: FloatArray
    pace: FloatArray
    """ln p(y_t | y_1..t-1), (B, 1, T), less what the emissions were scaled by."""
    in_range: bool


def run_forward(
    log_emission: FloatArray,
    transition: FloatArray,
    initial: FloatArray,
    pace: FloatArray | None = None,
) -> Run:
    """Return the forward pass; with the `pace` of parameters nearby, in one stretch."""
    if pace is not None:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            emission = np.exp(log_emission - pace)
            run = _stretches(emission, transition, initial, emission.shape[2])
        if run.in_range:
            return replace(run, loglik=run.loglik + pace.sum(axis=(1, 2)), pace=run.pace + pace)
    highest = over_states(np.maximum, log_emission)
    if not np.isfinite(highest).all():
        raise EstimationError("expected finite log emissions, was NaN; leave the rows out")
    emission = np.exp(log_emission - highest)
    # A constant mixture is close to the one-step likelihood: alpha stays near 1 for long.
    scale = over_states(np.add, emission) / emission.shape[1]
    emission /= scale
    for steps in STRETCHES:
        run = _stretches(emission, transition, initial, steps)
        if run.in_range:
            shift = highest + np.log(scale)
            return replace(run, loglik=run.loglik + shift.sum(axis=(1, 2)), pace=run.pace + shift)
    raise EstimationError(
        "expected observations that some state can give, was one that none can; check the model"
    )


def over_states(ufunc: np.ufunc, x: FloatArray) -> FloatArray:
    """Return `x` (B, K, T) reduced over its states, (B, 1, T), in few long steps."""
    total = x[:, :1]
    for state in range(1, x.shape[1]):
        total = ufunc(total, x[:, state : state + 1])
    return total


def _stretches(
    emission: FloatArray, transition: FloatArray, initial: FloatArray, steps: int
) -> Run:
    rows = emission.shape[2]
    alpha, before = np.empty_like(emission), np.empty_like(emission)
    loglik = np.zeros(len(emission))
    bands = []
    held = initial
    predicted = initial
    for first in range(0, rows, steps):
        part = emission[:, :, first : first + steps]
        lead = transition if transition.shape[1] == 1 else transition[:, first : first + steps]
        if first:
            predicted = (held[:, :, None] * lead[:, 0]).sum(axis=1)
        band = _band(part, lead)
        begin = np.zeros(band.shape[:3])
        begin[:, 0] = predicted * part[:, :, 0]
        solved = np.swapaxes(_solve(band, begin, transposed=False), 1, 2)
        alpha[:, :, first : first + steps] = solved
        before[:, :, first] = held
        before[:, :, first + 1 : first + steps] = solved[:, :, :-1]
        size = solved[:, :, -1].sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            loglik += np.log(size[:, 0])
            held = solved[:, :, -1] / size
        bands.append(band)
    size, size_before = over_states(np.add, alpha), over_states(np.add, before)
    size_before[:, :, 0] = 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        pace = np.log(size / size_before)
    in_range = bool(size.min() > _SMALLEST and size.max() < _LARGEST)
    return Run(emission, alpha, before, tuple(bands), loglik, pace, in_range)


def _band(emission: FloatArray, transition: FloatArray) -> FloatArray:
    """Return the lower band (B, L, K, 2K): column (t, j) holds its effect on the rows below it."""
    count, states, rows = emission.shape
    band = np.zeros((count, rows, states, 2 * states))
    follows = transition[:, 1:] if transition.shape[1] > 1 else transition
    after = emission[:, :, 1:]
    for j in range(states):
        for k in range(states):
            np.multiply(after[:, k], -follows[:, :, j, k], out=band[:, :-1, j, states + k - j])
    return band


def _solve(band: FloatArray, right: FloatArray, *, transposed: bool) -> FloatArray:
    from scipy.linalg.lapack import dtbtrs  # scipy.linalg is slow to import

    width = band.shape[-1]
    solved, _ = dtbtrs(
        band.reshape(-1, width).T,
        right.reshape(-1, 1),
        uplo="L",
        trans="T" if transposed else "N",
        diag="U",
        overwrite_b=1,
    )
    result: FloatArray = solved.reshape(right.shape)
    return result


def run_backward(run: Run, transition: FloatArray) -> FloatArray:
    """Return beta (B, K, T), each stretch up to a factor that drops out of the posteriors."""
    beta = np.empty_like(run.alpha)
    last = beta.shape[2]
    end = np.ones(beta.shape[:2])
    steps = run.bands[0].shape[1]
    for index in reversed(range(len(run.bands))):
        first = index * steps
        right = np.zeros(run.bands[index].shape[:3])
        right[:, -1] = end
        beta[:, :, first:last] = np.swapaxes(_solve(run.bands[index], right, transposed=True), 1, 2)
        end = ((run.emission[:, :, first] * beta[:, :, first])[:, None] * transition).sum(axis=2)
        end /= end.sum(axis=1, keepdims=True)
        last = first
    return beta
