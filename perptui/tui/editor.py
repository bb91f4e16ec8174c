"""A one-line editor: for a filter, a target, a command. It holds text and a cursor, no widget."""

from __future__ import annotations

MOST = 64
"""Longest text that can be typed, unless said otherwise."""


class LineEditor:
    """Text being typed.

    Parameters
    ----------
    text : str
        What stands there at first, the cursor behind it.
    allowed : str
        Characters that may be typed; empty for every printable one.
    most : int
        Longest text that can be typed.
    """

    def __init__(self, text: str = "", allowed: str = "", most: int = MOST) -> None:
        self.text = text
        self.at = len(text)
        self._allowed = allowed
        self._most = most

    def insert(self, text: str) -> None:
        """Put `text` at the cursor, less what may not be typed."""
        kept = "".join(
            c for c in text if c.isprintable() and (c in self._allowed or not self._allowed)
        )
        kept = kept[: max(self._most - len(self.text), 0)]
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

    def shown(self, width: int = 0) -> str:
        """Return the text with a bar at the cursor; of a longer one the part around it."""
        text, at = self.text, self.at
        if width and len(text) >= width:
            start = min(max(at - width + 2, 0), len(text) - width + 2)
            cut = text[start : start + width - 2]
            text, at = ("…" if start else "") + cut, at - start + bool(start)
        return f"{text[:at]}▏{text[at:]}"
