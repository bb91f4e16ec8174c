"""The JSON that ``perptui propose`` and ``perptui estimate`` print.

Later versions add keys; none goes away. Fractions, never percent; contracts, prices and dollars
are decimal strings; times are ISO 8601 UTC.
"""

from __future__ import annotations

import msgspec


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


class EstimatedRegime(msgspec.Struct, frozen=True):
    """`probabilities` by name: calm, normal, stress, crisis."""

    label: str
    probabilities: dict[str, float]
    exposure: float
    evidence: tuple[str, ...]


class EstimatedReturn(msgspec.Struct, frozen=True):
    """Expected price drift per day by lookback, and the blend."""

    d1: float
    d7: float
    d30: float
    blend: float


class EstimatedFunding(msgspec.Struct, frozen=True):
    """`rate` per `interval_h`; `horizon_mean`, `horizon_sd` of the sum over the horizon."""

    rate: float
    interval_h: float
    apr: float
    horizon_mean: float
    horizon_sd: float


class EstimatedVolatility(msgspec.Struct, frozen=True):
    """Annualised, 365 days."""

    ewma: float
    realised: float
    combined: float


class EstimatedInstrument(msgspec.Struct, frozen=True):
    """One instrument's estimates."""

    id: str
    expected_return: EstimatedReturn
    funding: EstimatedFunding
    volatility_annual: EstimatedVolatility


class EstimateReport(msgspec.Struct, frozen=True):
    """Output of ``perptui estimate --json``; `correlation` rows follow `instruments`."""

    as_of: str
    horizon_days: float
    regime: EstimatedRegime
    instruments: tuple[EstimatedInstrument, ...]
    correlation: tuple[tuple[float, ...], ...]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
