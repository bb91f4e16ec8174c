"""The JSON that ``perptui propose`` and ``perptui estimate`` print.

Later versions add keys; none goes away. Fractions, never percent; contracts, prices and dollars
are decimal strings; times are ISO 8601 UTC.
"""

from __future__ import annotations

import msgspec

from perptui.model.cleaning import CleanedSeries
from perptui.model.explained import ExplainReport
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
    """Output of ``perptui propose --json``; `status`: ok, no_trade, infeasible, failed.

    `exportable` is false where a limit would break, nothing is traded, or the what-if is only
    supposed; `reasons` say why. `what_if` are the assignments of ``--set``, in canonical text.
    `blend` is a hybrid's tactical share; `explain` comes with ``--explain``. `stays_broken` are the
    limits that a reduction leaves broken, and `headline` the status in words.
    """

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
    exportable: bool = False
    what_if: tuple[str, ...] = ()
    turnover: float = 0.0
    cost_usd: str = "0"
    blend: float | None = None
    explain: ExplainReport | None = None
    stays_broken: tuple[str, ...] = ()
    headline: str = ""


class EstimatedVote(msgspec.Struct, frozen=True):
    """One regime model's say; `text` is its weight.

    Where it is silent `label` and `probabilities` are empty and `text` is the reason.
    """

    model: str
    label: str
    probabilities: dict[str, float]
    text: str = ""


class EstimatedRegimeTrack(msgspec.Struct, frozen=True):
    """Probabilities by regime through time, each as it was known then."""

    at: tuple[str, ...]
    probabilities: dict[str, tuple[float, ...]]


class EstimatedRegime(msgspec.Struct, frozen=True):
    """The regime at the last full hour; `probabilities` by name: calm, normal, stress, crisis.

    `exposure` is the volatility target over the forecast within the caps of the regimes: what a
    strategy that follows the regime takes. `evidence` says it in words.
    """

    label: str
    probabilities: dict[str, float]
    exposure: float
    evidence: tuple[str, ...]
    since: str
    votes: tuple[EstimatedVote, ...]
    track: EstimatedRegimeTrack


class EstimatedReturn(msgspec.Struct, frozen=True):
    """Expected price drift per day by lookback, and the blend, 0 where the evidence is against it.

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
    """Expected funding over one span: next, 1d, 7d or 30d, of `hours`.

    `mean` and `sd` are of the sum of its rates, per unit of notional; a long pays a positive one.
    `apr` annualises the mean simply. `carry_usd` is what the position held earns by it, null
    without one.
    """

    span: str
    hours: float
    mean: float
    sd: float
    apr: float
    carry_usd: str | None = None
    carry_sd_usd: str | None = None


class EstimatedFunding(msgspec.Struct, frozen=True):
    """Funding of one contract: `rate` per `interval_h` now; a long pays a positive one.

    `mean_1d`, `mean_7d` and `mean_30d` are of settled rates. `horizon_mean` and `horizon_sd`
    describe the sum over the horizon, `horizon_z` is their ratio, `term` other spans, `parts` what
    each estimator says. `regime` is negative, neutral, positive or extreme. A deviation from the
    anchor halves in `halflife_h`. `long_cap` and `short_cap` scale the coin's limit for that side.
    `carry_usd_day` is what the position held earns a day, null without one; `best_venue` is where
    its side of the coin pays least.
    """

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
    """Volatilities over the horizon, annualised over 365 days.

    `ewma` and `realised` are as they are, `combined` and each of `models` corrected in level.
    `downside` is the downside deviation against 0, `jump_share` that of jumps in realised variance,
    `total` of the return less funding, `funding` of funding alone, `return_funding_correlation`
    what both share; `exit_cost_sd` is of the cost of leaving a usual position, not annualised.
    """

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
    """Output of ``perptui estimate --json``; rows of matrices follow `instruments`.

    `covariance` and `correlation` are of returns over the horizon, funding and the cost of leaving
    included; `omega` is the covariance of the errors of expected returns. `tails` are losses over
    the horizon, `models` the variance models and last their combination, `court` how forecasts did.
    """

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
