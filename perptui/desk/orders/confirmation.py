"""Confirmation: a token bound to everything that was shown, and when it stands or is void."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from perptui.desk.orders.own_proposal import OWN
from perptui.desk.orders.ticket_text import TicketInputs, render
from perptui.journal.events import client_id
from perptui.model.assignment import assignments
from perptui.model.canonical import canonical_json, digest_of
from perptui.model.errors import ConfirmationRefused
from perptui.model.order import Leg, OrderIntent, Ticket
from perptui.model.snapshot import MarketSnapshot
from perptui.protocol.hand import DEAD_S, KEY_GAP_MS, TYPED
from perptui.protocol.intents import TypedAnswer

COLUMNS = 80
ROWS = 24


def shown(inputs: TicketInputs) -> dict[str, Any]:
    """Return, as plain JSON, all that the ticket shows and rests on, without its text."""
    ids = {leg.id for leg in inputs.legs} | set(positions_of(inputs.snapshot))
    snapshot = inputs.snapshot
    proposal = inputs.proposal
    builtins: dict[str, Any] = msgspec.json.decode(
        canonical_json(
            {
                "v": 1,
                "ticket": inputs.ticket,
                "purpose": inputs.purpose,
                "mode": inputs.mode,
                "desk": inputs.desk,
                "account": inputs.account,
                "trader": inputs.trader,
                "created_ms": inputs.created_ms,
                "expiry_s": inputs.expiry_s,
                "order_type": "LIMIT IOC",
                "legs": inputs.legs,
                "instruments": [one for one in snapshot.instruments if one.id in ids],
                "marks": [one for one in snapshot.quotes if one.id in ids],
                "funding": [one for one in snapshot.funding if one.id in ids],
                "accounts": snapshot.accounts,
                "as_of_ms": snapshot.as_of_ms,
                "limits_digest": inputs.limits_digest,
                "settings_digest": inputs.settings_digest,
                "proposal_digest": proposal.digest,
                "snapshot_digest": proposal.snapshot_digest,
                "model_version": proposal.model_version,
                "what_if": assignments(proposal.what_if),
                "regime": proposal.regime,
                "solver": {"status": proposal.solver.status, "name": proposal.solver.name},
                "cost_usd": proposal.cost_usd,
                "limits": proposal.limits,
                "risk": None if proposal.status in OWN else proposal.risk,
                "volume_usd_day": inputs.volume_usd_day,
                "hosts": inputs.hosts,
                "approval": inputs.approval,
                "override": inputs.override,
                "overridden": inputs.overridden,
                "cancels": inputs.cancels,
                "volatility_daily": inputs.volatility_daily,
                "on_rejection": inputs.on_rejection,
            }
        )
    )
    return builtins


def token_of(what_was_shown: Mapping[str, Any], text: tuple[str, ...]) -> str:
    """Return SHA-256 over the RFC 8785 JSON of what was shown with its text, 64 hex digits."""
    return digest_of({**what_was_shown, "text": list(text)})


def in_sending_order(orders: tuple[OrderIntent, ...]) -> tuple[OrderIntent, ...]:
    """Return the orders with those that only reduce first, else in the proposal's order."""
    return tuple(sorted(orders, key=lambda order: not order.reduce_only))


def ticket_of(inputs: TicketInputs, shown_mono: float) -> tuple[Ticket, dict[str, Any]]:
    """Return the ticket of `inputs`, shown at monotonic `shown_mono`, and what was shown."""
    text = render(inputs)
    content = shown(inputs)
    token = token_of(content, text)
    legs = tuple(
        Leg(
            index=index,
            client_id=client_id(inputs.desk, inputs.account, inputs.ticket, index, token),
            intent=intent,
        )
        for index, intent in enumerate(inputs.legs)
    )
    ticket = Ticket(
        id=inputs.ticket,
        purpose=inputs.purpose,
        desk=inputs.desk,
        account=inputs.account,
        trader=inputs.trader,
        created_ms=inputs.created_ms,
        expires_mono=shown_mono + inputs.expiry_s,
        proposal_digest=inputs.proposal.digest,
        settings_digest=inputs.settings_digest,
        model_version=inputs.proposal.model_version,
        legs=legs,
        text=text,
        token=token,
        cancels=tuple(stop.client_id for stop in inputs.cancels),
        override=inputs.override,
        approval=inputs.approval,
    )
    return ticket, content


def require_typed(ticket: Ticket, answer: TypedAnswer, *, shown_mono: float, now: float) -> None:
    """Let only a confirmation through that a person typed, of this ticket, in time.

    Parameters
    ----------
    shown_mono, now : float
        Monotonic seconds when the ticket was shown, and now.

    Raises
    ------
    ConfirmationRefused
        With reason ``other_ticket``, ``size``, ``unseen``, ``expired``, ``early``, ``pasted`` or
        ``token``.
    """
    if answer.id != ticket.id:
        raise ConfirmationRefused(
            f"expected ticket {ticket.id}, was {answer.id!r}; look again", "other_ticket"
        )
    require_size(answer.columns, answer.rows)
    if not answer.seen_end:
        raise ConfirmationRefused(
            "expected the ticket to be seen to its end, was not; scroll down", "unseen"
        )
    if now >= ticket.expires_mono:
        raise ConfirmationRefused("expected an answer in time, was late; solve again", "expired")
    if now < shown_mono + DEAD_S:
        raise ConfirmationRefused(
            "expected the ticket to be read first, was under a second; type again", "early"
        )
    gaps = answer.key_gaps_ms
    if len(gaps) < TYPED - 1 or min(gaps) < KEY_GAP_MS:
        raise ConfirmationRefused(
            "expected typed keys, was faster than a hand; type the four characters", "pasted"
        )
    if not hmac.compare_digest(answer.typed.lower().encode(), ticket.token[-TYPED:].encode()):
        raise ConfirmationRefused(
            "expected the last four characters of the token, was other text; type again", "token"
        )


def require_size(columns: int, rows: int) -> None:
    """Refuse a terminal that cannot show the ticket.

    Raises
    ------
    ConfirmationRefused
        With reason ``size``.
    """
    if columns < COLUMNS or rows < ROWS:
        raise ConfirmationRefused(
            f"expected {COLUMNS}x{ROWS}, was {columns}x{rows}; enlarge the terminal", "size"
        )


def drift(
    inputs: TicketInputs,
    snapshot: MarketSnapshot | None,
    *,
    legs: Sequence[OrderIntent],
    positions: Mapping[str, Decimal],
    settings_digest: str,
    stale: str,
) -> str | None:
    """Return why what was shown is no longer so, in words, or None while it stands.

    Parameters
    ----------
    snapshot : MarketSnapshot | None
        The picture now.
    legs : sequence of OrderIntent
        Those that are still to be sent: the price of one that was sent is history.
    positions : mapping of str to Decimal
        Signed positions now, without what this ticket itself has filled.
    settings_digest : str
        Of the desk's settings now; limits are among them.
    stale : str
        Which input is stale, "" when none is.
    """
    if stale or snapshot is None:
        return f"stale: {stale or 'no market picture'}"
    if settings_digest != inputs.settings_digest:
        return "the configuration or a limit changed"
    return (
        _moved_position(inputs, positions)
        or _changed_rules(inputs, snapshot)
        or _left_collar(legs, snapshot)
    )


def positions_of(snapshot: MarketSnapshot) -> dict[str, Decimal]:
    """Return the signed contracts of every open position."""
    return {
        position.id: position.contracts
        for account in snapshot.accounts
        for position in account.positions
        if position.contracts != 0
    }


def _moved_position(inputs: TicketInputs, positions: Mapping[str, Decimal]) -> str | None:
    before = positions_of(inputs.snapshot)
    for identifier in sorted(set(before) | set(positions)):
        was, now = before.get(identifier, Decimal(0)), positions.get(identifier, Decimal(0))
        if was != now:
            return f"the position in {identifier} changed from {was} to {now}"
    return None


def _changed_rules(inputs: TicketInputs, snapshot: MarketSnapshot) -> str | None:
    ids = {leg.id for leg in inputs.legs} | set(positions_of(inputs.snapshot))
    now = {one.id: one for one in snapshot.instruments}
    for identifier in sorted(ids):
        before, after = inputs.instrument(identifier), now.get(identifier)
        if before is None or before != after:
            return f"the contract's rules, fees or margin tiers of {identifier} changed"
    hours = {one.id: one.interval_h for one in snapshot.funding}
    for one in inputs.snapshot.funding:
        if one.id in ids and hours.get(one.id, one.interval_h) != one.interval_h:
            return f"the funding interval of {one.id} changed to {hours[one.id]:g} h"
    return None


def _left_collar(legs: Sequence[OrderIntent], snapshot: MarketSnapshot) -> str | None:
    marks = {quote.id: quote.mark for quote in snapshot.quotes}
    for leg in legs:
        mark = marks.get(leg.id)
        if mark is None or abs(mark - leg.mark_price) > abs(leg.limit_price - leg.mark_price):
            return f"the price of {leg.id} left its collar"
    return None
