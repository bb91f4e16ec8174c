"""What a table is made of: cells of text, and columns that say how a row's is made and sorted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

Row = TypeVar("Row")


class Cell(NamedTuple):
    """Text of one cell; `lead` stands at the left of a right-aligned figure (▲, ▼)."""

    text: str
    role: str = "text"
    lead: str = ""


class Column(NamedTuple, Generic[Row]):
    """A column.

    Attributes
    ----------
    cell : Callable[[Row, float], Cell]
        The cell of a row at monotonic time `now`.
    key : Callable[[Row], Any] | None
        What the column sorts by; a row whose key is None comes last either way.
    priority : int
        Columns with the smallest number are kept in sight when the width is short; the others
        come after them and are reached by scrolling.
    live : bool
        The cell changes with time alone (an age) and is formatted at each paint.
    least : int
        Narrowest width in cells; a column that stretches and has one is cut before it is left out.
    stretch : bool
        Takes the width that is left over.
    optional : bool
        Left out while no row in sight has a figure for it.
    """

    name: str
    cell: Callable[[Row, float], Cell]
    key: Callable[[Row], Any] | None = None
    align_left: bool = False
    priority: int = 1
    live: bool = False
    stretch: bool = False
    least: int = 0
    optional: bool = False
