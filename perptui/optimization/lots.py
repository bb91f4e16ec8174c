"""The grid of trades that venues take, and which trades on it are let through (method §6, Lots)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perptui.optimization.inputs import FloatArray, ProgramInputs
from perptui.optimization.kept import Kept
from perptui.optimization.program.solution import DECIMALS

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SNAP_STEPS = 1e-6
"""A target this close to a lot, in steps, is that lot."""
DUST = 1e-4
"""A target this small, fraction of equity, is none: the program means to close."""
NOTIONAL_HEADROOM = 1.02
"""Smallest order over the venue's minimum: its limit price lies below the mark when selling."""
CLOSED = 1e-12
"""Share of a position within which nothing is left of it: sums of floats."""
WHOLE = 1e-9
"""Relative: a trade this close to a whole step is that step."""
SMALLEST = 1.0 - 1e-12
"""Share of a smallest size that counts as it: sums of floats."""


@dataclass(frozen=True, eq=False)
class Lots:
    """The grid of trades that the venue takes.

    Attributes
    ----------
    unit : (N,) array
        Weight of one step.
    smallest : (N,) array
        Smallest order that opens, adds or reduces, as weight; a full close may be smaller.
    least : (N,) array
        Smallest trade: that order, or what is worth making; a full close may be smaller.
    off_grid : (N,) array
        Which positions are no whole number of steps. Whole orders cannot close one of those, so
        they never take it to zero or across it.
    edited : (N,) array
        Which targets the trader fixed.
    """

    unit: FloatArray
    smallest: FloatArray
    least: FloatArray
    off_grid: BoolArray
    edited: BoolArray

    @classmethod
    def of(cls, inputs: ProgramInputs) -> Lots:
        """Return the grid of the program's contracts."""
        same = (inputs.contracts, inputs.limits.trade_min, inputs.edited)
        return _LOTS.of(same, (inputs.equity,), lambda: cls._of(inputs))

    @classmethod
    def _of(cls, inputs: ProgramInputs) -> Lots:
        unit, smallest, off_grid = [], [], []
        for contract in inputs.contracts:
            rules, value = contract.instrument, contract.usd_per_contract
            unit.append(float(rules.step * value / inputs.equity))
            most = max(
                float(rules.min_contracts * value),
                float(rules.min_notional_usd) * NOTIONAL_HEADROOM,
            )
            smallest.append(most / float(inputs.equity))
            off_grid.append(contract.position % rules.step != 0)
        order = np.array(smallest)
        return cls(
            unit=np.array(unit),
            smallest=order,
            least=np.maximum(order, inputs.limits.trade_min),
            off_grid=np.array(off_grid, dtype=bool),
            edited=np.array([identifier in inputs.edited for identifier in inputs.ids]),
        )


_LOTS: Kept[Lots] = Kept(4)


def books_after(steps: IntArray, inputs: ProgramInputs, lots: Lots) -> FloatArray:
    """Return the books (..., N) after trades in steps (..., N); what is closed is 0 exactly."""
    after = inputs.before + steps * lots.unit
    return np.where(np.abs(after) <= CLOSED * np.abs(inputs.before), 0.0, after)


def too_small(target: FloatArray, inputs: ProgramInputs) -> BoolArray:
    """Return which trades to `target` are too small to be made, and not simply none."""
    lots = Lots.of(inputs)
    size = np.abs(target - inputs.before)
    closed = (np.abs(target) < lots.unit) | closing(target, inputs, lots)
    return np.asarray((size > 0) & (size < lots.least) & ~(closed & (inputs.before != 0)))


def closing(target: FloatArray, inputs: ProgramInputs, lots: Lots) -> BoolArray:
    """Return which positions `target` leaves less of than can be traded: those close whole."""
    before = inputs.before
    reduced = (np.abs(target) < np.abs(before)) | (target * before < 0)
    tiny = np.abs(target) < np.maximum(DUST, lots.smallest)
    return np.asarray(tiny & reduced & ~lots.edited & ~lots.off_grid)


def truncated(target: FloatArray, inputs: ProgramInputs, lots: Lots) -> IntArray:
    """Return the trade in steps to the lot next to `target` toward zero, or none."""
    before = inputs.before
    distance = (target - before) / lots.unit
    snap = np.clip(2.0 * 10.0**-DECIMALS / lots.unit, SNAP_STEPS, 0.01)
    whole = np.where(target >= 0, np.floor(distance + snap), np.ceil(distance - snap))
    # The last step of a position off the grid would carry it across zero.
    most = np.where(lots.off_grid, np.floor(np.abs(before) / lots.unit), np.inf)
    whole = np.where(before > 0, np.maximum(whole, -most), np.minimum(whole, most))
    closed = closing(target, inputs, lots)
    steps = np.where(closed, -np.rint(before / lots.unit), whole).astype(np.int64)
    steps[~allowed(steps[None, :], inputs, lots)[0]] = 0
    return steps


def whole_trades(wanted: FloatArray, inputs: ProgramInputs, lots: Lots) -> IntArray:
    """Return trades (N,), given as weights, in whole steps that are let through; else none.

    Where too little of a position would be left to be traded later, as little stays as may be.
    """
    steps = np.trunc(wanted / lots.unit * (1.0 + WHOLE)).astype(np.int64)
    size = np.abs(inputs.before)
    spare = np.floor((size - np.maximum(lots.smallest, DUST)) / lots.unit).astype(np.int64)
    less = np.where(steps * inputs.before < 0.0, np.sign(steps) * np.maximum(spare, 0), 0)
    steps = np.where(allowed(steps[None, :], inputs, lots)[0], steps, less)
    return np.where(allowed(steps[None, :], inputs, lots)[0], steps, 0)


def allowed(steps: IntArray, inputs: ProgramInputs, lots: Lots) -> BoolArray:
    """Return which trades (M, N), in steps, the venue and the bounds let through."""
    before, unit = inputs.before, lots.unit
    after = before + steps * unit
    size = np.abs(steps) * unit
    closed = (np.abs(after) < 0.5 * unit) & ~lots.off_grid
    flipped = (after * before < 0) & ~closed
    opening = np.where(flipped, np.abs(after), size)
    large_enough = (opening >= lots.smallest * SMALLEST) & (size >= lots.least * SMALLEST)
    large_enough |= closed & (before != 0)
    large_enough &= ~(flipped & lots.off_grid)
    # What is left must be large enough to be traded later, unless the trader asked for it.
    reduced = np.abs(after) < np.abs(before)
    least = np.maximum(lots.smallest, np.where(reduced, DUST, 0.0))
    remains = np.abs(after) >= least * SMALLEST
    large_enough &= closed | lots.edited | lots.off_grid | remains
    slack = unit * 1e-6
    within = (after >= inputs.lower - slack) & (after <= inputs.upper + slack)
    # A fixed target may round to either lot beside it, and no farther.
    near = np.abs(after - inputs.lower) < unit * (1 - SNAP_STEPS)
    none = steps == 0
    return np.asarray(
        np.where(lots.edited, near & (large_enough | none), none | (large_enough & within))
    )
