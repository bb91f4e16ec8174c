"""Every limit of the desk, now and after the proposal."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from perptui.desk.book import Book
from perptui.desk.gate import loss_stop
from perptui.desk.state import Picture
from perptui.model.forecast import Estimates
from perptui.model.limit import LimitCheck, Limits
from perptui.model.proposal import Proposal
from perptui.protocol.views import LimitRow, LimitsView
from perptui.risk import limits as risk_limits

NEAR = 0.10
"""Share of a limit that is left when its state turns to WARN."""

_MULTIPLES = {"gross", "net_min", "net_max", "coin_net", "coin_gross", "venue_gross", "cluster"}


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
    """Return every book limit held against the present book; none while the book is not whole."""
    if book.missing or book.equity_usd is None or book.equity_usd <= 0:
        return ()
    held = tuple(
        risk_limits.Holding(
            id=row.instrument.id,
            coin=row.instrument.coin,
            account=account.account.key,
            notional=row.notional_usd,
            before=row.notional_usd,
            tiers=row.instrument.tiers,
            linear=row.instrument.linear,
        )
        for account in book.accounts
        for row in account.holdings
    )
    equity = {account.account.key: account.account.equity_usd for account in book.accounts}
    whole = risk_limits.Book(
        holdings=held,
        equity=equity,
        volatility=volatility_now(book, estimates),
        peak_equity=picture.peak_usd,
    )
    return risk_limits.check_limits(whole, limits)


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
    proposal: Proposal | None,
    book: Book,
    observed: float | None,
    loss: LimitRow,
) -> LimitsView:
    """Return each limit now and after, or what the panel waits for."""
    if not now:
        return LimitsView(waiting=book.missing or "waiting for equity above zero")
    after = {check.name: check for check in proposal.limits} if proposal is not None else {}
    rows = [_row(check.name, check, after.get(check.name)) for check in now]
    known = {check.name for check in now}
    rows += [_row(name, None, check) for name, check in after.items() if name not in known]
    return LimitsView(rows=(*rows, loss), observed_mono=observed, waiting=None)


def loss_row(picture: Picture, limits: Limits) -> LimitRow:
    """Return the limit of the day's loss, which stops what the gate's own check stops."""
    loss = picture.daily_loss
    if loss is None:
        return LimitRow("daily_loss", "fraction", limits.daily_loss_max, None, "")
    row = LimitRow("daily_loss", "fraction", limits.daily_loss_max, max(loss, 0.0), "")
    check = LimitCheck("daily_loss", loss, row.limit, ok=not loss_stop(loss, limits))
    return msgspec.structs.replace(row, state=state_of(check))


def _row(name: str, now: LimitCheck | None, after: LimitCheck | None) -> LimitRow:
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
    )


def breaches(checks: tuple[LimitCheck, ...]) -> tuple[str, ...]:
    """Return the names of the limits that do not hold."""
    return tuple(check.name for check in checks if not check.ok)


def mends(now: tuple[LimitCheck, ...], proposal: Proposal | None) -> bool:
    """Return True when limits are breached now and the proposal leaves none breached."""
    if proposal is None or proposal.status != "ok":
        return False
    return bool(breaches(now)) and not breaches(proposal.limits)


def drawdown_now(picture: Picture) -> float | None:
    """Return 1 - equity/peak, None before equity is known."""
    equity, peak = picture.equity_usd, picture.peak_usd
    if equity is None or peak is None or peak <= 0:
        return None
    return float(max(1 - equity / peak, Decimal(0)))
