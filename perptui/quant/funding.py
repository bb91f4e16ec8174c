"""Funding of a day's contracts: what follows price, what contracts share; fits that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perptui.estimation.funding.forecast import FundingFit, Open, fit_funding
from perptui.estimation.funding.risk import (
    daily_funding,
    daily_persistence,
    fit_funding_slope,
    funding_shocks,
    shock_correlation,
)
from perptui.estimation.funding.series import Settled
from perptui.estimation.panel import Panel
from perptui.estimation.recursion import FloatArray
from perptui.history.dataset import History
from perptui.model.market import FundingQuote
from perptui.quant.gather import Gathered

KEPT_FITS = 512


@dataclass(frozen=True, slots=True)
class DayFunding:
    """Funding up to midnight; D days, N contracts.

    Attributes
    ----------
    daily : (D, N) array
        Funding sums by day; NaN where settlements are missing.
    shocks : (D, N) array
        What did not carry over from the day before.
    phi, slope : (N,) arrays
        What remains of a shock after a day; change of a day's funding per unit of return.
    correlation : (N, N) array
        Of shocks.
    """

    daily: FloatArray
    shocks: FloatArray
    phi: FloatArray
    slope: FloatArray
    correlation: FloatArray


class FundingFits:
    """Fits by what they were made of: a contract's settlements up to one."""

    def __init__(self) -> None:
        self._fits: dict[tuple[str, int, int], FundingFit] = {}

    def by(self, one: Gathered, history: History, as_of_ms: int) -> FundingFit:
        """Return the fit to everything that one contract settled by `as_of_ms`.

        Raises
        ------
        EstimationError
            As `fit_funding` does.
        """
        instrument = one.instrument
        settled = history.funding(instrument.venue, instrument.venue_symbol, as_of_ms)
        key = instrument.id, len(settled.ts_ms), int(settled.ts_ms[-1])
        if key not in self._fits:
            while len(self._fits) >= KEPT_FITS:
                del self._fits[next(iter(self._fits))]
            known = Settled(settled.ts_ms, settled.rate, settled.interval_h)
            self._fits[key] = fit_funding(known)
        return self._fits[key]


def open_interval(rate: FundingQuote, fit: FundingFit) -> Open:
    """Return the open interval; a quote as old as the last settlement saw nothing of it."""
    return Open(float(rate.rate), rate.next_ms, rate.interval_h, rate.ts_ms > fit.last_ms)


def day_funding(gathered: Sequence[Gathered], panel: Panel) -> DayFunding:
    """Return the funding of a day's contracts up to the panel's end."""
    daily = daily_funding([one.settled for one in gathered], panel.end_ms, panel.days)
    phi = daily_persistence(daily)
    shocks = funding_shocks(daily, phi)
    return DayFunding(
        daily=daily,
        shocks=shocks,
        phi=phi,
        slope=fit_funding_slope(shocks, panel.daily).slope,
        correlation=shock_correlation(shocks),
    )
