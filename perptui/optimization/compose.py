"""Compose the proposal: rows, orders, exact checks, and every reason it may not be sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from perptui.model.explanation import COARSE, Explanation
from perptui.model.forecast import Estimates
from perptui.model.limit import LimitCheck
from perptui.model.money import ZERO, to_cents
from perptui.model.order import OrderIntent
from perptui.model.proposal import BookRisk, Proposal, SolverReport, TargetRow
from perptui.model.snapshot import MarketSnapshot
from perptui.model.strategy import StrategyParameters
from perptui.model.whatif import WhatIf
from perptui.optimization.checks import (
    KEPT_DECIMALS,
    carries_usd_day,
    checks_of,
    exact_book,
    float_book,
    forbidding,
    gated,
    given_way,
    left_broken,
    mends_any,
    with_binding,
)
from perptui.optimization.explain.clash import clashes, explain, offers
from perptui.optimization.explain.existence import Pose
from perptui.optimization.explain.explanation import explanation_of
from perptui.optimization.explain.figures import book_risk
from perptui.optimization.explain.reasons import reasons_of
from perptui.optimization.explain.reduction import reduce_only_share
from perptui.optimization.explain.wording import listed
from perptui.optimization.inputs import ProgramInputs
from perptui.optimization.kept import Kept
from perptui.optimization.lot_widths import too_coarse, why_no_trade
from perptui.optimization.orders import beyond_limits, orders_of, positions_after
from perptui.optimization.program.solution import DECIMALS, Solution
from perptui.optimization.rebalanced import Rebalance
from perptui.optimization.search import run
from perptui.optimization.unhedged import until_bought
from perptui.optimization.ways_out import reduction_of
from perptui.risk.book import only_reduces, turnover

NOWS_KEPT = 4
"""Present books whose checks are kept: what-ifs of targets share one."""
DECIDED = frozenset({"lower", "upper", "fixed", "edited", "reduce_only", "left_out", "notes"})
_READ = tuple(one.name for one in fields(ProgramInputs) if one.name not in DECIDED)


def compose(
    inputs: ProgramInputs,
    answer: Rebalance,
    snapshot: MarketSnapshot,
    estimates: Estimates,
    strategy: StrategyParameters,
    snapshot_digest: str,
    *,
    names_clash: bool = True,
    pose: Pose | None = None,
) -> Proposal:
    """Return the proposal of an answer, without its digest and the solver's seconds.

    Where limits clash, `names_clash` has it find out which, and `pose` has ways out be proven.
    """
    after = positions_after(inputs, answer.steps)
    book = exact_book(inputs, after)
    now = now_of(inputs)
    limits = checks_of(inputs, book)
    orders = orders_of(inputs, answer.steps, inputs.in_force.limits)
    reducing = only_reduces(book)
    blocked = forbidding(inputs, limits, now.limits, reducing=reducing)
    unhedged = until_bought(
        inputs, after, now.limits, reducing=reducing, asked=strategy.hedge_from == "never"
    )
    status = _status(answer, orders)
    crowded = beyond_limits(orders, inputs.in_force.limits)
    rows, notes = _rows(inputs, answer, after, orders), (*given_way(inputs, limits), *inputs.notes)
    left = _left(inputs, limits, now.limits, reducing=status == "ok" and reducing)
    optimum = checks_of(inputs, float_book(inputs, answer.target))
    if status == "infeasible":
        explanation, why = _in_conflict(inputs, answer, pose, names_clash=names_clash)
    else:
        explanation = explanation_of(answer.solved or inputs, answer, optimum)
        why = _why_not(inputs, answer, blocked, status)
    return Proposal(
        status=status,
        strategy=strategy.name,
        model_version=strategy.model_version,
        as_of_ms=snapshot.as_of_ms,
        horizon_days=strategy.horizon_days,
        equity_usd=inputs.equity,
        snapshot_digest=snapshot_digest,
        rows=rows,
        orders=orders,
        limits_now=now.limits,
        limits=with_binding(limits, optimum),
        risk_now=now.risk,
        risk=book_risk(inputs, book, limits),
        turnover=float(turnover(book)),
        cost_usd=sum((row.cost_usd for row in rows), ZERO),
        regime=estimates.regime.label,
        exposure=inputs.in_force.exposure,
        solver=_report(answer.solution),
        exportable=status == "ok" and not (blocked or unhedged.blocked or crowded or left.aside),
        reasons=(*left.words, *why, *crowded, *unhedged.words(blocked, limits), *notes),
        what_if=WhatIf(targets=dict(inputs.edited)),
        explanation=explanation,
        stays_broken=left.names,
    )


class Left(NamedTuple):
    """What a reduction leaves broken: in names and in words; whether it mends nothing of it."""

    names: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    aside: bool = False


def _left(
    inputs: ProgramInputs,
    limits: Sequence[LimitCheck],
    now: Sequence[LimitCheck],
    *,
    reducing: bool,
) -> Left:
    broken = left_broken(inputs, limits, now) if reducing else ()
    if not broken:
        return Left()
    shown = [f"{one.name} {one.value:.6g} against its limit {one.limit:g}" for one in broken]
    stays = "limits stay" if len(broken) > 1 else "limit stays"
    told = f"reduction: {len(broken)} {stays} broken: {listed(shown)}"
    never = "not sent: none of the broken limits is mended by it; reduce what breaks them"
    aside = not mends_any(limits, now)
    return Left(tuple(one.name for one in broken), (told, never) if aside else (told,), aside)


class Now(NamedTuple):
    """The book as it is: every limit in force held against it, and what it risks."""

    limits: tuple[LimitCheck, ...]
    risk: BookRisk


_NOWS: Kept[Now] = Kept(NOWS_KEPT)


def now_of(inputs: ProgramInputs) -> Now:
    """Return what is said of the book before the trade, kept until something it rests on changes.

    All of the inputs is held to be that but `DECIDED`, which says what may be traded. Puts that are
    still to be bought are not in it.
    """
    inputs = inputs.unhedged or inputs
    read = [getattr(inputs, name) for name in _READ]
    small = tuple(value for value in read if isinstance(value, Decimal | float | int))
    large = tuple(value for value in read if not isinstance(value, Decimal | float | int))
    return _NOWS.of(large, small, lambda: _now(inputs))


def _now(inputs: ProgramInputs) -> Now:
    book = exact_book(inputs, [contract.position for contract in inputs.contracts])
    checks = checks_of(inputs, book)
    return Now(checks, book_risk(inputs, book, checks))


def _report(solution: Solution) -> SolverReport:
    return SolverReport(solution.status, solution.solver, 0.0, solution.residual, solution.detail)


def _in_conflict(
    inputs: ProgramInputs, answer: Rebalance, pose: Pose | None, *, names_clash: bool
) -> tuple[Explanation, tuple[str, ...]]:
    """Return what there is to say where no book keeps every limit, in figures and in words."""
    share = reduce_only_share(inputs)
    if answer.solution.detail == COARSE:
        # Weights keep every limit: none clash, and what widths would do is as slow to find.
        wide = (run(too_coarse(answer.solved or inputs, answer.solution)),) if names_clash else ()
        return Explanation(reduce_only_share=share), (COARSE, *wide, *offers(inputs, share))
    clash = clashes(inputs, pose) if names_clash else None
    reduction = run(reduction_of(inputs, share)) if clash else None
    explanation = Explanation(clash=clash or (), reduce_only_share=share, reduction=reduction)
    return explanation, explain(inputs, clash, share)


def _status(answer: Rebalance, orders: Sequence[OrderIntent]) -> str:
    if answer.solution.status != "optimal":
        return answer.solution.status
    return "ok" if orders else "no_trade"


def _why_not(
    inputs: ProgramInputs,
    answer: Rebalance,
    blocked: Sequence[LimitCheck],
    status: str,
) -> tuple[str, ...]:
    if status == "failed":
        return (_failed(inputs, answer.solution),)
    texts = [
        f"{check.name} would be {check.value:.6g} against its limit {check.limit:g} after rounding"
        for check in blocked
    ]
    texts += [
        f"{check.name} may give way in the program and never at the desk's gate: make it hard"
        for check in blocked
        if gated(check.name, inputs)
    ]
    if status == "ok" and answer.solution.detail:
        texts.append(answer.solution.detail)
    if status == "no_trade":
        solved = answer.solved or inputs
        texts.append(answer.solution.detail or why_no_trade(inputs, solved, answer.solution))
    return tuple(texts)


def _failed(inputs: ProgramInputs, solution: Solution) -> str:
    """Return what failed, under which limits that are not linear, and what may help."""
    limits = inputs.limits
    hard = {
        "market_correlation_max": limits.caps_correlation,
        "cvar_max": limits.has_tail,
        "volatility_max": True,
    }
    named = listed([f"{name} {_in_force(name, inputs):g}" for name, on in hard.items() if on])
    return (
        f"expected an optimum under {named}, was none to trust: {solution.detail}; nothing is sent:"
        " loosen one of them, only reduce (reduce_only=true), or solve again at newer quotes"
    )


def _in_force(name: str, inputs: ProgramInputs) -> float:
    return float(getattr(inputs.in_force.limits, name))


def _rows(
    inputs: ProgramInputs,
    answer: Rebalance,
    after: Sequence[Decimal],
    orders: Sequence[OrderIntent],
) -> tuple[TargetRow, ...]:
    words = reasons_of(inputs, answer)
    costs: dict[str, Decimal] = {}
    for order in orders:
        spent = order.fee_usd + order.slippage_usd
        costs[order.id] = costs.get(order.id, ZERO) + spent
    volatility = np.sqrt(np.diag(inputs.covariance) * 365.0 / inputs.horizon_days)
    notionals = [
        contracts * contract.usd_per_contract
        for contract, contracts in zip(inputs.contracts, after, strict=True)
    ]
    carry_now = carries_usd_day(inputs, (contract.notional for contract in inputs.contracts))
    carry_after = carries_usd_day(inputs, notionals)
    rows = []
    for index, contract in enumerate(inputs.contracts):
        notional = notionals[index]
        forecast = contract.forecast
        rows.append(
            TargetRow(
                id=contract.id,
                weight_now=float(contract.notional / inputs.equity),
                weight_target=round(float(answer.target[index]), DECIMALS) + 0.0,
                weight_rounded=float(notional / inputs.equity),
                expected_return=round(float(inputs.expected_return[index]), KEPT_DECIMALS),
                carry_apr=-forecast.funding.apr if forecast else 0.0,
                volatility_annual=round(float(volatility[index]), KEPT_DECIMALS),
                contracts_now=contract.position,
                contracts_after=after[index],
                trade_usd=to_cents(notional - contract.notional),
                cost_usd=costs.get(contract.id, ZERO),
                carry_usd_day_now=carry_now[index],
                carry_usd_day_after=carry_after[index],
                why=words[index],
                edited=contract.id in inputs.edited,
            )
        )
    return tuple(rows)
