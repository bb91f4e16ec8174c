"""All keys, by binding id: `[keymap]` in config.toml changes any of them.

Nothing stands on ctrl+s, q, z, a, b, j, o (terminals and multiplexers keep those); what sends or
destroys is a capital, a function key twice, or a typed command.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from textual.binding import Binding


class Key(NamedTuple):
    """A binding: its id (and action), its standard keys, what it does, its group in the help."""

    id: str
    keys: str
    words: str
    group: str = "move"
    action: str = ""


KEYS: tuple[Key, ...] = (
    Key("down", "j,down", "down a row"),
    Key("up", "k,up", "up a row"),
    Key("left", "h,left", "columns to the left"),
    Key("right", "l,right", "columns to the right"),
    Key("first", "g,home", "first row"),
    Key("last", "G,end", "last row"),
    Key("page_down", "pagedown,space", "a page down"),
    Key("page_up", "pageup", "a page up"),
    Key("next_panel", "tab", "next panel"),
    Key("previous_panel", "shift+tab", "panel before"),
    Key("drill", "enter", "all of this row"),
    Key("back", "escape", "back; clears the filter"),
    Key("view_1", "1", "the desk", "views", "view('1')"),
    Key("view_2", "2", "positions", "views", "view('2')"),
    Key("view_3", "3", "funding", "views", "view('3')"),
    Key("view_4", "4", "volatility and regime", "views", "view('4')"),
    Key("view_5", "5", "rebalance", "views", "view('5')"),
    Key("view_6", "6", "risk limits", "views", "view('6')"),
    Key("view_7", "7", "backtest and stress", "views", "view('7')"),
    Key("view_8", "8", "journal", "views", "view('8')"),
    Key("maximise", "z", "this panel alone, and back", "views"),
    Key("filter", "slash", "show rows that hold some words", "table"),
    Key("sort", "s", "sort by the next column", "table"),
    Key("reverse", "S", "turn the order round", "table"),
    Key("copy_row", "y", "copy the row (OSC 52)", "table"),
    Key("copy_table", "Y", "copy the table (OSC 52)", "table"),
    Key("freeze", "f", "freeze this picture; the desk goes on", "table"),
    Key("solve", "r", "solve on the newest market; bends stay", "rebalance"),
    Key("reestimate", "R", "estimate again from the newest bars", "rebalance"),
    Key("edit", "e", "type this row's target or cap", "rebalance"),
    Key("nudge_up", "right_square_bracket", "target up by .01 of equity", "rebalance"),
    Key("nudge_down", "left_square_bracket", "target down by .01 of equity", "rebalance"),
    Key("reset", "0", "drop what this row bends", "rebalance"),
    Key("reset_all", "D", "drop all that is bent; u takes it back", "rebalance"),
    Key("undo", "u", "the what-if before", "rebalance"),
    Key("redo", "ctrl+r", "forward again", "rebalance"),
    Key("strategy", "m", "strategy: balanced, tactical, hybrid", "rebalance"),
    Key("robust", "o", "robust mean: box, ellipsoid, off", "rebalance"),
    Key("limits_part", "v", "the limits beside the trades, and back", "rebalance"),
    Key("why", "y", "why: ledger of a trade, then of all (view 5)", "rebalance"),
    Key("clash", "i", "which limits clash, and ways out", "rebalance"),
    Key("compare", "b", "compare A, B and what stands", "rebalance"),
    Key("keep_a", "A", "keep what stands as A", "rebalance"),
    Key("keep_b", "B", "keep what stands as B", "rebalance"),
    Key("frontier", "p", "efficient frontier, the books on it", "rebalance"),
    Key("confirm", "c", "plan and confirm", "orders"),
    Key("export", "x", "write the orders to CSV and JSON", "orders"),
    Key("cancel_working", "C", "cancel all working orders", "orders"),
    Key("kill", "f10", "twice: HALT, cancel and send nothing", "orders"),
    Key("command", "colon", "a what-if, or kill, cancel, theme NAME, quit", "orders"),
    Key("theme", "T", "next theme", "terminal"),
    Key("picture", "f8", "save a picture of the screen (SVG)", "terminal"),
    Key("palette", "ctrl+p", "search the commands", "terminal"),
    Key("help", "question_mark", "this help", "terminal"),
    Key("quit", "q", "leave", "terminal"),
)

BY_ID = {key.id: key for key in KEYS}

_SHOWN = {
    "slash": "/",
    "question_mark": "?",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "colon": ":",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "space": "space",
    "enter": "enter",
}


def bindings() -> list[Binding]:
    """Return Textual's bindings of the desk screen."""
    return [
        Binding(key.keys, key.action or key.id, key.words, show=False, id=key.id) for key in KEYS
    ]


def actions_by_key(keymap: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the actions behind each key, as `[keymap]` binds them; the first that may runs."""
    own = [key for key in KEYS if keymap.get(key.id)]
    standard = [key for key in KEYS if not keymap.get(key.id)]
    found: dict[str, tuple[str, ...]] = {}
    for key in own:
        for binding in Binding.make_bindings([Binding(keymap[key.id], key.action or key.id)]):
            found[binding.key] = (*found.get(binding.key, ()), binding.action)
    taken = frozenset(found)
    for key in standard:
        for binding in Binding.make_bindings([Binding(key.keys, key.action or key.id)]):
            if binding.key not in taken:
                found[binding.key] = (*found.get(binding.key, ()), binding.action)
    return found


def shown(key: str) -> str:
    """Return a key as it is written on screen: "^r", "?", "F10"."""
    if key.startswith("ctrl+"):
        return "^" + key[5:]
    if len(key) > 1 and key[0] == "f" and key[1:].isdigit():
        return key.upper()
    return _SHOWN.get(key, key)


def keys_of(binding_id: str, keymap: Mapping[str, str]) -> str:
    """Return the keys of a binding as they are now, for help and footer."""
    keys = keymap.get(binding_id) or BY_ID[binding_id].keys
    return " ".join(shown(key.strip()) for key in keys.split(","))


def unknown_ids(keymap: Mapping[str, str]) -> list[str]:
    """Return the ids in a `[keymap]` that no binding has."""
    return sorted(set(keymap) - set(BY_ID))


FOOTER = (
    ("help", "help"),
    ("palette", "palette"),
    ("filter", "filter"),
    ("sort", "sort"),
    ("maximise", "maximise"),
    ("edit", "edit"),
    ("solve", "solve"),
    ("confirm", "confirm"),
    ("export", "export"),
    ("quit", "quit"),
)

FOOTER_REBALANCE = (
    ("help", "help"),
    ("edit", "edit"),
    ("command", "what-if"),
    ("undo", "undo"),
    ("why", "why"),
    ("limits_part", "limits"),
    ("clash", "clash"),
    ("compare", "compare"),
    ("frontier", "frontier"),
    ("strategy", "strategy"),
    ("robust", "robust"),
    ("solve", "solve"),
    ("confirm", "confirm"),
    ("quit", "quit"),
)

ROOMY = 110
SPARED = frozenset({"maximise", "export"})
"""Left out of the footer of a narrower terminal, so that leaving it is not."""

SPARED_REBALANCE = ("robust", "strategy", "solve", "undo", "frontier", "limits_part")
"""Left out of the Rebalance view's footer, one after the other, until it fits."""


def footer(
    keymap: Mapping[str, str], width: int, *, rebalancing: bool = False
) -> tuple[tuple[str, str], ...]:
    """Return the footer's spans within `width` cells: first key of each binding and its word."""
    if rebalancing:
        pairs = list(FOOTER_REBALANCE)
        for spared in SPARED_REBALANCE:
            if _footer_width(keymap, pairs) <= width:
                break
            pairs = [pair for pair in pairs if pair[0] != spared]
    else:
        pairs = [pair for pair in FOOTER if width >= ROOMY or pair[0] not in SPARED]
    spans: list[tuple[str, str]] = [(" ", "dim")]
    used = 1
    for binding_id, word in pairs:
        key = keys_of(binding_id, keymap).split()[0]
        if used + len(key) + len(word) + 3 > width:
            break
        spans += [(key, "key"), (f" {word}  ", "dim")]
        used += len(key) + len(word) + 3
    return tuple(spans)


def _footer_width(keymap: Mapping[str, str], pairs: list[tuple[str, str]]) -> int:
    return 1 + sum(len(keys_of(name, keymap).split()[0]) + len(word) + 3 for name, word in pairs)
