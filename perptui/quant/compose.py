"""From arrays to records: the bars' view with the snapshot's rates and quotes."""

from __future__ import annotations

import math

import numpy as np

from perptui.estimation.correlation import correlation_of
from perptui.estimation.covariance import assemble
from perptui.estimation.funding import FundingEstimate, Open, forecast_funding
from perptui.estimation.recursion import FloatArray
from perptui.estimation.regime import forecast_regime
from perptui.estimation.volatility import MODELS, VarianceForecasts
from perptui.model.errors import EstimationError
from perptui.model.forecast import (
    Estimates,
    InstrumentForecast,
    ModelScore,
    ReturnForecast,
    VolatilityForecast,
)
from perptui.model.jobs import EstimateJob
from perptui.model.market import FundingQuote, Quote
from perptui.quant.gather import Gathered
from perptui.quant.track import YEAR_DAYS
from perptui.quant.view import MarketView

ASSUMED_HALF_SPREAD = 1e-4
"""Where no book was seen: 1 bp, or half a tick where that is more."""


def compose_estimates(job: EstimateJob, view: MarketView) -> Estimates:
    """Return the record: the bars' view with the snapshot's rates and quotes.

    Raises
    ------
    EstimationError
        When a contract's funding cannot be forecast.
    """
    snapshot, strategy = job.snapshot, job.strategy
    quotes = {quote.id: quote for quote in snapshot.quotes}
    rates = {rate.id: rate for rate in snapshot.funding}
    funding = [_funding(one, rates.get(one.instrument.id), job) for one in view.gathered]
    horizon = strategy.horizon_days
    sigma = assemble(
        horizon * view.coin_variance[-1],
        view.correlation.matrix,
        view.owner,
        view.own_variance + np.array([each.forecast.horizon_sd**2 for each in funding]),
    )
    rows = tuple(
        _row(k, view, each, quotes.get(view.gathered[k].instrument.id), horizon)
        for k, each in enumerate(funding)
    )
    return Estimates(
        as_of_ms=snapshot.as_of_ms,
        horizon_days=horizon,
        instruments=rows,
        correlation=_rows_of(correlation_of(sigma)),
        covariance=_rows_of(sigma),
        regime=forecast_regime(
            view.regime, view.panel.end_ms, view.book_volatility, strategy, job.exposure_before
        ),
        track=view.track,
        models=_scores(view.variances, combined=strategy.combined_volatility),
        left_out=view.left_out,
        notes=_notes(view),
    )


def _funding(one: Gathered, rate: FundingQuote | None, job: EstimateJob) -> FundingEstimate:
    opened = None if rate is None else Open(float(rate.rate), rate.next_ms, rate.interval_h)
    return forecast_funding(one.settled, opened, job.snapshot.as_of_ms, job.strategy.horizon_days)


def _row(
    k: int, view: MarketView, funding: FundingEstimate, quote: Quote | None, horizon: float
) -> InstrumentForecast:
    one, coin = view.gathered[k], int(view.owner[k])
    if quote is None:
        raise EstimationError(
            f"expected a quote of {one.instrument.id} in the snapshot, was none; take another"
        )
    drift = view.drift
    d1, d7, d30 = (float(value) for value in drift.by_lookback[:, coin])
    expected = float(np.expm1(horizon * drift.blend[coin])) - funding.forecast.horizon_mean
    uncertain = horizon**2 * float(drift.posterior_variance[coin]) + funding.parameter_variance
    half_spread, assumed = _half_spread(quote, one)
    return InstrumentForecast(
        id=one.instrument.id,
        coin=one.instrument.coin,
        venue=one.instrument.venue,
        mark=float(quote.mark),
        expected_return=expected,
        expected_return_sd=float(np.sqrt(uncertain)),
        drift=ReturnForecast(d1, d7, d30, float(drift.blend[coin])),
        funding=funding.forecast,
        volatility=VolatilityForecast(
            ewma=_annual(view.variances.ewma[-1, k]),
            realised=_annual(view.variances.realised[-1, k]),
            combined=_annual(view.variances.combined[-1, k]),
        ),
        volume_usd_day=one.volume_usd_day,
        half_spread=half_spread,
        flags=(*one.flags, *funding.flags, *assumed),
    )


def _annual(daily_variance: float) -> float:
    return math.sqrt(YEAR_DAYS * float(daily_variance))


def _half_spread(quote: Quote, one: Gathered) -> tuple[float, tuple[str, ...]]:
    if quote.bid is not None and quote.ask is not None and quote.ask >= quote.bid > 0:
        return float((quote.ask - quote.bid) / (quote.ask + quote.bid)), ()
    half_tick = float(one.instrument.tick / quote.mark) / 2.0
    assumed = max(ASSUMED_HALF_SPREAD, half_tick)
    return assumed, (f"half-spread assumed {assumed * 1e4:.1f} bp",)


def _scores(variances: VarianceForecasts, *, combined: bool) -> tuple[ModelScore, ...]:
    weights = variances.weights if combined else np.eye(len(MODELS))[0]
    return tuple(
        ModelScore(
            name, float(weight), float(loss) if np.isfinite(loss) else None, variances.scores
        )
        for name, weight, loss in zip(MODELS, weights, variances.losses, strict=True)
    )


def _notes(view: MarketView) -> tuple[str, ...]:
    notes = [line for one in view.gathered for line in one.notes]
    drift = view.drift
    if drift.has_evidence:
        notes.append(f"drift in use: walk-forward R² {drift.r_squared:.2%} on {drift.forecasts} d")
    elif np.isfinite(drift.r_squared):
        notes.append(
            f"drift left out: walk-forward R² {drift.r_squared:.2%} on {drift.forecasts} d"
        )
    else:
        notes.append(f"drift left out: {drift.forecasts} past forecasts are too few to judge it")
    if view.correlation.repaired:
        notes.append("correlation was not positive definite: nearest one taken (Higham 2002)")
    if view.correlation.unknown_pairs:
        notes.append(
            f"{view.correlation.unknown_pairs} pair(s) without common history: mean correlation"
        )
    return tuple(notes)


def _rows_of(matrix: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())
