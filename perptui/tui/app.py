"""The application: one attachment to a desk, one screen, painted at most twice a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import SystemCommand
from textual.binding import BindingType
from textual.driver import Driver
from textual.screen import Screen
from textual.theme import Theme

from perptui.client.messages import (
    Attached,
    DeskLost,
    FromDesk,
    NotLetIn,
    PanelObserved,
    PanelReplaced,
    PictureTaken,
)
from perptui.model.clock import Clock
from perptui.model.errors import ConfigError
from perptui.model.pauses import spare
from perptui.protocol.intents import Intent, Quit, Solve
from perptui.protocol.views import DeskView
from perptui.tui import theme as themes
from perptui.tui.commands import commands
from perptui.tui.ending import Ending
from perptui.tui.keymap import unknown_ids
from perptui.tui.painting import Painting
from perptui.tui.pasting import PlainPaste
from perptui.tui.screens.desk import DeskScreen
from perptui.tui.showing import Showing
from perptui.tui.whatif import IntentQueue

if TYPE_CHECKING:
    from perptui.client.attach import Attachment, Connect
    from perptui.protocol.frames import Reply

TICK_S = 1.0
"""How often ages and countdowns are written anew."""


class DeskApp(PlainPaste):
    """The terminal.

    Parameters
    ----------
    connect : Connect | None
        Opens a connection to the desk; None shows `view` alone.
    relaunch : Connect | None
        Joins or starts another desk after one was lost.
    clock : Clock
        Monotonic time for ages.
    theme_folders : tuple[Path, ...]
        Folders of themes; a later one wins.
    crash_dir : Path | None
        Where the report of a crash goes; None for the temporary directory.
    pictures_dir : Path | None
        Where F8 saves; None for the working directory.
    """

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = []
    TITLE = "perptui"

    def __init__(
        self,
        connect: Connect | None,
        *,
        clock: Clock,
        theme_folders: tuple[Path, ...],
        relaunch: Connect | None = None,
        theme: str = "dark",
        glyphs: str = "braille",
        keymap: dict[str, str] | None = None,
        view: DeskView | None = None,
        crash_dir: Path | None = None,
        pictures_dir: Path | None = None,
    ) -> None:
        # Known before Textual asks for a theme, so that no other is ever parsed or shown.
        self._palette = themes.find(theme, theme_folders)
        self._theme = self._palette.textual()
        super().__init__()
        self.animation_level = "none"
        self.keymap = dict(keymap or {})
        self.showing = Showing(clock, glyphs)
        if view is not None:
            self.showing.take_whole(view)
        self._folders = theme_folders
        self._crash_dir = crash_dir
        self._pictures_dir = pictures_dir
        self.crash_report: Path | None = None
        self.ending = Ending(self.exit)
        self.expects_ticket = False
        self.not_let_in = ""
        self._connect = connect
        self._relaunch = relaunch
        self._attachment: Attachment | None = None
        self._bends = IntentQueue(self._post)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._painting = Painting(self, lambda: self._bends.busy)

    def palette_now(self) -> themes.Palette:
        """Return the theme of the moment."""
        return self._palette

    def get_theme(self, theme_name: str) -> Theme:
        """Return the desk's own theme, whatever Textual or TEXTUAL_THEME calls for."""
        return self._theme

    def get_driver_class(self) -> type[Driver]:
        """Return the driver that outlives no terminal."""
        from perptui.tui.driver import TerminalDriver

        return TerminalDriver

    def get_default_screen(self) -> Screen[Any]:
        """Return the desk."""
        return DeskScreen(self)

    @property
    def desk_screen(self) -> DeskScreen:
        """The desk, under whatever stands on it."""
        return cast(DeskScreen, self.screen_stack[0])

    def on_mount(self) -> None:
        """Attach, watch signals, keep ages true."""
        if self.keymap:
            self.set_keymap(self.keymap)
        wrong = unknown_ids(self.keymap)
        if wrong:
            self.showing.notice(f"[keymap] names no binding {wrong[0]}: see ? for the ids", "warn")
        self.set_interval(TICK_S, self.tick)
        if self._connect is not None:
            self.call_after_refresh(self._look_for_desk, self._connect)
        if not self.is_headless:
            self.ending.watch()

    async def on_unmount(self) -> None:
        """Close the line to the desk."""
        for task in self._tasks:
            task.cancel()
        if self._attachment is not None:
            await self._attachment.close()

    def _look_for_desk(self, connect: Connect) -> None:
        """Look for the desk, after the first frame: nothing may come before that."""
        from perptui.client.attach import Attachment

        self._attachment = Attachment(connect, self._deliver, relaunch=self._relaunch)
        self.look()
        self._start(self._attachment.run())

    def _start(self, work: Any) -> asyncio.Task[Any]:
        """Run a coroutine; an error in it ends the app as any other would."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._handle_exception(error)

    # ---------------------------------------------------------------- from the desk

    def _deliver(self, message: FromDesk) -> None:
        showing = self.showing
        if not self.screen_stack:
            return  # all are closed: nobody is shown anything any more
        if isinstance(message, PanelReplaced):
            showing.take(message.panel, message.view)
            self._painting.mark(message.panel)
            if message.panel == "ticket":
                self._ticket_came()
            elif message.panel == "rebalance":
                self.desk_screen.look_at_typed()
        elif isinstance(message, PanelObserved):
            # Its age is all that changed: the tick of the second writes it.
            showing.observe(message.panel, message.observed_mono)
        elif isinstance(message, PictureTaken):
            self.desk_screen.take_whole(message.view)
            self.paint_all()
            self.call_after_refresh(spare)
        elif isinstance(message, Attached):
            showing.private = message.private
            showing.uid, showing.roles = message.uid, message.roles
        elif isinstance(message, NotLetIn):
            self.not_let_in = message.why
            self.exit()
        elif isinstance(message, DeskLost):
            showing.lose(message.why)
            self.paint_all()

    def paint_panels(self, panels: Collection[str]) -> None:
        """Repaint what changed in these panels and send it to the terminal."""
        for screen in self._on_top():
            if screen is self.desk_screen:
                for panel in panels:
                    self.desk_screen.repaint_panel(panel)
            if "ticket" in panels and hasattr(screen, "repaint_ticket"):
                screen.repaint_ticket()
            self.desk_screen.send_painted()

    def _on_top(self) -> list[Screen[Any]]:
        """Return the screen on top; none when a timer's last turn comes after all are closed."""
        return self.screen_stack[-1:]

    def paint_all(self) -> None:
        """Repaint what changed anywhere, now."""
        self._painting.clear()
        self.tick()

    def tick(self) -> None:
        """Repaint what changed with time alone."""
        self.look()
        for screen in self._on_top():
            if hasattr(screen, "repaint_all"):
                screen.repaint_all()

    # ---------------------------------------------------------------- to the desk

    def look(self) -> None:
        """Tell the desk which panels the screen draws from."""
        if self._attachment is not None and self.screen_stack:
            self._attachment.look(self.desk_screen.draws_from())

    async def answer(self, intent: Intent) -> Reply:
        """Send an intent and return the desk's answer."""
        if self._attachment is None:
            from perptui.protocol.frames import Reply

            return Reply(number=0, ok=False, text="no desk: nothing was asked")
        return await self._attachment.ask(intent)

    def _post(self, intent: Intent) -> Awaitable[Reply]:
        """Send an intent now; its answer comes later."""
        attachment = self._attachment
        return self.answer(intent) if attachment is None else attachment.post(intent)

    def ask(self, intent: Intent) -> None:
        """Send an intent; its answer goes to the news line."""
        self._start(self._asked(intent))

    async def _asked(self, intent: Intent) -> None:
        self._report(await self.answer(intent))

    def _report(self, reply: Reply | None) -> None:
        if reply is None:
            return
        if not reply.ok:
            self.expects_ticket = False
        text = reply.text if reply.ok else reply.text or "the desk said no"
        self.showing.notice(text, "info" if reply.ok else "warn")
        self.tick()

    def ask_for_ticket(self, intent: Intent, then: Callable[[bool, str], None]) -> None:
        """Send an intent and hand its answer to `then`."""
        self._start(self._asked_for_ticket(intent, then))

    async def _asked_for_ticket(self, intent: Intent, then: Callable[[bool, str], None]) -> None:
        reply = await self.answer(intent)
        then(reply.ok, reply.text)

    def bend(self, intent: Intent, edits: object = None) -> None:
        """Send an intent of the what-if, after those before it; see `IntentQueue.put`."""
        if self._bends.put(intent, edits):
            self._start(self._bends.drain(self._bent))

    @property
    def bending(self) -> tuple[Intent, ...]:
        """The intents of the what-if whose answers are still to come."""
        return self._bends.under_way

    def _bent(self, intent: Intent, reply: Reply) -> None:
        self._take_bent(intent, reply)
        self.desk_screen.try_again()
        self.desk_screen.nudge_on()
        if self._bends.rests or not reply.ok:
            self.desk_screen.all_answered(ok=reply.ok)

    def _take_bent(self, intent: Intent, reply: Reply) -> None:
        desk = self.desk_screen
        desk.rebalance_panel().take_answer(intent, ok=reply.ok)
        entered = desk.take_entered(intent)
        if reply.ok:
            # What was said while a solve was under way, or refused before it, is over with it.
            self.showing.refused_last = ""
            desk.tried(intent)
            if self.showing.drop_refusal():
                self.tick()
            if reply.text or isinstance(intent, Solve):
                self._report(reply)
            return
        desk.refused(reply.text or "the desk said no", intent, entered)
        self.tick()

    # ---------------------------------------------------------------- tickets

    def _ticket_came(self) -> None:
        ticket = self.showing.live.ticket
        if self.expects_ticket and ticket.phase == "confirm":
            self.expects_ticket = False
            if self.desk_screen.is_typing:  # its keys must not fall into the ticket
                self.showing.notice("the ticket is ready: c shows it")
                return
            self.open_ticket()

    def open_ticket(self) -> None:
        """Show the ticket: its confirmation, or its progress."""
        from perptui.tui.screens.confirm import ConfirmScreen

        if not isinstance(self.screen, ConfirmScreen):
            self.push_screen(ConfirmScreen(self))

    def pending(self) -> str:
        """Return what would be left behind, in words; "" when nothing would."""
        live = self.showing.live
        found = []
        if live.ticket.phase in {"confirm", "sending"}:
            found.append("a plan is pending")
        if live.status.unknown_legs:
            found.append(f"{live.status.unknown_legs} UNKNOWN")
        if live.status.working_orders:
            found.append(f"{live.status.working_orders} working")
        if stops := live.status.protective_stops:
            found.append(f"{stops} protective stop{'s stay' if stops > 1 else ' stays'}")
        return ", ".join(found)

    def leave(self, *, leave_desk: bool) -> None:
        """Tell the desk what it was not told yet, and exit."""
        if self._attachment is not None:
            self._bends.send_all()
        self._start(self._leave(leave_desk=leave_desk))

    async def _leave(self, *, leave_desk: bool) -> None:
        if self._attachment is not None and self._attachment.attached:
            try:
                await asyncio.wait_for(self.answer(Quit(leave_desk=leave_desk)), 0.5)
            except TimeoutError:
                self.exit(0)
        self.exit(0)

    # ---------------------------------------------------------------- appearance

    def choose_theme(self, name: str) -> None:
        """Switch to a theme; to the next one when `name` is empty."""
        known = sorted(themes.available(self._folders))
        if not name:
            here = known.index(self._palette.name) if self._palette.name in known else -1
            name = known[(here + 1) % len(known)]
        try:
            self._palette = themes.find(name, self._folders)
        except ConfigError as error:
            self.showing.notice(str(error), "warn")
            self.tick()
            return
        self._theme = self._palette.textual()
        self.register_theme(self._theme)
        self.theme = self._theme.name
        for picture in self.desk_screen.pictures():
            picture.recolour()
        self.showing.notice(f"theme {name}")
        self.tick()

    def save_picture(self) -> None:
        """Save the screen as SVG."""
        folder = self._pictures_dir or Path.cwd()
        path = folder / f"perptui-{self.showing.venue_ms() // 1000}.svg"
        try:
            path.write_text(self.export_screenshot(), encoding="utf-8")
        except OSError as error:
            self.showing.notice(f"no picture: {error.strerror}: {folder}", "warn")
        else:
            self.showing.notice(f"picture saved: {path}")
        self.tick()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yield the palette's commands."""
        return commands(self.desk_screen)

    # ---------------------------------------------------------------- the end

    def _fatal_error(self) -> None:
        """Restore the screen and name a report; no variable of the program is ever written out."""
        from perptui.tui.crash import write_report

        error = self._exception
        path = write_report(error, self._crash_dir) if error is not None else None
        self.crash_report = path
        where = f"; the report is {path}" if path else ""
        name = type(error).__name__ if error is not None else "an error"
        self.exit(1, message=f"perptui stopped on {name}{where}. The desk goes on.")
