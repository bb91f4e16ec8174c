"""What the Rebalance view shows and where its cursor is: pages, parts, cells being edited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perptui.model.assignment import FREE, assignments_in, bend_all
from perptui.model.whatif import WhatIf
from perptui.protocol.intents import (
    Bend,
    Intent,
    Recall,
    Redo,
    Reduce,
    Relax,
    Unbend,
    Undo,
    Withdraw,
)
from perptui.protocol.views import LimitRow
from perptui.protocol.views_rebalance import RebalanceRow, RebalanceView
from perptui.tui import format as figures
from perptui.tui.editing import CellEdit
from perptui.tui.grid import Grid
from perptui.tui.panels import rebalance_why as whys
from perptui.tui.panels.base import PanelWidget, contract
from perptui.tui.panels.limits import COLUMNS as LIMIT_COLUMNS
from perptui.tui.panels.limits import SEVERITY, cap_edit, severity
from perptui.tui.panels.rebalance_trades import COLUMNS
from perptui.tui.picture import Line, Span
from perptui.tui.showing import Showing
from perptui.tui.switches import ROBUST, STRATEGY
from perptui.tui.theme import Palette
from perptui.tui.whose import another

LEADING = Undo | Redo | Unbend | Withdraw | Relax | Reduce | Recall
"""Intents that lead to what only the desk knows."""

PAGES = ("why", "ledgers", "clash", "compare", "frontier")


class RebalanceState(PanelWidget):
    """The Rebalance view without its drawing.

    Attributes
    ----------
    page : str
        What is shown in place of the trades: one of `PAGES`, or "" for the trades themselves.
    part : str
        Where the cursor is: ``trades`` or ``limits``.
    wanted : dict of str to float
        Targets asked for and not answered yet, by instrument id.
    nudges : dict of str to float
        Nudges, by instrument id, of targets that are known only once the desk has answered; and how
        often a switch is turned on from where it is then, by its key.
    switched : dict of str to str
        Strategy and robust mean asked for that have not come back.
    own : dict of str to str
        The desk's own of each, as far as it has been seen.
    """

    panel = "rebalance"
    title = "Proposed rebalance"
    keys = (
        ("drill", "this trade, and every reason in full"),
        ("why", "why: its ledger; again: all ledgers"),
        ("edit", "type this target or cap: solved at every key"),
        ("nudge_up", "target up by .01 of equity"),
        ("nudge_down", "target down by .01 of equity"),
        ("command", "type a what-if: gross_max=2 shock=-.1"),
        ("reset", "drop what this row bends"),
        ("undo", "back to the what-if before"),
        ("redo", "forward again"),
        ("limits_part", "to the limits and back: e edits a cap"),
        ("strategy", "strategy: balanced, tactical, hybrid"),
        ("robust", "robust mean: box, ellipsoid, off"),
        ("clash", "which limits clash; a digit tries a way out"),
        ("compare", "compare A, B and what stands"),
        ("keep_a", "keep what stands as A"),
        ("keep_b", "keep what stands as B"),
        ("frontier", "efficient frontier with the books on it"),
        ("solve", "solve on the newest market; bends stay"),
        ("reset_all", "drop all that is bent; u takes it back"),
        ("reestimate", "estimate again from the newest bars"),
        ("confirm", "plan and confirm (from a fresh proposal)"),
        ("export", "write the orders to CSV and JSON instead"),
    )

    words = (
        ("tgt * Δ$", "target over equity, * edited; what it trades"),
        ("why", "drives the whole trade, then what stops it"),
        ("ledger", "of one more unit at the target; sums to 0"),
        ("+1pp $", "$ a day for a percentage point more of it"),
        ("BINDS", "the target stands at this limit"),
        ("×0.50", "share of gross_max that the regime leaves"),
        ("live, exp.", "carry at rates of now; as forecast"),
        ("one way", "half the sum of all trades over equity"),
        ("regret", "what the trade gains a day, less its cost"),
        ("stressed", "worst stress loss + margin over equity"),
    )

    def __init__(self, showing: Showing, palette: Callable[[], Palette]) -> None:
        super().__init__(showing, palette)
        self.trades: Grid[RebalanceRow] = Grid(
            COLUMNS, lambda row: row.id, sort="now", mark=lambda row: "" if row.trade_usd else "dim"
        )
        self.caps: Grid[LimitRow] = Grid(LIMIT_COLUMNS, lambda row: row.name, sort="")
        self.ledgers: Grid[whys.Why] = Grid(whys.COLUMNS, lambda why: why.trade.id, sort="limits")
        self.grid: Grid[Any] = self.trades
        self.page = ""
        self.part = "trades"
        self.wanted: dict[str, float] = {}
        self.nudges: dict[str, float] = {}
        self.switched: dict[str, str] = {}
        self.own: dict[str, str] = {}
        self._limits: tuple[LimitRow, ...] = ()

    @property
    def _view(self) -> RebalanceView:
        return self.showing.view.rebalance

    # ---------------------------------------------------------------- pages and parts

    def turn_to(self, page: str) -> None:
        """Show a page; the cursor stays on its contract."""
        selected = self.selected
        self.page, self.detail = page, False
        self._skipped = 0
        if page:
            self.part = "trades"
        self.before_lines()
        if selected is not None:
            self.grid.select(selected.id)
            self.trades.select(selected.id)

    def turn_part(self) -> None:
        """Move the cursor between trades and limits."""
        self.part = "trades" if self.part == "limits" else "limits"
        self.page, self.detail = "", False
        self.before_lines()

    @property
    def selected(self) -> RebalanceRow | None:
        """The trade under the cursor."""
        if self.grid is self.ledgers:
            why = self.ledgers.selected
            return None if why is None else why.trade
        return self.trades.selected

    def scrolls(self) -> bool:
        """Return whether j and k scroll the page rather than move a cursor."""
        return self.page in {"clash", "compare", "frontier"}

    def start_edit(self) -> CellEdit | None:
        """Return the editing of the cell under the cursor; None when there is none to edit."""
        if not self.proposed():
            return None
        if self.part == "limits":
            row = self.caps.selected
            return None if row is None else cap_edit(row, self._view)
        trade = self.selected
        if trade is None:
            return None
        name = " ".join(contract(trade.coin, trade.venue).split())
        before = figures.weight(self.target_of(trade))
        return CellEdit(trade.id, f"target:{trade.id}", f"target {name}", before, "of equity")

    # ---------------------------------------------------------------- what stands

    def waits_for(self) -> str | None:
        """Return what there is to wait for; no key need be pressed for what is being solved."""
        waiting = super().waits_for()
        solving = waiting is not None and self._view.state == "solving"
        return "solving the first proposal" if solving else waiting

    def heading(self) -> str:
        """Return the title: a proposal, or a what-if with how much is bent."""
        view = self._view
        if not view.what_if:
            return self.title
        edits = f"What if · {view.edits} edit{'s' if view.edits != 1 else ''}"
        if not view.preview:
            return edits
        whose = another(view.typist)
        some = f"{len(view.tried)} " if 0 < len(view.tried) < view.edits else ""
        return f"{edits}: {whose} is typing" if whose else f"{edits}, {some}not kept yet"

    def corner(self) -> Line:
        """Return the filter, or the digest and its state."""
        if self.grid.filter:
            return self.sort_words()
        view = self._view
        if view.state == "solving":
            return (("solving ", "accent"),)
        if view.digest and view.waiting is None:
            return ((f"#{view.digest[:4]} ", "dim"),)
        return ()

    def is_stale(self) -> bool:
        """Return whether the proposal is too old to be confirmed, or the desk lost."""
        expires = self._view.expires_mono
        return self.showing.lost or (expires is not None and self.showing.now() > expires)

    def before_lines(self) -> None:
        """Hand the rows to the grids; forget asked-for switches that have come back."""
        view = self._view
        self.trades.set_rows(view.rows)
        if self.page == "ledgers":
            self.ledgers.set_rows(whys.joined(view.rows, view.ledger, view.break_even))
        limits = self.showing.view.limits.proposed
        if limits is not self._limits:
            self._limits = limits
            self.caps.set_rows(sorted(limits, key=_cap_order))
        self.grid = self._grid_of()
        for key, stands in ((STRATEGY, view.strategy), (ROBUST, view.robust)):
            if self.switched.get(key) == stands:
                del self.switched[key]
            if stands and not any(text.startswith(f"{key}=") for text in view.assignments):
                self.own[key] = stands

    def ask_for(self, intent: Bend) -> None:
        """Note the targets and switches that are asked for, until they have come back."""
        what_if = _asked(intent)
        targets = what_if.targets
        for name in (*targets, *targets_freed(intent)):
            self.forget_row(name)
        self.wanted |= targets
        for key, chosen in ((STRATEGY, what_if.strategy), (ROBUST, what_if.parameters.get(ROBUST))):
            if isinstance(chosen, str) and chosen:
                self.switched[key] = chosen
                self.nudges.pop(key, None)

    def take_answer(self, intent: Intent, *, ok: bool) -> None:
        """Forget what was asked for by an intent: what the desk made of it is in the view."""
        if isinstance(intent, Bend):
            for name, weight in _asked(intent).targets.items():
                if self.wanted.get(name) == weight:  # else another one is on its way
                    del self.wanted[name]
        if not ok:
            self.switched.clear()

    def forget_row(self, name: str) -> None:
        """Forget what was asked for the target of one contract: another is asked for."""
        self.wanted.pop(name, None)
        self.nudges.pop(name, None)

    def take_nudges(self) -> dict[str, float]:
        """Return the nudges that wait, and wait for none any more."""
        nudges, self.nudges = self.nudges, {}
        return nudges

    def forget_asked(self) -> None:
        """Forget what was asked for: it was taken back."""
        self.wanted.clear()
        self.switched.clear()

    def _grid_of(self) -> Grid[Any]:
        if self.page == "ledgers":
            return self.ledgers
        return self.caps if self.part == "limits" else self.trades

    def target_of(self, row: RebalanceRow) -> float:
        """Return the target that stands: the one just asked for, else the desk's."""
        return self.wanted.get(row.id, row.weight_target if row.edited else row.weight_rounded)

    def proposed(self) -> bool:
        """Return whether a proposal stands that can be edited."""
        return self._view.waiting is None and bool(self._view.digest)

    def _cell_of_trade(self, row: RebalanceRow, column: str) -> Span | None:
        if self.edit is not None and (cell := self.edit.cell(row.id, column, "tgt")):
            return cell
        if column == "tgt" and row.id in self.wanted:
            return figures.weight(self.wanted[row.id]) + "…", "edited"
        if column == "tgt" and row.id in self.nudges:
            return "…", "edited"
        if column == "tgt" and row.edited and self._view.status == "infeasible":
            # No book meets it, so nothing trades: what was asked, not what is held meanwhile.
            return "*" + figures.weight(row.weight_target), "edited"
        return None

    def _cell_of_cap(self, row: LimitRow, column: str) -> Span | None:
        return None if self.edit is None else self.edit.cell(row.name, column, "bound")


def _asked(intent: Bend) -> WhatIf:
    """Return what an intent asks for, as if nothing else were bent."""
    return bend_all(WhatIf(), assignments_in(intent.text))


def leads_elsewhere(intent: Intent) -> bool:
    """Return whether an intent leads to targets and switches that only the desk knows."""
    return isinstance(intent, LEADING) or bool(targets_freed(intent))


def targets_freed(intent: Intent) -> tuple[str, ...]:
    """Return the instruments whose targets an intent fixes no more, by their ids."""
    if not isinstance(intent, Bend):
        return ()
    parts = (text.partition("=") for text in assignments_in(intent.text))
    freed = ((key.strip().partition(":"), value.strip()) for key, _, value in parts)
    return tuple(key[2] for key, value in freed if key[0] == "target" and value == FREE)


def _cap_order(row: LimitRow) -> tuple[float, ...]:
    """Sort limits by what they do to the proposal, then by their price, then by now."""
    after, (state, near) = SEVERITY.get(row.state_after, 0), severity(row)
    return (-after, -(row.price_usd_day or 0.0), -state, -near)
