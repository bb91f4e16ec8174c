"""Answer an `EstimateJob`: what whole days taught, what the hour adds, what the snapshot says.

`Estimator` keeps a day's view until the next midnight (or until older bars come in), an hour's
until the next bar, and a contract's funding fit until its next settlement. Each is a function of
history alone, so that a kept answer has the same bytes as a fresh one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from perptui.estimation.regime.vote import forecast_regime
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.errors import EstimationError
from perptui.model.forecast import Estimates, RegimeForecast
from perptui.model.instrument import Instrument
from perptui.model.jobs import EstimateJob
from perptui.model.strategy import StrategyParameters
from perptui.optimization.scenarios import HorizonScenarios
from perptui.quant.compose import compose_estimates
from perptui.quant.day import DayView, day_view
from perptui.quant.funding import FundingFits
from perptui.quant.hour import HourView, hour_view, since_all
from perptui.quant.scenarios import horizon_scenarios_of

KEPT_VIEWS = 4
READ_BY_ESTIMATION = (
    "horizon_days",
    "volatility_halflife_days",
    "correlation_halflife_days",
    "combined_volatility",
    "combined_correlation",
)
"""Parameters of a strategy that days and hours are estimated with: others leave them as they are,
so that a what-if of theirs only solves again."""
READ_BY_REGIME = (
    "name",
    "volatility_target",
    "exposure_by_regime",
    "exposure_min",
    "follow_regime",
)
"""Those that the exposure, or the words about it, rest on beside."""
View = TypeVar("View")


def read_by_estimation(strategy: StrategyParameters) -> tuple[object, ...]:
    """Return what estimation reads of a strategy but for its exposure: two with the same agree."""
    return tuple(getattr(strategy, name) for name in READ_BY_ESTIMATION)


def read_by_regime(strategy: StrategyParameters) -> tuple[object, ...]:
    """Return what the exposure and the words about it rest on beside."""
    return tuple(getattr(strategy, name) for name in READ_BY_REGIME)


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
        self._regimes: dict[object, RegimeForecast] = {}
        self._scenarios: dict[object, HorizonScenarios] = {}
        self._estimates: dict[object, Estimates] = {}
        self._fits = FundingFits()

    def estimate(self, job: EstimateJob) -> Estimates:
        """Return what `estimate` returns.

        Raises
        ------
        EstimationError
            As `estimate` does.
        """
        read = read_by_estimation(job.strategy), read_by_regime(job.strategy)
        key = job.snapshot, read, job.exposure_before, self._history.version
        return _kept(self._estimates, key, lambda: self._composed(job))

    def _composed(self, job: EstimateJob) -> Estimates:
        key, view = self._view(job)
        told = key, read_by_regime(job.strategy), job.exposure_before
        regime = _kept(self._regimes, told, lambda: _regime(job, view))
        now_ms = job.snapshot.as_of_ms
        fits = [self._fits.by(one, self._history, now_ms) for one in view.day.gathered]
        return compose_estimates(job, view, fits, regime)

    def scenarios(self, job: EstimateJob, estimates: Estimates) -> HorizonScenarios:
        """Return the scenarios of the job's horizon; never part of `Estimates`, nor sent anywhere.

        Kept beside the hour's view until funding is forecast otherwise, so that a what-if does not
        make them anew.

        Parameters
        ----------
        estimates : Estimates
            What `estimate` returned for the same job.

        Raises
        ------
        EstimationError
            As `estimate` does.
        """
        key, view = self._view(job)
        now = tuple(row.funding.horizon_sd for row in estimates.instruments)
        return _kept(self._scenarios, (key, now), lambda: horizon_scenarios_of(view, estimates))

    def _view(self, job: EstimateJob) -> tuple[object, HourView]:
        hour_ms = job.snapshot.as_of_ms // HOUR_MS * HOUR_MS
        read = read_by_estimation(job.strategy)
        key = hour_ms, job.snapshot.instruments, read, self._history.version
        return key, _kept(self._hours, key, lambda: self._hour(job, hour_ms))

    def _hour(self, job: EstimateJob, hour_ms: int) -> HourView:
        """Return the hour's view, without contracts whose price came to another scale."""
        day = self._day(job, job.snapshot.instruments)
        since = since_all(day, self._history, hour_ms)
        shifts = {
            one.instrument.id: found.shift
            for one, found in zip(day.gathered, since, strict=True)
            if found.shift
        }
        left_out = [f"{name}: {shift}" for name, shift in shifts.items()]
        if shifts:
            sound = tuple(one for one in job.snapshot.instruments if one.id not in shifts)
            if len(shifts) == len(day.gathered):
                raise EstimationError(
                    "expected prices of at least one contract on one scale, was none "
                    f"({'; '.join((*left_out, *day.left_out))}); fetch them anew"
                )
            day = self._day(job, sound)
            since = since_all(day, self._history, hour_ms)
        return hour_view(day, since, self._history, hour_ms, left_out)

    def _day(self, job: EstimateJob, instruments: tuple[Instrument, ...]) -> DayView:
        midnight_ms = job.snapshot.as_of_ms // DAY_MS * DAY_MS
        read = read_by_estimation(job.strategy)
        key = midnight_ms, instruments, read, self._history.version_by(midnight_ms)
        return _kept(
            self._days,
            key,
            lambda: day_view(instruments, job.strategy, self._history, midnight_ms),
        )


def _regime(job: EstimateJob, view: HourView) -> RegimeForecast:
    return forecast_regime(
        view.regime, view.hour_ms, view.book_volatility, job.strategy, job.exposure_before
    )


def _kept(views: dict[object, View], key: object, make: Callable[[], View]) -> View:
    """Return the view at `key`, made where it is not there; the others kept are the last used."""
    view = views.pop(key) if key in views else make()
    while len(views) >= KEPT_VIEWS:
        del views[next(iter(views))]
    views[key] = view
    return view
