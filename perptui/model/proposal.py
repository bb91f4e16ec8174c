"""What the optimiser proposes, and everything a person needs to judge it."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.explanation import AccountRisk, Explanation
from perptui.model.limit import LimitCheck
from perptui.model.order import OrderIntent
from perptui.model.record import Record
from perptui.model.whatif import WhatIf


class TargetRow(Record, frozen=True):
    """One instrument of a proposal. Weights are signed fractions of equity.

    `carry_usd_day_now/_after` is the expected funding cash flow a day (positive: received).
    `why` names the largest reason of the trade: "risk", "carry", "drift", "gross", "edited", ...;
    after it what stops the trade short, where something does: "risk, turnover".
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


class PositionRisk(Record, frozen=True):
    """One open position of a book, and where its own price liquidates its account.

    Attributes
    ----------
    contracts : Decimal
        Signed.
    liquidation_move, liquidation_price : float or None
        Ours, the account's other positions staying where they are: a fraction of the mark, and
        USD; None where no price of this contract alone does it.
    venue_liquidation_price : Decimal or None
        As the venue states it for what is held; None after a trade, or where it states none.
    """

    id: str
    account: str
    contracts: Decimal
    mark: Decimal
    liquidation_move: float | None = None
    liquidation_price: float | None = None
    venue_liquidation_price: Decimal | None = None


class BookRisk(Record, frozen=True):
    """Risk of a whole book.

    `volatility_annual` is sqrt(w'Sigma w), annualised; `robust_volatility_annual` adds the
    covariance's own uncertainty, and is what the limit `volatility` is on (method §6).
    `carry_usd_day` is the expected funding cash flow a day over the horizon, not that at the newest
    rates.
    `liquidation_down/up` are common price moves (fractions) of the worst account, None where no
    move that way liquidates; `worst_account` is its name, `_leg` names the leg that loses most
    there. `cvar` is the expected shortfall of the horizon beyond the 95 % VaR, a positive loss
    fraction; None without scenarios. `correlation` is that with the market.
    """

    volatility_annual: float
    gross: float
    net: float
    margin_ratio: float
    carry_usd_day: Decimal
    worst_account: str
    liquidation_down: float | None = None
    liquidation_up: float | None = None
    liquidation_down_leg: str = ""
    liquidation_up_leg: str = ""
    cvar: float | None = None
    correlation: float | None = None
    beta: float | None = None
    expected_return_annual: float | None = None
    """Robust: uncertainty taken off; trading costs not."""
    accounts: tuple[AccountRisk, ...] = ()
    robust_volatility_annual: float | None = None
    positions: tuple[PositionRisk, ...] = ()
    """Every open position, sorted by id."""


class HedgeRow(Record, frozen=True):
    """A put of the overlay: bought by hand, since no venue perptui reaches lists it.

    `quantity` is in coins, `held` what the desk says it has of it before; `delta` per coin; `why`
    in words, also where none is bought.
    """

    name: str
    coin: str
    strike: float
    expiry_ms: int
    quantity: float
    premium_usd: Decimal
    delta: float
    why: str = ""
    held: float = 0.0


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
        True when there is something to trade and the rounded book keeps every limit, or is a
        reduction that breaks none more and mends something of those that stay broken.
    stays_broken : tuple of str
        Limits that a reduction leaves broken, as `LimitCheck.name`; it is then a step to be
        repeated, and `headline` says so.
    reasons : tuple[str, ...]
        Why it is not exportable, or what the trader must know.
    what_if : WhatIf
        Everything that the trader bent.
    explanation : Explanation
        Ledgers, prices of limits, clashes, break-evens.
    hedges : tuple[HedgeRow, ...]
        Puts of the overlay.
    blend : float or None
        Of a hybrid: the tactical share a.
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
    what_if: WhatIf = WhatIf()
    explanation: Explanation = Explanation()
    hedges: tuple[HedgeRow, ...] = ()
    blend: float | None = None
    digest: str = ""
    stays_broken: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """The status in words: a reduction that leaves limits broken is not simply ok."""
        count = len(self.stays_broken)
        if not count:
            return self.status
        return f"reduction: {count} {'limits stay' if count > 1 else 'limit stays'} broken"
