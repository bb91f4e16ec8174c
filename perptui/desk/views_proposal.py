"""The proposal as the terminal shows it."""

from __future__ import annotations

from decimal import Decimal

from perptui.desk.proposer import ProposalPicture
from perptui.desk.state import Picture
from perptui.desk.views_funding import CarryChange, proposed_carry
from perptui.model.instrument import split_id
from perptui.model.order import OrderIntent
from perptui.model.proposal import BookRisk, Proposal, TargetRow
from perptui.protocol.views_rebalance import Comparison, RebalanceRow, RebalanceView


def rebalance_view(picture: Picture, proposed: ProposalPicture, waits: str) -> RebalanceView:
    """Return the proposal that stands; `waits` says what the first one waits for."""
    proposal = proposed.proposal
    if proposal is None:
        text = proposed.failure or waits or "r solves"
        return RebalanceView(state=proposed.state, strategy=proposed.strategy, waiting=text)
    carry = proposed_carry(picture, proposal)
    reasons = (proposed.failure, *proposal.reasons) if proposed.failure else proposal.reasons
    return RebalanceView(
        state=proposed.state,
        strategy=proposal.strategy,
        status=proposal.status,
        digest=proposal.digest,
        solve_ms=proposal.solver.seconds * 1000,
        regime=proposal.regime,
        exposure=proposal.exposure,
        rows=rebalance_rows(proposal, carry),
        comparisons=comparisons(proposal, carry),
        turnover=proposal.turnover,
        cost_usd=proposal.cost_usd,
        exportable=proposal.exportable and proposed.state == "ready",
        reasons=reasons,
        what_if=bool(proposed.edits),
        edits=len(proposed.edits),
        can_undo=proposed.can_undo,
        can_redo=proposed.can_redo,
        observed_mono=proposed.solved_mono,
        expires_mono=proposed.expires_mono,
        waiting=None,
    )


def rebalance_rows(proposal: Proposal, carry: dict[str, CarryChange]) -> tuple[RebalanceRow, ...]:
    """Return one line a contract, orders beside their targets."""
    orders = {order.id: order for order in proposal.orders}
    return tuple(
        _rebalance_row(row, orders.get(row.id), carry.get(row.id)) for row in proposal.rows
    )


def _rebalance_row(
    row: TargetRow, order: OrderIntent | None, carry: CarryChange | None
) -> RebalanceRow:
    venue, symbol = split_id(row.id)
    return RebalanceRow(
        id=row.id,
        coin=symbol.partition("/")[0],
        venue=venue,
        weight_now=row.weight_now,
        weight_target=row.weight_target,
        weight_rounded=row.weight_rounded,
        trade_usd=row.trade_usd,
        cost_usd=row.cost_usd,
        carry_usd_day=Decimal(0) if carry is None else carry.after - carry.now,
        why=row.why,
        side="" if order is None else order.side.value,
        effect="" if order is None else order.effect.value,
        contracts=None if order is None else order.contracts,
        limit_price=None if order is None else order.limit_price,
        edited=row.edited,
    )


def comparisons(proposal: Proposal, carry: dict[str, CarryChange]) -> tuple[Comparison, ...]:
    """Return the figures of the book before and after, side by side.

    "carry" is at the newest rates, "expected carry" the forecast over the horizon.
    """
    now, after = proposal.risk_now, proposal.risk
    margin = f"margin {_worst(after, now)}"
    expected = (float(now.carry_usd_day), float(after.carry_usd_day))
    return (
        Comparison(
            "carry",
            "usd_day",
            float(sum((row.now for row in carry.values()), Decimal(0))),
            float(sum((row.after for row in carry.values()), Decimal(0))),
        ),
        Comparison("expected carry", "usd_day", *expected),
        Comparison("volatility", "annual", now.volatility_annual, after.volatility_annual),
        Comparison("gross", "x", now.gross, after.gross),
        Comparison("net", "x", now.net, after.net),
        Comparison(margin, "fraction", now.margin_ratio, after.margin_ratio),
        Comparison("liquidation down", "fraction", now.liquidation_down, after.liquidation_down),
        Comparison("liquidation up", "fraction", now.liquidation_up, after.liquidation_up),
    )


def _worst(after: BookRisk, now: BookRisk) -> str:
    return after.worst_account or now.worst_account or "worst"
