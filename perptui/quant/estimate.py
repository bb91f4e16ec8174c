"""Answer an `EstimateJob`: arrays end here and records begin.

What bars alone decide (variances, correlation, drift, the book's hours) is kept by
`Estimator` for as long as no bar closes; rates and quotes are read anew for every snapshot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perptui.estimation.covariance import (
    Correlation,
    assemble,
    basis_variance,
    correlate,
    correlation_of,
    pairwise_correlation,
    standardise,
)
from perptui.estimation.funding import FundingEstimate, Open, forecast_funding
from perptui.estimation.panel import Panel, build_panel, equal_weight_book, merge_by_coin
from perptui.estimation.recursion import divided, ewma
from perptui.estimation.regime import RegimePath, forecast_regime, label_hours
from perptui.estimation.returns import Drift, forecast_drift
from perptui.estimation.volatility import MODELS, VarianceForecasts, forecast_variances
from perptui.history.dataset import History
from perptui.model.clock import DAY_MS, HOUR_MS
from perptui.model.errors import EstimationError
from perptui.model.forecast import (
    Estimates,
    InstrumentForecast,
    ModelScore,
    ReturnForecast,
    VolatilityForecast,
    VolatilityTrack,
)
from perptui.model.jobs import EstimateJob
from perptui.model.market import FundingQuote, Quote
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import StrategyParameters
from perptui.quant.gather import LEAST_DAYS, LOOKBACK_DAYS, Gathered, gather_all

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

YEAR_DAYS = 365.0
TRACK_DAYS = 60
ASSUMED_HALF_SPREAD = 1e-4
"""Where no book was seen: 1 bp, or half a tick where that is more."""
KEPT_VIEWS = 4


@dataclass(frozen=True, slots=True)
class MarketView:
    """What the bars say at one hour for one strategy.

    `owner` (N,) is the coin of each contract, `coin_variance` (D, C) the forecast in use,
    `own_variance` (N,) what a contract has beyond its coin over the horizon; `regime` is of the
    equal-weight book of coins, `book_volatility` its annualised forecast.
    """

    gathered: tuple[Gathered, ...]
    left_out: tuple[str, ...]
    panel: Panel
    owner: IntArray
    variances: VarianceForecasts
    coin_variance: FloatArray
    correlation: Correlation
    own_variance: FloatArray
    drift: Drift
    regime: RegimePath
    book_volatility: float
    track: VolatilityTrack


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


def market_view(
    snapshot: MarketSnapshot, strategy: StrategyParameters, history: History
) -> MarketView:
    """Return what the bars closed by the snapshot's hour say.

    Raises
    ------
    EstimationError
        When no instrument has history to estimate from.
    """
    hour_ms = snapshot.as_of_ms // HOUR_MS * HOUR_MS
    gathered, left_out = gather_all(snapshot.instruments, history, hour_ms)
    panel = _panel_of(gathered, hour_ms)
    names, owner = panel.by_coin()
    coins = len(names)
    variances = forecast_variances(panel, strategy.volatility_halflife_days)
    in_force = variances.combined if strategy.combined_volatility else variances.ewma
    coin_variance = merge_by_coin(in_force, owner, coins)
    z = standardise(
        merge_by_coin(panel.common_daily, owner, coins), strategy.volatility_halflife_days
    )
    correlation = correlate(z, strategy.correlation_halflife_days)
    book = equal_weight_book(panel)
    return MarketView(
        gathered=gathered,
        left_out=left_out,
        panel=panel,
        owner=owner,
        variances=variances,
        coin_variance=coin_variance,
        correlation=correlation,
        own_variance=basis_variance(panel, strategy.horizon_days),
        drift=forecast_drift(
            _coin_prices(panel, owner, coins),
            coin_variance,
            mean_pair_correlation(z, strategy.correlation_halflife_days),
            strategy.horizon_days,
        ),
        regime=label_hours(book),
        book_volatility=_book_volatility(coin_variance[-1], correlation.matrix),
        track=_track(panel, z, coin_variance, book, strategy),
    )


def _panel_of(gathered: tuple[Gathered, ...], hour_ms: int) -> Panel:
    longest = max(one.days for one in gathered)
    days = min(max(longest, LEAST_DAYS), LOOKBACK_DAYS)
    return build_panel([one.closes for one in gathered], hour_ms, days)


def _coin_prices(panel: Panel, owner: IntArray, coins: int) -> FloatArray:
    """Return log prices (D + 1, C): of each coin's contract with the longest history."""
    known = np.isfinite(panel.log_price).sum(axis=0)
    columns = []
    for coin in range(coins):
        members = np.flatnonzero(owner == coin)
        columns.append(panel.log_price[:, members[np.argmax(known[members])]])
    return np.column_stack(columns)


def mean_pair_correlation(z: FloatArray, halflife_days: float) -> FloatArray:
    """Return the mean correlation over pairs by day, (D,), from standardised returns (D, C).

    The sum over pairs of z_i z_j is ((sum z)² - sum z²)/2, so no matrix is built. Zero while
    fewer than two coins are known.
    """
    seen = np.isfinite(z)
    count = seen.sum(axis=1)
    filled = np.where(seen, z, 0.0)
    squares = (filled**2).sum(axis=1)
    pairs = divided(filled.sum(axis=1) ** 2 - squares, count * (count - 1), count > 1)
    single = divided(squares, count, count > 1)
    above, below = ewma(pairs, halflife_days), ewma(single, halflife_days)
    mean: FloatArray = np.clip(divided(above, below, below > 0, 0.0), 0.0, 0.99)
    return mean


def _book_volatility(coin_variance: FloatArray, correlation: FloatArray) -> float:
    deviation = np.sqrt(coin_variance)
    daily = float(deviation @ correlation @ deviation) / len(deviation) ** 2
    return math.sqrt(YEAR_DAYS * max(daily, 0.0))


def _track(
    panel: Panel,
    z: FloatArray,
    coin_variance: FloatArray,
    book: FloatArray,
    strategy: StrategyParameters,
) -> VolatilityTrack:
    """Return the equal-weight book's volatility: forecast at each day's end, realised after."""
    stamps, forecast, realised = [], [], []
    for day in range(max(LEAST_DAYS - 1, panel.days - 1 - TRACK_DAYS), panel.days - 1):
        known = np.isfinite(coin_variance[day])
        after = book[24 * (day + 1) : 24 * (day + 2)]
        if not (known.any() and np.isfinite(after).all()):
            continue
        correlation, _ = pairwise_correlation(
            z[: day + 1, known], strategy.correlation_halflife_days
        )
        stamps.append(panel.end_ms - (panel.days - 1 - day) * DAY_MS)
        forecast.append(_book_volatility(coin_variance[day, known], correlation))
        realised.append(float(np.sqrt(YEAR_DAYS * (after**2).sum())))
    return VolatilityTrack(tuple(stamps), tuple(forecast), tuple(realised))


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
    weights = variances.weights if combined else np.array([1.0, 0.0])
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
