"""What two traders do: open, confirm rightly and wrongly, reject, cancel, kill, release, reduce."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from perptui.desk.orders.trading import Trading
from perptui.journal.events import Actor
from perptui.model.order import Effect, OrderIntent, Side
from perptui.model.proposal import Proposal
from perptui.protocol.intents import ApproveTicket, ConfirmTicket, DeclineTicket
from perptui.protocol.views_ticket import TicketView
from perptui.settings.paths import KILL_FILE
from tests.campaign.picture import CLOUDS
from tests.campaign.truth import Asked, Shown, Typed
from tests.campaign.weather import MARKS, STEPS
from tests.desk.dealing import ALICE, BOB, answer, proposal

if TYPE_CHECKING:
    from tests.campaign.session import Session

ACTS = {
    "trade": 78,
    "cancel": 3,
    "kill": 3,
    "reduce": 2,
    "release": 3,
    "export": 3,
    "supersede": 3,
    "wait": 5,
    "second": 3,
}
WAYS = {
    "right": 70,
    "wrong": 4,
    "early": 3,
    "late": 3,
    "pasted": 3,
    "unseen": 3,
    "small": 3,
    "other": 3,
    "twice": 6,
    "stale": 2,
    "reject": 2,
    "close": 2,
    "changed": 12,
}
TIGHT = 1.0
"""Below this gross limit tickets often break it, and are tried again with an override."""
OVERRIDE = "the hedge of tomorrow's delivery"
INTERRUPTIONS = ("kill", "kill", "reduce", "cancel", "moved", "moved", "cloud", "cloud", "wait")
LASTING = {"rest": 60, "slow": 30, "fill": 20}
"""What becomes of orders that somebody is about to cancel."""
LOTS = {"BTC": 60, "ETH": 150, "SOL": 40}


class Hands:
    """The traders of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rng = session.rng
        self._acts = {**ACTS, **session.theme.acts}
        self._last: tuple[OrderIntent, ...] = ()
        self._old_token = "0000"
        self._tight = session.settings.limits.gross_max < TIGHT

    async def act(self) -> None:
        """Do one thing."""
        name = self._rng.choices(list(self._acts), list(self._acts.values()))[0]
        if self._session.settings.stops.sigmas > 0 and self._rng.random() < 0.1:
            name = "protect"
        if self._session.picture.peak is not None and self._rng.random() < 0.4:
            name = "drawdown"
        if self._halted() and self._rng.random() < 0.7:
            name = "release"
        await getattr(self, f"_{name}")()

    def _way(self) -> str:
        """Return how a ticket is answered."""
        ways = {**WAYS, **self._session.theme.ways}
        return self._rng.choices(list(ways), list(ways.values()))[0]

    def _halted(self) -> bool:
        trading = self._session.trading
        if trading is None or self._session.mortality.dead:
            return False
        return trading.kill_state != "ACTIVE" or "--release" in trading.sends_locked

    # ------------------------------------------------------------------ tickets

    async def _trade(self) -> None:
        session, rng = self._session, self._rng
        who, way = rng.choice((ALICE, BOB)), self._way()
        made = session.picture.take(self._proposed())
        columns, rows = (79, 24) if way == "small" and rng.random() < 0.5 else (120, 40)
        view = await session.call(
            lambda trading: trading.open_ticket(made, "send", who, columns, rows)
        )
        if view is None and self._tight and rng.random() < 0.7:
            reason = rng.choice((OVERRIDE, OVERRIDE, "short"))
            view = await session.call(
                lambda trading: trading.open_ticket(made, "send", who, columns, rows, reason)
            )
        await self._read(view, way, who)

    async def _own(self, status: str) -> None:
        """Open the ticket of the desk's own proposal, where it has one."""

        async def opened(trading: Trading) -> TicketView | None:
            made = trading.own_proposal(status)
            if made is None:
                return None
            return await trading.open_ticket(made, "send", who, 120, 40)

        who = self._who()
        way = self._way()
        await self._read(await self._session.call(opened), way, who)

    async def _protect(self) -> None:
        await self._own("protect")

    async def _drawdown(self) -> None:
        await self._own("drawdown")

    async def _read(self, view: TicketView | None, way: str, who: Actor) -> None:
        """Read a ticket, if there is one, and answer it somehow."""
        session, rng = self._session, self._rng
        if not isinstance(view, TicketView) or view.phase != "confirm":
            return
        shown_mono = session.clock.monotonic()
        if session.trading is not None:
            self.look(session.trading)
        if way in {"reject", "close"}:
            await self._leave(view, way, who)
            return
        await asyncio.sleep(_READING.get(way, rng.uniform(1.1, 6.0)))
        if way == "changed":
            self._change_something()
        await self._answer(view, way, who, shown_mono)

    async def _leave(self, view: TicketView, way: str, who: Actor) -> None:
        if way == "reject":
            await self._session.call(lambda trading: trading.reject(view.id, "no", who))
        else:
            await self._session.call(lambda trading: trading.close(view.id))

    def _change_something(self) -> None:
        session = self._session
        changes = (
            lambda: session.picture.cloud("settings", "f" * 64),
            lambda: session.picture.cloud("stale", "marks 9 s old"),
            self._cloud,
            self._cloud,
            lambda: session.picture.move(self._rng.choice(sorted(MARKS)), Decimal("1.02")),
            lambda: session.core.move_outside(*self._moved(), "another hand"),
        )
        session.happenings.clouded = True
        self._rng.choice(changes)()

    def _cloud(self) -> None:
        what = self._rng.choice(sorted(CLOUDS))
        self._session.picture.cloud(what, CLOUDS[what](self._rng))

    def _moved(self) -> tuple[str, Decimal]:
        held = self._session.core.positions
        name = self._rng.choice(sorted(held))
        if self._last and self._rng.random() < 0.6:
            name = self._last[-1].id
        return name, held.get(name, Decimal(0)) + STEPS[name]

    async def _answer(self, view: TicketView, way: str, who: Actor, shown_mono: float) -> None:
        typed = self._typed(view, way)
        if way == "other":
            who = BOB if who is ALICE else ALICE
        plan = self._rng.choice(INTERRUPTIONS) if self._rng.random() < 0.5 else ""
        venue = self._session.venue
        venue.lives = LASTING if plan in {"kill", "cancel"} else venue.usual
        await self._confirm(typed, who, shown_mono)
        if way == "twice":
            await self._confirm(typed, who, shown_mono)
        self._old_token = view.token[-4:]
        await self._approve(view, who)
        if plan:
            await self._interrupt(plan)
        if self._rng.random() < 0.6:
            await self._session.call(lambda trading: trading.sent())
        venue.lives = venue.usual

    async def _interrupt(self, plan: str) -> None:
        """Do something while legs are being sent."""
        await asyncio.sleep(self._rng.uniform(0, 1.0))
        if plan == "moved":
            self._session.core.move_outside(*self._moved(), "another hand")
        elif plan == "cloud":
            self._change_something()
        else:
            await getattr(self, f"_{plan}")()
        if plan == "kill" and self._rng.random() < 0.6:
            await asyncio.sleep(12.0)

    async def _approve(self, view: TicketView, who: Actor) -> None:
        """Let another person, or the same one, approve or decline what waits for it."""
        session, rng = self._session, self._rng
        trading = session.trading
        if trading is None or session.mortality.dead or trading.ticket_view.phase != "approval":
            return
        asked_mono = session.clock.monotonic()
        way = rng.choices(
            ("right", "same", "wrong", "late", "decline", "leave"), (60, 8, 6, 6, 8, 6)
        )[0]
        if way == "leave":
            return
        await asyncio.sleep(25.0 if way == "late" else rng.uniform(1.1, 8.0))
        approver = who if way == "same" else BOB if who is ALICE else ALICE
        if way == "decline":
            said = DeclineTicket(view.id, "too large")
            await session.call(lambda trading: trading.decline(said, approver))
            return
        typed = answer(view)
        token = view.token if way != "wrong" else "0" * 64
        approval = ApproveTicket(
            id=view.id,
            typed=token[-4:],
            seen_end=True,
            key_gaps_ms=typed.key_gaps_ms,
            columns=typed.columns,
            rows=typed.rows,
            token=token,
        )
        self._note_typed("approve", approval, approver, asked_mono)
        await session.call(lambda trading: trading.approve(approval, approver))

    def _typed(self, view: TicketView, way: str) -> ConfirmTicket:
        typed = answer(view)
        if way == "wrong":
            typed = msgspec.structs.replace(typed, typed="zzzz")
        elif way == "stale":
            typed = msgspec.structs.replace(typed, typed=self._old_token)
        elif way == "pasted":
            typed = msgspec.structs.replace(typed, key_gaps_ms=(3.0, 2.0, 4.0))
        elif way == "unseen":
            typed = msgspec.structs.replace(typed, seen_end=False)
        elif way == "small":
            typed = msgspec.structs.replace(typed, columns=60, rows=20)
        return typed

    async def _confirm(self, typed: ConfirmTicket, who: Actor, shown_mono: float) -> None:
        self._note_typed("confirm", typed, who, shown_mono)
        await self._session.call(lambda trading: trading.confirm(typed, who))

    def _note_typed(
        self, use: str, typed: ConfirmTicket | ApproveTicket, who: Actor, shown_mono: float
    ) -> None:
        session = self._session
        truth = session.core.truth
        truth.add(
            Typed(
                **truth.now(),
                use=use,
                uid=who.uid,
                ticket=typed.id,
                typed=typed.typed,
                age_s=session.clock.monotonic() - shown_mono,
                gap_ms=min(typed.key_gaps_ms),
                seen_end=typed.seen_end,
                columns=typed.columns,
                rows=typed.rows,
            )
        )

    # ------------------------------------------------------------------ what is proposed

    def _proposed(self) -> Proposal:
        rng = self._rng
        if self._last and rng.random() < 0.12:
            return proposal(*self._last, model_version=f"again-{rng.getrandbits(32)}")
        orders: list[OrderIntent] = []
        for name in rng.sample(sorted(MARKS), rng.choice((1, 1, 2, 2, 3))):
            orders.extend(self._orders_of(name))
        self._last = tuple(orders)
        return proposal(*orders, model_version=f"m-{rng.getrandbits(32)}")

    def _orders_of(self, name: str) -> list[OrderIntent]:
        rng, step = self._rng, STEPS[name]
        held = self._session.core.positions.get(name, Decimal(0))
        lots = int(abs(held) / step)
        size = step * rng.randint(1, LOTS[name.partition(":")[2][:3]])
        way = rng.choice(("add", "reduce", "close", "flip")) if lots else "add"
        back = Side.SELL if held > 0 else Side.BUY
        if way == "add":
            side = rng.choice((Side.BUY, Side.SELL)) if not held else _other(back)
            return [self._order(name, side, size, held)]
        if way == "reduce" and lots > 1:
            part = step * rng.randint(1, lots - 1)
            return [self._order(name, back, part, held, reduce_only=True)]
        closing = self._order(name, back, abs(held), held, reduce_only=True)
        if way == "flip":
            return [closing, self._order(name, back, size, Decimal(0))]
        return [closing]

    def _order(
        self, name: str, side: Side, size: Decimal, held: Decimal, *, reduce_only: bool = False
    ) -> OrderIntent:
        mark = self._session.core.marks[name]
        after = held + (size if side is Side.BUY else -size)
        away = Decimal("1.002") if side is Side.BUY else Decimal("0.998")
        return OrderIntent(
            id=name,
            side=side,
            effect=Effect.REDUCE if abs(after) < abs(held) else Effect.ADD,
            contracts=size,
            notional_usd=size * mark,
            limit_price=(mark * away).quantize(Decimal("0.1")),
            mark_price=mark,
            reduce_only=reduce_only,
            before=held,
            after=after,
            fee_usd=Decimal(3),
            slippage_usd=Decimal(1),
        )

    # ------------------------------------------------------------------ everything else

    async def _cancel(self) -> None:
        stops = self._session.settings.stops.sigmas > 0 and self._rng.random() < 0.3
        if stops:
            truth = self._session.core.truth
            truth.add(Asked(**truth.now(), uid=ALICE.uid))
        await self._session.call(lambda trading: trading.cancel_working(ALICE, protective=stops))

    async def _kill(self) -> None:
        await self._session.call(lambda trading: trading.kill("fire", self._who()))

    async def _reduce(self) -> None:
        await self._session.call(lambda trading: trading.kill("smoke", self._who(), "REDUCING"))

    async def _release(self) -> None:
        self._session.path.with_name(KILL_FILE).unlink(missing_ok=True)
        self._session.picture.sky("kill file", "")
        await self._session.call(lambda trading: trading.kill("over", self._who(), "ACTIVE"))

    async def _export(self) -> None:
        made = self._session.picture.take(self._proposed())
        await self._session.call(lambda trading: trading.export(made.digest, ALICE))

    async def _second(self) -> None:
        """Somebody starts a second desk on the same journal: it must not become the sender."""
        await self._session.second_desk()

    async def _supersede(self) -> None:
        async def newer(trading: Trading) -> None:
            trading.supersede("e" * 64)

        await self._session.call(newer)

    async def _wait(self) -> None:
        await asyncio.sleep(self._rng.choice((5.0, 20.0, 40.0)))

    def _who(self) -> Actor:
        return self._rng.choice((ALICE, BOB))

    def look(self, trading: Trading, *, tail: bool = False) -> None:
        """Write down every text that the screens show now; with `tail` the journal's too."""
        truth = self._session.core.truth
        view = trading.ticket_view
        texts = [*view.text, view.reason, trading.sends_locked]
        texts += [text for leg in view.legs for text in (leg.label, leg.note)]
        if tail:
            texts += [row.text for row in trading.journal_view.events]
        truth.add(Shown(**truth.now(), text="\n".join(filter(None, texts))))


def _other(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY


_READING = {"early": 0.4, "late": 31.0}
