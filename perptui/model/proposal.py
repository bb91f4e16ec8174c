"""What the optimiser proposes, and everything a person needs to judge it."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.limit import LimitCheck
from perptui.model.order import OrderIntent
from perptui.model.record import Record


class TargetRow(Record, frozen=True):
    """One instrument of a proposal. Weights are signed fractions of equity.

    `carry_usd_day_now/_after` is the expected funding cash flow a day (positive: received).
    `why` names the largest reason of the trade: "risk", "carry", "drift", "gross", "edited", ...
    """

    id: str
    weight_now: float
    weight_target: float
    weight_rounded: float
    expected_return: float
    carry_apr: float
    volatility_annual: float
    contracts_now: Decimal
    contracts_after: Decimal
    trade_usd: Decimal
    cost_usd: Decimal
    carry_usd_day_now: Decimal
    carry_usd_day_after: Decimal
    why: str = ""
    edited: bool = False


class BookRisk(Record, frozen=True):
    """Risk of a whole book.

    `liquidation_down/up` are common price moves (fractions) of the worst account, None where no
    move that way liquidates; `worst_account` is its name.
    """

    volatility_annual: float
    gross: float
    net: float
    margin_ratio: float
    carry_usd_day: Decimal
    worst_account: str
    liquidation_down: float | None = None
    liquidation_up: float | None = None


class SolverReport(Record, frozen=True):
    """How the program was solved.

    `status`: "optimal", "infeasible", "failed"; `residual` is the largest limit violation of the
    continuous solution, in weight units.
    """

    status: str
    name: str
    seconds: float
    residual: float = 0.0
    detail: str = ""


class Proposal(Record, frozen=True):
    """A whole proposal; never edited in place: a what-if makes a new one.

    Attributes
    ----------
    status : str
        "ok", "no_trade", "infeasible" or "failed".
    exportable : bool
        True when the rounded book keeps every limit and there is something to trade.
    reasons : tuple[str, ...]
        Why it is not exportable, or what the trader must know.
    overrides : dict[str, float]
        Targets fixed by the trader, by instrument id.
    digest : str
        SHA-256 over the proposal without `digest` and solver seconds.
    """

    status: str
    strategy: str
    model_version: str
    as_of_ms: int
    horizon_days: float
    equity_usd: Decimal
    snapshot_digest: str
    rows: tuple[TargetRow, ...]
    orders: tuple[OrderIntent, ...]
    limits_now: tuple[LimitCheck, ...]
    limits: tuple[LimitCheck, ...]
    risk_now: BookRisk
    risk: BookRisk
    turnover: float
    cost_usd: Decimal
    regime: str
    exposure: float
    solver: SolverReport
    exportable: bool
    reasons: tuple[str, ...] = ()
    overrides: dict[str, float] = {}
    digest: str = ""
