"""Text from outside made safe to show: nothing in it can move a cursor or reorder a line."""

from __future__ import annotations

import unicodedata

MAX_LENGTH = 64
"""Longest text from a venue that is kept, characters after escaping."""

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me", "Mc"})
_JOINING = ((0x1160, 0x11FF), (0xD7B0, 0xD7FF), (0x1F3FB, 0x1F3FF))
"""Parts of Hangul syllables and shades of emoji: they take no cell of their own."""
_WIDE_FROM = 0x2600
"""From here on terminals differ about what takes two cells: all of it is taken for wide."""
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def _shown(character: str) -> str:
    if " " <= character <= "~":
        return character
    joins = any(first <= ord(character) <= last for first, last in _JOINING)
    hidden = unicodedata.category(character) in _HIDDEN_CATEGORIES
    if not (joins or hidden or character in _BLANK_LETTERS):
        return character
    return _escaped(ord(character))


def _escaped(code: int) -> str:
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def safe_text(text: object, limit: int = MAX_LENGTH) -> str:
    r"""Return `text` on one line with every invisible character written as an escape.

    C0 and C1 controls, DEL, bidirectional and zero-width signs, combining marks and letters,
    surrogates, private and unassigned code points become ``\xNN``, ``\uNNNN`` or
    ``\UNNNNNNNN``; what is longer than `limit` is cut and ends in "…". Markup is left as it is:
    widgets are given Content or Text objects, never strings to parse.
    """
    source = text if isinstance(text, str) else str(text)
    shown = "".join(_shown(character) for character in source[: limit + 1])
    if len(shown) <= limit:
        return shown
    return shown[: limit - 1] + "…"


def cells_of(text: str) -> int:
    """Return how many cells a terminal takes for safe text, at most."""
    if text.isascii():
        return len(text)
    return sum(1 + _is_wide(character) for character in text)


def _is_wide(character: str) -> bool:
    return ord(character) >= _WIDE_FROM or unicodedata.east_asian_width(character) in {"W", "F"}


def folded(text: str, width: int, indent: str = "") -> list[str]:
    """Return safe text on lines of at most `width` cells, those after the first indented.

    Lines end between words; a word that is wider than a line ends where the line does.
    """
    bare = text.lstrip(" ")
    lines, line = [], text[: len(text) - len(bare)]
    for number, word in enumerate(bare.split(" ")):
        gap = " " if number else ""
        if gap and line.strip() and cells_of(f"{line} {word}") > width:
            lines.append(line)
            line, gap = indent, ""
        line += gap
        for character in word:
            if cells_of(line + character) > width:
                lines.append(line)
                line = indent
            line += character
    return [one.rstrip() for one in (*lines, line)]
