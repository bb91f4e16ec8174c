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


class FundingTerm(Record, frozen=True):
    """Expected funding over one span ahead: the sum's mean and sd, per unit of notional.

    `span` is next, 1d, 7d or 30d. A long pays a positive mean.
    """

    span: str
    hours: float
    mean: float
    sd: float


class FundingPart(Record, frozen=True):
    """One estimator's say in the expected funding: `mean` of the sum over the horizon."""

    name: str
    weight: float
    mean: float


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
    mean_1d: float | None = None
    horizon_z: float | None = None
    """Of the expected sum over the horizon: mean over sd, signed as the rate."""
    term: tuple[FundingTerm, ...] = ()
    parts: tuple[FundingPart, ...] = ()
    regime: str = "neutral"
    """negative, neutral, positive or extreme (method §5)."""
    halflife_h: float | None = None
    """Of a deviation from the anchor; None where persistence was not estimated."""
    anchor_apr: float | None = None
    """theta, annualised simply."""
    long_cap: float = 1.0
    short_cap: float = 1.0
    """Scales of the coin's cap for a long and a short: below 1 where that side pays beyond sd."""


class ModelVolatility(Record, frozen=True):
    """One variance model's say: annualised volatility over the horizon and its weight.

    `fallback` says why EWMA speaks in its place; "" where the model speaks itself.
    """

    name: str
    volatility: float
    weight: float
    fallback: str = ""


class VolatilityForecast(Record, frozen=True):
    """Annualised volatilities (365 days) of one contract, horizon average."""

    ewma: float
    realised: float
    combined: float
    models: tuple[ModelVolatility, ...] = ()
    downside: float | None = None
    """Downside deviation of daily returns against 0, over all days, annualised."""
    jump_share: float | None = None
    """Share of jumps in the realised variance of the last 30 days."""
    total: float | None = None
    """Of r - F over the horizon, annualised: price, funding, and what they share."""
    funding: float | None = None
    """Of F alone, annualised."""
    return_funding_correlation: float | None = None
    exit_cost_sd: float | None = None
    """Of the cost of leaving a position of the desk's usual size (method §2, liquidity)."""


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


class RegimeVote(Record, frozen=True):
    """One regime model's say; `probabilities` as in `RegimeForecast`, empty where it is silent."""

    model: str
    label: str
    probabilities: tuple[float, ...]
    text: str = ""


class RegimeTrack(Record, frozen=True):
    """Regime through time, as it was known then: one row of four probabilities a stamp."""

    ts_ms: tuple[int, ...] = ()
    probabilities: tuple[tuple[float, ...], ...] = ()


class RegimeForecast(Record, frozen=True):
    """The regime now; filtered, never smoothed (method §5).

    `probabilities` are of calm, normal, stress, crisis, in this order, and sum to 1.
    """

    label: str
    probabilities: tuple[float, float, float, float]
    since_ms: int
    exposure: float
    evidence: tuple[str, ...]
    votes: tuple[RegimeVote, ...] = ()
    track: RegimeTrack = RegimeTrack()


class VolatilityTrack(Record, frozen=True):
    """Book volatility through time, annualised: forecast made then, realised after.

    `low` and `high` bound a realised value of a right forecast (95 %); empty where not known.
    """

    ts_ms: tuple[int, ...]
    forecast: tuple[float, ...]
    realised: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


class ModelScore(Record, frozen=True):
    """A variance model's weight in the combination and its scores; None: too few to judge.

    Attributes
    ----------
    qlike, mse : float, optional
        Mean losses over contracts and days, the recent ones first (half-life 60 d).
    slope_p : float, optional
        Of Mincer-Zarnowitz a = 0, b = 1, HAC.
    against_best : float, optional
        Diebold-Mariano t (HAC) of its loss less the best model's; 0 for the best.
    kept : bool, optional
        Whether the 90 % model confidence set holds it.
    """

    name: str
    weight: float
    qlike: float | None
    observations: int
    mse: float | None = None
    slope_p: float | None = None
    against_best: float | None = None
    kept: bool | None = None


class TailRisk(Record, frozen=True):
    """VaR and expected shortfall of one book by one method: positive loss fractions of equity.

    `level` is .95 or .99; `error` the Monte-Carlo standard error of the VaR, 0 where there is
    none; `text` says why a method gave way to another ("" where it did not).
    """

    book: str
    method: str
    level: float
    var: float
    shortfall: float
    error: float = 0.0
    text: str = ""


class CoverageVerdict(Record, frozen=True):
    """How often losses went beyond one book's VaR; p-values None where there are too few days."""

    book: str
    method: str
    level: float
    observations: int
    exceedances: int
    kupiec_p: float | None = None
    christoffersen_p: float | None = None
    dynamic_quantile_p: float | None = None
    light: str = ""
    """green, yellow, red; "" where there are too few."""
    text: str = ""


class CalibrationVerdict(Record, frozen=True):
    """sd of returns over their forecast deviation; right when inside `low`..`high`."""

    book: str
    observations: int
    bias: float | None
    low: float | None = None
    high: float | None = None
    text: str = ""


class ScoreTrack(Record, frozen=True):
    """Scores of the variance models as they stood every 30 days of the last year, oldest first.

    `qlike` has a row a stamp and a column a model, the combination last: the mean loss up to then,
    the recent days first; None where there were too few. The last row is that of `ModelScore`.
    """

    at_ms: tuple[int, ...] = ()
    models: tuple[str, ...] = ()
    qlike: tuple[tuple[float | None, ...], ...] = ()


class Court(Record, frozen=True):
    """How the forecasts did, and what that means in words."""

    coverage: tuple[CoverageVerdict, ...] = ()
    calibration: tuple[CalibrationVerdict, ...] = ()
    words: tuple[str, ...] = ()
    track: ScoreTrack = ScoreTrack()


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
    omega: tuple[tuple[float, ...], ...] = ()
    """Uncertainty of the expected returns, N x N, PSD (method §1.3)."""
    tails: tuple[TailRisk, ...] = ()
    court: Court = Court()
    book_volatility: float | None = None
    """Of the equal-weight book, forecast at this hour, annualised; the track has midnights'."""
    least_eigenvalue: float | None = None
    """Of the covariance; never below the square of the least basis deviation."""
