"""The gate: one pure function, run when a ticket is opened, confirmed, and before each send.

It knows nothing but its input, decides nothing but yes or the reasons why not, and never loosens a
limit. Reason codes are stable; the texts are for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from perptui.desk.orders.gate_input import GateInput, Refusal
from perptui.model.account import Account, account_of
from perptui.model.clock import MINUTE_MS
from perptui.model.instrument import Instrument
from perptui.model.limit import LimitCheck, Limits
from perptui.model.order import Effect, OrderIntent, Side
from perptui.model.snapshot import MarketSnapshot
from perptui.risk.book import Book, Holding, only_reduces
from perptui.risk.collar import collar_bps, collar_width
from perptui.risk.holding_limits import check_collateral
from perptui.risk.limits import blocking, check_limits

RECEIVE_WINDOW_MS = 5_000
"""How old a signed request may be at the venue."""
DUPLICATE_MS = MINUTE_MS
CENT = Decimal("0.01")
SURVIVAL = frozenset({"margin_ratio", "liquidation", "drawdown"})
"""Limits that are judged at the prices of now as well."""


def gate(given: GateInput) -> tuple[Refusal, ...]:
    """Return every reason why the legs may not be sent, in safety's order; none means they may."""
    return tuple(Refusal(reason, text) for check in _CHECKS for reason, text in check(given))


Reasons = Iterator[tuple[str, str]]


def _schema(given: GateInput) -> Reasons:
    if not given.legs:
        yield "schema", "expected orders, was none; solve again"
    for leg in given.legs:
        signed = leg.contracts if leg.side is Side.BUY else -leg.contracts
        if leg.contracts <= 0 or leg.limit_price <= 0 or leg.mark_price <= 0:
            yield "schema", f"expected positive contracts and prices of {leg.id}, was not"
        elif leg.before + signed != leg.after:
            yield "schema", f"expected before, order and after of {leg.id} to add up, was not"
        elif leg.effect is not _effect(leg):
            yield "schema", f"expected {_effect(leg)} of {leg.id}, was {leg.effect}"
        elif leg.reduce_only and leg.effect is not Effect.REDUCE:
            yield "schema", f"expected reduce-only to reduce {leg.id}, was {leg.effect}"


def _effect(leg: OrderIntent) -> Effect:
    if leg.before * leg.after < 0:
        return Effect.FLIP
    return Effect.REDUCE if abs(leg.after) < abs(leg.before) else Effect.ADD


def _kill(given: GateInput) -> Reasons:
    if given.kill_state == "HALTED":
        yield "kill", "the desk is HALTED: nothing is sent"
    elif given.kill_state != "ACTIVE":
        for leg in given.legs:
            if not leg.reduce_only:
                yield "kill", f"the desk is {given.kill_state}: {leg.id} is not reduce-only"


def _clean(given: GateInput) -> Reasons:
    if given.unclean:
        yield "reconcile", f"journal and venue were not reconciled: {given.unclean}"


def _positions(given: GateInput) -> Reasons:
    held = dict(given.positions)
    for leg in given.legs:
        now = held.get(leg.id, Decimal(0))
        if now != leg.before:
            yield "position", f"{leg.id} is {now}, its order rests on {leg.before}: solve again"
        held[leg.id] = leg.after


def _fresh(given: GateInput) -> Reasons:
    if given.stale or given.snapshot is None:
        yield "stale", f"an input is stale: {given.stale or 'no market picture'}"
    for venue in given.venues:
        offset = given.clock_offset_ms.get(venue)
        if offset is None:
            yield "clock", f"the clock offset of {venue} is not known"
        elif 2 * abs(offset) >= RECEIVE_WINDOW_MS:
            yield "clock", f"the clock of {venue} is {offset} ms off: resynchronise"


def _token(given: GateInput) -> Reasons:
    if given.stand:
        yield "token", f"the confirmation does not stand: {given.stand}"


def _instruments(given: GateInput) -> Reasons:
    known = _by_id(given)
    for leg in given.legs:
        found = known.get(leg.id)
        if found is None:
            yield "instrument", f"{leg.id} is not a contract with a price"
        elif not found.active:
            yield "instrument", f"{leg.id} is not trading"
        else:
            yield from _filters(leg, found)


def _filters(leg: OrderIntent, found: Instrument) -> Reasons:
    if leg.limit_price % found.tick:
        yield "tick", f"{leg.limit_price} of {leg.id} is no multiple of the tick {found.tick}"
    if leg.contracts % found.step:
        yield "step", f"{leg.contracts} of {leg.id} is no multiple of the step {found.step}"
    most = found.max_contracts
    if leg.contracts < found.min_contracts or (most is not None and leg.contracts > most):
        yield "size", f"{leg.contracts} contracts of {leg.id} are outside the venue's bounds"
    worth = leg.contracts * found.contract_size * (leg.mark_price if found.linear else 1)
    if abs(worth - leg.notional_usd) > max(CENT, worth / 1_000_000):
        yield (
            "notional",
            f"{leg.id}: {leg.notional_usd} USD is not its worth, {worth}",
        )
    # Venues exempt orders that only reduce, so that a small remainder can be closed.
    if not leg.reduce_only and leg.notional_usd < found.min_notional_usd:
        yield "min_notional", f"{leg.id}: {leg.notional_usd} USD is under {found.min_notional_usd}"


def _collar(given: GateInput) -> Reasons:
    marks = {} if given.snapshot is None else {q.id: q.mark for q in given.snapshot.quotes}
    for leg in given.legs:
        annual = given.volatility_annual.get(leg.id)
        reducing = leg.effect is Effect.REDUCE
        allowed = collar_width(leg.mark_price, collar_bps(given.limits, annual, reducing=reducing))
        if abs(leg.limit_price - leg.mark_price) > allowed:
            yield "collar", f"the limit price of {leg.id} is too far from its mark"
        mark = marks.get(leg.id)
        if mark is not None and abs(mark - leg.mark_price) > allowed:
            yield "collar", f"the price of {leg.id} left its collar: price it anew"


def _order_size(given: GateInput) -> Reasons:
    most = given.limits.order_notional_max_usd
    for leg in given.legs:
        if leg.notional_usd > most:
            yield "order_notional", f"{leg.id}: {leg.notional_usd} USD is above {most}"
        volume = given.volume_usd_day.get(leg.id)
        if volume is None or volume <= 0:
            yield "participation", f"the daily volume of {leg.id} is not known"
        elif float(leg.notional_usd) / volume > given.limits.participation_max:
            yield "participation", f"{leg.id} is above its share of the daily volume"


def _ticket_size(given: GateInput) -> Reasons:
    limits = given.limits
    if given.ticket_legs > limits.ticket_legs_max:
        yield "ticket_legs", f"{given.ticket_legs} orders are above {limits.ticket_legs_max}"
    if given.ticket_notional_usd > limits.ticket_notional_max_usd:
        yield (
            "ticket_notional",
            f"{given.ticket_notional_usd} USD is above {limits.ticket_notional_max_usd}",
        )


def _day(given: GateInput) -> Reasons:
    total = given.day_notional_usd + given.notional_usd
    if total > given.limits.day_notional_max_usd:
        yield "day_notional", f"{total} USD today is above {given.limits.day_notional_max_usd}"


def _book(given: GateInput) -> Reasons:
    """Judge every limit at the prices the orders were made from, and safety at those of now.

    The optimum stands at the limits that bind: at prices of now every second tick would break
    them. What the account can survive is judged at both.
    """
    if given.snapshot is None or given.basis is None:
        yield "book", "the book cannot be judged: there is no picture of the market"
        return
    try:
        blocked = {check.name: check for check in _blocked(given, given.basis)}
        for check in _blocked(given, given.snapshot):
            if check.name.partition(":")[0] in SURVIVAL:
                blocked.setdefault(check.name, check)
    except ValueError as error:
        yield "book", f"the book cannot be judged: {error}"
        return
    for name, check in blocked.items():
        yield f"limit:{name}", f"{name} {check.value:.6g} breaks its {check.limit:.6g}"


def _blocked(given: GateInput, picture: MarketSnapshot) -> tuple[LimitCheck, ...]:
    after = _held(given, picture, after=True)
    now = _checks(_held(given, picture, after=False), given.limits)
    return blocking(_checks(after, given.limits), now, reducing=only_reduces(after))


def _checks(book: Book[Decimal], limits: Limits) -> tuple[LimitCheck, ...]:
    """Hold every limit that the picture alone can judge; others need estimates."""
    return (*check_limits(book, limits), *check_collateral(book, limits.free_collateral_min))


def _held(given: GateInput, snapshot: MarketSnapshot, *, after: bool) -> Book[Decimal]:
    """Return the book before, or after all legs, at the marks of `snapshot`.

    Raises
    ------
    ValueError
        When a contract that is held or traded has no price or no account.
    """
    changes: dict[str, Decimal] = {}
    for leg in given.legs:
        changes[leg.id] = changes.get(leg.id, Decimal(0)) + leg.after - leg.before
    marks = {quote.id: quote.mark for quote in snapshot.quotes}
    known = {one.id: one for one in snapshot.instruments}
    holdings = []
    for identifier in sorted({key for key, held in given.positions.items() if held} | set(changes)):
        found, mark = known.get(identifier), marks.get(identifier)
        account = None if found is None else account_of(found, snapshot.accounts)
        if found is None or mark is None or account is None:
            raise ValueError(f"expected rules, price and account of {identifier}, was not known")
        before = given.positions.get(identifier, Decimal(0))
        target = before + (changes.get(identifier, Decimal(0)) if after else Decimal(0))
        worth = found.contract_size * (mark if found.linear else 1)
        holdings.append(_holding(found, account, target * worth, before * worth))
    return Book(
        tuple(holdings),
        {account.key: account.equity_usd for account in snapshot.accounts},
        peak_equity=snapshot.peak_equity_usd,
    )


def _holding(
    found: Instrument, account: Account, notional: Decimal, before: Decimal
) -> Holding[Decimal]:
    return Holding(
        id=found.id,
        coin=found.coin,
        account=account.key,
        notional=notional,
        before=before,
        tiers=found.tiers,
        linear=found.linear,
        leverage=next((held.leverage for held in account.positions if held.id == found.id), None),
    )


def _throttle(given: GateInput) -> Reasons:
    for venue in given.venues:
        if throttle_wait(given.sent_mono.get(venue, ()), given.now_mono, given.limits) > 0:
            yield "throttle", f"too many messages to {venue}"


def throttle_wait(sent_mono: tuple[float, ...], now: float, limits: Limits) -> float:
    """Return the seconds until one more message is allowed; 0 when it is allowed now."""
    wait = 0.0
    for span, most in ((1.0, limits.messages_per_second), (60.0, limits.messages_per_minute)):
        inside = sorted(instant for instant in sent_mono if now - instant < span)
        if len(inside) >= most:
            wait = max(wait, inside[-most] + span - now)
    return wait


def _duplicate(given: GateInput) -> Reasons:
    for leg in given.legs:
        for sent in given.recent:
            same = (sent.id, sent.side, sent.contracts) == (leg.id, leg.side, leg.contracts)
            if same and given.now_ms - sent.sent_ms < DUPLICATE_MS:
                yield "duplicate", f"the same order of {leg.id} was sent less than a minute ago"
                break


def _unknown(given: GateInput) -> Reasons:
    for leg in given.legs:
        if leg.id in given.unknown:
            yield "unknown", f"an order of {leg.id} is UNKNOWN: the symbol is locked"


def _mode(given: GateInput) -> Reasons:
    accounts = () if given.snapshot is None else given.snapshot.accounts
    for account in accounts:
        if account.venue in given.venues and not account.one_way:
            yield "account_mode", f"account {account.key} is in hedge mode: set it to one-way"


def _loss(given: GateInput) -> Reasons:
    why = loss_stop(given.daily_loss, given.limits)
    for leg in given.legs:
        if why and not leg.reduce_only:
            yield "daily_loss", f"{why}: {leg.id} is not reduce-only"


def loss_stop(daily_loss: float | None, limits: Limits) -> str:
    """Return why today's profit lets only reductions through, "" while it lets all."""
    if daily_loss is None:
        return "today's profit is not known yet"
    if daily_loss >= limits.daily_loss_max:
        return f"today's loss of {daily_loss:.2%} reached its limit of {limits.daily_loss_max:.2%}"
    return ""


def drawdown_stop(snapshot: MarketSnapshot | None, limits: Limits) -> str:
    """Return why the drawdown lets only reductions through, "" while it lets all."""
    peak = None if snapshot is None else snapshot.peak_equity_usd
    if snapshot is None or peak is None or peak <= snapshot.equity_usd:
        return ""
    fallen = 1 - snapshot.equity_usd / peak
    if fallen <= Decimal(repr(limits.drawdown_max)):
        return ""
    return f"a drawdown of {float(fallen):.2%} is beyond its limit of {limits.drawdown_max:.2%}"


def _restricted(given: GateInput) -> Reasons:
    for leg in given.legs:
        if leg.id in given.limits.restricted:
            yield "restricted", f"{leg.id} is on the restricted list"


def _by_id(given: GateInput) -> dict[str, Instrument]:
    return {} if given.snapshot is None else {one.id: one for one in given.snapshot.instruments}


_CHECKS: tuple[Callable[[GateInput], Reasons], ...] = (
    _schema,
    _kill,
    _clean,
    _positions,
    _fresh,
    _token,
    _instruments,
    _collar,
    _order_size,
    _ticket_size,
    _day,
    _book,
    _throttle,
    _duplicate,
    _unknown,
    _mode,
    _loss,
    _restricted,
)
