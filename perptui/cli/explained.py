"""What ``perptui propose --explain`` adds: why each trade, what limits cost, before and after."""

from __future__ import annotations

from collections.abc import Iterator

from perptui.model.clock import iso
from perptui.model.explained import (
    ExplainedAccount,
    ExplainedBook,
    ExplainedBreakEven,
    ExplainedHedge,
    ExplainedPosition,
    ExplainReport,
)
from perptui.model.explanation import AccountRisk, Explanation
from perptui.model.money import plain
from perptui.model.proposal import BookRisk, PositionRisk, Proposal

TERMS = ("alpha", "carry", "risk", "uncertainty", "cost", "limits", "residual")
NONE = "none"
ALONE = "no value of it would do, the other limits as they are"
FAR = 10.0
"""Move of prices from which its size says nothing more."""


def explain_of(proposal: Proposal) -> ExplainReport:
    """Return the `explain` object of a proposal."""
    found: Explanation = proposal.explanation
    return ExplainReport(
        ledger=found.ledger,
        limits=found.limits,
        clash=found.clash,
        before=_book(proposal.risk_now),
        after=_book(proposal.risk),
        break_even=tuple(
            ExplainedBreakEven(
                one.id,
                one.hours,
                one.probability,
                None if one.wait_usd is None else float(one.wait_usd),
            )
            for one in found.break_even
        ),
        drift=found.drift,
        objective_usd_per_day=found.objective_usd_per_day,
        reduce_only_share=found.reduce_only_share,
        reduction=found.reduction,
        tracking=found.tracking,
        tracking_penalty_usd_per_day=found.tracking_penalty_usd_per_day,
        mixture_held=found.mixture_held,
        hedges=tuple(
            ExplainedHedge(
                name=one.name,
                coin=one.coin,
                strike=one.strike,
                expiry=iso(one.expiry_ms),
                quantity=one.quantity,
                premium_usd=plain(one.premium_usd),
                delta=one.delta,
                why=one.why,
            )
            for one in proposal.hedges
        ),
    )


def _book(risk: BookRisk) -> ExplainedBook:
    return ExplainedBook(
        carry_usd_day=float(risk.carry_usd_day),
        volatility_annual=risk.volatility_annual,
        cvar=risk.cvar,
        gross=risk.gross,
        net=risk.net,
        margin_ratio=risk.margin_ratio,
        liquidation_down=risk.liquidation_down,
        liquidation_up=risk.liquidation_up,
        liquidation_down_leg=risk.liquidation_down_leg,
        liquidation_up_leg=risk.liquidation_up_leg,
        worst_account=risk.worst_account,
        beta=risk.beta,
        correlation=risk.correlation,
        expected_return_annual=risk.expected_return_annual,
        accounts=tuple(map(_account, risk.accounts)),
        positions=tuple(map(_position, risk.positions)),
        robust_volatility_annual=risk.robust_volatility_annual,
    )


def _position(one: PositionRisk) -> ExplainedPosition:
    theirs = one.venue_liquidation_price
    return ExplainedPosition(
        id=one.id,
        account=one.account,
        contracts=plain(one.contracts),
        mark=plain(one.mark),
        liquidation_move=one.liquidation_move,
        liquidation_price=one.liquidation_price,
        venue_liquidation_price=None if theirs is None else plain(theirs),
    )


def _account(one: AccountRisk) -> ExplainedAccount:
    return ExplainedAccount(
        name=one.name,
        equity_usd=plain(one.equity_usd),
        maintenance_usd=plain(one.maintenance_usd),
        margin_ratio=one.margin_ratio,
        stressed_ratio=one.stressed_ratio,
        free_usd=plain(one.free_usd),
        liquidation_down=one.liquidation_down,
        liquidation_up=one.liquidation_up,
        liquidation_down_leg=one.liquidation_down_leg,
        liquidation_up_leg=one.liquidation_up_leg,
        transfer_usd=plain(one.transfer_usd),
        transfer_from=one.transfer_from,
    )


def explained_table(report: ExplainReport) -> Iterator[str]:
    """Yield the lines of ``--explain`` for a person's eyes, 120 columns at most."""
    yield from _ledger(report)
    yield from _prices(report)
    for member in report.clash:
        least = ALONE if member.relaxed is None else f"needs {member.relaxed:g}"
        yield f"clash {member.name}: limit {member.limit:g}, {least}"
    yield from _compared(report)
    yield from _accounts(report)
    yield from _positions(report)
    yield from _returns(report)
    for one in report.hedges:
        yield f"{one.name}: {one.quantity:g} {one.coin} for {one.premium_usd} USD  {one.why}"


def _ledger(report: ExplainReport) -> Iterator[str]:
    if not report.ledger:
        return
    yield ""
    yield f"{'ledger, bp of equity a year':<28}" + "".join(f"{term:>12}" for term in TERMS)
    for row in report.ledger:
        gap = "" if row.traded else f"  {row.distance:.0f} away"
        figures = (getattr(row, term) for term in TERMS)
        yield (
            f"{row.id:<28}" + "".join(f"{round(value, 1) + 0.0:>12.1f}" for value in figures) + gap
        )


def _prices(report: ExplainReport) -> Iterator[str]:
    binding = [one for one in report.limits if one.price_usd_per_day]
    if not report.limits:
        return
    yield ""
    yield f"{'limits that cost':<40}{'limit':>12}{'USD a day for 1.0 more':>26}" + (
        "" if binding else "  none binds"
    )
    for one in sorted(binding, key=lambda one: -abs(one.price_usd_per_day)):
        between = ""
        if one.low is not None and one.high is not None:
            between = f"  ({one.low:.4g} to {one.high:.4g})"
        less = "  for 1.0 less" if one.direction == "down" else ""
        yield f"{one.name:<40}{one.limit:>12.6g}{one.price_usd_per_day:>26.4f}{less}{between}"


def _compared(report: ExplainReport) -> Iterator[str]:
    now, after = report.before, report.after
    yield ""
    yield f"{'book':<28}{'now':>14}{'after':>14}"
    rows = (
        ("expected carry, USD a day", now.carry_usd_day, after.carry_usd_day, ".2f"),
        ("expected return a year", now.expected_return_annual, after.expected_return_annual, ".2%"),
        ("volatility a year", now.volatility_annual, after.volatility_annual, ".2%"),
        (
            "robust volatility (limited)",
            now.robust_volatility_annual,
            after.robust_volatility_annual,
            ".2%",
        ),
        ("CVaR 95 %", now.cvar, after.cvar, ".2%"),
        ("gross", now.gross, after.gross, ".3f"),
        ("net", now.net, after.net, "+.3f"),
        ("beta", now.beta, after.beta, "+.3f"),
        ("margin ratio", now.margin_ratio, after.margin_ratio, ".2%"),
    )
    for name, left, right, form in rows:
        yield f"{name:<28}{_figure(left, form):>14}{_figure(right, form):>14}"
    moves = (
        ("liquidation, prices down", now.liquidation_down, after.liquidation_down),
        ("liquidation, prices up", now.liquidation_up, after.liquidation_up),
    )
    for name, was, becomes in moves:
        yield f"{name:<28}{_move(was):>14}{_move(becomes):>14}"
    yield f"{'worst account':<28}{now.worst_account or NONE:>14}{after.worst_account or NONE:>14}"


def _move(move: float | None) -> str:
    if move is not None and move > FAR:
        return f"over {FAR:+.0%}"
    return _figure(move, "+.1%")


def _figure(value: float | None, form: str) -> str:
    return NONE if value is None else format(value + 0.0, form)


def _accounts(report: ExplainReport) -> Iterator[str]:
    for one in report.after.accounts:
        breaks = [leg for leg in (one.liquidation_down_leg, one.liquidation_up_leg) if leg]
        text = (
            f"account {one.name}: margin {one.margin_ratio:.2%}, stressed {one.stressed_ratio:.2%},"
            f" free {float(one.free_usd):,.0f} USD"
        )
        yield f"{text}, breaks first: {', '.join(dict.fromkeys(breaks))}" if breaks else text
        if float(one.transfer_usd) > 0:
            giver = f" from {one.transfer_from}" if one.transfer_from else ""
            yield f"  a transfer of {float(one.transfer_usd):,.2f} USD{giver} would mend it"


def _positions(report: ExplainReport) -> Iterator[str]:
    """Yield where each position's own price liquidates its account, before and after."""
    before = {one.id: one for one in report.before.positions}
    after = {one.id: one for one in report.after.positions}
    if not (before or after):
        return
    yield ""
    yield f"{'liquidation price, others as they are':<40}{'now':>16}{'venue':>16}{'after':>16}"
    for name in sorted({*before, *after}):
        was, becomes = before.get(name), after.get(name)
        theirs = was.venue_liquidation_price if was else None
        prices = [None if one is None else one.liquidation_price for one in (was, becomes)]
        venue = None if theirs is None else float(theirs)
        cells = (prices[0], venue, prices[1])
        yield f"{name:<40}" + "".join(f"{_figure(price, ',.6g'):>16}" for price in cells)


def _returns(report: ExplainReport) -> Iterator[str]:
    earned = [one for one in report.break_even if one.hours is not None]
    if earned:
        yield ""
        yield f"{'carry earns a trade back':<40}{'in hours':>12}{'by then':>12}{'wait, USD':>14}"
    for one in earned:
        hours, likely, wait = one.hours, one.probability, one.wait_usd
        yield (
            f"{one.id:<40}{_figure(hours, '.0f'):>12}{_figure(likely, '.0%'):>12}"
            f"{_figure(wait, '+.2f'):>14}"
        )
    if report.drift is not None:
        drift = report.drift
        yield (
            f"drift: half turnover {drift.half_turnover:.1%}, tracking {drift.tracking:.1%} a year,"
            f" regret {drift.regret_usd_day:.2f} USD a day"
        )
    if report.objective_usd_per_day is not None:
        yield f"objective {report.objective_usd_per_day:.4f} USD a day"
    if report.tracking:
        yield (
            f"prices and ledger are of tracking a mixture: objective less a penalty of "
            f"{report.tracking_penalty_usd_per_day:.4f} USD a day"
        )
    if report.mixture_held:
        yield "prices hold that mixture as it is: a limit that is moved moves it too, not in them"
