"""The gate's checks of the desk itself: may anything be sent now, and by this trader."""

from __future__ import annotations

from decimal import Decimal

from perptui.desk.orders.gate_input import GateInput, Reasons
from perptui.desk.orders.throttle import order_wait_s
from perptui.model.account import Account
from perptui.model.clock import MINUTE_MS
from perptui.model.limit import Limits
from perptui.model.snapshot import MarketSnapshot

RECEIVE_WINDOW_MS = 5_000
"""How old a signed request may be at the venue."""
REJECTIONS_MS = 10 * MINUTE_MS
"""Within which rejected orders count."""
SIMULATED = "simulated"
"""What a venue calls its host when no path leads from it to a real one."""


def kill(given: GateInput) -> Reasons:
    """Send nothing in HALTED, only what is reduce-only in REDUCING."""
    if given.kill_state == "HALTED":
        yield "kill", "the desk is HALTED: nothing is sent"
    elif given.kill_state != "ACTIVE":
        yield from _only_reductions(given, "kill", f"the desk is {given.kill_state}")


def _only_reductions(given: GateInput, reason: str, why: str) -> Reasons:
    for leg in given.legs:
        if not leg.reduce_only:
            yield reason, f"{why}: {leg.id} is not reduce-only"


def clean(given: GateInput) -> Reasons:
    """Require that journal and venue were reconciled."""
    if given.unclean:
        yield "reconcile", f"journal and venue were not reconciled: {given.unclean}"


def fresh(given: GateInput) -> Reasons:
    """Require fresh inputs."""
    if given.stale or given.snapshot is None:
        yield "stale", f"an input is stale: {given.stale or 'no market picture'}"


def clock(given: GateInput) -> Reasons:
    """Require each venue's clock to be off by less than half the receive window."""
    for venue in given.venues:
        offset = given.clock_offset_ms.get(venue)
        if offset is None:
            yield "clock", f"the clock offset of {venue} is not known"
        elif 2 * abs(offset) >= RECEIVE_WINDOW_MS:
            yield "clock", f"the clock of {venue} is {offset} ms off: resynchronise"


def token(given: GateInput) -> Reasons:
    """Require a confirmation that stands."""
    if given.stand:
        yield "token", f"the confirmation does not stand: {given.stand}"


def approval(given: GateInput) -> Reasons:
    """Require a second person's approval, where the ticket takes one."""
    if given.approval:
        yield "approval", f"a second person has not approved it: {given.approval}"


def throttle(given: GateInput) -> Reasons:
    """Require that one more message fits, and that cancels keep a budget of their own."""
    for venue in given.venues:
        if order_wait_s(given.messages, venue, given.now_ms, given.limits) > 0:
            yield "throttle", f"too many messages to {venue} within a second or a minute: wait"
    if given.limits.cancels_reserved <= 0:
        yield "throttle", "no message is kept for cancels: set limits.cancels_reserved"


def rejections(given: GateInput) -> Reasons:
    """Let only what reduces go after repeated rejections: something is not as we think."""
    why = rejections_stop(given.rejections, given.limits)
    if why:
        yield from _only_reductions(given, "rejections", why)


def rejections_stop(rejected: int, limits: Limits) -> str:
    """Return why rejected orders let only reductions through, "" while they let all."""
    if rejected < limits.rejections_max:
        return ""
    return f"{rejected} orders were rejected within ten minutes"


def unknown(given: GateInput) -> Reasons:
    """Lock the contract of an order that is UNKNOWN."""
    for leg in given.legs:
        if leg.id in given.unknown:
            yield "unknown", f"an order of {leg.id} is UNKNOWN: the symbol is locked"


def venue(given: GateInput) -> Reasons:
    """Send nothing to a venue that refused the key, or shut its door."""
    for name in given.venues:
        if name in given.halted:
            yield "venue_halted", given.halted[name]
        if name in given.resting:
            yield "venue_resting", given.resting[name]


def account_mode(given: GateInput) -> Reasons:
    """Require one-way, cross margin, single-asset accounts, at the leverage that was seen."""
    accounts = () if given.snapshot is None else given.snapshot.accounts
    for account in accounts:
        if account.venue not in given.venues:
            continue
        if not account.one_way:
            yield "account_mode", f"account {account.key} is in hedge mode: set it to one-way"
        if account.multi_assets:
            yield (
                "account_mode",
                f"account {account.key} is in multi-assets mode: set it to single-asset",
            )
        for held in sorted(set(account.isolated) & {leg.id for leg in given.legs}):
            yield "account_mode", f"{held} is on isolated margin: set it to cross"
    yield from _leverage(given)


def _leverage(given: GateInput) -> Reasons:
    before = _leverages(() if given.basis is None else given.basis.accounts)
    now = _leverages(() if given.snapshot is None else given.snapshot.accounts)
    for identifier in sorted({leg.id for leg in given.legs} & before.keys() & now.keys()):
        if before[identifier] != now[identifier]:
            yield (
                "account_mode",
                f"the leverage of {identifier} is {now[identifier]}, it was {before[identifier]}: "
                "solve again",
            )


def _leverages(accounts: tuple[Account, ...]) -> dict[str, Decimal]:
    return {key: one for account in accounts for key, one in account.all_leverages().items()}


def host(given: GateInput) -> Reasons:
    """Require the host that was confirmed; but in live mode, none that is real."""
    for venue in given.venues:
        now, confirmed = given.hosts.get(venue, ""), given.confirmed_hosts.get(venue, "")
        if not now or now != confirmed:
            yield (
                "host",
                f"orders of {venue} go to {now or 'nowhere known'}, "
                f"{confirmed or 'no host'} was confirmed: solve again",
            )
        elif given.mode != "live" and now != SIMULATED:
            yield "host", f"mode {given.mode} sends nothing to {now}: change desk.mode"


def loss(given: GateInput) -> Reasons:
    """Let only what reduces go after the day's loss."""
    why = loss_stop(given.daily_loss, given.limits)
    if why:
        yield from _only_reductions(given, "daily_loss", why)


def loss_stop(daily_loss: float | None, limits: Limits) -> str:
    """Return why today's profit lets only reductions through, "" while it lets all."""
    if daily_loss is None:
        return "today's profit is not known yet"
    if limits.daily_loss_max <= 0:
        return "limits.daily_loss_max allows no loss"
    if not daily_loss < limits.daily_loss_max:
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


def permission(given: GateInput) -> Reasons:
    """Require a trader who may send, and a key that may."""
    if given.permission:
        yield "permission", f"not permitted: {given.permission}"
    if given.key_permission:
        yield "key_permission", f"the venue key is not fit: {given.key_permission}"
