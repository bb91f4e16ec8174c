"""From arrays to records: the hour's view with the snapshot's rates, quotes and positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from perptui.estimation.covariance.correlation import correlation_of
from perptui.estimation.covariance.total import total_covariance
from perptui.estimation.funding.forecast import FundingEstimate, FundingFit, forecast
from perptui.estimation.funding.risk import price_funding_covariance
from perptui.estimation.recursion import FloatArray
from perptui.estimation.uncertainty import uncertainty_matrix
from perptui.model.errors import EstimationError
from perptui.model.forecast import Estimates, InstrumentForecast, RegimeForecast, TailRisk
from perptui.model.jobs import EstimateJob
from perptui.model.market import Quote
from perptui.quant.books import books_of, unseen
from perptui.quant.funding import open_interval
from perptui.quant.hour import HourView
from perptui.quant.tails import Known, present_tails
from perptui.quant.volatilities import volatility_of


@dataclass(frozen=True, slots=True)
class Present:
    """What the snapshot adds to the hour, over the horizon; N contracts.

    Attributes
    ----------
    price : (N, N) array
        Covariance of price returns.
    stressed : (N, N) array
        Of price returns with volatilities doubled and correlations half-way to one.
    total : (N, N) array
        Of r - F, without the cost of leaving.
    funding : tuple of N FundingEstimate
    funding_variance, shared : (N,) arrays
        Var(F) and Cov(r, F).
    expected : (N,) array
        Return of a unit long, funding included.
    omega : (N, N) array
        Its uncertainty.
    """

    price: FloatArray
    stressed: FloatArray
    total: FloatArray
    funding: tuple[FundingEstimate, ...]
    funding_variance: FloatArray
    shared: FloatArray
    expected: FloatArray
    omega: FloatArray


def compose_estimates(
    job: EstimateJob, view: HourView, fits: Sequence[FundingFit], regime: RegimeForecast
) -> Estimates:
    """Return the record: the hour's view with the snapshot's rates, quotes and positions.

    Parameters
    ----------
    fits : sequence of N FundingFit
        Of the contracts of `view.day`, with everything settled by the snapshot's time.
    regime : RegimeForecast
        Of the hour and the exposure before it.

    Raises
    ------
    EstimationError
        When a contract's funding cannot be forecast, or it has no quote.
    """
    snapshot, day = job.snapshot, view.day
    quotes = {quote.id: quote for quote in snapshot.quotes}
    present = present_of(job, view, fits)
    sigma = present.total + np.diag(day.liquidity.exit_variance)
    rows = tuple(
        _row(k, view, present, quotes.get(one.instrument.id)) for k, one in enumerate(day.gathered)
    )
    return Estimates(
        as_of_ms=snapshot.as_of_ms,
        horizon_days=day.horizon_days,
        instruments=rows,
        correlation=_rows_of(correlation_of(sigma)),
        covariance=_rows_of(sigma),
        regime=regime,
        track=day.track,
        models=day.sitting.models,
        left_out=view.left_out,
        notes=_notes(job, view),
        omega=_rows_of(present.omega),
        tails=_tails(job, view, present, np.array([row.half_spread for row in rows])),
        court=day.sitting.court_on(snapshot),
        book_volatility=view.book_volatility,
        least_eigenvalue=float(np.linalg.eigvalsh(sigma)[0]),
    )


def present_of(job: EstimateJob, view: HourView, fits: Sequence[FundingFit]) -> Present:
    """Return covariance, funding, expected returns and their uncertainty at the snapshot's time.

    Raises
    ------
    EstimationError
        When a contract's funding cannot be forecast.
    """
    day, horizon = view.day, view.day.horizon_days
    funding = _funding(job, view, fits)
    known = replace(day.covariance, coin_variance=horizon * view.coin_variance)
    plain = known.with_extra(np.zeros(len(day.owner)))
    price = plain.sigma
    variance = np.array([each.forecast.horizon_sd**2 for each in funding])
    shared = price_funding_covariance(
        day.funding.slope, day.funding.phi, np.diag(price) / horizon, variance, horizon
    )
    mean = np.array([each.forecast.horizon_mean for each in funding])
    return Present(
        price=price,
        stressed=plain.stressed().sigma,
        total=total_covariance(price, shared, variance),
        funding=funding,
        funding_variance=variance,
        shared=shared,
        expected=np.expm1(horizon * view.drift.blend)[day.owner] - mean,
        omega=uncertainty_matrix(
            view.drift.posterior_variance[day.owner],
            correlation_of(price),
            np.array([each.parameter_variance for each in funding]),
            day.funding.correlation,
            horizon,
        ),
    )


def _funding(
    job: EstimateJob, view: HourView, fits: Sequence[FundingFit]
) -> tuple[FundingEstimate, ...]:
    rates = {rate.id: rate for rate in job.snapshot.funding}
    found = []
    for one, fit in zip(view.day.gathered, fits, strict=True):
        rate = rates.get(one.instrument.id)
        opened = None if rate is None else open_interval(rate, fit)
        found.append(forecast(fit, opened, job.snapshot.as_of_ms, view.day.horizon_days))
    return tuple(found)


def _row(k: int, view: HourView, present: Present, quote: Quote | None) -> InstrumentForecast:
    day = view.day
    one, coin, funding = day.gathered[k], int(day.owner[k]), present.funding[k]
    if quote is None:
        raise EstimationError(
            f"expected a quote of {one.instrument.id} in the snapshot, was none; take another"
        )
    half_spread, assumed = _half_spread(quote, k, view)
    return InstrumentForecast(
        id=one.instrument.id,
        coin=one.instrument.coin,
        venue=one.instrument.venue,
        mark=float(quote.mark),
        expected_return=float(present.expected[k]),
        expected_return_sd=float(np.sqrt(present.omega[k, k])),
        drift=view.drifts[coin],
        funding=funding.forecast,
        volatility=volatility_of(
            k,
            day,
            view.volatility,
            float(present.total[k, k]),
            float(present.funding_variance[k]),
            float(present.shared[k] / np.sqrt(present.price[k, k])),
        ),
        volume_usd_day=one.volume_usd_day,
        half_spread=half_spread,
        flags=(*one.flags, *view.flags[k], *funding.flags, *assumed),
    )


def _half_spread(quote: Quote, k: int, view: HourView) -> tuple[float, tuple[str, ...]]:
    """Return the book's half-spread, or where none was seen what bars say, at least half a tick."""
    if quote.bid is not None and quote.ask is not None and quote.ask >= quote.bid > 0:
        return float((quote.ask - quote.bid) / (quote.ask + quote.bid)), ()
    half_tick = float(view.day.gathered[k].instrument.tick / quote.mark) / 2.0
    estimated = max(float(view.day.liquidity.half_spread[k]), half_tick)
    source = view.day.liquidity.source[k]
    words = "assumed" if source == "assumed" else f"from {source}"
    return estimated, (f"half-spread {words}: {estimated * 1e4:.1f} bp",)


def _tails(
    job: EstimateJob, view: HourView, present: Present, half_spread: FloatArray
) -> tuple[TailRisk, ...]:
    day = view.day
    usual = day.liquidity
    # A wider book varies more, in proportion.
    wider = usual.half_spread_sd * (half_spread / usual.half_spread)
    known = Known(
        daily=day.panel.daily,
        funding=day.funding.daily,
        covariance=present.total,
        mean=present.expected,
        funding_deviation=np.sqrt(present.funding_variance),
        liquidity=replace(usual, half_spread=half_spread, half_spread_sd=wider),
        stressed=present.stressed,
    )
    return present_tails(view.scenarios, books_of(job.snapshot, day), known)


def _notes(job: EstimateJob, view: HourView) -> tuple[str, ...]:
    day = view.day
    notes = [line for one in day.gathered for line in one.notes]
    notes.append(view.drift.words)
    notes.extend(day.covariance.notes)
    if day.tails.silent:
        notes.append(day.tails.silent)
    notes.extend(unseen(job.snapshot, day))
    return tuple(notes)


def _rows_of(matrix: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())
