"""Proposals that the desk makes itself: stops for what has none, and what closes a share of all.

They hold orders alone. No optimiser stands behind them, so nothing of the book is judged in them:
the gate judges their orders as any others, and the ticket says that there are no estimates.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from perptui.model.canonical import digest_of
from perptui.model.order import OrderIntent
from perptui.model.proposal import BookRisk, Proposal, SolverReport
from perptui.model.snapshot import MarketSnapshot

FLATTEN = {"flatten 25": 0.25, "flatten 50": 0.5, "flatten 100": 1.0}
"""Proposal.status of what closes a share of every position on a person's word, and the share."""
OWN = {
    "protect": "protective stops",
    "drawdown": "drawdown stop",
    **{status: f"{status} %" for status in FLATTEN},
}
"""Proposal.status of such a proposal, and what the ticket calls it."""
NOT_JUDGED = BookRisk(
    volatility_annual=0.0,
    gross=0.0,
    net=0.0,
    margin_ratio=0.0,
    carry_usd_day=Decimal(0),
    worst_account="",
)
"""In the place of a risk that nobody worked out; neither shown nor journalled as one."""


def own_proposal(
    status: str, strategy: str, snapshot: MarketSnapshot, orders: tuple[OrderIntent, ...]
) -> Proposal:
    """Return the proposal of `orders`, which may be none where the ticket is of stops alone."""
    made = Proposal(
        status=status,
        strategy=strategy,
        model_version="desk",
        as_of_ms=snapshot.as_of_ms,
        horizon_days=0.0,
        equity_usd=snapshot.equity_usd,
        snapshot_digest=digest_of(snapshot),
        rows=(),
        orders=orders,
        limits_now=(),
        limits=(),
        risk_now=NOT_JUDGED,
        risk=NOT_JUDGED,
        turnover=0.0,
        cost_usd=sum((order.fee_usd + order.slippage_usd for order in orders), Decimal(0)),
        regime="not estimated",
        exposure=1.0,
        solver=SolverReport(status="none", name="", seconds=0.0),
        exportable=True,
    )
    return msgspec.structs.replace(made, digest=digest_of(made))
