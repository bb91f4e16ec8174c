"""What is asked of the quant process: the strategy in force, the desk's settings, what is bent."""

from __future__ import annotations

from perptui.desk.proposing.exposures import Exposures
from perptui.model.errors import InputError
from perptui.model.jobs import EstimateDone, EstimateJob, ProposeDone, ProposeJob
from perptui.model.snapshot import MarketSnapshot
from perptui.model.whatif import WhatIf
from perptui.settings.schema import Settings


class Posing:
    """Poses the programs that are to be solved.

    Attributes
    ----------
    strategy : str
        In force; a what-if may name another.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._exposures = Exposures()
        self.strategy = settings.desk.strategy

    @property
    def only_views(self) -> bool:
        """Whether the desk estimates and proposes nothing."""
        return self._settings.desk.mode == "view"

    def refuse_stranger(self, strategy: str) -> None:
        """Refuse a strategy that is none.

        Raises
        ------
        InputError
            When there is no such strategy.
        """
        if strategy not in self._settings.strategy:
            names = ", ".join(self._settings.strategy)
            raise InputError(f"expected a strategy ({names}), was {strategy!r}; name one of these")

    def job(self, snapshot: MarketSnapshot, what_if: WhatIf) -> ProposeJob:
        """Return what is asked on a snapshot with what is bent."""
        known = self._settings.strategy
        parameters = known[what_if.strategy or self.strategy]
        return ProposeJob(
            snapshot,
            parameters,
            self._settings.limits,
            what_if,
            self._exposures.before(parameters.name, snapshot.as_of_ms),
            tuple(known[name] for name in parameters.blend),
            names_clash=False,
            stress=self._settings.stress,
        )

    def sent(self, job: ProposeJob) -> ProposeJob | EstimateJob:
        """Return what goes to the quant process for `job`: its estimates where nothing more is."""
        if self.only_views:
            return EstimateJob(job.snapshot, job.strategy, job.exposure_before)
        return job

    def learn(self, job: ProposeJob, result: ProposeDone | EstimateDone) -> None:
        """Keep the exposure scale of the bar, unless it was made with other parameters."""
        if not job.what_if.parameters:
            exposure = result.estimates.regime.exposure
            self._exposures.keep(job.strategy.name, job.snapshot.as_of_ms, exposure)
