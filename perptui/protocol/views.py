"""What the desk shows: one record a panel, replaced whole, each with its sequence number.

A terminal derives no risk or money figure from these: it sorts, scales and formats. Instants
named ``*_mono`` are monotonic seconds of the machine, so a terminal shows ages without asking.
``waiting`` is a line in words while a panel has nothing to show; it is None when the figures
stand.
"""

from __future__ import annotations

from decimal import Decimal

from perptui.model.forecast import (
    CalibrationVerdict,
    CoverageVerdict,
    FundingPart,
    ModelScore,
    RegimeVote,
    ScoreTrack,
    TailRisk,
)
from perptui.model.record import Record
from perptui.protocol.views_rebalance import RebalanceView
from perptui.protocol.views_ticket import JournalView, TicketView


class Feed(Record, frozen=True):
    """Age of one venue's worst poll: stale when older than three of its intervals."""

    venue: str
    observed_mono: float | None
    stale: bool
    text: str = ""
    """Why it is stale, in words ("bad response", "rate limited until 12:04")."""


class EventLine(Record, frozen=True):
    """One line of news, already safe to show. `level`: info, warn or alarm."""

    ts_ms: int
    level: str
    text: str


class StatusView(Record, frozen=True):
    """The status lines that are always there.

    `mode` in words: PAPER, EXPORT, LIVE, VIEW. `market`: "SIMULATED MARKET", "REPLAY", or "".
    `today_*` since 00:00 UTC or the desk's start, whichever is later; price + funding + fees is
    the total (fees negative). `liquidation_*` of the worst account, fractions with their sign.
    `venue_ms` was read at `venue_mono` and runs at `speed`.
    """

    mode: str
    desk: str
    account: str
    market: str
    venue_ms: int
    venue_mono: float
    speed: float
    feeds: tuple[Feed, ...] = ()
    quant: str = "starting"
    equity_usd: Decimal | None = None
    today_usd: Decimal | None = None
    today_price_usd: Decimal | None = None
    today_funding_usd: Decimal | None = None
    today_fees_usd: Decimal | None = None
    drawdown: float | None = None
    drawdown_max: float | None = None
    gross: float | None = None
    gross_max: float | None = None
    worst_account: str = ""
    margin_ratio: float | None = None
    liquidation_down: float | None = None
    liquidation_up: float | None = None
    free_usd: tuple[tuple[str, Decimal], ...] = ()
    regime: str = ""
    regime_probability: float | None = None
    regime_since_ms: int | None = None
    exposure: float | None = None
    breaches: tuple[str, ...] = ()
    """Names of breached limits of the present book."""
    proposal: str = ""
    """First four characters of the fresh proposal's digest, "" when there is none."""
    proposal_mends: bool = False
    next_funding_ms: int | None = None
    carry_usd_day: Decimal | None = None
    carry_usd_day_after: Decimal | None = None
    unknown_legs: int = 0
    working_orders: int = 0
    protective_stops: int = 0
    """How many stops wait at the venues; they are no working orders."""
    kill_state: str = "ACTIVE"
    sends_locked: str = ""
    """Why nothing may be sent, in words; "" when sending is possible."""
    news: tuple[EventLine, ...] = ()


class PositionRow(Record, frozen=True):
    """One position; `contracts` signed.

    `liquidation_distance` is the name's own move with the others frozen, a signed fraction of the
    mark, and `liquidation_price` where it ends, both ours (None: cannot be liquidated alone);
    `liquidation_differs` where the venue gives a price that is not ours.
    """

    id: str
    coin: str
    venue: str
    contracts: Decimal
    notional_usd: Decimal
    entry_price: Decimal
    mark_price: Decimal
    unrealised_usd: Decimal
    weight: float
    observed_mono: float
    stale: bool = False
    funding_rate: float | None = None
    funding_interval_h: float | None = None
    carry_usd_day: Decimal | None = None
    weight_target: float | None = None
    liquidation_distance: float | None = None
    venue_liquidation_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    liquidation_differs: bool = False
    funding_today_usd: Decimal | None = None


class PositionsView(Record, frozen=True):
    """Positions and their totals; notional signed in the rows' side, `gross_usd` unsigned."""

    rows: tuple[PositionRow, ...] = ()
    gross_usd: Decimal | None = None
    net_usd: Decimal | None = None
    unrealised_usd: Decimal | None = None
    carry_usd_day: Decimal | None = None
    gross: float | None = None
    gross_target: float | None = None
    observed_mono: float | None = None
    waiting: str | None = "waiting for positions and marks"


class FundingSpan(Record, frozen=True):
    """Expected funding over one span ahead, and what our position earns by it in dollars.

    `mean` and `sd` of the sum per unit of notional (mean > 0: a long pays); `carry_usd` is None
    without a position.
    """

    span: str
    mean: float
    sd: float
    carry_usd: Decimal | None = None
    carry_sd_usd: Decimal | None = None


class FundingRow(Record, frozen=True):
    """Funding of one contract, held or watched; rates per `interval_h` as fractions."""

    id: str
    coin: str
    venue: str
    rate: float
    interval_h: float
    next_ms: int
    apr: float
    observed_mono: float
    stale: bool = False
    mean_7d: float | None = None
    mean_30d: float | None = None
    apr_sd: float | None = None
    z: float | None = None
    trend: tuple[float, ...] = ()
    carry_usd_day: Decimal | None = None
    carry_usd_day_after: Decimal | None = None
    best_venue: str = ""
    mean_1d: float | None = None
    term: tuple[FundingSpan, ...] = ()
    parts: tuple[FundingPart, ...] = ()
    regime: str = ""
    horizon_z: float | None = None
    """Expected funding over the horizon in its own standard deviations."""
    halflife_h: float | None = None
    anchor_apr: float | None = None
    long_cap: float = 1.0
    short_cap: float = 1.0


class FundingView(Record, frozen=True):
    """Funding carry of the book: now, and after the fresh proposal."""

    rows: tuple[FundingRow, ...] = ()
    next_ms: int | None = None
    carry_usd_day: Decimal | None = None
    carry_usd_day_after: Decimal | None = None
    observed_mono: float | None = None
    waiting: str | None = "waiting for funding rates"


class RegimeView(Record, frozen=True):
    """Volatility and regime; volatilities annualised fractions; probabilities calm..crisis."""

    label: str = ""
    probabilities: tuple[float, ...] = ()
    since_ms: int | None = None
    exposure: float | None = None
    exposure_before: float | None = None
    exposure_used: float | None = None
    """Of the proposal that stands: 1 with a strategy that does not follow the regime."""
    strategy: str = ""
    horizon_days: float | None = None
    """Of the strategy, for which the tails and volatilities are."""
    evidence: tuple[str, ...] = ()
    forecast_volatility: float | None = None
    realised_7d: float | None = None
    ratio_7d: float | None = None
    track_ms: tuple[int, ...] = ()
    track_forecast: tuple[float, ...] = ()
    track_realised: tuple[float, ...] = ()
    track_low: tuple[float, ...] = ()
    track_high: tuple[float, ...] = ()
    """95 % band of what a right forecast lets happen; empty where not known."""
    votes: tuple[RegimeVote, ...] = ()
    regime_ms: tuple[int, ...] = ()
    regime_track: tuple[tuple[float, ...], ...] = ()
    """Probabilities calm..crisis at each of `regime_ms`, as they were known then."""
    models: tuple[ModelScore, ...] = ()
    scores: ScoreTrack = ScoreTrack()
    """The models' QLIKE as it stood over the last year."""
    silent: dict[str, str] = {}
    """By variance model that no contract is forecast with: why."""
    coverage: tuple[CoverageVerdict, ...] = ()
    calibration: tuple[CalibrationVerdict, ...] = ()
    verdicts: tuple[str, ...] = ()
    """What the court says, in words."""
    tails: tuple[TailRisk, ...] = ()
    weak: tuple[str, ...] = ()
    """What is left out or weak, so that no estimate looks better than it is."""
    bar_ms: int | None = None
    observed_mono: float | None = None
    waiting: str | None = "waiting for market history"


class LimitRow(Record, frozen=True):
    """One limit now and after the proposal. States: ok, WARN, BREACH, BINDS; words, not colours.

    `unit`: x (multiple of equity), fraction, usd. `at_least`: the limit is a floor.
    """

    name: str
    unit: str
    limit: float
    now: float | None
    state: str
    after: float | None = None
    state_after: str = ""
    at_least: bool = False
    price_usd_day: float | None = None
    """$ a day that 1.0 more of the limit would be worth; 0 when not binding, None when unknown."""
    limit_after: float | None = None
    """Where the proposal is held to another limit: by regime, volatility, drawdown or what-if."""


class LimitsView(Record, frozen=True):
    """Every limit of the desk.

    `rows` are of the book as it is and of a proposal that could be traded. Where what is proposed
    is only supposed, `supposed` holds its rows, and `market` which one now and after are on there,
    "": as it is.
    """

    rows: tuple[LimitRow, ...] = ()
    observed_mono: float | None = None
    waiting: str | None = "waiting for positions and marks"
    market: str = ""
    supposed: tuple[LimitRow, ...] = ()

    @property
    def proposed(self) -> tuple[LimitRow, ...]:
        """The rows that belong to the proposal that stands, a supposed one too."""
        return self.supposed or self.rows


Panel = (
    StatusView
    | PositionsView
    | FundingView
    | RegimeView
    | RebalanceView
    | LimitsView
    | JournalView
    | TicketView
)


class DeskView(Record, frozen=True):
    """Everything, sent on attach and never again; per-panel replacements follow."""

    status: StatusView
    positions: PositionsView
    funding: FundingView
    regime: RegimeView
    rebalance: RebalanceView
    limits: LimitsView
    journal: JournalView
    ticket: TicketView
