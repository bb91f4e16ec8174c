"""Confirmation, then progress: the canonical ticket on a full screen, and a token typed by hand.

Nothing here is an app action: keys are taken raw and stopped, so no binding, palette entry, markup
or mouse can confirm. The field opens after the first second and after the last line was seen. The
same screen takes the second person's approval, by the same rules (`screens.approve`).
"""

from __future__ import annotations

import msgspec
from textual.app import ComposeResult
from textual.events import Key, Paste
from textual.screen import Screen
from textual.timer import Timer

from perptui.protocol.hand import KEY_GAP_MS, TYPED
from perptui.protocol.intents import (
    ApproveTicket,
    CancelWorking,
    CloseTicket,
    ConfirmTicket,
    ExportOrders,
    Intent,
    Kill,
    OpenTicket,
    RejectTicket,
)
from perptui.tui.editor import LineEditor
from perptui.tui.owner import Owner
from perptui.tui.screens.approve import NO
from perptui.tui.screens.ticket import WAITS, TicketPicture
from perptui.tui.second_person import may_trade

HEX = frozenset("0123456789abcdef")
KILL_WINDOW_S = 2.0
MOVES = {
    "j": 1,
    "down": 1,
    "k": -1,
    "up": -1,
    "pagedown": 10,
    "space": 10,
    "pageup": -10,
    "G": 10_000,
    "end": 10_000,
    "g": -10_000,
    "home": -10_000,
}


class ConfirmScreen(Screen[None]):
    """Takes every key itself; nothing goes on to bindings."""

    AUTO_FOCUS = None
    ALLOW_SELECT = False

    def __init__(self, desk_app: Owner) -> None:
        super().__init__()
        self.desk_app = desk_app
        self.picture = TicketPicture(desk_app.showing, desk_app.palette_now)
        self._kill_armed_mono: float | None = None
        self._anew_soon: Timer | None = None
        self._asking = False

    def compose(self) -> ComposeResult:
        """Yield the one picture."""
        yield self.picture

    def on_mount(self) -> None:
        """Give it the whole screen."""
        self.picture.styles.width = self.picture.styles.height = "100%"

    def repaint_all(self) -> None:
        """Repaint what changed."""
        self.picture.repaint()

    def repaint_ticket(self) -> None:
        """Repaint after the ticket changed."""
        self.picture.repaint()

    def on_paste(self, event: Paste) -> None:
        """Refuse pasted text."""
        event.stop()
        event.prevent_default()
        self.picture.token.clear()
        self.picture.anew.paste()
        void = self.picture.ticket.phase == "void"
        self._say("pasting is refused" + ("" if void else ": type the four characters"))

    def _say(self, text: str) -> None:
        self.picture.message = text
        self.picture.repaint()

    async def on_key(self, event: Key) -> None:
        """Take a key; none reaches a binding."""
        event.stop()
        event.prevent_default()
        if not self.is_current:  # of a burst, keys reach it after the one that closed it
            return
        self.picture.message = ""
        picture, now = self.picture, self.desk_app.showing.now()
        self._drop_anew()
        approving = picture.approving
        approving.look(picture.ticket, now)
        if approving.reason is not None and event.key != "f10":
            self._type_reason(approving.reason, event)
        elif picture.anew.hears(event, picture.ticket, now) and picture.can_price_anew():
            # Another key within the gap shows that this one was no hand's, and drops it.
            self._anew_soon = self.set_timer(KEY_GAP_MS / 1000, self._price_anew)
        elif event.key == "f10":
            self._kill_key()
        elif event.key in MOVES:
            self.picture.scroll_by(MOVES[event.key])
        elif self.picture.ticket.phase in WAITS:
            self._confirm_key(event)
        elif event.key == "escape":
            self._leave()
        elif event.key == "C":
            self.desk_app.ask(CancelWorking())
            self._say("cancelling what works")
        self.picture.repaint()

    def _confirm_key(self, event: Key) -> None:
        picture = self.picture
        character = (event.character or "").lower()
        if event.key == "escape":
            self.dismiss()
        elif event.key == NO:
            self._refuse()
        elif event.key == "x" and picture.ticket.phase == "confirm":
            self._export_instead()
        elif event.key == "backspace":
            picture.token.erase()
        elif event.key == "enter":
            self._enter()
        elif len(character) == 1 and character in HEX:
            if picture.field_is_open():
                picture.token.type(character, event.time)
            else:
                self._say(self._why_closed())

    def _refuse(self) -> None:
        """Reject the ticket, or say no to another's after a reason."""
        ticket = self.picture.ticket
        if ticket.phase == "confirm" and not may_trade(self.desk_app.showing):
            self._say("expected the role trade, was none: you may not reject it")
            return
        if ticket.phase == "confirm":
            who = "another" if self.picture.anothers() else "the"
            self.desk_app.ask(RejectTicket(id=ticket.id, reason=f"rejected by {who} trader"))
            self.dismiss()
            return
        intent, said = self.picture.approving.refuse(ticket)
        self.picture.token.clear()
        self._say(said)
        if intent is not None:
            self.desk_app.ask(intent)
            self.dismiss()

    def _type_reason(self, line: LineEditor, event: Key) -> None:
        intent = self.picture.approving.type_reason(line, event, self.picture.ticket)
        if intent is not None:
            self._say("declined: waiting for the desk")
            self.desk_app.ask_for_ticket(intent, self._answered)

    def _why_closed(self) -> str:
        picture = self.picture
        if picture.ticket.phase == "approval":
            why = picture.approving.why_closed(self.desk_app.showing.now())
            if why:
                return why
        if picture.anothers():
            return f"the field is closed: {picture.anothers()} opened it, and alone may confirm it"
        if not picture.seen_end:
            return "the field is closed: read to the end first (G)"
        if self.desk_app.showing.now() < picture.ticket.opens_mono:
            return "the field is closed for the first second"
        return "the field is closed: the ticket expires"

    def _enter(self) -> None:
        """Send what was typed; Enter alone does nothing."""
        picture = self.picture
        if len(picture.token.text) < TYPED or not picture.field_is_open():
            return
        width, height = self.app.size
        typed = ConfirmTicket(
            id=picture.ticket.id,
            typed=picture.token.text,
            seen_end=picture.seen_end,
            key_gaps_ms=picture.token.gaps_ms,
            columns=width,
            rows=height,
        )
        approves = picture.ticket.phase == "approval"
        intent: Intent = typed
        if approves:
            fields = msgspec.structs.asdict(typed)
            intent = ApproveTicket(**fields, token=picture.approving.token)
        picture.token.clear()
        self._say(f"{'approved' if approves else 'confirmed'}: waiting for the desk")
        self.desk_app.ask_for_ticket(intent, self._answered)

    def _answered(self, ok: bool, text: str) -> None:
        self._asking = False
        self._say("" if ok else text)

    def _export_instead(self) -> None:
        """Write the ticket's orders to files, exactly as they stand here; that ends it."""
        ticket = self.picture.ticket
        self.desk_app.ask(ExportOrders(digest=ticket.digest, ticket=ticket.id))
        self.dismiss()

    def _drop_anew(self) -> None:
        if self._anew_soon is not None:
            self._anew_soon.stop()
            self._anew_soon = None

    def _price_anew(self) -> None:
        """Ask for a new ticket of the same legs, at the marks of now."""
        self._drop_anew()
        if self._asking or not self.picture.can_price_anew():
            return
        self._asking = True
        ticket = self.picture.ticket
        width, height = self.app.size
        intent = OpenTicket(
            digest=ticket.digest,
            purpose=ticket.purpose,
            columns=width,
            rows=height,
            override=ticket.override,
        )
        self._say("asking for a ticket at the prices of now")
        self.desk_app.ask_for_ticket(intent, self._answered)

    def _leave(self) -> None:
        ticket = self.picture.ticket
        if ticket.phase not in {"none", "approval", "sending"} and may_trade(self.desk_app.showing):
            self.desk_app.ask(CloseTicket(id=ticket.id))
        self.dismiss()

    def _kill_key(self) -> None:
        now = self.desk_app.showing.now()
        armed, self._kill_armed_mono = self._kill_armed_mono, now
        if armed is None or now - armed > KILL_WINDOW_S:
            self._say("F10 again within 2 s: HALT, cancel what works, send nothing more")
            return
        self._kill_armed_mono = None
        self.desk_app.ask(Kill(reason="F10 F10 on the ticket"))
        self._say("HALT asked")
