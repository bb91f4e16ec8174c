"""A cell being edited in place: a target or a cap, sent as a preview at every key that parses."""

from __future__ import annotations

from perptui.model.assignment import bend
from perptui.model.errors import InputError
from perptui.model.whatif import WhatIf
from perptui.tui.command_line import UNFINISHED, told
from perptui.tui.editor import LineEditor
from perptui.tui.format import MINUS
from perptui.tui.picture import Line, Span
from perptui.tui.trial import Trial


class CellEdit(Trial):
    """What is typed into one cell.

    Parameters
    ----------
    row : str
        The row's identity in its grid.
    key : str
        What stands before the ``=`` of the assignment: ``target:ID``, ``gross_max``.
    label, before : str
        The cell in words, and what stood there.
    unit : str
        What the number is of: "of equity".

    Attributes
    ----------
    note : str
        What is to be known of it while it is typed.
    """

    def __init__(self, row: str, key: str, label: str, before: str, unit: str = "") -> None:
        super().__init__()
        self.row = row
        self.key = key
        self.label = label
        self.before = before
        self.unit = unit
        self.editor = LineEditor()
        self.note = ""

    def type_key(self, key: str, character: str | None) -> None:
        """Hand a key to the editor; what was wrong is said until then."""
        self.wrong = ""
        self.editor.key(key, character)

    def assignments(self) -> str | None:
        """Return the assignment typed so far; None, and why in `wrong`, when it is none."""
        typed = self.editor.text.strip().replace(MINUS, "-")
        text = f"{self.key}={typed}"
        try:
            bend(WhatIf(), text)
        except InputError as error:
            self.wrong = "type a number such as −.25" if not typed else str(error)
            return None
        return text

    def unfinished(self) -> bool:
        """Return whether what is typed may still become a number: nothing yet, a sign, a point."""
        return self.editor.text.strip().replace(MINUS, "-") in UNFINISHED

    def prompt(self) -> Line:
        """Return what is being typed and what stood there before."""
        typed: Span = (f" {self.label}: {self.editor.shown()}", "title")
        unit = f" {self.unit}" if self.unit else ""
        return (typed, (f"   was {self.before}{unit}   Enter keeps, esc takes back", "dim"))

    def below(self, width: int) -> Line:
        """Return what is wrong, else what is to be known, for the line under the prompt."""
        if self.wrong or not self.note:
            return told(self.wrong, width) if self.wrong else ()
        return ((f" {self.note}", "dim"),)

    def cell(self, row: str, column: str, edited: str) -> Span | None:
        """Return what the cell shows while it is typed into; None for any other cell."""
        if row != self.row or column != edited:
            return None
        return (self.editor.shown() + ("" if self.editor.text else self.before))[-8:], "edited"
