"""What is being typed: a filter, a what-if or command, a cell, the answer to a question."""

from __future__ import annotations

from textual.events import Key, Paste

from perptui.protocol.intents import Bend, Intent, Withdraw
from perptui.tui.arrange import columns_of
from perptui.tui.command_line import CommandLine
from perptui.tui.editing import CellEdit
from perptui.tui.editor import LineEditor
from perptui.tui.panels.base import PanelWidget
from perptui.tui.panels.rebalance_book import named
from perptui.tui.parts import DeskParts
from perptui.tui.picture import Line
from perptui.tui.trial import Trial

Typed = CommandLine | tuple[CellEdit, PanelWidget]
"""What was entered: a line, or a cell and its panel."""

SAFE = frozenset({"kill", "quit"})
"""Actions that are taken even where the terminal is too small to show anything."""


class TypingKeys(DeskParts):
    """Keys go to what is being typed before any binding sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.filter_line: LineEditor | None = None
        self.command: CommandLine | None = None
        self.cell: CellEdit | None = None
        self._cell_panel: PanelWidget | None = None
        self.bound: dict[str, tuple[str, ...]] = {}
        self._history: list[str] = []
        self._asking_to_quit = False
        self._unsaid = ""
        self._entered: list[tuple[Bend, Typed]] = []

    @property
    def is_typing(self) -> bool:
        """Whether keys go into a line, a cell or the answer to a question."""
        lines = self.filter_line, self.command, self.cell
        return self._asking_to_quit or any(line is not None for line in lines)

    def run_command(self, text: str) -> None:
        """Run a typed command that is no what-if."""

    async def on_key(self, event: Key) -> None:
        """Hand keys to what is being typed; a refusal is over with the next key."""
        if self.showing.drop_refusal():
            self.news.repaint()
        if self._unseen(event.key):
            taken = True
        elif self._asking_to_quit:
            taken = self._answer_quit(event)
        elif self.filter_line is not None:
            taken = self._type_filter(self.filter_line, event)
        elif self.command is not None:
            taken = self._type_command(self.command, event)
        elif self.cell is not None:
            taken = self._type_cell(self.cell, event)
        else:
            taken = self.take_key(event) or await self._run_bound(event.key)
        if taken:
            event.stop()
            event.prevent_default()
            self.send_painted()

    def _unseen(self, key: str) -> bool:
        """Return whether a key would act on what is too small to be seen; stopping always may."""
        if columns_of(*self.app.size) > 0 or self._asking_to_quit:
            return False
        return not SAFE.intersection(self.bound.get(key, ()))

    async def _run_bound(self, key: str) -> bool:
        """Run what a key is bound to, here and now.

        Textual would look after the event has bubbled up to the application: by then the next keys
        of a fast hand, or of a line that stalled, have passed through here for something else.
        """
        for action in self.bound.get(key, ()):
            if await self.app.run_action(action, self):
                return True
        return False

    def take_key(self, event: Key) -> bool:
        """Take a key that means something on the page in sight alone."""
        return False

    def on_paste(self, event: Paste) -> None:
        """Paste into a filter or command; a cell is typed."""
        text = event.text.split("\n", 1)[0]
        if self.filter_line is not None:
            self.filter_line.insert(text)
            self._filtered(self.filter_line)
        elif self.command is not None:
            self.command.editor.insert(text)
            self._commanded(self.command)
        event.stop()

    def prompt(self, line: Line, below: Line = (), wrong: str = "") -> None:
        """Show what is typed in the place of the news, and what is wrong with it under that.

        Parameters
        ----------
        wrong : str
            What is wrong in full: the Rebalance view has it where one line is too short for it.
        """
        if not line and self._unsaid:
            self.showing.notice(self._unsaid)
            self._unsaid = ""
        self.news.prompt, self.news.below = line, below
        self.news.repaint()
        if wrong != self.showing.typed_wrong:
            self.showing.wrong(wrong)
            panel = self.rebalance_panel()
            if panel.region.area:
                panel.repaint()

    # ---------------------------------------------------------------- filters

    def open_filter(self, text: str) -> None:
        """Type a filter for the focused table."""
        self.filter_line = LineEditor(text)
        self._filtered(self.filter_line)

    def _filtered(self, line: LineEditor) -> None:
        panel = self.active()
        if panel.grid:
            panel.grid.set_filter(line.text)
        self.prompt(((f" /{line.shown()}", "title"), ("   Enter keeps, esc drops", "dim")))
        panel.repaint()

    def _type_filter(self, line: LineEditor, event: Key) -> bool:
        if event.key in {"escape", "enter"}:
            self.filter_line = None
            panel = self.active()
            if event.key == "escape" and panel.grid:
                panel.grid.set_filter("")
            self.prompt(())
            panel.repaint()
        else:
            line.key(event.key, event.character)
            self._filtered(line)
        return True

    # ---------------------------------------------------------------- commands and what-ifs

    def open_command(self) -> None:
        """Type a what-if or a command."""
        names = [row.id for row in self.showing.live.rebalance.rows]
        self.command = CommandLine(self._history, names)
        self._show(self.command)

    def _show(self, typed: CommandLine | CellEdit) -> None:
        """Show what is typed, and under it what is wrong, or what the figures are still of."""
        width = self.app.size.width
        line = typed.prompt(width) if isinstance(typed, CommandLine) else typed.prompt()
        still: Line = ((f" the figures are still of {named(typed.still)}", "dim"),)
        self.prompt(line, still if typed.still else typed.below(width), typed.wrong)

    def _commanded(self, line: CommandLine) -> None:
        """Try what stands in the line now; say what is wrong where it is no what-if."""
        self._try(line)
        self._show(line)

    def _try(self, typed: Trial) -> None:
        """Ask what would be with what is typed, where it is a what-if by now."""
        text = typed.tries()
        if text is not None:
            self.bend(typed.ask_for(text), typed)
        elif typed.wrong and typed.asked:  # its preview is no longer what stands in the line
            typed.forget()
            self.bend(Withdraw(), typed)

    def _type_command(self, line: CommandLine, event: Key) -> bool:
        if event.key == "escape":
            self._close_command(line, withdrawn=bool(line.asked))
        elif event.key == "enter":
            self._enter_command(line)
        elif line.key(event.key, event.character):
            self._commanded(line)
        else:
            self._show(line)
        return True

    def _enter_command(self, line: CommandLine) -> None:
        if not line.bends:
            self._close_command(line, withdrawn=bool(line.asked))
            self.run_command(line.text)
            return
        text = line.assignments()
        if text is None:
            self._show(line)
        elif self.may_propose():
            line.remember()
            self._close_command(line, withdrawn=False)
            self._enter(Bend(text=text), line)

    def _close_command(self, line: CommandLine, *, withdrawn: bool) -> None:
        self.command = None
        if withdrawn:
            self.bend(Withdraw(), line)
        self.prompt(())
        self.active().repaint()

    # ---------------------------------------------------------------- cells

    def open_cell(self, panel: PanelWidget) -> bool:
        """Type into the cell under a panel's cursor; return False when it has none to edit."""
        self.cell = panel.edit = panel.start_edit()
        self._cell_panel = panel
        if self.cell is None:
            return False
        self._show(self.cell)
        panel.repaint()
        return True

    def _type_cell(self, cell: CellEdit, event: Key) -> bool:
        if event.key == "escape":
            self._close_cell()
            if cell.asked:
                self.bend(Withdraw(), cell)
        elif event.key == "enter":
            text = cell.assignments()
            if text is not None:
                panel = self._cell_panel or self.rebalance_panel()
                self._close_cell()
                self._enter(Bend(text=text), (cell, panel))
        else:
            cell.type_key(event.key, event.character)
            self._try(cell)
        if self.cell is not None:
            self._show(self.cell)
        if self._cell_panel is not None:
            self._cell_panel.repaint()
        return True

    def _close_cell(self) -> None:
        if self._cell_panel is not None:
            self._cell_panel.edit = None
        self.cell = None
        self.prompt(())

    # ---------------------------------------------------------------- what the desk says to it

    def _enter(self, intent: Bend, typed: Typed) -> None:
        """Send what was typed; where it is refused, it comes back to be mended."""
        self._entered.append((intent, typed))
        self.bend(intent, typed if isinstance(typed, CommandLine) else typed[0])
        self.rebalance_panel().ask_for(intent)

    def take_entered(self, intent: Intent) -> Typed | None:
        """Return what was typed for an intent that is answered now; None where nothing was."""
        found = next((one for one in self._entered if one[0] is intent), None)
        if found is None:
            return None
        self._entered.remove(found)
        return found[1]

    def _reopen(self, typed: Typed) -> None:
        if isinstance(typed, CommandLine):
            self.command = typed
            return
        self.cell, self._cell_panel = typed
        self._cell_panel.edit = self.cell
        self._cell_panel.repaint()

    def refused(self, text: str, intent: Intent, entered: Typed | None = None) -> None:
        """Show why the desk refused what is being typed, or was entered, under it."""
        typing = self.trial
        if typing is not None and typing.is_past(intent):
            return
        if entered is not None and not self.is_typing:
            self._reopen(entered)
        elif isinstance(intent, Bend) and not intent.preview and (entered or typing):
            # Not what stands in the line: it is named.
            text = f"{named(intent.text)}: {text}"
        typing = self.trial
        if typing is not None:
            typing.wrong, typing.dropped = text, False
            self._show(typing)
        else:
            self.say(text, "warn")

    # ---------------------------------------------------------------- what stands beside it

    @property
    def trial(self) -> CommandLine | CellEdit | None:
        """What is being typed of a what-if, or may become one."""
        return self.command or self.cell

    def tried(self, intent: Intent) -> None:
        """Note that a preview was answered."""
        typed = self.trial
        if typed is not None and isinstance(intent, Bend):
            typed.take_answer(intent)
            if typed.still:
                self._show(typed)

    def look_at_typed(self) -> None:
        """Note whether the preview of what is typed stands in the picture that came."""
        typed, view = self.trial, self.showing.live.rebalance
        if typed is not None and view.state == "ready":
            typed.look(preview=view.preview)
            self.try_again()

    def try_again(self) -> None:
        """Ask again for what is typed where a step took the place of its preview.

        But not where that was undone: then somebody wants it gone.
        """
        typed = self.trial
        if typed is None or not typed.dropped or typed.wrong or self.bending:
            return
        typed.forget()
        if self.showing.live.rebalance.can_redo:
            typed.wrong = "taken back by another terminal: the next key asks again"
        else:
            self._try(typed)
        self._show(typed)

    def say_once_seen(self, text: str) -> None:
        """Put a line on the news line; behind what is being typed it would pass unseen."""
        if self.is_typing:
            self._unsaid = text or self._unsaid
        elif text:
            self.showing.notice(text)

    def type_on(self) -> None:
        """Go on typing at a desk that is there anew: what the line to it refused is over."""
        typed = self.trial
        if typed is not None:
            typed.wrong = ""
            typed.tries()
            self._show(typed)

    # ---------------------------------------------------------------- leaving

    def ask_to_quit(self, pending: str) -> None:
        """Ask before leaving something behind."""
        self._asking_to_quit = True
        private = self.showing.private
        choice = "d leave the desk running · q quit and end it" if private else "q quit"
        self.prompt(((f" {pending}: {choice} · esc stay", "warn"),))

    def _answer_quit(self, event: Key) -> bool:
        if event.key == "q":
            self.leave(leave_desk=False)
        elif event.key == "d" and self.showing.private:
            self.leave(leave_desk=True)
        elif event.key != "escape":
            return True
        self._asking_to_quit = False
        self.prompt(())
        return True
