"""The command line: what-ifs in the grammar of `perptui.model.assignment`, and a few commands."""

from __future__ import annotations

from collections.abc import Sequence

from perptui.model.assignment import LIMITS, PARAMETERS, assignments_in, bend_all
from perptui.model.errors import InputError
from perptui.model.instrument import split_id
from perptui.model.whatif import WhatIf
from perptui.tui.editor import LineEditor
from perptui.tui.format import MINUS
from perptui.tui.picture import Line
from perptui.tui.trial import Trial

COMMANDS = (
    "kill",
    "cancel",
    "override",
    "protect",
    "drawdown",
    "flatten",
    "settle",
    "theme",
    "quit",
)
WORDS = ("strategy=", "regime=", "equity=", "shock=", "cost=", "reduce_only=", "view:", "target:")
UNFINISHED = frozenset({"", "-", "+", ".", "-.", "+."})
"""What a number may begin with."""

MOST_HISTORY = 50
MOST_CHARACTERS = 400
WORDS_AFTER = "   Enter keeps, esc takes back"


class CommandLine(Trial):
    """What is typed after ``:``.

    Parameters
    ----------
    history : list of str
        Lines kept before, oldest first; a kept line is appended to it.
    names : Sequence of str
        Instrument ids that may be completed.
    """

    def __init__(self, history: list[str], names: Sequence[str] = ()) -> None:
        super().__init__()
        self.editor = LineEditor(most=MOST_CHARACTERS)
        self._history = history
        self._names = tuple(names)
        self._at = len(history)

    @property
    def text(self) -> str:
        """What was typed."""
        return self.editor.text.strip()

    @property
    def bends(self) -> bool:
        """Whether it is a what-if rather than a command."""
        if self.text.partition(" ")[0] in COMMANDS:
            return False
        return "=" in self.editor.text or ":" in self.editor.text

    def key(self, key: str, character: str | None) -> bool:
        """Take a key; return whether the text changed."""
        before = self.editor.text
        self.wrong = ""
        if key in {"up", "down"}:
            self._recall(-1 if key == "up" else 1)
        elif key == "tab":
            self._complete()
        else:
            self.editor.key(key, character)
        return self.editor.text != before

    def assignments(self) -> str | None:
        """Return the what-if typed so far; None, and why in `wrong`, when it is none yet."""
        try:
            parts = tuple(map(self._of_contract, assignments_in(self.text.replace(MINUS, "-"))))
            bend_all(WhatIf(), parts)
        except InputError as error:
            self.wrong = str(error)
            return None
        return " ".join(parts) if parts else None

    def _of_contract(self, part: str) -> str:
        """Return an assignment with its coin as the contract's id: a target is of one contract.

        Raises
        ------
        InputError
            When more than one contract is of the coin.
        """
        key, equals, value = part.partition("=")
        prefix, _, coin = (piece.strip() for piece in key.partition(":"))
        known = [name for name in self._names if split_id(name)[1].partition("/")[0] == coin]
        if prefix != "target" or not known:
            return part
        if len(known) > 1:
            raise InputError(
                f"expected one contract, was {coin} of {len(known)}; "
                f"write {' or '.join(f'target:{name}' for name in known)}"
            )
        return f"target:{known[0]}{equals}{value}"

    def tries(self) -> str | None:
        """Return what is to be tried now; a command is nothing to try."""
        if self.bends:
            return super().tries()
        self._rests = True
        return None

    @property
    def still(self) -> str:
        """What the figures are of; "" while one more name is typed: they are of what is before."""
        return super().still if "=" in self._word() or " " not in self.text else ""

    def unfinished(self) -> bool:
        """Return whether the word under way may still become an assignment, its number begun."""
        _, equals, value = self._word().partition("=")
        return not equals or value in UNFINISHED

    def remember(self) -> None:
        """Put the line into the history, as its newest."""
        if self.text in self._history:
            self._history.remove(self.text)
        self._history.append(self.text)
        del self._history[:-MOST_HISTORY]

    def _recall(self, by: int) -> None:
        self._at = min(max(self._at + by, 0), len(self._history))
        text = self._history[self._at] if self._at < len(self._history) else ""
        self.editor = LineEditor(text, most=MOST_CHARACTERS)

    def _word(self) -> str:
        """Return the word under way: what stands after the last blank."""
        return self.editor.text.rpartition(" ")[2]

    def candidates(self) -> list[str]:
        """Return what the word under way may become."""
        word = self._word()
        prefix, colon, _ = word.partition(":")
        if prefix == "stress":  # its names are the configuration's
            known = []
        elif colon:
            known = [f"{prefix}:{name}=" for name in self._names]
        else:
            first = COMMANDS if " " not in self.editor.text else ()
            known = [*first, *WORDS, *(f"{name}=" for name in (*LIMITS, *PARAMETERS))]
        return [name for name in known if name.startswith(word) and name != word]

    def _complete(self) -> None:
        """Write out as much of the word as all candidates share."""
        found = self.candidates()
        if found and self.editor.at == len(self.editor.text):
            word = self._word()
            self.editor.insert(_shared(found)[len(word) :])

    def prompt(self, width: int) -> Line:
        """Return the line itself, the part around the cursor where it is longer than that."""
        typed = self.editor.shown(max(width - len(WORDS_AFTER) - 4, 8))
        return ((f" :{typed}", "title"), (WORDS_AFTER, "dim"))

    def below(self, width: int) -> Line:
        """Return what is wrong with it, else what it may become, for the line under it."""
        if self.wrong:
            return told(self.wrong, width)
        found = [] if "=" in self._word() else self.candidates()
        if not found:
            return ((" names as in config.toml: gross_max=2 regime=stress shock=-.1", "dim"),)
        shown = " tab "
        for name in found:
            if len(shown) + len(name) + 6 > width:
                return ((f"{shown} …", "dim"),)
            shown += f" {name}"
        return ((shown, "dim"),)


def told(error: str, width: int) -> Line:
    """Return why something was refused, on one line; of a long one the end, which is the cure."""
    room = max(width - 2, 1)
    text = error if len(error) <= room else "…" + error[-room + 1 :]
    return ((f" {text}", "warn"),)


def _shared(texts: Sequence[str]) -> str:
    """Return the longest beginning that all texts have."""
    first, last = min(texts), max(texts)
    size = next((i for i, c in enumerate(first) if i >= len(last) or last[i] != c), len(first))
    return first[:size]
