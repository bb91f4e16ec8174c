"""Which limits of a proposal clash, looked for in slices between what-ifs."""

from __future__ import annotations

import time

from perptui.model.explanation import COARSE
from perptui.model.jobs import ClashDone, ProposeJob
from perptui.optimization.explain.clash import clash_search, summary
from perptui.optimization.explain.reduction import reduce_only_share
from perptui.optimization.lot_widths import too_coarse
from perptui.optimization.search import Search
from perptui.optimization.ways_out import reduction_of
from perptui.quant.answer import Posed, answered, posed, posing
from perptui.quant.estimate import Estimator
from perptui.quant.propose import parents_of, told_of


class ClashSearch:
    """One search, gone on with a slice at a time; it finds what it would find in one go.

    Parameters
    ----------
    asked : ProposeJob
        Whose limits clash.
    """

    def __init__(self, asked: ProposeJob, estimator: Estimator) -> None:
        self.asked = asked
        self._steps = _steps(asked, estimator)

    def go_on(self, seconds: float) -> ClashDone:
        """Return what clashes, or that it is not known yet after so many seconds and a solve.

        Raises
        ------
        EstimationError, HistoryError
            When the history does not carry estimates.
        OptimizationError
            When the program cannot be posed.
        """
        ends = time.perf_counter() + seconds
        while True:
            try:
                next(self._steps)
            except StopIteration as end:
                found: ClashDone = end.value
                return found
            if time.perf_counter() >= ends:
                return ClashDone(done=False)


def _steps(asked: ProposeJob, estimator: Estimator) -> Search[ClashDone]:
    told, parents = told_of(asked, estimator), parents_of(asked, estimator)
    programs = posed(asked, told, parents)
    inputs = programs.own
    yield
    clash = yield from clash_search(inputs, posing(asked, told, parents))
    yield
    if not clash:
        return ClashDone(words=(yield from _widths(programs)))
    share = reduce_only_share(inputs)
    yield
    reduction = yield from reduction_of(inputs, share)
    return ClashDone(clash, summary(clash), reduction)


def _widths(programs: Posed) -> Search[str]:
    """Return what to say where no limits clash: of lots, the widths that they would fit into."""
    found = answered(programs)
    answer = found.answer
    if answer.solution.detail != COARSE:
        return summary(())
    yield
    return (yield from too_coarse(answer.solved or found.inputs, answer.solution))
