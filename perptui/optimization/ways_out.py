"""The way out of a clash that relaxes nothing: only reducing, proven by solving it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from perptui.model.errors import OptimizationError
from perptui.model.explanation import Reduction
from perptui.optimization.checks import checks_of, exact_book
from perptui.optimization.explain.existence import keeps
from perptui.optimization.explain.reduction import share_book
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.orders import positions_after
from perptui.optimization.rebalance import reduction_search
from perptui.optimization.search import Search
from perptui.risk.book import turnover


def reduction_of(inputs: ProgramInputs, share: float | None) -> Search[Reduction | None]:
    """Return where only reducing leads; None where it is asked for already, or trades nothing.

    None, too, where the solver gives no answer to trust.

    Parameters
    ----------
    share : float, optional
        As `reduce_only_share` gives it.
    """
    if inputs.reduce_only or _opens(inputs):
        return None
    lower = np.maximum(inputs.lower, np.minimum(inputs.before, 0.0))
    upper = np.minimum(inputs.upper, np.maximum(inputs.before, 0.0))
    only = replace(inputs, lower=lower, upper=upper, reduce_only=True)
    try:
        found = yield from _led_to(only)
        if found is None:
            return None
        at_once = share is not None and (yield from _reaches(only, share))
    except OptimizationError:
        return None
    return Reduction(*found, share_at_once=at_once)


def _opens(inputs: ProgramInputs) -> bool:
    """Return whether a fixed target is no reduction of what is held."""
    fixed = inputs.lower == inputs.upper
    near = np.minimum(inputs.before, 0.0) <= inputs.lower
    return bool((fixed & ~(near & (inputs.upper <= np.maximum(inputs.before, 0.0)))).any())


def _led_to(inputs: ProgramInputs) -> Search[tuple[float, tuple[str, ...]] | None]:
    """Return turnover and the limits still broken after the book in lots; None without one."""
    answer = yield from reduction_search(inputs)
    if answer.solution.status != "optimal" or not answer.steps.any():
        return None
    book = exact_book(inputs, positions_after(inputs, answer.steps))
    broken = tuple(check.name for check in checks_of(inputs, book) if not check.ok)
    return float(turnover(book)), broken


def _reaches(inputs: ProgramInputs, share: float) -> Search[bool]:
    """Return whether one proposal cuts every position to a share, and every limit holds then."""
    book = share_book(inputs, share)
    if not keeps(book, inputs):
        return False
    named = zip(inputs.ids, book.tolist(), strict=True)
    targets = {name: weight for name, weight in named if name not in inputs.fixed}
    cut = replace(inputs, lower=book, upper=book, edited={**inputs.edited, **targets})
    found = yield from _led_to(cut)
    return found is not None and not found[1]
