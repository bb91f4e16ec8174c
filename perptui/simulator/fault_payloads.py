"""What a venue that has gone wrong writes into a payload: one edit of a JSON body each.

An edit strikes one place of the body, chosen by a number that counts through all that qualify,
so a script can reach every field. A body without such a place comes back as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

Body = bytes
Place = tuple[Any, Any]
"""A container and the key or index of one of its leaves."""

NUMBER = re.compile(r"-?\d+(\.\d+)?")
_MARK = "@@struck@@"
HOSTILE = "[@click=app.exit]SAFE[/] \x1b[2J\x9b31m\u202eTDSU\u200b\u2066[/][red]\x00\x7f"
"""Markup with an action, an unbalanced tag, ESC, C1, bidirectional and zero-width characters."""

LONG = 10_000_000
NESTED = 100_000
IDENTIFIERS = ("id", "orderId", "tranId", "symbol")
"""What tells entries of a list apart, the most particular first."""


def _leaves(node: Any) -> Iterator[Place]:
    pairs: Any = ()
    if isinstance(node, dict):
        pairs = list(node.items())
    elif isinstance(node, list):
        pairs = list(enumerate(node))
    for key, value in pairs:
        if isinstance(value, (dict, list)):
            yield from _leaves(value)
        else:
            yield node, key


def is_number(value: Any) -> bool:
    """Say whether a leaf is a number, bare or in quotes."""
    if isinstance(value, str):
        return NUMBER.fullmatch(value) is not None
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_text(value: Any) -> bool:
    """Say whether a leaf is a text that is no number."""
    return isinstance(value, str) and not is_number(value)


def _parsed(body: Body) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _chosen(places: list[Place], pick: int) -> Place | None:
    return places[pick % len(places)] if places else None


def count_numbers(body: Body) -> int:
    """Return how many numbers of `body` an edit can strike."""
    return sum(is_number(node[key]) for node, key in _leaves(_parsed(body)))


def with_raw(body: Body, pick: int, raw: Callable[[Any], str]) -> Body:
    """Return `body` with one number written as the JSON text that `raw` makes of it."""
    payload = _parsed(body)
    place = _chosen([(n, k) for n, k in _leaves(payload) if is_number(n[k])], pick)
    if place is None:
        return body
    node, key = place
    text, node[key] = raw(node[key]), _MARK
    return json.dumps(payload).replace(json.dumps(_MARK), text, 1).encode()


def null(value: Any) -> str:
    """Write null."""
    return "null"


def negative(value: Any) -> str:
    """Write the number with its sign turned; minus one for a zero."""
    if not isinstance(value, str):
        return json.dumps(-value if value else -1)
    if not float(value):
        return '"-1"'
    return json.dumps(value[1:] if value.startswith("-") else f"-{value}")


def overflow(value: Any) -> str:
    """Write a number that no float holds, in quotes where the number was."""
    return '"1e999"' if isinstance(value, str) else "1e999"


def word(value: Any) -> str:
    """Write a word."""
    return '"many"'


def with_key_twice(body: Body, pick: int) -> Body:
    """Return `body` with one number's key written twice, the second time with its sign turned."""
    payload = _parsed(body)
    found = [(n, k) for n, k in _leaves(payload) if isinstance(n, dict) and is_number(n[k])]
    place = _chosen(found, pick)
    if place is None:
        return body
    node, key = place
    value, node[key] = node[key], _MARK
    name = json.dumps(key)
    twice = f"{name}: {json.dumps(value)}, {name}: {negative(value)}"
    return json.dumps(payload).replace(f"{name}: {json.dumps(_MARK)}", twice, 1).encode()


def with_text(body: Body, pick: int, text: str) -> Body:
    """Return `body` with `text` in place of one text."""
    payload = _parsed(body)
    place = _chosen([(n, k) for n, k in _leaves(payload) if is_text(n[k])], pick)
    if place is None:
        return body
    node, key = place
    node[key] = text
    return json.dumps(payload).encode()


def nested(_body: Body) -> Body:
    """Return lists within lists, deeper than any parser goes."""
    return b"[" * NESTED + b"]" * NESTED


# ---------------------------------------------------------------- lists


def _lists(payload: Any) -> list[list[Any]]:
    """Return the lists of entries of a payload: itself, or what its fields hold."""
    found = [payload] if isinstance(payload, list) else []
    if isinstance(payload, dict):
        found = [value for value in payload.values() if isinstance(value, list)]
    return [rows for rows in found if rows]


def _with_lists(body: Body, edit: Callable[[list[Any]], None]) -> Body:
    payload = _parsed(body)
    lists = _lists(payload)
    for rows in lists:
        edit(rows)
    return json.dumps(payload).encode() if lists else body


def reversed_entries(body: Body) -> Body:
    """Return `body` with its lists the other way round."""
    return _with_lists(body, lambda rows: rows.reverse())


def repeated_entry(body: Body, pick: int) -> Body:
    """Return `body` with one entry of each list written twice."""
    return _with_lists(body, lambda rows: rows.insert(pick % len(rows), rows[pick % len(rows)]))


def lost_entry(body: Body, pick: int) -> Body:
    """Return `body` without one entry of each list, from its middle where it has one."""

    def lose(rows: list[Any]) -> None:
        inside = max(1, len(rows) - 2)
        del rows[min(1 + pick % inside, len(rows) - 1)]

    return _with_lists(body, lose)


def reused_identifier(body: Body, pick: int) -> Body:
    """Return `body` with two neighbouring entries of a list under one id, otherwise different."""

    def reuse(rows: list[Any]) -> None:
        if len(rows) < 2 or not isinstance(rows[0], dict):
            return
        first = pick % (len(rows) - 1)
        for name in IDENTIFIERS:
            if name in rows[first]:
                rows[first + 1][name] = rows[first][name]
                return

    return _with_lists(body, reuse)


# ---------------------------------------------------------------- books


def _tops(payload: Any) -> list[dict[str, Any]]:
    rows = payload if isinstance(payload, list) else [payload]
    return [row for row in rows if isinstance(row, dict)]


def zero_book(body: Body) -> Body:
    """Return `body` with books that are empty and best prices of zero."""
    payload = _parsed(body)
    for row in _tops(payload):
        for name in {"bids", "asks"} & row.keys():
            row[name] = []
        for name in {"bidPrice", "askPrice", "bidQty", "askQty"} & row.keys():
            row[name] = "0"
    return body if payload is None else json.dumps(payload).encode()


def crossed_book(body: Body) -> Body:
    """Return `body` with bids and asks exchanged."""
    payload = _parsed(body)
    for row in _tops(payload):
        for bid, ask in (("bids", "asks"), ("bidPrice", "askPrice")):
            if bid in row and ask in row:
                row[bid], row[ask] = row[ask], row[bid]
    return body if payload is None else json.dumps(payload).encode()
