"""The statistical jump model (Nystrup, Lindström & Madsen 2020): states that are dear to change.

It minimises sum_t ½||x_t - theta_{s_t}||² + penalty · #{t: s_t != s_{t-1}} by exact dynamic
programming over the states and means over the rows in turn. Live is the last state of the
programme's value, which no later row changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from perptui.model.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STARTS = 10
MOST_ROUNDS = 100
"""Of programme and means; the objective falls in each until it stays."""
FEWEST_ROWS_OF_STATE = 20


@dataclass(frozen=True, slots=True)
class JumpModel:
    """A fitted model, states in rising order of the first series.

    Attributes
    ----------
    centers : (K, P) array
        theta, in the units of the rows.
    penalty : float
        lambda, of one change of state.
    labels : (T,) array
        The best path of the rows fitted on; it looks ahead and is for estimation only.
    objective : float
    """

    centers: FloatArray
    penalty: float
    labels: IntArray
    objective: float


def losses(x: FloatArray, centers: FloatArray) -> FloatArray:
    """Return ½||x_t - theta_s||², (T, K), of rows (T, P) and centers (K, P)."""
    apart = x[:, None, :] - centers
    loss: FloatArray = 0.5 * np.einsum("tkp,tkp->tk", apart, apart)
    return loss


def values(loss: FloatArray, penalty: float) -> FloatArray:
    """Return V_t(s): the least cost of the rows up to t that ends in s, less the least of all.

    V_t(s) = loss_t(s) + min(V_{t-1}(s), min_j V_{t-1}(j) + penalty); only rows up to t enter.

    Parameters
    ----------
    loss : (T, ..., K) array
        By time first; several chains may stand between.
    penalty : float
        Of a change of state.

    Returns
    -------
    (T, ..., K) array
    """
    above = np.empty_like(loss)
    before = np.full(loss.shape[1:], 0.0)
    for t, row in enumerate(loss):
        total = row + np.minimum(before, penalty)
        before = above[t] = total - total.min(axis=-1, keepdims=True)
    return above


def best_path(loss: FloatArray, penalty: float) -> tuple[IntArray, float]:
    """Return the states (T,) of least cost under `loss` (T, K), and that cost.

    Of equal costs the state stays as it is.
    """
    if loss.shape[1] == 2:
        states = _path_of_two(loss, penalty)
    elif loss.shape[1] == 3:
        states = _path(_values_of_three(loss, penalty), penalty)
    else:
        states = _path(values(loss, penalty).tolist(), penalty)
    jumps = int(np.count_nonzero(states[1:] != states[:-1]))
    return states, float(loss[np.arange(len(loss)), states].sum()) + penalty * jumps


def _path(above: list[list[float]], penalty: float) -> IntArray:
    """Return the best path under V (T, K): it stays in a state unless that costs a change."""
    state = above[-1].index(min(above[-1]))
    states = [state]
    for value in above[-2::-1]:
        if value[state] > penalty:
            state = value.index(min(value))
        states.append(state)
    return np.array(states[::-1], dtype=np.int64)


def _values_of_three(loss: FloatArray, penalty: float) -> list[list[float]]:
    """Return `values` of one chain of three states: plain floats are 10 times as fast as rows."""
    first = second = third = 0.0
    above = []
    for one, two, three in loss.tolist():
        first = one + (first if first < penalty else penalty)
        second = two + (second if second < penalty else penalty)
        third = three + (third if third < penalty else penalty)
        least = first if first < second else second
        if third < least:
            least = third
        first -= least
        second -= least
        third -= least
        above.append([first, second, third])
    return above


def _path_of_two(loss: FloatArray, penalty: float) -> IntArray:
    """Return the best path of two states.

    d_t = V_t(1) - V_t(0) is a walk of the losses' difference, clipped to ±penalty before each step.
    Going back from t, the state before is 0 where d_{t-1} > penalty, 1 where it is < -penalty, and
    the same as at t between.
    """
    steps = (loss[:, 1] - loss[:, 0]).tolist()

    def walked(before: float, step: float) -> float:
        if before > penalty:
            before = penalty
        elif before < -penalty:
            before = -penalty
        return before + step

    walk = np.fromiter(accumulate(steps, walked), np.float64, len(steps))
    told = np.full(len(steps), -1, dtype=np.int64)
    told[:-1] = np.where(walk[:-1] > penalty, 0, np.where(walk[:-1] < -penalty, 1, -1))
    told[-1] = int(walk[-1] < 0.0)
    # The next row that tells its state speaks for those before it that do not.
    at = np.where(told >= 0, np.arange(len(told)), len(told))
    speaks = np.minimum.accumulate(at[::-1])[::-1]
    states: IntArray = told[speaks]
    return states


def fit_jump_model(
    x: FloatArray, states: int, penalty: float, *, starts: int = STARTS, seed: int = 0
) -> JumpModel:
    """Return the best of `starts` coordinate descents from k-means++ centers.

    Parameters
    ----------
    x : (T, P) array
        Rows without holes, each series on a scale of about one.
    seed : int
        Of the starts: the same rows give the same bytes.

    Raises
    ------
    EstimationError
        With holes, fewer than 20 rows a state, or rows that are all alike.
    """
    if not np.isfinite(x).all():
        raise EstimationError("expected rows without holes, was NaN among them; leave those out")
    if len(x) < FEWEST_ROWS_OF_STATE * states:
        raise EstimationError(
            f"expected {FEWEST_ROWS_OF_STATE * states} rows for {states} states, was {len(x)}; "
            "give it more history"
        )
    if not (np.ptp(x, axis=0) > 0).any():
        raise EstimationError("expected rows that differ, was a constant; leave it out")
    rng = np.random.default_rng(seed)
    seen: set[bytes] = set()
    found = [_descend(x, _spread_centers(x, states, rng), penalty, seen) for _ in range(starts)]
    best = min(found, key=lambda model: model.objective)
    order = np.argsort(best.centers[:, 0], kind="stable")
    place = np.argsort(order, kind="stable")
    return JumpModel(best.centers[order], penalty, place[best.labels], best.objective)


def _spread_centers(x: FloatArray, states: int, rng: np.random.Generator) -> FloatArray:
    """Return k-means++ centers (Arthur & Vassilvitskii 2007): rows far from those chosen."""
    chosen = [int(rng.integers(len(x)))]
    nearest = losses(x, x[chosen])[:, 0]
    for _ in range(1, states):
        total = np.cumsum(nearest)
        row = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
        chosen.append(min(row, len(x) - 1))
        nearest = np.minimum(nearest, losses(x, x[chosen[-1:]])[:, 0])
    return x[chosen]


def _descend(x: FloatArray, centers: FloatArray, penalty: float, seen: set[bytes]) -> JumpModel:
    """Return where `centers` lead; a path in `seen` was gone on from by an earlier descent."""
    labels, objective = best_path(losses(x, centers), penalty)
    for _ in range(MOST_ROUNDS):
        centers = _means(x, labels, centers)
        after, lower = best_path(losses(x, centers), penalty)
        settled = bool((after == labels).all())
        labels, objective = after, lower
        key = labels.tobytes()
        if settled or key in seen:
            break
        seen.add(key)
    return JumpModel(centers, penalty, labels, objective)


def _means(x: FloatArray, labels: IntArray, before: FloatArray) -> FloatArray:
    """Return each state's mean; a state without rows keeps its center."""
    rows = [x[labels == state] for state in range(len(before))]
    return np.array(
        [part.mean(axis=0) if len(part) else old for part, old in zip(rows, before, strict=True)]
    )
