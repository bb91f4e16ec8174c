"""The ticket on screen: its canonical text and the field for its token, or how its legs stand."""

from __future__ import annotations

from collections.abc import Callable

from perptui.protocol.hand import TYPED
from perptui.protocol.views_ticket import NOBODY, LegProgress, TicketView
from perptui.tui import format as figures
from perptui.tui.arrange import columns_of
from perptui.tui.panels.base import wrapped
from perptui.tui.panels.status import mode_role
from perptui.tui.picture import Line, Picture, beside, fit, left, right
from perptui.tui.screens.anew import ANEW, PriceAnew
from perptui.tui.screens.approve import Approving
from perptui.tui.screens.small import too_small_lines
from perptui.tui.second_person import may_trade
from perptui.tui.showing import Showing
from perptui.tui.theme import Palette

TICKET_COLUMNS = 80
REASON_COLUMNS = 55
"""What the line under a void ticket holds of its reason, beside its other words."""
WAITS = frozenset({"confirm", "approval"})
"""Phases in which the text is read."""
LEG_ROLES = {
    "FILLED": "gain",
    "PARTIAL": "accent",
    "OPEN": "accent",
    "UNKNOWN": "alarm",
    "REJECTED": "loss",
    "NOT_SENT": "warn",
    "CANCELED": "warn",
    "EXPIRED": "warn",
    "NEVER_ACCEPTED": "warn",
}


class Token:
    """What has been typed of the token, and the gaps between the keys in milliseconds."""

    def __init__(self) -> None:
        self.text = ""
        self._times: list[float] = []

    def type(self, character: str, at_s: float) -> None:
        """Take a character typed at `at_s`, once the field holds fewer than four."""
        if len(self.text) < TYPED:
            self.text += character
            self._times.append(at_s)

    def erase(self) -> None:
        """Take the last character back."""
        self.text = self.text[:-1]
        self._times = self._times[:-1]

    def clear(self) -> None:
        """Take everything back."""
        self.text, self._times = "", []

    @property
    def gaps_ms(self) -> tuple[float, ...]:
        """Time between the typed keys."""
        return tuple(
            (after - before) * 1000
            for before, after in zip(self._times, self._times[1:], strict=False)
        )


class TicketPicture(Picture):
    """The ticket's text, or how its legs stand, between a head and a foot."""

    def __init__(self, showing: Showing, palette: Callable[[], Palette]) -> None:
        super().__init__(palette, ascii_only=False, name="ticket")
        self.showing = showing
        self.token = Token()
        self.anew = PriceAnew()
        self.approving = Approving(showing)
        self.top = 0
        self.seen_end = False
        self.message = ""
        self._seen_at = ("", False, 0, 0)
        self._stood = ("", "")
        self._shown_id = ""
        self._losses = showing.losses

    @property
    def ticket(self) -> TicketView:
        """The ticket, always the newest."""
        return self.showing.live.ticket

    def field_is_open(self) -> bool:
        """Return whether the token may be typed now."""
        ticket, now = self.ticket, self.showing.now()
        self.approving.look(ticket, now)
        mine = ticket.phase == "approval" and self.approving.lets_type(now)
        return (
            (self.is_mine() or mine)
            and self.seen_end
            and not self.showing.lost
            and ticket.opens_mono <= now < ticket.expires_mono
            and columns_of(*self.size) > 0
        )

    def is_mine(self) -> bool:
        """Return whether the ticket waits for this user to confirm it, who opened it."""
        return self.ticket.phase == "confirm" and not self.anothers()

    def anothers(self) -> str:
        """Return who alone may confirm the ticket that waits for it, "" where this user may."""
        ticket = self.ticket
        if ticket.phase != "confirm" or ticket.trader_uid in {NOBODY, self.showing.uid}:
            return ""
        return ticket.trader

    def can_price_anew(self) -> bool:
        """Return whether the ticket is void and its legs are those of a proposal not too old."""
        ends = self.showing.live.rebalance.expires_mono
        return (
            self.ticket.phase == "void"
            and self.showing.ticket_is_of_proposal()
            and ends is not None
            and self.showing.now() <= ends
            and not self.showing.lost
            and columns_of(*self.size) > 0
        )

    def scroll_by(self, by: int) -> None:
        """Move the text by `by` lines, held at the ends."""
        room = max(self.size.height - 5, 1)
        self.top = min(max(self.top + by, 0), max(len(self.ticket.text) - room, 0))

    # ---------------------------------------------------------------- drawing

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the screen."""
        if columns_of(width, height) == 0:
            self.token.clear()
            self._seen_at = ("", False, 0, 0)
            return too_small_lines(width, height, self.showing)
        ticket = self.ticket
        self.anew.look(ticket, self.showing.now())
        self.approving.look(ticket, self.showing.now())
        if (ticket.id, ticket.phase) != self._stood:
            # What was said of it before is over: it must not stand before what it is now.
            self._stood, self.message = (ticket.id, ticket.phase), ""
        self._shown_id = ticket.id or self._shown_id
        # Whoever approves reads it to its end as such, whatever they have seen before.
        seen_at = (ticket.id, ticket.phase == "approval", width, height)
        if seen_at != self._seen_at:
            self._seen_at = seen_at
            self.seen_end, self.top = False, 0
            self.token.clear()
        margin = " " * ((width - TICKET_COLUMNS) // 2)
        room = height - 5
        if ticket.phase in WAITS:
            body = self._text(room)
        elif ticket.phase in {"sending", "done"}:
            body = self._legs(room)
        else:
            body = [*self._long_reason(), *(((line, "dim"),) for line in ticket.text)][:room]
        lines = [self._head(), ((("─" * TICKET_COLUMNS), "border"),), *body]
        lines += [()] * (height - 3 - len(lines))
        lines += [self._rule(), *self._foot()]
        return [((margin, "text"), *fit(line, TICKET_COLUMNS)) for line in lines]

    def _long_reason(self) -> list[Line]:
        """Return why the ticket ended, where that is more than its line under the text holds."""
        reason = self.ticket.reason
        if self.ticket.phase != "void" or len(reason) <= REASON_COLUMNS:
            return []
        return [*wrapped(reason, TICKET_COLUMNS, " ", "alarm"), ()]

    def _text(self, room: int) -> list[Line]:
        text = self.ticket.text
        self.top = min(self.top, max(len(text) - room, 0))
        if self.top + room >= len(text):
            self.seen_end = True
        return [((line, "text"),) for line in text[self.top : self.top + room]]

    def _head(self) -> Line:
        ticket, status = self.ticket, self.showing.live.status
        words = {
            "confirm": "confirm",
            "approval": "waits for approval",
            "sending": "being sent",
            "done": "finished",
            "void": "VOID",
            "exported": "exported",
            "none": "closed",
        }.get(ticket.phase, ticket.phase)
        if ticket.phase == "void" and _decided(ticket) == "REJECTED":
            words = "DECLINED"
        if ticket.phase == "approval" and self.approving.mine and ticket.approval is not None:
            words = f"{ticket.approval.trader} asks you"
        mode = "EXPORT" if ticket.purpose == "export" else status.mode
        first: Line = (
            (f" {mode} ", mode_role(mode)),
            (f" {status.market}" if status.market else "", "accent"),
            (f"  ticket {self._shown_id} · {words}", "title"),
        )
        return beside(first, self._expiry(), TICKET_COLUMNS)

    def _expiry(self) -> Line:
        if self.showing.lost:
            return ((" DESK LOST ", "alarm@alarm"),)
        if self.ticket.phase not in WAITS:
            return ()
        left_s = self.ticket.expires_mono - self.showing.now()
        if left_s <= 0:
            return (("expired", "alarm"),)
        written = f"{int(left_s)} s" if left_s < 100 else f"{int(left_s / 60)} min"
        return ((f"expires in {written}", "warn" if left_s < 10 else "dim"),)

    def _legs(self, room: int) -> list[Line]:
        header = f"{'#':>2}  {'leg':<16} {'side':<4} {'contracts':>12} {'filled':>12}"
        lines: list[Line] = [((f"{header} {'average':>12}  state", "header"),)]
        for number, leg in enumerate(self.ticket.legs, start=1):
            lines.append(_leg_line(number, leg))
            if leg.note and leg.state != "FILLED":
                lines += wrapped(leg.note, TICKET_COLUMNS, "    ", "dim")
        filled = sum(leg.state == "FILLED" for leg in self.ticket.legs)
        unknown = sum(leg.state == "UNKNOWN" for leg in self.ticket.legs)
        lines.append(())
        lines.append(
            (
                (f" {filled} of {len(self.ticket.legs)} filled", "title"),
                (f" · {unknown} UNKNOWN, being reconciled" if unknown else "", "alarm"),
                (f" · {self._shortfall()}", "text"),
            )
        )
        lines += self._by_whom()
        if self.ticket.reason:
            lines += wrapped(self.ticket.reason, TICKET_COLUMNS, " ", "warn")
        return [*self._fault(), *lines][:room]

    def _fault(self) -> list[Line]:
        """Return that the journal takes nothing any more: how the legs stand is no longer known."""
        fault = self.showing.live.journal.fault
        if not fault:
            return []
        said = f"nothing more is sent or recorded: {fault}"
        return [*wrapped(said, TICKET_COLUMNS, " ", "alarm"), ()]

    def _by_whom(self) -> list[Line]:
        """Return who answers for it, where it took two."""
        asked = self.ticket.approval
        if asked is None or not asked.by:
            return []
        return [((f" confirmed by {asked.trader}, approved by {asked.by}", "text"),)]

    def _shortfall(self) -> str:
        known = [leg.shortfall_usd for leg in self.ticket.legs if leg.shortfall_usd is not None]
        if not known:
            return f"shortfall {figures.UNKNOWN}"
        return f"shortfall {figures.number(sum(known), 2)} $ so far"

    def _rule(self) -> Line:
        """Return the line above the field; what was said of it stands here, not in its place."""
        if self.ticket.phase in WAITS and self.message:
            return ((f" {self.message}", "warn"),)
        return self.approving.proof() or (("─" * TICKET_COLUMNS, "border"),)

    def _foot(self) -> list[Line]:
        ticket = self.ticket
        said = self.message or ticket.reason
        if ticket.phase == "confirm":
            return [self._field(), self._confirm_keys()]
        if ticket.phase == "approval":
            keys = _keys(*self.approving.keys())
            if self.approving.reason is None and self.approving.lets_type(self.showing.now()):
                return [self._field(), keys]
            return [self._unread() or self.approving.line(ticket, TICKET_COLUMNS), keys]
        if ticket.phase == "void":
            what = "" if _decided(ticket) == "REJECTED" else "VOID: "
            void: Line = ((f"{what}{ticket.reason}. Nothing was sent.", "alarm"),)
            told: Line = ((f" {self.message}", "warn"),) if self.message else void
            return [told, self._void_keys()]
        if ticket.phase == "exported":
            return [((f"exported: {said}", "accent"),), _keys(("esc", "back"))]
        if ticket.phase == "none":
            said = said or self._ended() or "this ticket is closed"
            return [((f" {said}", "text"),), _keys(("esc", "back"))]
        if ticket.phase == "done":
            return [((self.message, "warn"),), _keys(("esc", "back"))]
        keys = _keys(("esc", "back, it goes on"), ("C", "cancel what works"), ("F10 F10", "HALT"))
        return [((self.message or self._ended(), "warn"),), keys]

    def _void_keys(self) -> Line:
        if not self.can_price_anew():
            return self._why_not_anew()
        if self.anew.typed_over:
            typed: Line = ((" typed keys were ignored: ", "warn"),)
            return (*typed, *_keys(("esc", "back, then c plans the same legs anew"))[1:])
        soon = ", in a second" if self.anew.is_dead(self.showing.now()) else ""
        return _keys((ANEW, f"price the same legs anew{soon}"), ("esc", "back"))

    def _why_not_anew(self) -> Line:
        """Return the way back, and on from there, where this ticket's legs have none."""
        if self.showing.lost:
            return _keys(("esc", "back: the desk is lost"))
        rebalance = self.showing.live.rebalance
        if rebalance.state == "solving":
            return _keys(("esc", "back: a newer proposal is being solved, then c"))
        if not self.showing.ticket_is_of_proposal():
            return _keys(("esc", "back: a newer proposal stands, look at it, then c"))
        told: Line = ((" the proposal is too old: ", "warn"),)
        return (*told, *_keys(("esc", "back,"), ("r", "solves it again, then"), ("c", "plans"))[1:])

    def _ended(self) -> str:
        """Return that the desk ended under this ticket, and where the rest is found."""
        if self.showing.losses == self._losses:
            return ""
        of = f"; ticket {self._shown_id}: see the journal (8)" if self._shown_id else ""
        return f"the desk ended{of}"

    def _unread(self) -> Line:
        """Return how much is still to be read by whoever may type; nothing where all was."""
        ticket = self.ticket
        if self.seen_end or (ticket.phase == "approval" and not self.approving.token):
            return ()
        if ticket.phase == "approval" and not (self.approving.mine and not self.approving.reason):
            return ()
        hidden = len(ticket.text) - self.top - max(self.size.height - 5, 1)
        return ((f" {hidden} more lines: read to the end (j, space, G) to open the field", "warn"),)

    def _field(self) -> Line:
        ticket = self.ticket
        if self.anothers():
            return ((f" {self.anothers()} opened it, and alone may confirm it", "warn"),)
        if not self.seen_end:
            return self._unread()
        if self.showing.now() < ticket.opens_mono:
            return ((" the field opens in a second", "dim"),)
        if not self.field_is_open():
            return ((" the field is closed", "warn"),)
        verb = "write these orders to files" if ticket.purpose == "export" else "send these orders"
        if ticket.phase == "approval":
            verb = "approve and send these orders"
        field = self.token.text + "▏" + "_" * (TYPED - len(self.token.text) - 1)
        return (
            (f" type {ticket.token[-TYPED:]} and Enter to {verb}:  ", "title"),
            (field[: TYPED + 1], "edited"),
        )

    def _confirm_keys(self) -> Line:
        if self.anothers():
            refuse = (("n", "reject it"),) if may_trade(self.showing) else ()
            return _keys(("jk", "scroll"), *refuse, ("esc", "back"))
        return _keys(("jk", "scroll"), ("x", "export instead"), ("n", "reject"), ("esc", "back"))


def _decided(ticket: TicketView) -> str:
    return "" if ticket.approval is None else ticket.approval.state


def _leg_line(number: int, leg: LegProgress) -> Line:
    average = figures.price(leg.average_price)
    return (
        (f"{number:>2}  {left(figures.known_venues(leg.label), 16)} {left(leg.side, 4)} ", "text"),
        (f"{right(f'{leg.contracts:,f}', 12)} {right(f'{leg.filled:,f}', 12)} ", "text"),
        (f"{right(average, 12)}  ", "text"),
        (leg.state, LEG_ROLES.get(leg.state, "text")),
    )


def _keys(*pairs: tuple[str, str]) -> Line:
    spans: list[tuple[str, str]] = [(" ", "dim")]
    for key, words in pairs:
        spans += [(key, "key"), (f" {words}   ", "dim")]
    return tuple(spans)
