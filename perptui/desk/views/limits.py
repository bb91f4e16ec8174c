"""Every limit of the desk, now and after the proposal."""

from __future__ import annotations

from decimal import Decimal
from math import sqrt

import msgspec

from perptui.desk.book import Book
from perptui.desk.orders.gate_desk import loss_stop
from perptui.desk.proposing.proposal_picture import ProposalPicture
from perptui.desk.state import Picture
from perptui.model.forecast import Estimates
from perptui.model.limit import LimitCheck, Limits
from perptui.model.proposal import Proposal
from perptui.model.whatif import A_PUT
from perptui.protocol.views import LimitRow, LimitsView
from perptui.risk import book as risk_book
from perptui.risk import limits as risk_limits
from perptui.risk.holding_limits import (
    check_beta,
    check_collateral,
    check_standalone_risk,
    share_of_budget,
)

NEAR = 0.10
"""Share of a limit that is left when its state turns to WARN."""

_MULTIPLES = {
    "gross", "net_min", "net_max", "coin_net", "coin_gross", "venue_gross", "cluster", "beta",
}  # fmt: skip
MARKET_COIN = "BTC"
AS_PROPOSED = frozenset({"volatility", "free_collateral"})
"""What a proposal measures more strictly than the desk alone: with the covariance's own error, and
at the leverage that the largest position would have. Now must compare with after."""


def unit_of(name: str) -> str:
    """Return the unit of a limit by its name: x (multiple of equity) or fraction."""
    return "x" if name.partition(":")[0] in _MULTIPLES else "fraction"


def state_of(check: LimitCheck, *, binding: bool = False) -> str:
    """Return ok, WARN within a tenth of the limit, BREACH, or BINDS when asked and it does."""
    if not check.ok:
        return "BREACH"
    if binding and check.binding:
        return "BINDS"
    headroom = check.value - check.limit if check.at_least else check.limit - check.value
    return "WARN" if headroom <= NEAR * abs(check.limit) else "ok"


def checks_now(
    picture: Picture, book: Book, limits: Limits, estimates: Estimates | None
) -> tuple[LimitCheck, ...]:
    """Return every book limit held against the present book; none while the book is not whole.

    Those on volatility, beta and a contract's own risk only once estimates cover it.
    """
    if book.missing or book.equity_usd is None or book.equity_usd <= 0:
        return ()
    held = tuple(
        risk_book.Holding(
            id=row.instrument.id,
            coin=row.instrument.coin,
            account=account.account.key,
            notional=row.notional_usd,
            before=row.notional_usd,
            tiers=row.instrument.tiers,
            linear=row.instrument.linear,
            leverage=row.position.leverage,
        )
        for account in book.accounts
        for row in account.holdings
    )
    equity = {account.account.key: account.account.equity_usd for account in book.accounts}
    whole = risk_book.Book(
        holdings=held,
        equity=equity,
        volatility=volatility_now(book, estimates),
        peak_equity=picture.peak_usd,
    )
    return (
        *risk_limits.check_limits(whole, limits),
        *check_collateral(whole, limits.free_collateral_min),
        *_estimated(whole, limits, estimates),
    )


def _estimated(
    book: risk_book.Book[Decimal], limits: Limits, estimates: Estimates | None
) -> tuple[LimitCheck, ...]:
    """Return the limits on beta and own risk; none while estimates do not cover the book."""
    if estimates is None:
        return ()
    rows = {row.id: index for index, row in enumerate(estimates.instruments)}
    covariance, year = estimates.covariance, sqrt(365.0 / estimates.horizon_days)
    market = market_of(estimates)
    unknown = {one.id for one in book.holdings} - set(rows)
    if unknown or covariance[market][market] <= 0.0:
        return ()
    own = {one.id: covariance[rows[one.id]][rows[one.id]] for one in book.holdings}
    betas = {
        one.id: covariance[rows[one.id]][market] / covariance[market][market]
        for one in book.holdings
    }
    volatilities = {name: sqrt(value) * year for name, value in own.items()}
    return (
        *check_beta(book, _exact(betas), limits.beta_max),
        *check_standalone_risk(
            book, _exact(volatilities), limits.standalone_risk_max, limits.volatility_max
        ),
    )


def market_of(estimates: Estimates) -> int:
    """Return the row of the market: the most liquid contract of `MARKET_COIN`, else of all."""
    rows = list(enumerate(estimates.instruments))
    of_coin = [(index, row) for index, row in rows if row.coin == MARKET_COIN]
    return max(of_coin or rows, key=lambda one: (one[1].volume_usd_day, -one[0]))[0]


def _exact(figures: dict[str, float]) -> dict[str, Decimal]:
    return {name: Decimal(repr(value)) for name, value in figures.items()}


def volatility_now(book: Book, estimates: Estimates | None) -> float | None:
    """Return the annualised volatility of the present book; None before estimates cover it."""
    if estimates is None:
        return None
    order = [row.id for row in estimates.instruments]
    weights = {row.instrument.id: book.multiple(row.notional_usd) or 0.0 for row in book.holdings}
    if not set(weights) <= set(order):
        return None
    return risk_limits.book_volatility(
        [weights.get(key, 0.0) for key in order], estimates.covariance, estimates.horizon_days
    )


def limits_view(
    now: tuple[LimitCheck, ...],
    proposed: ProposalPicture,
    book: Book,
    observed: float | None,
    loss: LimitRow,
    limits: Limits,
) -> LimitsView:
    """Return each limit now and after, or what the panel waits for.

    Now is the book as it is, judged by the desk's own limits; after is judged by those that a
    proposal is held to, and only where that could be traded as it stands. What is proposed on a
    supposition has rows of its own: on a supposed market its now is the book there.
    What only the optimiser measures (CVaR, correlation with the market, the first component,
    stressed margin, robust volatility) is shown as it was when the proposal was made, as long as
    the book still is the one that it was made from.
    """
    if not now:
        return LimitsView(waiting=book.missing or "waiting for equity above zero")
    proposal, target = proposed.proposal, proposed.target
    checks = {check.name: check for check in now}
    if proposal is not None and stands_on(proposal, book):
        checks = _measured(checks, proposal, limits)
    if proposal is None or target is not None:
        return LimitsView((*_rows(checks, target), loss), observed, None)
    unmeasured = (
        LimitRow(check.name, unit_of(check.name), _own(check, limits).limit, None, "")
        for check in proposal.limits
        if check.name not in checks
    )
    rows = (*_rows(checks, None), *unmeasured, loss)
    market = proposal.what_if.market
    if market and same_book(proposal, book):
        checks = _on_its_market(checks, proposal, limits)
    supposed = (*_rows(checks, proposal, supposed=bool(market)), loss)
    return LimitsView(rows, observed, None, market, supposed)


def _measured(
    checks: dict[str, LimitCheck], proposal: Proposal, limits: Limits
) -> dict[str, LimitCheck]:
    """Return the present checks with what only the optimiser measures of the same book."""
    measured = {check.name: check for check in proposal.limits_now}
    found = dict(checks)
    for name, check in measured.items():
        if name in found and name.partition(":")[0] in AS_PROPOSED:
            found[name] = _again(found[name], check.value)
    unmeasured = (check for name, check in measured.items() if name not in found)
    return found | {check.name: _own(check, limits) for check in unmeasured}


def _on_its_market(
    checks: dict[str, LimitCheck], proposal: Proposal, limits: Limits
) -> dict[str, LimitCheck]:
    """Return the checks of the present book on the market that the proposal supposes."""
    return {
        check.name: _again(checks[check.name], check.value)
        if check.name in checks
        else _own(check, limits)
        for check in proposal.limits_now
    }


def _rows(
    checks: dict[str, LimitCheck], proposal: Proposal | None, *, supposed: bool = False
) -> tuple[LimitRow, ...]:
    """Return a row of each limit that is held now or by the proposal.

    Equity moves on after the proposal is made, and drawdown with it: but on a `supposed` market.
    """
    after = {check.name: check for check in proposal.limits} if proposal is not None else {}
    if not supposed and "drawdown" in checks and "drawdown" in after:  # no trade moves it
        after["drawdown"] = _again(after["drawdown"], checks["drawdown"].value)
    prices = _prices(proposal)
    return tuple(
        _row(name, checks.get(name), after.get(name), prices.get(name))
        for name in dict.fromkeys((*checks, *after))
    )


def same_book(proposal: Proposal, book: Book) -> bool:
    """Return whether a proposal was made from these very positions."""
    held = {row.instrument.id: row.position.contracts for row in book.holdings}
    return held == {row.id: row.contracts_now for row in proposal.rows if row.contracts_now}


def stands_on(proposal: Proposal, book: Book) -> bool:
    """Return whether a proposal was made from this very book, at prices and equity as they are."""
    supposed = set(proposal.what_if.hypothetical) - {A_PUT}
    return same_book(proposal, book) and not supposed


def _own(check: LimitCheck, limits: Limits) -> LimitCheck:
    """Return a check held to the desk's own limit, not to a what-if's or a lowered one."""
    own: float | None = getattr(limits, f"{check.name}_max", None)
    if own is None:
        return check
    if check.name == "first_component":
        own = share_of_budget(own, limits.volatility_max)
    return _again(msgspec.structs.replace(check, limit=own), check.value)


def _again(check: LimitCheck, value: float) -> LimitCheck:
    ok = value >= check.limit if check.at_least else value <= check.limit
    return msgspec.structs.replace(check, value=value, ok=ok)


def _prices(proposal: Proposal | None) -> dict[str, float]:
    if proposal is None:
        return {}
    return {one.name: one.price_usd_per_day for one in proposal.explanation.limits}


def loss_row(picture: Picture, limits: Limits) -> LimitRow:
    """Return the limit of the day's loss, which stops what the gate's own check stops."""
    loss = picture.daily_loss
    if loss is None:
        return LimitRow("daily_loss", "fraction", limits.daily_loss_max, None, "")
    row = LimitRow("daily_loss", "fraction", limits.daily_loss_max, max(loss, 0.0), "")
    check = LimitCheck("daily_loss", loss, row.limit, ok=not loss_stop(loss, limits))
    return msgspec.structs.replace(row, state=state_of(check))


def _row(
    name: str, now: LimitCheck | None, after: LimitCheck | None, price: float | None
) -> LimitRow:
    either = now or after
    if either is None:
        raise ValueError(f"expected a check of {name}, was none; leave the row out")
    return LimitRow(
        name=name,
        unit=unit_of(name),
        limit=either.limit,
        now=None if now is None else now.value,
        state="" if now is None else state_of(now),
        after=None if after is None else after.value,
        state_after="" if after is None else state_of(after, binding=True),
        at_least=either.at_least,
        price_usd_day=price,
        limit_after=None if after is None or after.limit == either.limit else after.limit,
    )


def breaches(checks: tuple[LimitCheck, ...]) -> tuple[str, ...]:
    """Return the names of the limits that do not hold."""
    return tuple(check.name for check in checks if not check.ok)


def mends(now: tuple[LimitCheck, ...], proposal: Proposal | None) -> bool:
    """Return True when limits are breached now and a proposal to be sent leaves none breached."""
    if proposal is None or not proposal.exportable:
        return False
    return bool(breaches(now)) and not breaches(proposal.limits)


def drawdown_now(picture: Picture) -> float | None:
    """Return 1 - equity/peak, None before equity is known."""
    equity, peak = picture.equity_usd, picture.peak_usd
    if equity is None or peak is None or peak <= 0:
        return None
    return float(max(1 - equity / peak, Decimal(0)))
