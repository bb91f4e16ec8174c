"""What the estimators say: returns, funding, variance, correlation, regime.

Floats and fractions, never percent.
"""

from __future__ import annotations

from perptui.model.record import Record


class ReturnForecast(Record, frozen=True):
    """Expected price drift per day by lookback after shrinkage, and the blend (method §1.1)."""

    d1: float
    d7: float
    d30: float
    blend: float
    """Blended drift per day; zero when the evidence is against it."""


class FundingForecast(Record, frozen=True):
    """Funding of one contract (f > 0: long pays short).

    `rate` is the open interval's rate per `interval_h`; `apr` its simple annualisation
    f·8760/h; `horizon_mean` and `horizon_sd` describe the sum F over the horizon (method §1.2).
    """

    rate: float
    interval_h: float
    apr: float
    horizon_mean: float
    horizon_sd: float
    mean_7d: float | None = None
    mean_30d: float | None = None
    z: float | None = None
    trend: tuple[float, ...] = ()
    """Recent settled rates, oldest first, as hourly rates, for the spark line."""


class VolatilityForecast(Record, frozen=True):
    """Annualised volatilities (365 days) of one contract, horizon average."""

    ewma: float
    realised: float
    combined: float


class InstrumentForecast(Record, frozen=True):
    """All forecasts of one instrument at one time.

    `expected_return` is over the horizon and includes funding: drift - E[F], per unit long.
    `expected_return_sd` is sqrt(Omega_ii). `volume_usd_day` is the 30-day average daily volume.
    """

    id: str
    coin: str
    venue: str
    mark: float
    expected_return: float
    expected_return_sd: float
    drift: ReturnForecast
    funding: FundingForecast
    volatility: VolatilityForecast
    volume_usd_day: float
    half_spread: float
    flags: tuple[str, ...] = ()
    """What is weak about this row, in words ("60 days of history")."""


class RegimeForecast(Record, frozen=True):
    """The regime now; filtered, never smoothed (method §5).

    `probabilities` are of calm, normal, stress, crisis, in this order, and sum to 1.
    """

    label: str
    probabilities: tuple[float, float, float, float]
    since_ms: int
    exposure: float
    evidence: tuple[str, ...]


class VolatilityTrack(Record, frozen=True):
    """Book volatility through time, annualised: forecast made then, realised after."""

    ts_ms: tuple[int, ...]
    forecast: tuple[float, ...]
    realised: tuple[float, ...]


class ModelScore(Record, frozen=True):
    """A variance model's weight in the combination and its loss (mean QLIKE; None: too few)."""

    name: str
    weight: float
    qlike: float | None
    observations: int


class Estimates(Record, frozen=True):
    """Everything estimated at `as_of_ms` for one strategy's horizon; rows sorted by id."""

    as_of_ms: int
    horizon_days: float
    instruments: tuple[InstrumentForecast, ...]
    correlation: tuple[tuple[float, ...], ...]
    covariance: tuple[tuple[float, ...], ...]
    """Of returns over the horizon, N x N, PSD."""
    regime: RegimeForecast
    track: VolatilityTrack
    models: tuple[ModelScore, ...]
    left_out: tuple[str, ...] = ()
    """Instruments without usable history, each with its reason."""
    notes: tuple[str, ...] = ()
