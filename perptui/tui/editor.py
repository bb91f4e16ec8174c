"""A one-line editor: for a filter, a target, a command. It holds text and a cursor, no widget."""

from __future__ import annotations

MOST = 64
"""Longest text that can be typed."""


class LineEditor:
    """Text being typed.

    Parameters
    ----------
    text : str
        What stands there at first, the cursor behind it.
    allowed : str
        Characters that may be typed; empty for every printable one.
    """

    def __init__(self, text: str = "", allowed: str = "") -> None:
        self.text = text
        self.at = len(text)
        self._allowed = allowed

    def insert(self, text: str) -> None:
        """Put `text` at the cursor, less what may not be typed."""
        kept = "".join(
            c for c in text if c.isprintable() and (c in self._allowed or not self._allowed)
        )
        kept = kept[: MOST - len(self.text)]
        self.text = self.text[: self.at] + kept + self.text[self.at :]
        self.at += len(kept)

    def key(self, key: str, character: str | None) -> bool:
        """Take a key; return whether it was one of the editor's."""
        moves = {"left": self.at - 1, "right": self.at + 1, "home": 0, "end": len(self.text)}
        if key in moves:
            self.at = min(max(moves[key], 0), len(self.text))
        elif key == "backspace":
            if self.at:
                self.text = self.text[: self.at - 1] + self.text[self.at :]
                self.at -= 1
        elif key == "delete":
            self.text = self.text[: self.at] + self.text[self.at + 1 :]
        elif key == "ctrl+u":
            self.text, self.at = self.text[self.at :], 0
        elif character is not None and character.isprintable():
            self.insert(character)
        else:
            return False
        return True

    def shown(self) -> str:
        """Return the text with a bar at the cursor."""
        return f"{self.text[: self.at]}▏{self.text[self.at :]}"
