"""I8: the watchdog barks where it must, which the journal and the true losses tell."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from perptui.settings.schema import WatchdogSettings
from tests.campaign.record import Line, Record
from tests.campaign.truth import Entry, Life, Lost, Sky

AWAKE_MS = 20_000
"""A desk that lived this long had looked before, though a question of its start hung."""
LATE_MS = 45_000
"""A loss must last 20 s; a look may wait for questions that hang."""


def watchdog(entries: list[Entry], record: Record, settings: WatchdogSettings) -> Iterator[str]:
    """Yield where a desk that lived and could see did not go to REDUCING by itself."""
    end_ms = max(entry.ts_ms for entry in entries)
    for at_ms, why in (*_losses(entries, settings), *_mismatches(record, settings)):
        until = at_ms + LATE_MS
        if until > end_ms or _disturbed(entries, at_ms - AWAKE_MS, until):
            continue
        if _active(record.of("KILL"), at_ms - AWAKE_MS, until):
            yield f"I8: the watchdog was silent: {why}"


def _losses(entries: list[Entry], settings: WatchdogSettings) -> list[tuple[int, str]]:
    return [
        (entry.ts_ms, f"{entry.share:.2%} lost at once")
        for entry in entries
        if isinstance(entry, Lost) and entry.share >= Decimal(str(settings.loss_max))
    ]


def _mismatches(record: Record, settings: WatchdogSettings) -> list[tuple[int, str]]:
    """Return when so many changes from outside were known since a person last released the desk."""
    found, seen = [], 0
    for line in record.lines:
        if line.kind == "KILL" and line.body["state"] == "ACTIVE":
            seen = 0
        elif line.kind in {"EXTERNAL", "ALARM"}:
            seen += 1
            if seen == settings.mismatches_max:
                found.append((line.ts, f"{seen} changes that nobody here made"))
    return found


def _disturbed(entries: list[Entry], since: int, until: int) -> bool:
    """Return whether the desk was not there, or could not see, at any time of a span."""
    blind: dict[str, bool] = {}
    if any(isinstance(e, Life) and e.what == "ended" and e.ts_ms >= since for e in entries):
        return True  # its journal took nothing from some time before
    for entry in entries:
        if entry.ts_ms > until:
            break
        if isinstance(entry, Life) and entry.ts_ms >= since:
            return True
        if isinstance(entry, Sky) and entry.what in {"stale", "blank"}:
            blind[entry.what] = bool(entry.value)
            if entry.value and entry.ts_ms >= since:
                return True
        if entry.ts_ms >= since and any(blind.values()):
            return True
    return False


def _active(kills: list[Line], since: int, until: int) -> bool:
    """Return whether the switch stood at ACTIVE, untouched by anybody, during a span."""
    before = [line.body["state"] for line in kills if line.ts < since]
    touched = any(since <= line.ts <= until for line in kills)
    return not touched and (not before or before[-1] == "ACTIVE")
