"""Text from outside made safe to show: nothing in it can move a cursor or reorder a line."""

from __future__ import annotations

import unicodedata

MAX_LENGTH = 64
"""Longest text from a venue that is kept, characters after escaping."""

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me"})
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def _shown(character: str) -> str:
    if " " <= character <= "~":
        return character
    if (
        unicodedata.category(character) not in _HIDDEN_CATEGORIES
        and character not in _BLANK_LETTERS
    ):
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def safe_text(text: object, limit: int = MAX_LENGTH) -> str:
    r"""Return `text` on one line with every invisible character written as an escape.

    C0 and C1 controls, DEL, bidirectional and zero-width signs, combining marks, surrogates,
    private and unassigned code points become ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``; what is
    longer than `limit` is cut and ends in "…". Markup is left as it is: widgets are given
    Content or Text objects, never strings to parse.
    """
    source = text if isinstance(text, str) else str(text)
    shown = "".join(_shown(character) for character in source[: limit + 1])
    if len(shown) <= limit:
        return shown
    return shown[: limit - 1] + "…"
