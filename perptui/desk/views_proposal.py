"""The proposal and the regime behind it, as the terminal shows them."""

from __future__ import annotations

import math
from decimal import Decimal

from perptui.desk.proposer import ProposalPicture
from perptui.desk.state import Picture
from perptui.desk.views_funding import CarryChange, proposed_carry
from perptui.model.clock import DAY_MS
from perptui.model.forecast import Estimates, VolatilityTrack
from perptui.model.instrument import split_id
from perptui.model.order import OrderIntent
from perptui.model.proposal import BookRisk, Proposal, TargetRow
from perptui.protocol.views import Comparison, RebalanceRow, RebalanceView, RegimeView

WEEK_DAYS = 7


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


def regime_view(picture: Picture, proposed: ProposalPicture) -> RegimeView:
    """Return volatility and regime, or what they wait for."""
    estimates = proposed.estimates
    if estimates is None:
        return RegimeView(waiting=regime_waits(picture, proposed))
    regime, track = estimates.regime, estimates.track
    forecast = track.forecast[-1] if track.forecast else None
    realised = realised_over(track, estimates.as_of_ms, WEEK_DAYS)
    ratio = realised / forecast if forecast and realised is not None else None
    return RegimeView(
        label=regime.label,
        probabilities=regime.probabilities,
        since_ms=regime.since_ms,
        exposure=regime.exposure,
        exposure_before=proposed.exposure_before,
        evidence=regime.evidence,
        forecast_volatility=forecast,
        realised_7d=realised,
        ratio_7d=ratio,
        track_ms=track.ts_ms,
        track_forecast=track.forecast,
        track_realised=track.realised,
        track_low=track.low,
        track_high=track.high,
        votes=regime.votes,
        regime_ms=regime.track.ts_ms,
        regime_track=regime.track.probabilities,
        models=estimates.models,
        coverage=estimates.court.coverage,
        calibration=estimates.court.calibration,
        verdicts=estimates.court.words,
        tails=estimates.tails,
        weak=weak_rows(estimates),
        bar_ms=picture.bars_ms,
        observed_mono=proposed.solved_mono,
        waiting=None,
    )


def regime_waits(picture: Picture, proposed: ProposalPicture) -> str:
    """Return what the first estimates wait for, in words."""
    if proposed.failure:
        return proposed.failure
    if picture.history:
        return picture.history
    return "estimating" if proposed.state == "solving" else "waiting for the quant process"


def weak_rows(estimates: Estimates) -> tuple[str, ...]:
    """Return what is left out or weak, so that no estimate looks better than it is."""
    return (*estimates.left_out, *estimates.notes)


def realised_over(track: VolatilityTrack, as_of_ms: int, days: int) -> float | None:
    """Return the root mean square of the track's realised volatility over the last `days`."""
    recent = [
        value
        for stamp, value in zip(track.ts_ms, track.realised, strict=True)
        if stamp > as_of_ms - days * DAY_MS
    ]
    if not recent:
        return None
    return math.sqrt(math.fsum(value * value for value in recent) / len(recent))
