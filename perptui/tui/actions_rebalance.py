"""What the keys of the Rebalance view do to the what-if: bend, nudge, switch, take back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.timer import Timer

from perptui.protocol.intents import (
    AskFrontier,
    Bend,
    Compare,
    Intent,
    Keep,
    Redo,
    Reestimate,
    Solve,
    Unbend,
    Undo,
)
from perptui.protocol.views_rebalance import RebalanceRow
from perptui.tui.panels.limits import LimitsPanel, key_words
from perptui.tui.panels.rebalance import RebalancePanel
from perptui.tui.panels.rebalance_state import leads_elsewhere
from perptui.tui.switches import ROBUST, STRATEGY, SWITCHES, next_of
from perptui.tui.typing_keys import TypingKeys

NUDGE = 0.01
NUDGE_DIGITS = 3
SETTLED_S = 0.7
"""After so long without another nudge, nudges of a row become one step of the what-if."""

MOST_WEIGHT = 10.0
BESIDE = Keep | Compare | AskFrontier
"""Intents that leave the what-if as it is."""


class RebalanceActions(TypingKeys):
    """Actions of the what-if."""

    def __init__(self) -> None:
        super().__init__()
        self._nudged: tuple[str, str] | None = None
        self._settling: Timer | None = None
        self._follows: tuple[Callable[[], None], str] | None = None

    # ---------------------------------------------------------------- solving and switches

    def action_solve(self) -> None:
        """Ask for the proposal on the newest market, with what is bent."""
        if self.may_propose():
            self.say("solving")
            self.bend(Solve())

    def action_reestimate(self) -> None:
        """Ask for new estimates."""
        if self.may_propose():
            self.ask(Reestimate(), "estimating again")

    def action_strategy(self) -> None:
        """Bend the strategy to the next one."""
        self._switch(STRATEGY)

    def action_robust(self) -> None:
        """Bend the shape of the robust mean to the next one."""
        self._switch(ROBUST)

    def _switch(self, key: str) -> None:
        if not self.may_propose():
            return
        if key not in self.rebalance_panel().switched and self._leads_elsewhere():
            self._wait_with(key, 1)
        else:
            self._switch_on(key)

    def _switch_on(self, key: str) -> None:
        """Bend a switch to the choice after the one asked for last, else after what stands."""
        panel = self.rebalance_panel()
        stands: str = getattr(self.showing.live.rebalance, key)
        chosen = panel.switched[key] = next_of(key, panel.switched.get(key, stands))
        self.say(f"{SWITCHES[key][0]} {chosen}")
        # Back to the desk's own is no edit: nothing of it is bent then.
        own = panel.own.get(key) == chosen
        self.bend(Unbend(key=key) if own else Bend(text=f"{key}={chosen}"))

    def action_undo(self) -> None:
        """Step back; what waits for what it starts from is the last step."""
        panel = self.rebalance_panel()
        if not self.may_propose():
            return
        if panel.nudges:
            panel.nudges.popitem()
            panel.repaint()
            return
        panel.forget_asked()
        self.bend(Undo())

    def action_redo(self) -> None:
        """Step forward."""
        if self.may_propose():
            self.rebalance_panel().forget_asked()
            self.bend(Redo())

    # ---------------------------------------------------------------- cells

    def action_edit(self) -> None:
        """Type the cap under the cursor of a table of limits, else the target of the contract."""
        if not self.may_propose():
            return
        active = self.active()
        panel = active if isinstance(active, LimitsPanel) else self.rebalance_panel()
        if panel is not active:
            self._bring(self.rebalance_panel())
        if not self.open_cell(panel):
            self.say(self._nothing_to_edit(panel), "warn")
        panel.repaint()

    def _nothing_to_edit(self, panel: RebalancePanel | LimitsPanel) -> str:
        if isinstance(panel, LimitsPanel) or panel.part == "limits":
            row = panel.grid.selected
            return "no limit here" if row is None else key_words(row.name)
        return self._no_target()

    def _no_target(self) -> str:
        solving = self.showing.live.rebalance.state == "solving"
        return "wait for the solve" if solving else "no target yet: wait for the solve, or r solves"

    def _bring(self, panel: RebalancePanel) -> None:
        """Show the rebalance panel, on the contract that was chosen in the panel before."""
        before = self.active()
        if before is panel:
            return
        row: Any = before.grid.selected if before.grid else None
        panel.part = "trades"
        panel.before_lines()
        if row is not None:
            panel.trades.select(getattr(row, "id", ""))
        if not panel.region.area:
            self.show_view("5")
        self.set_focus(panel, scroll_visible=False)

    def action_nudge_up(self) -> None:
        """Raise the target by NUDGE."""
        self._nudge(NUDGE)

    def action_nudge_down(self) -> None:
        """Lower the target by NUDGE."""
        self._nudge(-NUDGE)

    def _nudge(self, by: float) -> None:
        if not self.may_propose():
            return
        panel = self.rebalance_panel()
        self._bring(panel)
        row = panel.selected
        if row is None or not panel.proposed():
            self.say(self._no_target(), "warn")
            return
        if panel.part == "limits":
            self.say("a cap is typed: e edits it", "warn")
            return
        if row.id not in panel.wanted and self._leads_elsewhere():
            self._wait_with(row.id, by)
        else:
            self._nudge_row(row, by)

    def _wait_with(self, name: str, by: float) -> None:
        """Nudge a row, or turn a switch, once it is known from where."""
        self._change_of_mind()
        panel = self.rebalance_panel()
        panel.nudges[name] = panel.nudges.get(name, 0) + by
        panel.repaint()

    def _leads_elsewhere(self) -> bool:
        """Return whether what was asked leads to what is not known here yet."""
        return any(map(leads_elsewhere, self.bending))

    def nudge_on(self) -> None:
        """Make the nudges that waited for what an answer has brought now."""
        panel = self.rebalance_panel()
        if not panel.nudges or self._leads_elsewhere():
            return
        nudges = panel.take_nudges()
        if not self.may_propose():
            return
        follows, self._follows = self._follows, None
        for row in self.showing.live.rebalance.rows:
            if row.id in nudges:
                self._nudge_row(row, nudges[row.id])
        for key in SWITCHES:
            for _ in range(int(nudges.get(key, 0))):
                self._switch_on(key)
        self._follows = follows
        if follows is not None:
            self.settle()

    def _nudge_row(self, row: RebalanceRow, by: float) -> None:
        panel = self.rebalance_panel()
        weight = round(panel.target_of(row) + by, NUDGE_DIGITS)
        if abs(weight) > MOST_WEIGHT:
            self.say(f"at most {MOST_WEIGHT:.0f} times equity", "warn")
            return
        key = f"target:{row.id}"
        if self._nudged is not None and self._nudged[0] != key:
            self.settle()
        self._change_of_mind()
        self._nudged = key, f"{key}={weight:.{NUDGE_DIGITS}f}"
        asked = Bend(text=self._nudged[1], preview=True)
        self.send(asked, key)
        panel.ask_for(asked)
        if self._settling is not None:
            self._settling.stop()
        self._settling = self.set_timer(SETTLED_S, self.settle)
        panel.repaint()

    def settle(self) -> None:
        """Make the nudges of a row one step of the what-if."""
        nudged, self._nudged = self._nudged, None
        if nudged is not None:
            self.send(Bend(text=nudged[1]), nudged[0])

    def bend(self, intent: Intent, edits: object = None) -> None:
        """Send an intent of the what-if; nudges before it are settled, or taken back by it."""
        if not isinstance(intent, BESIDE):
            self._change_of_mind()
        if isinstance(intent, Undo):
            self._nudged = None
        self.settle()
        self.send(intent, edits)

    # ---------------------------------------------------------------- what waits for an answer

    def once_answered(self, then: Callable[[], None], what: str) -> None:
        """Do something with what stands once all that was asked for is answered; now, if it is.

        Parameters
        ----------
        what : str
            What is done, in words: "its plan".
        """
        self.settle()
        if not self.bending:
            then()
            return
        self._follows = then, what
        self.say(f"the what-if is being solved: {what} follows")

    def all_answered(self, *, ok: bool) -> None:
        """Do what waited for this, unless the last answer was a no."""
        waited, self._follows = self._follows, None
        if waited is not None and ok:
            waited[0]()

    def _change_of_mind(self) -> None:
        """Bent further: what was to be done with what stood before is not done."""
        waited, self._follows = self._follows, None
        if waited is not None:
            self.say(f"bent further: no {waited[1].split()[-1]} of what was before; ask again")

    def action_reset(self) -> None:
        """Drop what the row under the cursor bends: its target, or its cap."""
        if not self.may_propose():
            return
        active = self.active()
        panel = active if isinstance(active, LimitsPanel) else self.rebalance_panel()
        cell = panel.start_edit()
        if cell is None:
            self.say(self._nothing_to_edit(panel), "warn")
            return
        self.rebalance_panel().forget_row(cell.row)
        self.bend(Unbend(key=cell.key))

    def action_reset_all(self) -> None:
        """Drop all that is bent, as one step."""
        if self.may_propose():
            self.rebalance_panel().take_nudges()
            self.rebalance_panel().forget_asked()
            self.bend(Unbend())
