"""Confirmation: the token covers all that was shown; a hand types it in time; drift voids it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.desk.orders import confirmation
from perptui.desk.orders.gate_input import Refusal
from perptui.desk.orders.ticket_text import TicketInputs
from perptui.model.canonical import canonical_json
from perptui.model.errors import ConfirmationRefused
from perptui.model.market import Quote
from perptui.model.order import OrderKind, Side, Ticket
from perptui.model.snapshot import MarketSnapshot
from perptui.protocol.intents import ConfirmTicket
from tests.desk.dealing import ADD_ETH, REDUCE_BTC, REDUCE_ETH, proposal
from tests.desk.market import BTC, ETH, NOW_MS
from tests.desk.orders.test_ticket_text import inputs

SHOWN = 1000.0
replace = msgspec.structs.replace


def made(folder: Path) -> tuple[TicketInputs, Ticket]:
    given = inputs(folder, REDUCE_BTC, REDUCE_ETH)
    return given, confirmation.ticket_of(given, SHOWN)[0]


def typed(ticket: Ticket, **changes: object) -> ConfirmTicket:
    whole = ConfirmTicket(ticket.id, ticket.token[-4:], True, (120.0, 90.0, 130.0), 80, 24)
    return replace(whole, **changes)


def test_the_token_is_sha256_over_the_canonical_json_of_what_was_shown(tmp_path: Path) -> None:
    given = inputs(tmp_path, REDUCE_BTC, REDUCE_ETH)
    ticket, shown = confirmation.ticket_of(given, SHOWN)
    whole = canonical_json({**shown, "text": list(ticket.text)})
    assert ticket.token == hashlib.sha256(whole).hexdigest()
    assert ticket.expires_mono == SHOWN + 30
    assert len({leg.client_id for leg in ticket.legs}) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda i: replace(i, desk="other"),
        lambda i: replace(i, account="other"),
        lambda i: replace(i, trader="mallory"),
        lambda i: replace(i, mode="LIVE"),
        lambda i: replace(i, purpose="export"),
        lambda i: replace(i, ticket="T42"),
        lambda i: replace(i, created_ms=i.created_ms + 1),
        lambda i: replace(i, settings_digest="c" * 64),
        lambda i: replace(i, limits_digest="c" * 64),
        lambda i: replace(i, legs=(replace(i.legs[0], contracts=Decimal("0.201")), i.legs[1])),
        lambda i: replace(i, legs=(replace(i.legs[0], limit_price=Decimal(97306)), i.legs[1])),
        lambda i: replace(i, legs=(replace(i.legs[0], reduce_only=False), i.legs[1])),
        lambda i: replace(i, legs=i.legs[::-1]),
        lambda i: replace(i, proposal=replace(i.proposal, model_version="tactical-2")),
        lambda i: replace(i, proposal=replace(i.proposal, cost_usd=Decimal("12.31"))),
        lambda i: replace(
            i, proposal=replace(i.proposal, solver=replace(i.proposal.solver, status="inaccurate"))
        ),
        lambda i: replace(i, snapshot=_marked(i.snapshot, "97500.1")),
        lambda i: replace(i, snapshot=_funded(i.snapshot)),
        lambda i: replace(i, snapshot=_tiered(i.snapshot)),
        lambda i: replace(i, snapshot=_held(i.snapshot)),
        lambda i: replace(i, snapshot=_marked(i.snapshot, "97500", NOW_MS + 1)),
        lambda i: replace(i, snapshot=_ruled(i.snapshot, venue_symbol="BTCUSDT_260327")),
        lambda i: replace(i, snapshot=_ruled(i.snapshot, contract_size=Decimal("0.01"))),
        lambda i: replace(i, legs=(replace(i.legs[0], id=ETH), i.legs[1])),
        lambda i: replace(i, legs=(replace(i.legs[0], side=Side.BUY), i.legs[1])),
        lambda i: replace(i, legs=(replace(i.legs[0], kind=OrderKind.STOP_MARKET), i.legs[1])),
        lambda i: replace(i, legs=(replace(i.legs[0], trigger_price=Decimal(90000)), i.legs[1])),
        lambda i: replace(i, proposal=replace(i.proposal, limits=())),
        lambda i: replace(i, approval=("large",)),
        lambda i: replace(i, override="agreed with risk"),
        lambda i: replace(i, overridden=(Refusal("limit:gross", "gross 3.1 breaks its 3"),)),
    ],
)
def test_every_thing_that_was_shown_is_in_the_token(
    tmp_path: Path, change: Callable[[TicketInputs], TicketInputs]
) -> None:
    given, ticket = made(tmp_path)
    other = confirmation.ticket_of(change(given), SHOWN)[0]
    assert other.token != ticket.token
    assert not {leg.client_id for leg in other.legs} & {leg.client_id for leg in ticket.legs}


def _marked(snapshot: MarketSnapshot, mark: str, at_ms: int = NOW_MS) -> MarketSnapshot:
    return replace(snapshot, quotes=(Quote(BTC, at_ms, Decimal(mark)), snapshot.quotes[1]))


def _ruled(snapshot: MarketSnapshot, **changes: object) -> MarketSnapshot:
    first, *others = snapshot.instruments
    return replace(snapshot, instruments=(replace(first, **changes), *others))


def _funded(snapshot: MarketSnapshot) -> MarketSnapshot:
    first = replace(snapshot.funding[0], rate=Decimal("0.0003"))
    return replace(snapshot, funding=(first, snapshot.funding[1]))


def _tiered(snapshot: MarketSnapshot) -> MarketSnapshot:
    first = snapshot.instruments[0]
    tier = replace(first.tiers[0], rate=Decimal("0.0041"))
    changed = replace(first, tiers=(tier, *first.tiers[1:]))
    return replace(snapshot, instruments=(changed, snapshot.instruments[1]))


def _held(snapshot: MarketSnapshot) -> MarketSnapshot:
    account = snapshot.accounts[0]
    first = replace(account.positions[0], contracts=Decimal("0.41"))
    held = replace(account, positions=(first, *account.positions[1:]))
    return replace(snapshot, accounts=(held,))


def test_a_hand_that_types_the_end_of_the_token_confirms(tmp_path: Path) -> None:
    _, ticket = made(tmp_path)
    for answer in (typed(ticket), typed(ticket, typed=ticket.token[-4:].upper())):
        assert answer.typed.lower() == ticket.token[-4:]
        confirmation.require_typed(ticket, answer, shown_mono=SHOWN, now=SHOWN + 1)
        # A moment too early the same answer does not stand: it was looked at.
        with pytest.raises(ConfirmationRefused) as refused:
            confirmation.require_typed(ticket, answer, shown_mono=SHOWN, now=SHOWN + 0.99)
        assert refused.value.reason == "early"


@pytest.mark.parametrize(
    ("changes", "at", "reason"),
    [
        ({"id": "T1"}, 2.0, "other_ticket"),
        ({"columns": 79}, 2.0, "size"),
        ({"rows": 23}, 2.0, "size"),
        ({"seen_end": False}, 2.0, "unseen"),
        ({}, 30.0, "expired"),
        ({}, 0.99, "early"),
        ({"key_gaps_ms": (120.0, 29.9, 130.0)}, 2.0, "pasted"),
        ({"key_gaps_ms": ()}, 2.0, "pasted"),
        ({"key_gaps_ms": (120.0, 120.0)}, 2.0, "pasted"),
        ({"typed": ""}, 2.0, "token"),
        ({"typed": "zzzz"}, 2.0, "token"),
        ({"typed": "é"}, 2.0, "token"),
    ],
)
def test_anything_else_does_not(
    tmp_path: Path, changes: dict[str, object], at: float, reason: str
) -> None:
    _, ticket = made(tmp_path)
    with pytest.raises(ConfirmationRefused) as refused:
        confirmation.require_typed(
            ticket, typed(ticket, **changes), shown_mono=SHOWN, now=SHOWN + at
        )
    assert refused.value.reason == reason


def test_the_whole_token_typed_is_not_its_end(tmp_path: Path) -> None:
    _, ticket = made(tmp_path)
    answer = typed(ticket, typed=ticket.token)
    with pytest.raises(ConfirmationRefused) as refused:
        confirmation.require_typed(ticket, answer, shown_mono=SHOWN, now=SHOWN + 2)
    assert refused.value.reason == "token"


def drifted(given: TicketInputs, snapshot: MarketSnapshot | None, **changes: object) -> str | None:
    positions = {} if snapshot is None else confirmation.positions_of(snapshot)
    terms: dict[str, object] = {
        "legs": given.legs,
        "positions": positions,
        "settings_digest": given.settings_digest,
        "stale": "",
    }
    return confirmation.drift(given, snapshot, **(terms | changes))  # type: ignore[arg-type]


def test_nothing_drifts_while_nothing_changes(tmp_path: Path) -> None:
    given, _ = made(tmp_path)
    assert drifted(given, given.snapshot) is None
    # A mark inside the collar (the limit stands 0.2 % away) is no drift, nor is new funding.
    assert drifted(given, _marked(given.snapshot, "97690")) is None
    assert drifted(given, _funded(given.snapshot)) is None


def test_what_voids_a_ticket(tmp_path: Path) -> None:
    given, _ = made(tmp_path)
    now = given.snapshot
    assert "stale" in str(drifted(given, now, stale="binanceusdm account is stale"))
    assert "stale" in str(drifted(given, None))
    assert "configuration" in str(drifted(given, now, settings_digest="d" * 64))
    assert f"position in {BTC} changed from 0.4 to 0.41" in str(drifted(given, _held(now)))
    gone = {BTC: Decimal("0.4")}
    assert f"position in {ETH} changed from -6 to 0" in str(drifted(given, now, positions=gone))
    assert "margin tiers" in str(drifted(given, _tiered(now)))
    assert "margin tiers" in str(drifted(given, replace(now, instruments=now.instruments[:1])))
    stopped = replace(now.instruments[0], active=False)
    halted = replace(now, instruments=(stopped, now.instruments[1]))
    assert "rules" in str(drifted(given, halted))
    for mark in ("97696", "97304"):
        assert "left its collar" in str(drifted(given, _marked(now, mark)))
    assert "left its collar" in str(drifted(given, replace(now, quotes=now.quotes[1:])))
    # A leg that was sent already is not voided by what its price does now.
    assert drifted(given, _marked(now, "97696"), legs=given.legs[1:]) is None


def test_orders_that_only_reduce_come_first() -> None:
    orders = proposal(ADD_ETH, REDUCE_BTC, REDUCE_ETH).orders
    assert confirmation.in_sending_order(orders) == (REDUCE_BTC, REDUCE_ETH, ADD_ETH)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 60)])
def test_80_by_24_is_enough(columns: int, rows: int) -> None:
    confirmation.require_size(columns, rows)
    for less in ((79, rows), (columns, 23)):
        with pytest.raises(ConfirmationRefused) as refused:
            confirmation.require_size(*less)
        assert refused.value.reason == "size"
