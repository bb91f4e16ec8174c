"""Answer an `EstimateJob`: what whole days taught, what the hour adds, what the snapshot says.

`Estimator` keeps a day's view until the next midnight (or until older bars come in), an hour's
until the next bar, and a contract's funding fit until its next settlement. Each is a function of
history alone, so that a kept answer has the same bytes as a fresh one.
"""

from __future__ import annotations

from typing import TypeVar

from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.forecast import Estimates
from perptui.model.jobs import EstimateJob
from perptui.quant.compose import compose_estimates
from perptui.quant.day import DayView, day_view
from perptui.quant.funding import FundingFits
from perptui.quant.hour import HourView, hour_view

KEPT_VIEWS = 4
View = TypeVar("View")


def estimate(job: EstimateJob, history: History) -> Estimates:
    """Return everything estimated at the snapshot's time for one strategy's horizon.

    Uses bars that closed and funding that settled by `snapshot.as_of_ms`, nothing else: the same
    job on history cut there gives the same bytes.

    Raises
    ------
    EstimationError
        When no instrument has history to estimate from; one without is left out, with its reason.
    """
    return Estimator(history).estimate(job)


class Estimator:
    """Estimates over one history; keeps what a new bar, quote or what-if does not change."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._days: dict[object, DayView] = {}
        self._hours: dict[object, HourView] = {}
        self._fits = FundingFits()

    def estimate(self, job: EstimateJob) -> Estimates:
        """Return what `estimate` returns.

        Raises
        ------
        EstimationError
            As `estimate` does.
        """
        view = self._hour(job)
        now_ms = job.snapshot.as_of_ms
        fits = [self._fits.by(one, self._history, now_ms) for one in view.day.gathered]
        return compose_estimates(job, view, fits)

    def _day(self, job: EstimateJob) -> tuple[object, DayView]:
        midnight_ms = job.snapshot.as_of_ms // DAY_MS * DAY_MS
        instruments = job.snapshot.instruments
        key = midnight_ms, instruments, job.strategy, self._history.version_by(midnight_ms)
        if key not in self._days:
            made = day_view(instruments, job.strategy, self._history, midnight_ms)
            _keep(self._days, key, made)
        return key, self._days[key]

    def _hour(self, job: EstimateJob) -> HourView:
        day_key, day = self._day(job)
        hour_ms = job.snapshot.as_of_ms // HOUR_MS * HOUR_MS
        key = hour_ms, day_key, self._history.version
        if key not in self._hours:
            _keep(self._hours, key, hour_view(day, self._history, hour_ms))
        return self._hours[key]


def _keep(views: dict[object, View], key: object, view: View) -> None:
    """Keep `view`, and of the others the newest."""
    while len(views) >= KEPT_VIEWS:
        del views[next(iter(views))]
    views[key] = view
