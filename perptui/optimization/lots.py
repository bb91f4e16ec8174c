"""From weights to whole lots that keep every limit (method §6, Lots).

A position is truncated toward zero, which keeps every limit that is monotone in |w|. What is not
monotone (net, coin net, hedged volatility, stressed margin, turnover across zero) is mended by
single steps, each the best of its round; the last word has the exact check in Decimal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.program.solution import DECIMALS
from perptui.risk.arrays import total_excess, worst_excess

IntArray = npt.NDArray[np.int64]

HEADROOM = 1e-12
"""Room kept below each limit, weight units: float sums and exact sums then agree on it."""
SNAP_STEPS = 1e-6
"""A target this close to a lot, in steps, is that lot."""
GAIN_MIN = 1e-9
"""Least gain of the objective, fraction of equity, that is worth a step."""
MOVE_SIZES, MOVE_REACH = 9, 64
"""Moves that mend are 1, 4, ... up to 4^8 steps; at least up to this many."""
PAIRED_NUMBERS_MAX = 1_000_000
"""Weights in all pairs of moves together; the smallest moves come first."""
DUST = 1e-4
"""A target this small, fraction of equity, is none: the program means to close."""
NOTIONAL_HEADROOM = 1.02
"""Smallest order over the venue's minimum: its limit price lies below the mark when selling."""


@dataclass(frozen=True, eq=False)
class Lots:
    """The grid of trades that the venue takes.

    Attributes
    ----------
    unit : (N,) array
        Weight of one step.
    smallest : (N,) array
        Smallest order that opens, adds or reduces, as weight; a full close may be smaller.
    off_grid : (N,) array
        Which positions are no whole number of steps. Whole orders cannot close one of those, so
        they never take it to zero or across it.
    """

    unit: FloatArray
    smallest: FloatArray
    off_grid: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, inputs: ProgramInputs) -> Lots:
        """Return the grid of the program's contracts."""
        unit, smallest, off_grid = [], [], []
        for contract in inputs.contracts:
            rules, value = contract.instrument, contract.usd_per_contract
            unit.append(float(rules.step * value / inputs.equity))
            least = max(
                float(rules.min_contracts * value),
                float(rules.min_notional_usd) * NOTIONAL_HEADROOM,
            )
            smallest.append(least / float(inputs.equity))
            off_grid.append(contract.position % rules.step != 0)
        return cls(np.array(unit), np.array(smallest), np.array(off_grid, dtype=bool))


@dataclass(frozen=True, eq=False)
class Rounded:
    """A book in lots.

    Attributes
    ----------
    steps : (N,) integer array
        Trade of each contract in steps, signed.
    weights : (N,) array
        The book after it.
    excess : float
        Largest limit excess, weight units; positive: the book breaks a limit.
    """

    steps: IntArray
    weights: FloatArray
    excess: float


def round_to_lots(target: FloatArray, inputs: ProgramInputs) -> Rounded:
    """Return a book in lots near `target`, as good as single steps make it.

    At most 4N moves. Deterministic: ties go to the first.
    """
    lots = Lots.of(inputs)
    steps = _truncated(target, inputs, lots)
    for _ in range(4 * len(steps)):
        moved = _best_step(steps, inputs, lots)
        if moved is None:
            break
        steps = moved
    return _rounded(steps, inputs, lots)


def hold_lots(inputs: ProgramInputs) -> Rounded:
    """Return the book as it is."""
    return _rounded(np.zeros(len(inputs.contracts), dtype=np.int64), inputs, Lots.of(inputs))


def _rounded(steps: IntArray, inputs: ProgramInputs, lots: Lots) -> Rounded:
    weights = inputs.before + steps * lots.unit
    return Rounded(steps, weights, float(_excess(weights[None, :], inputs)[0]))


def too_small(target: FloatArray, inputs: ProgramInputs) -> npt.NDArray[np.bool_]:
    """Return which trades to `target` are smaller than the venue takes, and not simply none."""
    lots = Lots.of(inputs)
    size = np.abs(target - inputs.before)
    closing = (np.abs(target) < lots.unit) | _closing(target, inputs, lots)
    return np.asarray((size > 0) & (size < lots.smallest) & ~(closing & (inputs.before != 0)))


def _excess(weights: FloatArray, inputs: ProgramInputs) -> FloatArray:
    return worst_excess(weights, inputs.before, inputs.limits) + HEADROOM


def _closing(target: FloatArray, inputs: ProgramInputs, lots: Lots) -> npt.NDArray[np.bool_]:
    """Return which positions `target` leaves less of than can be traded: those close whole."""
    edited = np.array([identifier in inputs.edited for identifier in inputs.ids])
    reduced = (np.abs(target) < np.abs(inputs.before)) | (target * inputs.before < 0)
    tiny = np.abs(target) < np.maximum(DUST, lots.smallest)
    return np.asarray(tiny & reduced & ~edited & ~lots.off_grid)


def _truncated(target: FloatArray, inputs: ProgramInputs, lots: Lots) -> IntArray:
    """Return the trade in steps to the lot next to `target` toward zero, or none."""
    distance = (target - inputs.before) / lots.unit
    snap = np.clip(2.0 * 10.0**-DECIMALS / lots.unit, SNAP_STEPS, 0.01)
    whole = np.where(target >= 0, np.floor(distance + snap), np.ceil(distance - snap))
    # The last step of a position off the grid would carry it across zero.
    most = np.where(lots.off_grid, np.floor(np.abs(inputs.before) / lots.unit), np.inf)
    whole = np.where(inputs.before > 0, np.maximum(whole, -most), np.minimum(whole, most))
    closing = _closing(target, inputs, lots)
    steps = np.where(closing, -np.rint(inputs.before / lots.unit), whole).astype(np.int64)
    steps[~_allowed(steps[None, :], inputs, lots)[0]] = 0
    return steps


def _allowed(steps: IntArray, inputs: ProgramInputs, lots: Lots) -> npt.NDArray[np.bool_]:
    """Return which trades (M, N), in steps, the venue and the bounds let through."""
    before, unit = inputs.before, lots.unit
    after = before + steps * unit
    size = np.abs(steps) * unit
    closed = (np.abs(after) < 0.5 * unit) & ~lots.off_grid
    flipped = (after * before < 0) & ~closed
    opening = np.where(flipped, np.abs(after), size)
    large_enough = (opening >= lots.smallest * (1 - 1e-12)) | (closed & (before != 0))
    large_enough &= ~(flipped & lots.off_grid)
    # What is left must be large enough to be traded later, unless the trader asked for it.
    edited = np.array([identifier in inputs.edited for identifier in inputs.ids])
    reduced = np.abs(after) < np.abs(before)
    least = np.maximum(lots.smallest, np.where(reduced, DUST, 0.0))
    remains = np.abs(after) >= least * (1 - 1e-12)
    large_enough &= closed | edited | lots.off_grid | remains
    slack = unit * 1e-6
    within = (after >= inputs.lower - slack) & (after <= inputs.upper + slack)
    # A fixed target may round to either lot beside it, and no farther.
    near = np.abs(after - inputs.lower) < unit * (1 - SNAP_STEPS)
    return np.asarray(
        np.where(
            edited, near & (large_enough | (steps == 0)), (steps == 0) | (large_enough & within)
        )
    )


def _best_step(steps: IntArray, inputs: ProgramInputs, lots: Lots) -> IntArray | None:
    """Return the steps after the best single move, or None when no move is for the better.

    While a limit is broken the best move is the one that breaks limits least; after that, the one
    that gains most among those that keep them all.
    """
    here = (inputs.before + steps * lots.unit)[None, :]
    broken = float(_total(here, inputs)[0])
    kept = np.array(
        [one in inputs.fixed and not (one in inputs.edited and broken > 0) for one in inputs.ids]
    )
    if broken > 0:
        return _mending(steps, kept, broken, inputs, lots)
    moves = _neighbours(steps, kept, inputs, lots, 1)
    if not len(moves):
        return None
    books = inputs.before + moves * lots.unit
    gain = inputs.objective(books) - inputs.objective(here)
    gain = np.where(_total(books, inputs) <= 0, gain, -np.inf)
    best = int(gain.argmax())
    return moves[best] if gain[best] > GAIN_MIN else None


def _mending(
    steps: IntArray,
    kept: npt.NDArray[np.bool_],
    broken: float,
    inputs: ProgramInputs,
    lots: Lots,
) -> IntArray | None:
    """Return the move that breaks limits least, or None when none breaks them less.

    Moves of 1, 4, 16, ... steps, as far as the coarsest lot reaches: fine lots make up for coarse
    ones. Where no single move mends anything, two at once: limits may pull apart, as net and
    turnover do.
    """
    reach = float(lots.unit.max() / lots.unit.min())
    sizes = [4**power for power in range(MOVE_SIZES) if 4**power <= max(4.0 * reach, MOVE_REACH)]
    moves = np.concatenate([_neighbours(steps, kept, inputs, lots, size) for size in sizes])
    for paired in (False, True):
        candidates = _pairs(steps, moves) if paired else moves
        if not len(candidates):
            continue
        books = inputs.before + candidates * lots.unit
        total = _total(books, inputs)
        best = int(np.lexsort((-inputs.objective(books), total))[0])
        if total[best] < broken:
            return np.asarray(candidates[best])
    return None


def _total(weights: FloatArray, inputs: ProgramInputs) -> FloatArray:
    return total_excess(weights, inputs.before, inputs.limits, HEADROOM)


def _pairs(steps: IntArray, moves: IntArray) -> IntArray:
    """Return all trades that make two moves at once, on two contracts, (M, N)."""
    fitting = int((2.0 * PAIRED_NUMBERS_MAX / max(steps.size, 1)) ** 0.5)
    moves = moves[:fitting]
    deltas = moves - steps
    one, two = np.triu_indices(len(deltas), 1)
    apart = ~((deltas[one] != 0) & (deltas[two] != 0)).any(axis=1)
    return np.asarray(steps + deltas[one[apart]] + deltas[two[apart]])


def _neighbours(
    steps: IntArray, kept: npt.NDArray[np.bool_], inputs: ProgramInputs, lots: Lots, size: int
) -> IntArray:
    """Return the trades `size` steps away, (M, N), and those that drop one contract's trade."""
    count = len(steps)
    one = np.eye(count, dtype=np.int64)
    moves = np.concatenate([steps + size * one, steps - size * one, steps * (1 - one)])
    changed = np.tile(np.arange(count), 3)
    allowed = _allowed(moves, inputs, lots)[np.arange(len(moves)), changed]
    fresh = moves[np.arange(len(moves)), changed] != steps[changed]
    return np.asarray(moves[allowed & fresh & ~kept[changed]])
