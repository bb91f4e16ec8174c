"""The JSON that ``perptui propose`` and ``perptui estimate`` print.

Later versions add keys; none goes away. Fractions, never percent; contracts, prices and dollars
are decimal strings; times are ISO 8601 UTC.
"""

from __future__ import annotations

import msgspec

from perptui.model.cleaning import CleanedSeries
from perptui.model.forecast import Court, FundingPart, ModelScore, ModelVolatility, TailRisk


class ProposedInstrument(msgspec.Struct, frozen=True):
    """`expected_return` over the horizon, funding included; `carry_apr` = -funding APR."""

    id: str
    weight_now: float
    weight_target: float
    weight_rounded: float
    expected_return: float
    carry_apr: float
    volatility_annual: float


class ProposedOrder(msgspec.Struct, frozen=True):
    """`contracts` unsigned; `side` "buy" or "sell"."""

    id: str
    side: str
    contracts: str
    notional_usd: str
    limit_price: str
    reduce_only: bool


class CheckedLimit(msgspec.Struct, frozen=True):
    """A limit held against the rounded book."""

    name: str
    value: float
    limit: float
    ok: bool


class ProposedRisk(msgspec.Struct, frozen=True):
    """Of the rounded book; `margin_ratio` is the worst account's MM/E."""

    volatility_annual: float
    gross: float
    net: float
    margin_ratio: float


class SolverSummary(msgspec.Struct, frozen=True):
    """`status`: optimal, infeasible or failed."""

    status: str
    seconds: float


class AssumedTier(msgspec.Struct, frozen=True):
    """A step of the maintenance schedule that was assumed."""

    floor_usd: str
    rate: str
    deduction_usd: str


class AssumedInstrument(msgspec.Struct, frozen=True):
    """Contract rules that are not in the history and were taken from the project's dated table."""

    id: str
    tick: str
    step: str
    min_contracts: str
    min_notional_usd: str
    taker_fee: str
    tiers: tuple[AssumedTier, ...]


class Assumptions(msgspec.Struct, frozen=True):
    """What the answer rests on besides the history; `equity_usd` per margin account."""

    table_date: str
    instruments: tuple[AssumedInstrument, ...]
    equity_usd: dict[str, str]
    notes: tuple[str, ...] = ()


class ProposeReport(msgspec.Struct, frozen=True):
    """Output of ``perptui propose --json``; `status`: ok, no_trade, infeasible, failed."""

    as_of: str
    strategy: str
    status: str
    equity_usd: str
    instruments: tuple[ProposedInstrument, ...]
    orders: tuple[ProposedOrder, ...]
    limits: tuple[CheckedLimit, ...]
    risk: ProposedRisk
    solver: SolverSummary
    assumptions: Assumptions
    digest: str
    reasons: tuple[str, ...] = ()


class EstimatedVote(msgspec.Struct, frozen=True):
    """One regime model's say; `probabilities` empty and `text` the reason where it is silent."""

    model: str
    label: str
    probabilities: dict[str, float]
    text: str = ""


class EstimatedRegimeTrack(msgspec.Struct, frozen=True):
    """Probabilities by regime through time, each as it was known then."""

    at: tuple[str, ...]
    probabilities: dict[str, tuple[float, ...]]


class EstimatedRegime(msgspec.Struct, frozen=True):
    """`probabilities` by name: calm, normal, stress, crisis."""

    label: str
    probabilities: dict[str, float]
    exposure: float
    evidence: tuple[str, ...]
    since: str
    votes: tuple[EstimatedVote, ...]
    track: EstimatedRegimeTrack


class EstimatedReturn(msgspec.Struct, frozen=True):
    """Expected price drift per day by lookback, and the blend.

    `horizon` is the expected return over the horizon, funding included, of a long; `horizon_sd`
    how uncertain that expectation is.
    """

    d1: float
    d7: float
    d30: float
    blend: float
    horizon: float
    horizon_sd: float


class EstimatedTerm(msgspec.Struct, frozen=True):
    """Expected funding over one span; `carry_usd` of the position held, null without one."""

    span: str
    hours: float
    mean: float
    sd: float
    apr: float
    carry_usd: str | None = None
    carry_sd_usd: str | None = None


class EstimatedFunding(msgspec.Struct, frozen=True):
    """`rate` per `interval_h`; `horizon_mean`, `horizon_sd` of the sum over the horizon."""

    rate: float
    interval_h: float
    apr: float
    horizon_mean: float
    horizon_sd: float
    mean_1d: float | None
    mean_7d: float | None
    mean_30d: float | None
    z: float | None
    horizon_z: float | None
    term: tuple[EstimatedTerm, ...]
    parts: tuple[FundingPart, ...]
    regime: str
    halflife_h: float | None
    anchor_apr: float | None
    long_cap: float
    short_cap: float
    carry_usd_day: str | None
    best_venue: str


class EstimatedVolatility(msgspec.Struct, frozen=True):
    """Annualised, 365 days; the fields of `VolatilityForecast`."""

    ewma: float
    realised: float
    combined: float
    models: tuple[ModelVolatility, ...]
    downside: float | None
    jump_share: float | None
    total: float | None
    funding: float | None
    return_funding_correlation: float | None
    exit_cost_sd: float | None


class EstimatedInstrument(msgspec.Struct, frozen=True):
    """One instrument's estimates; `flags` say what is weak about them."""

    id: str
    expected_return: EstimatedReturn
    funding: EstimatedFunding
    volatility_annual: EstimatedVolatility
    volume_usd_day: float
    half_spread: float
    flags: tuple[str, ...]


class EstimatedTrack(msgspec.Struct, frozen=True):
    """The book's volatility through time: forecast then, realised after, and a 95 % band."""

    at: tuple[str, ...]
    forecast: tuple[float, ...]
    realised: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class EstimateReport(msgspec.Struct, frozen=True):
    """Output of ``perptui estimate --json``; rows of matrices follow `instruments`."""

    as_of: str
    strategy: str
    horizon_days: float
    regime: EstimatedRegime
    instruments: tuple[EstimatedInstrument, ...]
    correlation: tuple[tuple[float, ...], ...]
    covariance: tuple[tuple[float, ...], ...]
    omega: tuple[tuple[float, ...], ...]
    least_eigenvalue: float | None
    models: tuple[ModelScore, ...]
    track: EstimatedTrack
    tails: tuple[TailRisk, ...]
    court: Court
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    cleaning: tuple[CleanedSeries, ...] = ()
    """What was done to each series of the contracts asked for; nothing is filled in."""
