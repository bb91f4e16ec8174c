"""The gate's checks of the book: does it keep every limit after the orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from perptui.desk.orders.gate_input import GateInput, Reasons
from perptui.model.account import Account, account_of
from perptui.model.instrument import Instrument
from perptui.model.limit import LimitCheck, Limits
from perptui.model.snapshot import MarketSnapshot
from perptui.risk.book import Book, Holding, only_reduces
from perptui.risk.holding_limits import check_collateral
from perptui.risk.limits import blocking, check_limits
from perptui.risk.margin import notional_allowed

SURVIVAL = frozenset({"margin_ratio", "liquidation", "drawdown"})
"""Limits that are judged at the prices of now as well."""
DEEPER = 0.1
"""What a breach may have grown by since it was shown, as a share of the limit."""


def book(given: GateInput) -> Reasons:
    """Judge every limit at the prices the orders were made from, and safety at those of now.

    The optimum stands at the limits that bind: at prices of now every second tick would break
    them. What the account can survive is judged at both.
    """
    if given.snapshot is None or given.basis is None:
        yield "book", "the book cannot be judged: there is no picture of the market"
        return
    try:
        blocked = {check.name: check for check in _blocked(given, given.basis)}
        now = [
            check
            for check in _blocked(given, given.snapshot)
            if check.name.partition(":")[0] in SURVIVAL
        ]
        yield from _deeper(given, now, blocked)
        for check in now:
            blocked.setdefault(check.name, check)
    except ValueError as error:
        yield "book", f"the book cannot be judged: {error}"
        return
    for name, check in blocked.items():
        # What liquidates is no limit that anybody may pass over.
        liquidates = name.startswith("margin_ratio:") and check.value >= 1
        code = "liquidates" if liquidates else f"limit:{name}"
        yield code, f"{name} {check.value:.6g} breaks its {check.limit:.6g}"


def _deeper(
    given: GateInput, now: Sequence[LimitCheck], blocked: Mapping[str, LimitCheck]
) -> Reasons:
    """Refuse a breach that has grown since it was shown: no override was confirmed of that.

    `blocked`: breaches at the prices that the orders were made from.
    """
    if given.shown is None or not now:
        return
    then = {check.name: check for check in _blocked(given, given.shown)}
    for check in now:
        seen = then.get(check.name) or blocked.get(check.name)
        if seen is None:
            continue
        grown = abs(check.value - check.limit) - abs(seen.value - seen.limit)
        if grown > DEEPER * abs(check.limit):
            yield (
                f"deeper:{check.name}",
                f"{check.name} {check.value:.6g} breaks its {check.limit:.6g} deeper than the "
                f"{seen.value:.6g} that was shown: propose again",
            )


def tiers(given: GateInput) -> Reasons:
    """Let no position grow beyond what its leverage, or the contract's last tier, allows."""
    if given.snapshot is None:
        return
    leverages: dict[str, Decimal] = {}
    for account in given.snapshot.accounts:
        leverages.update(account.all_leverages())
    after = {leg.id: leg for leg in given.trades}
    for identifier, leg in after.items():
        found, mark = given.rules.get(identifier), given.marks.get(identifier)
        if found is None or mark is None or not found.tiers or leg.reduce_only:
            continue
        notional = abs(leg.after) * found.contract_size * (mark if found.linear else 1)
        leverage = leverages.get(identifier)
        most = found.tiers[-1].cap_usd
        if leverage is not None and leverage > 0:
            allowed = notional_allowed(min(leverage, found.tiers[0].max_leverage), found.tiers)
            most = allowed if allowed is not None else most
        if most is not None and notional > most:
            at = "any leverage" if leverage is None else f"{leverage}x"
            yield "tier", f"{identifier}: {notional:.2f} USD is above the {most} allowed at {at}"


def _blocked(given: GateInput, picture: MarketSnapshot) -> tuple[LimitCheck, ...]:
    after = _held(given, picture, after=True)
    checks, reducing = _checks(after, given.limits), only_reduces(after)
    if not reducing or all(check.ok for check in checks):
        return blocking(checks, (), reducing=reducing)
    now = _checks(_held(given, picture, after=False), given.limits)
    return blocking(checks, now, reducing=reducing)


def _checks(held: Book[Decimal], limits: Limits) -> tuple[LimitCheck, ...]:
    """Hold every limit that the picture alone can judge; others need estimates."""
    return (*check_limits(held, limits), *check_collateral(held, limits.free_collateral_min))


def _held(given: GateInput, snapshot: MarketSnapshot, *, after: bool) -> Book[Decimal]:
    """Return the book before, or after all trades, at the marks of `snapshot`.

    Raises
    ------
    ValueError
        When a contract that is held or traded has no price or no account.
    """
    changes: dict[str, Decimal] = {}
    for leg in given.trades:
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
