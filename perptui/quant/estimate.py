"""Answer an `EstimateJob`: arrays end here and records begin.

What bars alone decide (variances, correlation, drift, the book's hours) is kept by
`Estimator` for as long as no bar closes; rates and quotes are read anew for every snapshot.
"""

from __future__ import annotations

from perptui.history.dataset import History
from perptui.model.clock import HOUR_MS
from perptui.model.forecast import Estimates
from perptui.model.jobs import EstimateJob
from perptui.quant.compose import compose_estimates
from perptui.quant.view import MarketView, market_view

KEPT_VIEWS = 4


def estimate(job: EstimateJob, history: History) -> Estimates:
    """Return everything estimated at the snapshot's time for one strategy's horizon.

    Uses bars that closed and funding that settled by `snapshot.as_of_ms`, nothing else: the same
    job on history cut there gives the same bytes.

    Raises
    ------
    EstimationError
        When no instrument has history to estimate from; one without is left out, with its reason.
    """
    view = market_view(job.snapshot, job.strategy, history)
    return compose_estimates(job, view)


class Estimator:
    """Keeps what the bars said, so that a new quote or a what-if does not estimate it again."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._views: dict[object, MarketView] = {}

    def estimate(self, job: EstimateJob) -> Estimates:
        """Return what `estimate` returns.

        Raises
        ------
        EstimationError
            As `estimate` does.
        """
        snapshot = job.snapshot
        key = (
            snapshot.as_of_ms // HOUR_MS,
            tuple(instrument.id for instrument in snapshot.instruments),
            job.strategy,
            self._history.version,
        )
        if key not in self._views:
            view = market_view(snapshot, job.strategy, self._history)
            self._views = dict(list(self._views.items())[1 - KEPT_VIEWS :])
            self._views[key] = view
        return compose_estimates(job, self._views[key])
