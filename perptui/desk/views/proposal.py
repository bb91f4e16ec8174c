"""The proposal as the terminal shows it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from perptui.desk.proposing.proposal_picture import Kept, ProposalPicture
from perptui.desk.proposing.what_ifs import offers
from perptui.desk.state import Picture
from perptui.desk.views.funding import CarryChange, proposed_carry
from perptui.model.assignment import assignments
from perptui.model.explanation import COARSE, NO_BOOK, Explanation
from perptui.model.instrument import split_id
from perptui.model.order import Effect, OrderIntent, Side
from perptui.model.proposal import BookRisk, Proposal, TargetRow
from perptui.protocol.views_rebalance import (
    Comparison,
    FrontierPlace,
    FrontierView,
    KeptProposal,
    RebalanceRow,
    RebalanceView,
)


def rebalance_view(picture: Picture, proposed: ProposalPicture, waits: str) -> RebalanceView:
    """Return the proposal that stands; `waits` says what the first one waits for."""
    proposal, asked = proposed.proposal, assignments(proposed.what_if)
    if proposal is None:
        text = proposed.failure or waits or "r solves"
        return RebalanceView(
            state=proposed.state,
            strategy=proposed.strategy,
            waiting=text,
            assignments=asked,
            edits=len(asked),
            what_if=bool(asked),
        )
    # All of one proposal: what is asked for besides has its own place until it is solved.
    bent = assignments(proposal.what_if)
    carry = proposed_carry(picture, proposal, supposed=True)
    return RebalanceView(
        state=proposed.state,
        strategy=proposal.strategy,
        status=proposal.status,
        headline=proposal.headline,
        digest=proposal.digest,
        solve_ms=proposal.solver.seconds * 1000,
        regime=proposal.regime,
        exposure=proposal.exposure,
        rows=rebalance_rows(proposal, carry),
        comparisons=comparisons(proposal, carry),
        turnover=proposal.turnover,
        cost_usd=proposal.cost_usd,
        exportable=proposal.exportable and proposed.state == "ready" and not proposed.preview,
        reasons=_reasons(proposed, proposal),
        what_if=bool(bent),
        edits=len(bent),
        can_undo=proposed.can_undo,
        can_redo=proposed.can_redo,
        observed_mono=proposed.solved_mono,
        expires_mono=proposed.expires_mono,
        waiting=None,
        assignments=bent,
        asked=asked if asked != bent else None,
        preview=proposed.preview,
        tried=proposed.tried,
        typist=proposed.typist,
        undoes=proposed.undoes,
        shown_only=proposed.shown_only,
        **_explained(proposal.explanation),
        **_ways_out(proposed, proposal),
        kept=tuple(_kept(one, proposal, picture) for one in proposed.kept),
        frontier=_frontier(proposed, proposal),
        hedges=proposal.hedges,
        accounts_now=proposal.risk_now.accounts,
        accounts=proposal.risk.accounts,
        blend=proposal.blend,
        robust=proposed.robust,
        settings=proposed.settings,
        equity_usd=proposal.equity_usd,
        market=proposal.what_if.market,
    )


def _reasons(proposed: ProposalPicture, proposal: Proposal) -> tuple[str, ...]:
    words = proposed.clash_words
    known = {NO_BOOK: (words or NO_BOOK,), COARSE: tuple(filter(None, (COARSE, words)))}
    reasons = tuple(text for reason in proposal.reasons for text in known.get(reason, (reason,)))
    return (proposed.failure, *reasons) if proposed.failure else reasons


def _explained(explanation: Explanation) -> dict[str, Any]:
    """Return what stands behind the optimum."""
    return {
        "ledger": explanation.ledger,
        "setting_keys": {price.name: price.setting for price in explanation.limits},
        "break_even": explanation.break_even,
        "drift": explanation.drift,
        "objective_usd_day": explanation.objective_usd_per_day,
    }


def _ways_out(proposed: ProposalPicture, proposal: Proposal) -> dict[str, Any]:
    """Return what clashes or stays broken, and what can be done about it."""
    return {
        "clash": proposed.clash,
        "clash_shown": proposed.clash_shown,
        "clash_pending": proposed.clash_pending,
        "breached": tuple(check.name for check in proposal.limits if not check.ok),
        "offers": offers(proposal, proposed.reduction, pending=proposed.clash_pending),
    }


def _kept(kept: Kept, stands: Proposal, picture: Picture) -> KeptProposal:
    proposal, objective = kept.proposal, kept.proposal.explanation.objective_usd_per_day
    weights = {row.id: row.weight_rounded for row in proposal.rows}
    common = kept.common if kept.common_with == stands.digest else None
    if common is not None:
        # On the market that what stands supposes: prices, equity, and so weights and trades too.
        objective, weights = common.objective_usd_per_day, common.weights
        proposal = msgspec.structs.replace(
            proposal,
            risk=common.risk,
            turnover=common.turnover,
            cost_usd=common.cost_usd,
            what_if=stands.what_if,
        )
    return KeptProposal(
        slot=kept.slot,
        strategy=proposal.strategy,
        status=proposal.headline,
        digest=proposal.digest,
        assignments=assignments(kept.proposal.what_if),
        figures=comparisons(proposal, proposed_carry(picture, proposal, supposed=True)),
        weights=weights,
        turnover=proposal.turnover,
        cost_usd=proposal.cost_usd,
        objective_usd_day=objective,
        own_measure=kept.foreign and common is None,
        same_market=proposal.snapshot_digest == stands.snapshot_digest,
    )


def _frontier(proposed: ProposalPicture, proposal: Proposal) -> FrontierView:
    """Return the points so far, with the present book, the target and what is kept among them."""
    books = [("now", proposal.risk_now)]
    books += [("desk", proposed.frontier_own)] if proposed.frontier_own is not None else []
    books.append(("target", proposal.risk))
    books += [
        (one.slot, one.common.risk if one.common is not None else one.proposal.risk)
        for one in proposed.kept
        if not one.foreign or one.common_with == proposal.digest
    ]
    places = (
        FrontierPlace(name, risk.volatility_annual, risk.expected_return_annual)
        for name, risk in books
        if risk.expected_return_annual is not None
    )
    none = _no_frontier(proposed, proposal)
    return FrontierView(proposed.frontier, tuple(places), proposed.frontier_wanted, none)


def _no_frontier(proposed: ProposalPicture, proposal: Proposal) -> str:
    """Return why no point of a frontier will come; "" where one may."""
    if proposal.status == "infeasible":
        return NO_BOOK
    if proposal.solver.status != "optimal":
        return "the program has no optimum"
    if proposed.frontier_ended and not proposed.frontier:
        return "no point of it was solved; r tries again"
    return ""


def rebalance_rows(proposal: Proposal, carry: dict[str, CarryChange]) -> tuple[RebalanceRow, ...]:
    """Return one line a contract, orders beside their targets."""
    legs: dict[str, list[OrderIntent]] = {}
    for order in proposal.orders:
        legs.setdefault(order.id, []).append(order)
    return tuple(
        _rebalance_row(
            row, legs.get(row.id, []), carry.get(row.id), proposal.what_if.targets.get(row.id)
        )
        for row in proposal.rows
    )


def _effect_of(legs: list[OrderIntent]) -> str:
    """Return what the legs of one contract do together: one that closes and one that opens flip."""
    effects = {leg.effect for leg in legs}
    return effects.pop().value if len(effects) == 1 else Effect.FLIP.value if effects else ""


def _furthest_price(legs: list[OrderIntent]) -> Decimal | None:
    """Return the limit price furthest from the mark, the worst that any leg may be filled at."""
    prices = [leg.limit_price for leg in legs]
    if not prices:
        return None
    return max(prices) if legs[0].side is Side.BUY else min(prices)


def _rebalance_row(
    row: TargetRow, legs: list[OrderIntent], carry: CarryChange | None, asked: float | None
) -> RebalanceRow:
    """Return the line of one contract; `asked` is the target that is fixed, met or not."""
    venue, symbol = split_id(row.id)
    return RebalanceRow(
        id=row.id,
        coin=symbol.partition("/")[0],
        venue=venue,
        weight_now=row.weight_now,
        weight_target=row.weight_target if asked is None else asked,
        weight_rounded=row.weight_rounded,
        trade_usd=row.trade_usd,
        cost_usd=row.cost_usd,
        carry_usd_day=Decimal(0) if carry is None else carry.after - carry.now,
        why=row.why,
        side=legs[0].side.value if legs else "",
        effect=_effect_of(legs),
        contracts=sum((leg.contracts for leg in legs), Decimal(0)) if legs else None,
        limit_price=_furthest_price(legs),
        edited=row.edited,
    )


def comparisons(proposal: Proposal, carry: dict[str, CarryChange]) -> tuple[Comparison, ...]:
    """Return the figures of the book before and after, side by side.

    "carry" is at the newest rates, "expected carry" the forecast over the horizon; "volatility" is
    sqrt(w'Sigma w), "robust volatility" what the limit `volatility` is on.
    """
    now, after = proposal.risk_now, proposal.risk
    margin = f"margin {_worst(after, now)}"
    rates = [sum((row.now for row in carry.values()), Decimal(0))]
    rates.append(sum((row.after for row in carry.values()), Decimal(0)))
    expected = (float(now.carry_usd_day), float(after.carry_usd_day))
    figures = [
        Comparison("carry", "usd_day", float(rates[0]), float(rates[1])),
        Comparison("expected carry", "usd_day", *expected),
        Comparison("volatility", "annual", now.volatility_annual, after.volatility_annual),
        Comparison("gross", "x", now.gross, after.gross),
        Comparison("net", "x", now.net, after.net),
        Comparison(margin, "fraction", now.margin_ratio, after.margin_ratio),
        Comparison(
            "liquidation down",
            "fraction",
            now.liquidation_down,
            after.liquidation_down,
            now.liquidation_down_leg,
            after.liquidation_down_leg,
        ),
        Comparison(
            "liquidation up",
            "fraction",
            now.liquidation_up,
            after.liquidation_up,
            now.liquidation_up_leg,
            after.liquidation_up_leg,
        ),
    ]
    return tuple(figures[:3] + _forecast_figures(now, after) + figures[3:])


def _forecast_figures(now: BookRisk, after: BookRisk) -> list[Comparison]:
    """Return the figures that rest on scenarios or estimates and are not always there."""
    named = (
        (
            "robust volatility",
            "annual",
            now.robust_volatility_annual,
            after.robust_volatility_annual,
        ),
        ("expected return", "annual", now.expected_return_annual, after.expected_return_annual),
        ("CVaR 95 %", "fraction", now.cvar, after.cvar),
        ("beta", "x", now.beta, after.beta),
        ("correlation", "fraction", now.correlation, after.correlation),
    )
    known = (row for row in named if row[2] is not None or row[3] is not None)
    return [Comparison(*row) for row in known]


def _worst(after: BookRisk, now: BookRisk) -> str:
    return after.worst_account or now.worst_account or "worst"
