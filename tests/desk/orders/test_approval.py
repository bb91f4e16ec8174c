"""Two persons: what takes them, who the second may be, what voids the wait, what is sent after."""

from __future__ import annotations

import asyncio
import hashlib
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from rich.cells import cell_len

from perptui.desk.orders.opened import said
from perptui.journal.events import Actor
from perptui.model.errors import ConfirmationRefused, GateRefused, PerptuiError
from perptui.model.instrument import MarginTier
from perptui.model.order import OrderIntent
from perptui.protocol.intents import ApproveTicket, DeclineTicket
from perptui.protocol.proof import proven_token
from perptui.protocol.views_ticket import TicketView
from perptui.settings.schema import Settings
from tests.desk.dealing import (
    ADD_ETH,
    ALICE,
    BOB,
    REDUCE_BTC,
    REDUCE_ETH,
    Deal,
    proposal,
    settings_of,
)
from tests.desk.market import BTC

pytestmark = pytest.mark.asyncio

NO_TRADER = Actor(uid=1002, name="carol")


def shared(notional: str = "10000", **changes: object) -> Settings:
    """Return the settings of a shared desk where a ticket of `notional` USD takes two persons."""
    settings = settings_of()
    approval = msgspec.structs.replace(settings.approval, notional_usd=Decimal(notional))
    approval = msgspec.structs.replace(approval, **changes)
    desk = msgspec.structs.replace(settings.desk, socket_dir="/srv/perptui")
    return msgspec.structs.replace(settings, approval=approval, desk=desk)


def roomy(settings: Settings) -> Settings:
    """Return the same with room for an addition to the opening book, which holds 1.3 of BTC."""
    limits = msgspec.structs.replace(settings.limits, coin_net_max=2.0, coin_gross_max=2.0)
    return msgspec.structs.replace(settings, limits=limits)


async def waiting(
    folder: Path, *orders: OrderIntent, settings: Settings | None = None
) -> tuple[Deal, TicketView]:
    """Return a desk with a ticket that Alice confirmed and nobody has approved yet."""
    deal = Deal(folder, settings=settings or shared())
    await deal.trading.reconcile()
    return deal, await deal.confirm(await deal.open(*(orders or (REDUCE_BTC,))))


def approval(view: TicketView, **changes: object) -> ApproveTicket:
    """Return an approval as a hand types it, with the token as its own process made it."""
    assert view.approval is not None
    typed = ApproveTicket(
        id=view.id,
        typed=view.token[-4:],
        seen_end=True,
        key_gaps_ms=(120.0, 95.0, 140.0),
        columns=80,
        rows=24,
        token=hashlib.sha256(view.approval.content).hexdigest(),
    )
    return msgspec.structs.replace(typed, **changes)


async def approve(deal: Deal, view: TicketView, by: Actor = BOB, **changes: object) -> TicketView:
    """Approve after two seconds, and wait until everything was sent."""
    deal.clock.advance(2)
    answer = approval(view, **changes)
    await deal.trading.approve(answer, by)
    await deal.trading.sent()
    return deal.trading.ticket_view


async def test_a_large_ticket_says_so_waits_and_is_sent_once_another_person_approved(
    tmp_path: Path,
) -> None:
    deal, view = await waiting(tmp_path)
    assert "takes a second person: 19,500.00 USD of orders, from 10,000.00 on" in view.text
    assert (view.phase, deal.venue.submitted) == ("approval", [])
    assert deal.kinds()[-2:] == ["CONFIRMED", "APPROVAL"]
    assert deal.states() == ["CONFIRMED"]
    assert view.approval is not None
    assert (view.approval.trader, view.approval.state) == ("alice", "PENDING")
    done = await approve(deal, view)
    assert done.phase == "done"
    assert deal.states() == ["FILLED"]
    assert done.approval is not None
    assert (done.approval.state, done.approval.by) == ("APPROVED", "bob")
    kinds = deal.kinds()
    assert kinds.index("CONFIRMED") < kinds.index("APPROVED") < kinds.index("SENDING")
    approved = next(event for event in deal.events() if event.kind == "APPROVED")
    sending = next(event for event in deal.events() if event.kind == "SENDING")
    assert (approved.actor.uid, sending.actor.uid) == (BOB.uid, ALICE.uid)
    with pytest.raises(ConfirmationRefused, match="waits no more"):
        await deal.trading.approve(approval(view), BOB)
    assert len(deal.venue.submitted) == 1
    deal.journal.close()


async def test_below_the_thresholds_one_person_is_enough(tmp_path: Path) -> None:
    deal = Deal(tmp_path, settings=shared("19500.01"))
    assert (await deal.deal(REDUCE_BTC)).phase == "done"
    assert "APPROVAL" not in deal.kinds()
    deal.journal.close()


@pytest.mark.parametrize(("order", "asked"), [(ADD_ETH, True), (REDUCE_BTC, False)])
async def test_a_high_margin_ratio_takes_two_persons_to_add_and_one_to_get_out(
    tmp_path: Path, order: OrderIntent, asked: bool
) -> None:
    # The book's margin ratio after either is 0.01, as the proposal says.
    deal, view = await waiting(
        tmp_path, order, settings=roomy(shared("1000000", margin_ratio=0.01))
    )
    assert any("margin ratio 0.0100 of binanceusdm" in line for line in view.text) is asked
    assert (view.approval is not None) is asked
    await deal.trading.sent()
    deal.journal.close()


async def test_nobody_approves_their_own_ticket_from_any_terminal(tmp_path: Path) -> None:
    deal, view = await waiting(tmp_path)
    deal.clock.advance(2)
    for self_made in (ALICE, Actor(uid=ALICE.uid, name="bob", ssh="10.0.0.9")):
        with pytest.raises(ConfirmationRefused, match="expected a second person") as refused:
            await deal.trading.approve(approval(view), self_made)
        assert refused.value.reason == "same_person"
        with pytest.raises(ConfirmationRefused, match="expected a second person"):
            await deal.trading.decline(DeclineTicket(view.id, "no"), self_made)
    assert deal.trading.ticket_view.phase == "approval"
    assert deal.venue.submitted == []
    deal.journal.close()


async def test_a_restart_voids_what_waits_and_nobody_can_approve_it_any_more(
    tmp_path: Path,
) -> None:
    deal, view = await waiting(tmp_path)
    deal.journal.close()
    again = Deal(tmp_path, settings=shared(), venue=deal.venue, clock=deal.clock)
    await again.trading.start()
    assert again.journal.pending_approvals() == []
    row = again.journal.approval(view.id)
    assert row is not None
    assert (row.state, row.reason) == ("VOID", "the desk started anew")
    assert again.journal.tickets(1)[0].state == "VOID"
    for person in (ALICE, BOB):
        with pytest.raises(ConfirmationRefused, match="expected a ticket that waits"):
            await again.trading.approve(approval(view), person)
    assert again.states() == ["NOT_SENT"]
    assert again.venue.submitted == []
    await again.trading.stop()
    again.journal.close()


async def test_an_approved_ticket_that_a_crash_kept_from_being_sent_is_not_sent_after_it(
    tmp_path: Path,
) -> None:
    class CrashedError(BaseException):
        pass

    deal, view = await waiting(tmp_path)
    deal.clock.advance(2)

    def crash(point: str) -> None:
        if point == "approved":
            raise CrashedError

    deal.reached = crash
    with pytest.raises(CrashedError):
        await deal.trading.approve(approval(view), BOB)
    assert deal.states() == ["APPROVED"]
    deal.journal.close()
    again = Deal(tmp_path, settings=shared(), venue=deal.venue, clock=deal.clock)
    await again.trading.start()
    assert again.states() == ["NOT_SENT"]
    await again.trading.stop()
    assert again.venue.submitted == []
    again.journal.close()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"typed": "zzzz"}, "token"),
        ({"token": "0" * 64}, "token"),
        ({"token": ""}, "token"),
        ({"seen_end": False}, "unseen"),
        ({"columns": 79}, "size"),
        ({"rows": 23}, "size"),
        ({"key_gaps_ms": (120.0, 29.9, 140.0)}, "pasted"),
        ({"key_gaps_ms": ()}, "pasted"),
        ({"id": "T9"}, "other_ticket"),
    ],
)
async def test_every_rule_of_a_confirmation_is_one_of_an_approval(
    tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    deal, view = await waiting(tmp_path)
    with pytest.raises(ConfirmationRefused) as refused:
        await approve(deal, view, BOB, **changes)
    assert refused.value.reason == reason
    assert deal.trading.ticket_view.phase == "approval"
    assert deal.venue.submitted == []
    deal.journal.close()


async def test_the_first_second_is_dead(tmp_path: Path) -> None:
    deal, view = await waiting(tmp_path)
    deal.clock.advance(0.99)
    with pytest.raises(ConfirmationRefused) as refused:
        await deal.trading.approve(approval(view), BOB)
    assert refused.value.reason == "early"
    deal.journal.close()


async def test_it_expires_by_its_own_time_and_outlives_the_confirmations(tmp_path: Path) -> None:
    deal, view = await waiting(tmp_path)
    assert view.expires_mono == deal.clock.monotonic() + deal.settings.approval.expiry_s
    deal.clock.advance(deal.settings.approval.expiry_s - 1)
    assert (await deal.trading.close(view.id)).phase == "approval"
    deal.clock.advance(1)
    with pytest.raises(ConfirmationRefused, match="nobody approved it in time"):
        await deal.trading.approve(approval(view), BOB)
    row = deal.journal.approval(view.id)
    assert row is not None
    assert row.state == "EXPIRED"
    assert deal.states() == ["NOT_SENT"]
    assert deal.trading.ticket_view.phase == "void"
    assert deal.venue.submitted == []
    deal.journal.close()


async def test_declining_takes_a_reason_and_ends_the_ticket(tmp_path: Path) -> None:
    deal, view = await waiting(tmp_path)
    with pytest.raises(ConfirmationRefused, match="expected a reason"):
        await deal.trading.decline(DeclineTicket(view.id, "  "), BOB)
    declined = await deal.trading.decline(DeclineTicket(view.id, "too large\x1b[2J"), BOB)
    assert declined.phase == "void"
    assert declined.reason == "declined by bob: too large\\x1b[2J"
    assert declined.approval is not None
    assert (declined.approval.state, declined.approval.by) == ("REJECTED", "bob")
    assert deal.kinds()[-2:] == ["DECLINED", "ENDED"]
    assert deal.journal.tickets(1)[0].state == "REJECTED"
    assert deal.states() == ["NOT_SENT"]
    with pytest.raises(ConfirmationRefused, match="waits no more"):
        await deal.trading.approve(approval(view), BOB)
    deal.journal.close()


async def test_its_trader_may_take_it_back_and_leaving_the_screen_does_not(tmp_path: Path) -> None:
    deal, view = await waiting(tmp_path)
    assert (await deal.trading.close(view.id)).phase == "approval"
    gone = await deal.trading.reject(view.id, "withdrawn", ALICE)
    assert (gone.phase, gone.reason) == ("void", "withdrawn")
    row = deal.journal.approval(view.id)
    assert row is not None
    assert row.state == "VOID"
    assert deal.states() == ["NOT_SENT"]
    deal.journal.close()


def drifted(deal: Deal, what: str) -> None:
    """Change one thing that a ticket rests on."""
    picture = deal.picture
    match what:
        case "position":
            deal.venue.positions[BTC] += Decimal("0.1")
        case "tiers":
            first = msgspec.structs.replace(picture.instruments[0], tick=Decimal("0.2"))
            picture.instruments = (first, *picture.instruments[1:])
        case "limits":
            picture.digest = "f" * 64
        case "stale":
            picture.stale_text = "marks are 12 s old"


@pytest.mark.parametrize("what", ["position", "tiers", "limits", "stale"])
async def test_any_drift_but_that_of_prices_voids_it(tmp_path: Path, what: str) -> None:
    deal, view = await waiting(tmp_path)
    drifted(deal, what)
    with pytest.raises(ConfirmationRefused, match="waits no more"):
        await approve(deal, view)
    row = deal.journal.approval(view.id)
    assert row is not None
    assert row.state == "VOID"
    assert deal.states() == ["NOT_SENT"]
    assert deal.venue.submitted == []
    deal.journal.close()


def moved_marks(deal: Deal, by: str) -> None:
    deal.picture.quotes = tuple(
        msgspec.structs.replace(quote, mark=(quote.mark * Decimal(by)).quantize(Decimal("0.1")))
        for quote in deal.picture.quotes
    )


async def test_prices_may_move_while_it_waits_and_are_checked_when_it_is_approved(
    tmp_path: Path,
) -> None:
    deal, view = await waiting(tmp_path, settings=shared())
    still = deal.picture.quotes
    moved_marks(deal, "1.05")
    assert (await deal.trading.close(view.id)).phase == "approval"
    deal.picture.quotes = still
    assert (await approve(deal, view)).phase == "done"
    deal.journal.close()


async def test_a_price_beyond_its_collar_at_the_approval_voids_and_both_sign_anew(
    tmp_path: Path,
) -> None:
    deal, view = await waiting(tmp_path)
    moved_marks(deal, "1.05")
    with pytest.raises(GateRefused, match="left its collar"):
        await approve(deal, view)
    assert deal.trading.ticket_view.phase == "void"
    assert deal.venue.submitted == []
    again = await deal.open(REDUCE_BTC)
    assert [leg.contracts for leg in again.legs] == [leg.contracts for leg in view.legs]
    assert again.token != view.token
    second = await deal.confirm(again)
    assert second.phase == "approval", "the first approval is nobody's any more"
    deal.journal.close()


async def test_halting_voids_what_waits(tmp_path: Path) -> None:
    deal, view = await waiting(tmp_path)
    await deal.trading.kill("enough", NO_TRADER)
    assert deal.trading.ticket_view.phase == "void"
    with pytest.raises(ConfirmationRefused, match="HALTED"):
        await deal.trading.approve(approval(view), BOB)
    assert deal.venue.submitted == []
    deal.journal.close()


async def test_while_one_waits_no_other_ticket_is_opened(tmp_path: Path) -> None:
    deal, view = await waiting(tmp_path, settings=roomy(shared()))
    with pytest.raises(ConfirmationRefused, match="expected no open ticket, was T1"):
        await deal.open(ADD_ETH)
    deal.trading.supersede("another digest")
    assert deal.trading.ticket_view.phase == "approval", "a solve takes no approval away"
    await deal.trading.reject(view.id, "", ALICE)
    assert (await deal.open(ADD_ETH)).phase == "confirm"
    deal.journal.close()


async def test_of_two_that_decide_at_once_exactly_one_wins(tmp_path: Path) -> None:
    deal, view = await waiting(tmp_path)
    deal.clock.advance(2)
    carol = DeclineTicket(view.id, "too large")
    outcomes = await asyncio.gather(
        deal.trading.approve(approval(view), BOB),
        deal.trading.approve(approval(view), NO_TRADER),
        deal.trading.decline(carol, NO_TRADER),
        return_exceptions=True,
    )
    assert sum(not isinstance(one, PerptuiError) for one in outcomes) == 1
    await deal.trading.sent()
    assert deal.kinds().count("APPROVED") + deal.kinds().count("DECLINED") == 1
    assert len(deal.venue.submitted) == 1
    deal.journal.close()


@pytest.mark.parametrize(
    ("socket_dir", "approvers", "cure"),
    [
        ("", ("*",), "share the desk with another user"),
        ("/srv/perptui", (), "name another user in roles.approve"),
        ("/srv/perptui", (f"uid:{ALICE.uid}",), "name another user in roles.approve"),
        ("/srv/perptui", ("no-such-user", "@no-such-group"), "name another user"),
    ],
)
async def test_where_nobody_else_approves_the_confirmation_is_refused_with_the_cure(
    tmp_path: Path, socket_dir: str, approvers: tuple[str, ...], cure: str
) -> None:
    settings = shared()
    desk = msgspec.structs.replace(settings.desk, socket_dir=socket_dir)
    roles = msgspec.structs.replace(settings.roles, approve=approvers)
    settings = msgspec.structs.replace(settings, desk=desk, roles=roles)
    deal = Deal(tmp_path, settings=settings)
    await deal.trading.reconcile()
    view = await deal.open(REDUCE_BTC)
    with pytest.raises(ConfirmationRefused, match=cure) as refused:
        await deal.confirm(view)
    assert refused.value.reason == "nobody"
    assert "CONFIRMED" not in deal.kinds()
    deal.journal.close()


async def test_the_approvers_process_makes_the_token_itself_and_trusts_no_other_text(
    tmp_path: Path,
) -> None:
    deal, view = await waiting(tmp_path)
    assert proven_token(view) == view.token
    assert view.approval is not None
    content = view.approval.content
    honest = view.text
    lied = tuple(line.replace("0.2 contracts", "0.1 contracts") for line in honest)
    assert lied != honest
    other = content.replace(b"0.2 contracts", b"0.1 contracts")
    for forged in (
        msgspec.structs.replace(view, text=lied),
        msgspec.structs.replace(view, token=hashlib.sha256(other).hexdigest()),
        msgspec.structs.replace(view, id="T9"),
        msgspec.structs.replace(
            view, approval=msgspec.structs.replace(view.approval, content=other)
        ),
        msgspec.structs.replace(view, approval=msgspec.structs.replace(view.approval, content=b"")),
        msgspec.structs.replace(
            view,
            token=hashlib.sha256(b"[1]").hexdigest(),
            approval=msgspec.structs.replace(view.approval, content=b"[1]"),
        ),
        msgspec.structs.replace(view, approval=None),
    ):
        assert proven_token(forged) == ""
    deal.journal.close()


async def test_the_chain_of_a_day_with_approvals_verifies_and_replays(tmp_path: Path) -> None:
    deal, view = await waiting(tmp_path)
    await approve(deal, view)
    deal.clock.advance(61)
    second = await deal.confirm(await deal.open(REDUCE_ETH))
    assert second.phase == "sending", "3,200 USD take one person"
    await deal.trading.sent()
    deal.journal.close()
    again = Deal(tmp_path, settings=shared(), venue=deal.venue, clock=deal.clock)
    assert again.journal.verified.ok, again.journal.verified.reason
    assert again.journal.verified.events > 10
    again.journal.close()


# ------------------------------------------------------------------------------------ overrides

REASON = "hedge of the options book, agreed with risk"
BREACHED = "coin_net:BTC 1.3 breaks its 0.8"


async def overridden(
    folder: Path, settings: Settings | None = None, reason: str = REASON
) -> tuple[Deal, TicketView]:
    """Return a desk with an open ticket that adds to a book which holds too much of one coin."""
    deal = Deal(folder, settings=settings or shared("1000000"))
    await deal.trading.reconcile()
    made = deal.picture.take(proposal(ADD_ETH))
    return deal, await deal.trading.open_ticket(made, "send", ALICE, 120, 40, reason)


async def test_a_breached_limit_has_no_way_but_an_override_with_a_second_person(
    tmp_path: Path,
) -> None:
    deal = Deal(tmp_path, settings=shared("1000000"))
    await deal.trading.reconcile()
    with pytest.raises(GateRefused, match=":override REASON passes over it"):
        await deal.open(ADD_ETH)
    made = deal.picture.take(proposal(ADD_ETH))
    view = await deal.trading.open_ticket(made, "send", ALICE, 120, 40, REASON)
    assert f"OVERRIDDEN: {BREACHED}" in view.text
    assert f"reason of the override: {REASON}" in view.text
    assert "takes a second person: it passes over a limit" in view.text
    confirmed = await deal.confirm(view)
    assert confirmed.phase == "approval"
    assert deal.venue.submitted == []
    assert (await approve(deal, confirmed)).phase == "done"
    assert len(deal.venue.submitted) == 1
    ticket = deal.journal.ticket("T1")
    assert ticket.override == REASON
    deal.journal.close()


@pytest.mark.parametrize("reason", ["風險" * 90, "한국 시장 " * 30, "🚀" * 120, "e\u0301" * 90])
async def test_a_reason_in_wide_letters_is_on_the_screen_to_its_end(
    tmp_path: Path, reason: str
) -> None:
    """Two cells a letter: what is wider than the screen would be cut there, and signed unseen."""
    deal, view = await overridden(tmp_path, reason=reason)
    assert max(cell_len(line) for line in view.text) <= 80
    assert said(reason).replace(" ", "") in "".join(view.text).replace(" ", "")
    deal.journal.close()


async def test_an_override_needs_a_reason_of_some_length_and_a_limit_to_pass_over(
    tmp_path: Path,
) -> None:
    deal = Deal(tmp_path, settings=shared("1000000"))
    await deal.trading.reconcile()
    made = deal.picture.take(proposal(ADD_ETH))
    for short in ("because", "   because   ", "because\u202e"):
        with pytest.raises(ConfirmationRefused, match="expected a reason of 10 characters"):
            await deal.trading.open_ticket(made, "send", ALICE, 120, 40, short)
    kept = deal.picture.take(proposal(REDUCE_BTC))
    with pytest.raises(ConfirmationRefused, match="expected a breached limit to pass over"):
        await deal.trading.open_ticket(kept, "send", ALICE, 120, 40, REASON)
    deal.journal.close()


@pytest.mark.parametrize(
    "what", ["stale", "kill", "clock", "volume", "restricted", "order_notional", "loss"]
)
async def test_an_override_passes_over_limits_of_the_book_and_nothing_else(
    tmp_path: Path, what: str
) -> None:
    settings = shared("1000000")
    limits = settings.limits
    if what == "restricted":
        limits = msgspec.structs.replace(limits, restricted=(ADD_ETH.id,))
    if what == "order_notional":
        limits = msgspec.structs.replace(limits, order_notional_max_usd=Decimal(100))
    deal = Deal(tmp_path, settings=msgspec.structs.replace(settings, limits=limits))
    await deal.trading.reconcile()
    made = deal.picture.take(proposal(ADD_ETH))
    match what:
        case "stale":
            deal.picture.stale_text = "marks are 12 s old"
        case "kill":
            await deal.trading.kill("enough", ALICE, "REDUCING")
        case "clock":
            deal.picture.offsets = {}
        case "volume":
            deal.picture.volumes = {}
        case "loss":
            deal.picture.loss = 0.5
    with pytest.raises(PerptuiError) as refused:
        await deal.trading.open_ticket(made, "send", ALICE, 120, 40, REASON)
    assert BREACHED not in str(refused.value)
    assert deal.trading.ticket_view.phase == "none"
    deal.journal.close()


async def test_no_override_reaches_past_liquidation(tmp_path: Path) -> None:
    deal = Deal(tmp_path, settings=shared("1000000"))
    # Maintenance of 90 % of 58,200 USD of positions is more than the equity of 30,000.
    tier = MarginTier(Decimal(0), None, Decimal("0.9"), Decimal(0), Decimal(1))
    first, second = deal.picture.instruments
    deal.picture.instruments = (
        msgspec.structs.replace(first, tiers=(tier,)),
        msgspec.structs.replace(second, tiers=(tier,)),
    )
    await deal.trading.reconcile()
    made = deal.picture.take(proposal(ADD_ETH))
    with pytest.raises(GateRefused, match="margin_ratio:binanceusdm") as refused:
        await deal.trading.open_ticket(made, "send", ALICE, 120, 40, REASON)
    assert refused.value.reason == "liquidates"
    deal.journal.close()


async def test_a_limit_that_was_not_named_in_the_override_still_refuses(tmp_path: Path) -> None:
    deal, view = await overridden(tmp_path)
    confirmed = await deal.confirm(view)
    deal.picture.peak = Decimal(60000)
    with pytest.raises(GateRefused, match=r"drawdown 0\.5 breaks its 0\.1"):
        await approve(deal, confirmed)
    assert deal.trading.ticket_view.phase == "void"
    assert deal.venue.submitted == []
    deal.journal.close()


async def test_an_override_of_a_drawdown_is_of_the_one_that_was_shown(tmp_path: Path) -> None:
    """From 25 % when it was confirmed to 40 % while it waited: nobody passed over that."""
    deal = Deal(tmp_path, settings=roomy(shared("1000000")))
    deal.picture.peak = Decimal(40_000)
    await deal.trading.reconcile()
    made = deal.picture.take(proposal(ADD_ETH))
    view = await deal.trading.open_ticket(made, "send", ALICE, 120, 40, REASON)
    assert "OVERRIDDEN: drawdown 0.25 breaks its 0.1" in view.text
    confirmed = await deal.confirm(view)
    deal.picture.peak = Decimal(50_000)
    with pytest.raises(GateRefused, match=r"drawdown 0\.4 .* deeper than the 0\.25") as refused:
        await approve(deal, confirmed)
    assert refused.value.reason == "deeper:drawdown"
    assert deal.venue.submitted == []
    deal.journal.close()


async def test_the_override_is_in_the_token_and_priced_anew_with_its_reason(
    tmp_path: Path,
) -> None:
    deal, view = await overridden(tmp_path)
    await deal.trading.reject(view.id, "", ALICE)
    made = deal.picture.take(proposal(ADD_ETH))
    other = await deal.trading.open_ticket(made, "send", ALICE, 120, 40, f"{REASON}.")
    assert other.token != view.token
    assert (view.override, other.override) == (REASON, f"{REASON}.")
    deal.journal.close()
