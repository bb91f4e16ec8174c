"""What `perptui propose` prints: one JSON object, or a table for a person's eyes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from decimal import Decimal

from perptui.cli.explained import explain_of, explained_table
from perptui.model.assignment import assignments
from perptui.model.clock import iso
from perptui.model.money import plain
from perptui.model.order import OrderIntent
from perptui.model.proposal import Proposal, TargetRow
from perptui.model.report import (
    AssumedInstrument,
    AssumedTier,
    Assumptions,
    CheckedLimit,
    ProposedInstrument,
    ProposedOrder,
    ProposedRisk,
    ProposeReport,
    SolverSummary,
)
from perptui.model.snapshot import MarketSnapshot

COLUMNS = 120


def report_of(
    proposal: Proposal,
    snapshot: MarketSnapshot,
    notes: Sequence[str] = (),
    *,
    explain: bool = False,
) -> ProposeReport:
    """Return what ``--json`` prints of a proposal on history."""
    return ProposeReport(
        as_of=iso(proposal.as_of_ms),
        strategy=proposal.strategy,
        status=proposal.status,
        equity_usd=plain(proposal.equity_usd),
        instruments=tuple(map(_instrument, proposal.rows)),
        orders=tuple(map(_order, proposal.orders)),
        limits=tuple(
            CheckedLimit(name=one.name, value=one.value, limit=one.limit, ok=one.ok)
            for one in proposal.limits
        ),
        risk=ProposedRisk(
            volatility_annual=proposal.risk.volatility_annual,
            gross=proposal.risk.gross,
            net=proposal.risk.net,
            margin_ratio=proposal.risk.margin_ratio,
        ),
        solver=SolverSummary(proposal.solver.status, proposal.solver.seconds),
        assumptions=_assumptions(snapshot, notes),
        digest=proposal.digest,
        reasons=proposal.reasons,
        exportable=proposal.exportable,
        what_if=assignments(proposal.what_if),
        turnover=proposal.turnover,
        cost_usd=plain(proposal.cost_usd),
        blend=proposal.blend,
        explain=explain_of(proposal) if explain else None,
        stays_broken=proposal.stays_broken,
        headline=proposal.headline,
    )


def _instrument(row: TargetRow) -> ProposedInstrument:
    return ProposedInstrument(
        id=row.id,
        weight_now=row.weight_now,
        weight_target=row.weight_target,
        weight_rounded=row.weight_rounded,
        expected_return=row.expected_return,
        carry_apr=row.carry_apr,
        volatility_annual=row.volatility_annual,
    )


def _order(order: OrderIntent) -> ProposedOrder:
    return ProposedOrder(
        id=order.id,
        side=order.side.value,
        contracts=plain(order.contracts),
        notional_usd=plain(order.notional_usd),
        limit_price=plain(order.limit_price),
        reduce_only=order.reduce_only,
    )


def _assumptions(snapshot: MarketSnapshot, notes: Sequence[str]) -> Assumptions:
    from perptui.risk.contract_rules import rules_table

    table = rules_table()
    return Assumptions(
        table_date=table.date,
        instruments=tuple(
            AssumedInstrument(
                id=one.id,
                tick=plain(one.tick),
                step=plain(one.step),
                min_contracts=plain(one.min_contracts),
                min_notional_usd=plain(one.min_notional_usd),
                taker_fee=plain(one.taker_fee),
                tiers=tuple(
                    AssumedTier(plain(tier.floor_usd), plain(tier.rate), plain(tier.deduction_usd))
                    for tier in one.tiers
                ),
            )
            for one in snapshot.instruments
        ),
        equity_usd={account.key: plain(account.equity_usd) for account in snapshot.accounts},
        notes=(
            "equity is split equally over the venues",
            "mark: of the hourly bar that closed last, else its last price",
            "funding quoted: the rate that settled last",
            f"contract rules: {table.source}",
            *notes,
        ),
    )


def table_of(report: ProposeReport) -> str:
    """Return the report for a person's eyes."""
    lines = [
        f"{report.strategy} at {report.as_of}   equity {report.equity_usd} USD   "
        f"{report.headline or report.status}",
        *_wrapped(f"what-if {'; '.join(report.what_if)}" if report.what_if else ""),
        "",
        f"{'':<28}{'now':>9}{'target':>9}{'in lots':>9}{'return':>9}{'carry':>9}{'vol':>8}",
    ]
    lines.extend(
        f"{one.id:<28}{one.weight_now:>9.1%}{one.weight_target:>9.1%}{one.weight_rounded:>9.1%}"
        f"{one.expected_return:>9.2%}{one.carry_apr:>9.1%}{one.volatility_annual:>8.0%}"
        for one in report.instruments
    )
    lines.extend(["", "orders" if report.orders else "no orders"])
    lines.extend(
        f"{one.side:<5}{one.contracts:>14} {one.id:<28} limit {one.limit_price:>12}"
        f"{float(Decimal(one.notional_usd)):>16,.2f} USD{'  reduce-only' * one.reduce_only}"
        for one in report.orders
    )
    kept = sum(one.ok for one in report.limits)
    lines.extend(["", f"limits: {kept} of {len(report.limits)} kept"])
    lines.extend(
        f"  {one.name}: {one.value:.6g} against {one.limit:g}"
        for one in report.limits
        if not one.ok
    )
    risk = report.risk
    lines.append(
        f"risk: volatility {risk.volatility_annual:.1%}, gross {risk.gross:.2f}, "
        f"net {risk.net:.2f}, margin ratio {risk.margin_ratio:.2%}"
    )
    if report.explain is not None:
        lines.extend(explained_table(report.explain))
    lines.extend(line for reason in report.reasons for line in _wrapped(reason))
    lines.append(f"digest {report.digest}")
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, subsequent_indent="  ")
