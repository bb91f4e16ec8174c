"""Paging by time over answers that are cut at a number of rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TypeVar

from perptui.model.clock import DAY_MS
from perptui.model.errors import BadResponse

Row = TypeVar("Row")

PAGE_ROWS = 1000
WINDOW_MS = 7 * DAY_MS
"""Binance answers at most seven days at a time, from the start asked for."""

AHEAD_MS = DAY_MS
"""How far past our own clock is asked: the venue's may be ahead, and a fill must not hide there."""

MOST_PAGES = 200


async def by_time(
    fetch: Callable[[int, int], Awaitable[Sequence[Row]]],
    since_ms: int,
    now_ms: int,
    stamp_of: Callable[[Row], int],
    key_of: Callable[[Row], Hashable],
) -> tuple[Row, ...]:
    """Return every row since `since_ms` once, rising in time.

    Parameters
    ----------
    fetch : callable
        Takes a start and an end in ms, gives at most `PAGE_ROWS` rows rising in time.
    stamp_of, key_of : callable
        A row's time and its identity.

    Raises
    ------
    BadResponse
        When a page does not move forward, there are more than `MOST_PAGES`, or an id comes again
        with other figures: one of the two would be lost.
    """
    found: dict[Hashable, Row] = {}
    start, last_ms = since_ms, max(now_ms, since_ms) + AHEAD_MS
    for _ in range(MOST_PAGES):
        end = min(start + WINDOW_MS - 1, last_ms)
        rows = await fetch(start, end)
        for row in rows:
            if found.setdefault(key_of(row), row) != row:
                raise BadResponse(
                    f"expected one row of each id, was another of {key_of(row)}; trust neither",
                    "BAD_RESPONSE",
                )
        if len(rows) < PAGE_ROWS:
            if end >= last_ms:
                return tuple(sorted(found.values(), key=stamp_of))
            start = end + 1
            continue
        last = max(stamp_of(row) for row in rows)
        if last <= start:
            raise BadResponse(
                f"expected a full page to reach past {start}, was {last}; ask from another time",
                "BAD_RESPONSE",
            )
        start = last
    raise BadResponse(
        f"expected at most {MOST_PAGES} pages, was more; ask from a later time", "BAD_RESPONSE"
    )
