"""What cleaning did to series of market history; times are ISO 8601 UTC."""

from __future__ import annotations

import msgspec


class LeftOutRows(msgspec.Struct, frozen=True):
    """Rows refused for one reason."""

    reason: str
    rows: int
    first: str
    last: str


class MissingTime(msgspec.Struct, frozen=True):
    """A time that no row speaks for; nothing is filled in."""

    start: str
    end: str
    hours: float


class SuspectRows(msgspec.Struct, frozen=True):
    """Rows that look wrong and are kept; `what` is stuck, idle, scale or interval."""

    what: str
    rows: int
    first: str
    last: str
    text: str


class CleanedSeries(msgspec.Struct, frozen=True):
    """One series as known at the time asked; `error` says why a file could not be read at all."""

    series: str
    rows: int = 0
    kept: int = 0
    first: str | None = None
    last: str | None = None
    left_out: tuple[LeftOutRows, ...] = ()
    out_of_order: int = 0
    gaps: tuple[MissingTime, ...] = ()
    bad_prints: tuple[str, ...] = ()
    suspect: tuple[SuspectRows, ...] = ()
    error: str = ""
