"""The watchdog: each cause alone, never twice for the same, never a way out, over restarts."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from perptui.desk.orders.kill import WATCHDOG, KillSwitch
from perptui.desk.orders.pairs import pairs_of, progress
from perptui.desk.orders.trading_picture import ProfitMark
from perptui.desk.orders.watchdog import LossWindow, Watchdog
from perptui.journal.events import (
    Alarm,
    Baseline,
    External,
    FillSeen,
    LegMoved,
    LegOutcome,
    LegSending,
    TicketConfirmed,
    TicketProposed,
)
from perptui.model.errors import GateRefused
from perptui.model.order import Effect, Fill, Leg, LegState, OrderIntent, OrderKind, Side, Ticket
from perptui.settings.schema import Settings
from tests.desk.dealing import (
    ADD_ETH,
    ALICE,
    BOB,
    REDUCE_BTC,
    REDUCE_ETH,
    Deal,
    order,
    settings_of,
)
from tests.desk.market import ETH, NOW_MS, VENUE

pytestmark = pytest.mark.asyncio
HERE, THERE = "binanceusdm:BTC/USDT:USDT", "bybit:BTC/USDT:USDT"


async def watched(deal: Deal, seconds: float) -> None:
    """Let the desk keep watch for so long."""
    await deal.trading.start()
    until = deal.clock.monotonic() + seconds
    while deal.clock.monotonic() < until:
        await deal.pause(0.25)
    await deal.trading.stop()


def state(deal: Deal) -> tuple[str, str, int]:
    row = deal.journal.kill_state()
    return row.state, row.reason, row.uid


# ------------------------------------------------------------------------------------------ loss


def marks(*equities: int) -> list[ProfitMark]:
    return [ProfitMark(Decimal(one), {VENUE: (0, Decimal(one))}) for one in equities]


async def test_a_loss_is_of_the_equity_at_the_windows_start() -> None:
    """100 to 96 within ten seconds is .04; a window of five seconds saw 98 to 96, 2/98."""
    long, short = LossWindow(10), LossWindow(5)
    for at, mark in zip((0.0, 5.0, 10.0), marks(100, 98, 96), strict=True):
        long.add(at, mark)
        short.add(at, mark)
    assert long.loss() == pytest.approx(0.04)
    assert short.loss() == pytest.approx(2 / 98)


async def test_a_transfer_is_no_loss_and_hides_none() -> None:
    """Equity falls by 50 of which 47 were withdrawn: 3 of 100 are lost."""
    window = LossWindow(60)
    window.add(0, ProfitMark(Decimal(100), {VENUE: (0, Decimal(7))}))
    window.add(1, ProfitMark(Decimal(50), {VENUE: (0, Decimal(4))}))
    assert window.loss() == pytest.approx(0.03)
    window.add(2, ProfitMark(Decimal(500), {VENUE: (0, Decimal(4))}))
    assert window.loss() == pytest.approx(0.03)


async def test_midnight_neither_makes_nor_hides_a_loss() -> None:
    """The day's profit begins at 0 again, from the last reading before it: 2, then 1 more."""
    window = LossWindow(60)
    window.add(0, ProfitMark(Decimal(100), {VENUE: (0, Decimal(5))}))
    window.add(1, ProfitMark(Decimal(98), {VENUE: (0, Decimal(3))}))
    window.add(2, ProfitMark(Decimal(97), {VENUE: (99, Decimal(-1))}))
    assert window.loss() == pytest.approx(0.03)


async def test_the_losses_of_venues_add_up() -> None:
    window = LossWindow(60)
    window.add(0, ProfitMark(Decimal(200), {"a": (0, Decimal(0)), "b": (0, Decimal(0))}))
    window.add(1, ProfitMark(Decimal(198), {"a": (0, Decimal(-7)), "b": (0, Decimal(5))}))
    assert window.loss() == pytest.approx(0.01)


async def test_without_equity_a_loss_is_whole() -> None:
    window = LossWindow(60)
    assert window.loss() == 0.0
    window.add(0, ProfitMark(Decimal(0), {VENUE: (0, Decimal(0))}))
    assert window.loss() == 0.0
    window.add(1, ProfitMark(Decimal(-1), {VENUE: (0, Decimal(-1))}))
    assert window.loss() == 1.0


def lost(deal: Deal, dog: Watchdog, usd: int, seconds: int) -> bool:
    """Lose so much at once and look on second by second; True when the watchdog barked."""
    deal.picture.earned -= usd
    barked = False
    for _ in range(seconds):
        deal.clock.advance(1)
        barked = dog.look() or barked
    return barked


def dog_of(deal: Deal) -> Watchdog:
    """Return a watchdog beside the desk's own, as a process that starts now has it."""
    switch = KillSwitch(deal.journal, second_person=False)
    rules = deal.settings.watchdog
    return Watchdog(deal.journal, deal.picture, deal.clock, rules, switch)


async def test_a_loss_within_the_window_sets_reducing(tmp_path: Path) -> None:
    """3 % of 30,000 is 900 within 900 s: 899 is not, and one more is, once it lasts."""
    deal = Deal(tmp_path)
    dog = dog_of(deal)
    assert not lost(deal, dog, 0, 1)
    assert not lost(deal, dog, 899, 30)
    assert not lost(deal, dog, 1, 19)
    assert lost(deal, dog, 0, 2)
    assert state(deal) == ("REDUCING", "lost 3.00% within 900 s", WATCHDOG.uid)
    assert deal.events()[-1].actor == WATCHDOG


async def test_a_withdrawal_that_is_not_named_yet_is_waited_for(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    dog = dog_of(deal)
    assert not lost(deal, dog, 0, 1)
    assert not lost(deal, dog, 5_000, 15)
    assert not lost(deal, dog, -5_000, 1_000)


async def test_a_slow_loss_is_none_within_the_window(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    dog = dog_of(deal)
    assert not any(lost(deal, dog, 200, 300) for _ in range(12))


async def test_a_loss_is_barked_at_once_and_again_when_it_goes_on(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    dog = dog_of(deal)
    switch = KillSwitch(deal.journal, second_person=False)
    assert not lost(deal, dog, 0, 1)
    assert lost(deal, dog, 1_000, 30)
    assert not lost(deal, dog, 0, 30)
    switch.release("seen", ALICE)
    assert not lost(deal, dog, 0, 1_000)
    assert lost(deal, dog, 1_000, 30)


async def test_on_stale_figures_nothing_is_concluded(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    dog = dog_of(deal)
    assert not lost(deal, dog, 0, 1)
    deal.picture.stale_text = "account is stale"
    assert not lost(deal, dog, 9_000, 60)
    deal.picture.stale_text = ""
    assert lost(deal, dog, 0, 30)


# ----------------------------------------------------------------------- rejections, mismatches


def strict(rejections: int = 1, mismatches: int = 3) -> Settings:
    settings = settings_of()
    watchdog = msgspec.structs.replace(
        settings.watchdog, rejections_max=rejections, mismatches_max=mismatches
    )
    return msgspec.structs.replace(settings, watchdog=watchdog)


async def test_repeated_rejections_set_reducing_through_the_desks_own_watch(tmp_path: Path) -> None:
    deal = Deal(tmp_path, ("reject",), strict(rejections=1))
    await deal.deal(REDUCE_BTC)
    assert state(deal)[0] == "ACTIVE"
    await watched(deal, 3)
    assert state(deal) == ("REDUCING", "1 orders rejected within ten minutes", WATCHDOG.uid)


async def test_one_rejection_fewer_sets_nothing(tmp_path: Path) -> None:
    deal = Deal(tmp_path, ("reject",), strict(rejections=2))
    await deal.deal(REDUCE_BTC)
    await watched(deal, 3)
    assert state(deal)[0] == "ACTIVE"


async def test_what_was_rejected_before_a_release_counts_no_more(tmp_path: Path) -> None:
    """Nor does it to a process that starts after it."""
    deal = Deal(tmp_path, ("reject",), strict(rejections=1))
    await deal.deal(REDUCE_BTC)
    dog = dog_of(deal)
    assert dog.look()
    KillSwitch(deal.journal, second_person=False).release("seen", ALICE)
    for watching in (dog, dog_of(deal)):
        deal.clock.advance(2)
        assert not watching.look()
    deal.venue.script = ["reject"]
    await deal.deal(REDUCE_ETH)
    deal.clock.advance(2)
    assert dog.look()


async def test_rejections_grow_old(tmp_path: Path) -> None:
    deal = Deal(tmp_path, ("reject",), strict(rejections=1))
    await deal.deal(REDUCE_BTC)
    dog = dog_of(deal)
    deal.clock.advance(601)
    assert not dog.look()


async def test_changes_that_nobody_here_made_set_reducing(tmp_path: Path) -> None:
    deal = Deal(tmp_path, settings=strict())
    await deal.trading.reconcile()
    dog = dog_of(deal)
    bodies: tuple[External | Alarm, ...] = (
        External("order", ETH, "placed outside", "order:1"),
        Alarm("late fill", "fill:1", "a fill of none of ours"),
        External("position", ETH, "changed", before=Decimal(-6), after=Decimal(-5)),
    )
    for count, body in enumerate(bodies):
        assert state(deal)[0] == "ACTIVE"
        deal.journal.append(body)
        deal.clock.advance(2)
        assert dog.look() is (count == 2)
    assert state(deal)[1] == "3 changes within an hour that nobody here made"
    KillSwitch(deal.journal, second_person=False).release("it was me", ALICE)
    deal.clock.advance(2)
    assert not dog.look()
    assert not dog_of(deal).look()


async def test_changes_grow_old(tmp_path: Path) -> None:
    deal = Deal(tmp_path, settings=strict(mismatches=1))
    deal.journal.append(Alarm("late fill", "fill:1", "a fill of none of ours"))
    deal.clock.advance(3_601)
    assert not dog_of(deal).look()


async def test_it_never_loosens_and_leaves_what_is_tighter(tmp_path: Path) -> None:
    deal = Deal(tmp_path, ("reject",), strict(rejections=1))
    await deal.deal(REDUCE_BTC)
    KillSwitch(deal.journal).tighten("HALTED", "stop", BOB)
    assert not dog_of(deal).look()
    assert state(deal) == ("HALTED", "stop", BOB.uid)


async def test_in_reducing_a_reduction_is_sent_and_in_halted_none(tmp_path: Path) -> None:
    """Flattening stays open under REDUCING, as a ticket of its own; what adds does not."""
    deal = Deal(tmp_path)
    await deal.trading.reconcile()
    await deal.trading.kill("slow down", ALICE, "REDUCING")
    with pytest.raises(GateRefused) as refused:
        await deal.open(ADD_ETH)
    assert refused.value.reason == "kill"
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    await deal.trading.sent()
    assert deal.states() == ["FILLED", "FILLED"]
    await deal.trading.kill("stop", ALICE)
    with pytest.raises(GateRefused) as refused:
        await deal.open(order(ETH, Side.BUY, "1", "-5", reduce_only=True))
    assert refused.value.reason == "kill"
    assert len(deal.venue.submitted) == 2


# ----------------------------------------------------------------------------------------- pairs


def intent(identifier: str, side: Side, before: str, after: str) -> OrderIntent:
    held, target = Decimal(before), Decimal(after)
    size = abs(target - held)
    return OrderIntent(
        id=identifier,
        side=side,
        effect=Effect.REDUCE if abs(target) < abs(held) else Effect.ADD,
        contracts=size,
        notional_usd=size * 100,
        limit_price=Decimal(100),
        mark_price=Decimal(100),
        reduce_only=abs(target) < abs(held),
        before=held,
        after=target,
    )


LONG = intent(HERE, Side.BUY, "0", "2")
SHORT = intent(THERE, Side.SELL, "0", "-2")


async def test_what_makes_a_pair() -> None:
    (pair,) = pairs_of("T1", (LONG, SHORT))
    assert pair.key == ("T1", HERE, THERE)
    other_coin = intent("bybit:ETH/USDT:USDT", Side.SELL, "0", "-2")
    stop = msgspec.structs.replace(SHORT, kind=OrderKind.STOP_MARKET)
    closing = intent(THERE, Side.SELL, "2", "0")
    for second in (other_coin, stop, closing, msgspec.structs.replace(SHORT, side=Side.BUY)):
        assert pairs_of("T1", (LONG, second)) == ()
    assert pairs_of("T1", (LONG, intent(HERE, Side.SELL, "2", "0"))) == ()
    both = (intent(HERE, Side.SELL, "2", "0"), intent(THERE, Side.BUY, "-2", "0"))
    assert len(pairs_of("T1", both)) == 1


@pytest.mark.parametrize(
    ("held", "share"), [({}, 0), ({HERE: 1}, "0.5"), ({HERE: 2}, 1), ({HERE: -2}, -1)]
)
async def test_progress_is_the_way_gone(held: dict[str, int], share: str) -> None:
    assert progress(LONG, {key: Decimal(one) for key, one in held.items()}) == Decimal(share)


class Book:
    """A journal that is written to directly, and a watchdog over it."""

    def __init__(self, folder: Path) -> None:
        self.deal = Deal(folder)
        self.journal = self.deal.journal
        self.dog = dog_of(self.deal)
        self.trades = 0
        for venue in (VENUE, "bybit"):
            self.journal.append(Baseline(venue, {}))

    def ticket(self, number: int, *intents: OrderIntent) -> Ticket:
        """Propose and confirm a ticket."""
        legs = tuple(Leg(k, f"pt{number}{k}", one) for k, one in enumerate(intents))
        ticket = Ticket(
            id=f"T{number}",
            purpose="send",
            desk="main",
            account="main",
            trader="alice",
            created_ms=NOW_MS,
            expires_mono=0.0,
            proposal_digest="",
            settings_digest="",
            model_version="",
            legs=legs,
            text=(),
            token=f"{number:064}",
        )
        self.journal.append(TicketProposed(ticket, {}))
        self.journal.append(TicketConfirmed(ticket.id, ticket.token, 80, 24))
        return ticket

    def send(self, leg: Leg, *, filled: bool) -> None:
        """Let a leg be sent, and fill whole or be rejected."""
        one, fence = leg.intent, self.journal.fence
        self.journal.append(LegSending(leg.client_id, fence, one.notional_usd, "alice"))
        if not filled:
            self.journal.append(LegOutcome(leg.client_id, LegState.REJECTED, "-2019", "no"))
            return
        self.trades += 1
        self.journal.append(
            LegOutcome(leg.client_id, LegState.ACKED),
            LegMoved(leg.client_id, LegState.FILLED, one.contracts, Decimal(100), "1", "test"),
            FillSeen(
                Fill(
                    id=one.id,
                    trade_id=f"{self.trades}",
                    venue_order_id="1",
                    side=one.side,
                    contracts=one.contracts,
                    price=Decimal(100),
                    fee_usd=Decimal(0),
                    ts_ms=NOW_MS,
                    client_id=leg.client_id,
                )
            ),
        )

    def outside(self, identifier: str, before: int, after: int) -> None:
        """Let another hand change a position."""
        self.journal.append(
            External("position", identifier, "", before=Decimal(before), after=Decimal(after))
        )

    def barks_after(self, seconds: int) -> int | None:
        """Look on for so long; return the second at which the watchdog barked, None if never."""
        for second in range(1, seconds + 1):
            self.deal.clock.advance(1)
            if self.dog.look():
                return second
        return None


async def test_a_hedge_that_stays_unfilled_is_barked_at_after_pair_s(tmp_path: Path) -> None:
    """30 s are allowed, from the first look at it on."""
    book = Book(tmp_path)
    ticket = book.ticket(1, LONG, SHORT)
    book.send(ticket.legs[0], filled=True)
    book.send(ticket.legs[1], filled=False)
    assert book.barks_after(60) == 31
    reason = state(book.deal)[1]
    assert reason == f"T1: {HERE} stands without its hedge {THERE}"


async def test_a_pair_that_fills_in_time_is_left_alone(tmp_path: Path) -> None:
    book = Book(tmp_path)
    ticket = book.ticket(1, LONG, SHORT)
    book.send(ticket.legs[0], filled=True)
    assert book.barks_after(20) is None
    book.send(ticket.legs[1], filled=True)
    assert book.barks_after(120) is None


async def test_a_hedge_that_vanishes_is_barked_at(tmp_path: Path) -> None:
    book = Book(tmp_path)
    ticket = book.ticket(1, LONG, SHORT)
    for leg in ticket.legs:
        book.send(leg, filled=True)
    assert book.barks_after(60) is None
    book.outside(THERE, -2, 0)
    assert book.barks_after(60) in {31, 32}
    switch = KillSwitch(book.journal, second_person=False)
    switch.release("seen", ALICE)
    assert book.barks_after(300) is None
    book.outside(THERE, 0, -2)
    assert book.barks_after(10) is None
    book.outside(THERE, -2, 0)
    assert book.barks_after(60) is not None


async def test_a_restart_neither_forgets_a_lone_leg_nor_barks_at_it_again(tmp_path: Path) -> None:
    book = Book(tmp_path)
    ticket = book.ticket(1, LONG, SHORT)
    book.send(ticket.legs[0], filled=True)
    book.deal.clock.advance(40)
    book.dog = dog_of(book.deal)
    assert book.barks_after(1) == 1
    KillSwitch(book.journal, second_person=False).release("seen", ALICE)
    book.dog = dog_of(book.deal)
    assert book.barks_after(300) is None


async def test_what_a_later_ticket_closed_was_closed_on_purpose(tmp_path: Path) -> None:
    book = Book(tmp_path)
    ticket = book.ticket(1, LONG, SHORT)
    for leg in ticket.legs:
        book.send(leg, filled=True)
    book.send(book.ticket(2, intent(THERE, Side.BUY, "-2", "0")).legs[0], filled=True)
    assert book.barks_after(120) is None


async def test_a_pair_of_which_one_half_is_closed_is_barked_at(tmp_path: Path) -> None:
    book = Book(tmp_path)
    ticket = book.ticket(1, LONG, SHORT)
    for leg in ticket.legs:
        book.send(leg, filled=True)
    closing = book.ticket(2, intent(HERE, Side.SELL, "2", "0"), intent(THERE, Side.BUY, "-2", "0"))
    book.send(closing.legs[0], filled=True)
    book.send(closing.legs[1], filled=False)
    assert book.barks_after(60) == 31
    assert state(book.deal)[1] == f"T2: {THERE} stands without its hedge {HERE}"
