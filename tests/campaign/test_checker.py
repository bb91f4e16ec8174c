"""Each invariant on a history that violates it: one real session, bent in one place."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perptui.model.order import LegState
from tests.campaign.checker import check_record, replayed
from tests.campaign.fates import CANARY
from tests.campaign.record import Record, read, record_of
from tests.campaign.session import Played, play, template
from tests.campaign.truth import Calm, Entry, Over, Sent, Shown, Sky, Taken, Traded, Typed
from tests.campaign.virtual import VirtualLoop

Bend = Callable[[list[Entry]], list[Entry]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The first session whose orders were filled, and that the checker finds nothing in."""
    folder = tmp_path_factory.mktemp("campaign")
    folder.chmod(0o700)
    loop = VirtualLoop()
    made = template(folder)
    for seed in range(50):
        here = folder / str(seed)
        here.mkdir(mode=0o700)
        found = play(seed, made, here, loop)
        if found.truth.all(Traded) and not _violations(found, found.truth.entries):
            break
    yield found
    loop.close()
    asyncio.set_event_loop(None)


def _violations(played: Played, entries: list[Entry], record: Record | None = None) -> list[str]:
    return check_record(entries, record or read(played.journal), played.settings)


def _named(found: list[str]) -> set[str]:
    return {text.partition(":")[0] for text in found}


def _first(entries: list[Entry], kind: type[Entry]) -> int:
    return next(place for place, entry in enumerate(entries) if isinstance(entry, kind))


def _replaced(entries: list[Entry], kind: type[Entry], **fields: Any) -> list[Entry]:
    place = _first(entries, kind)
    changed = msgspec.structs.replace(entries[place], **fields)
    return [*entries[:place], changed, *entries[place + 1 :]]


def _ended_otherwise(entries: list[Entry]) -> list[Entry]:
    """Cancel, at the venue, the first order of which the journal has a fill."""
    filled = next(entry.client_id for entry in entries if isinstance(entry, Traded))
    return [
        msgspec.structs.replace(entry, state=LegState.CANCELED)
        if isinstance(entry, Over) and entry.client_id == filled
        else entry
        for entry in entries
    ]


def _before_first_order(entries: list[Entry], entry: Entry) -> list[Entry]:
    place = _first(entries, Sent)
    return [*entries[:place], entry, *entries[place:]]


def _twice(entries: list[Entry]) -> list[Entry]:
    return [*entries, entries[_first(entries, Sent)]]


def _more(entries: list[Entry]) -> list[Entry]:
    return [*entries, entries[_first(entries, Taken)]]


def _without(kind: type[Entry]) -> Bend:
    return lambda entries: [entry for entry in entries if not isinstance(entry, kind)]


BENT: dict[str, tuple[str, Bend]] = {
    "an order that the journal does not know": (
        "I1",
        lambda entries: _replaced(entries, Sent, client_id="pt" + "0" * 30),
    ),
    "sent before SENDING was on disk": ("I1", lambda entries: _replaced(entries, Sent, seq=1)),
    "other contracts than confirmed": ("I1", lambda entries: _replaced(entries, Sent, contracts=1)),
    "typed by nobody": ("I1", _without(Typed)),
    "typed wrongly": ("I1", lambda entries: _replaced(entries, Typed, typed="zzzz")),
    "sent twice": ("I2", _twice),
    "taken twice": ("I2", _more),
    "a fill that the venue does not have": ("I3", _without(Traded)),
    "ended otherwise": ("I6", _ended_otherwise),
    "never at the venue": ("I6", _without(Over)),
    "sent while the kill file was there": (
        "I8",
        lambda entries: _before_first_order(
            entries, Sky(ts_ms=0, seq=0, what="kill file", value="there")
        ),
    ),
    "sent on stale marks": (
        "I9",
        lambda entries: _before_first_order(
            entries, Sky(ts_ms=0, seq=0, what="stale", value="marks 9 s old")
        ),
    ),
    "the key on a screen": ("I10", lambda entries: [*entries, _shown(f"no {CANARY}")]),
    "an escape on a screen": ("I11", lambda entries: [*entries, _shown("no \x1b[2J")]),
    "a line turned round on a screen": ("I11", lambda entries: [*entries, _shown("no \u202e")]),
}


def _shown(text: str) -> Shown:
    return Shown(ts_ms=0, seq=0, text=text)


@pytest.mark.parametrize("name", BENT)
def test_a_bent_history_is_found_out(played: Played, name: str) -> None:
    invariant, bend = BENT[name]
    assert invariant in _named(_violations(played, bend(list(played.truth.entries))))


def test_a_history_that_is_not_bent_is_clean(played: Played) -> None:
    assert _violations(played, played.truth.entries) == []
    assert replayed(played.journal) == []


def _rows(journal: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(journal)
    try:
        return connection.execute(
            "SELECT seq, ts, host, actor, kind, body, prev_hash, hash FROM event ORDER BY seq"
        ).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("kind", "invariant"),
    [("CONFIRMED", "I1"), ("FILL", "I3"), ("MOVED", "I5"), ("ENDED", "I5"), ("BASELINE", "I3")],
)
def test_an_event_that_is_missing_is_found_out(played: Played, kind: str, invariant: str) -> None:
    left = record_of([row for row in _rows(played.journal) if row[4] != kind])
    found = _named(_violations(played, played.truth.entries, left))
    assert {"I4", invariant} <= found


def test_one_changed_byte_breaks_the_chain(played: Played) -> None:
    rows = _rows(played.journal)
    seq, ts, host, actor, kind, body, prev, own = rows[0]
    rows[0] = (seq, ts, host, actor, kind, body.replace("main", "mein"), prev, own)
    assert record_of(rows).broken == ["event 1 does not follow from the one before it"]


def test_an_order_that_is_open_long_after_faults_stopped_is_found_out(played: Played) -> None:
    entries = list(played.truth.entries)
    calm = msgspec.structs.replace(entries[_first(entries, Calm)], ts_ms=0)
    assert "I5" in _named(_violations(played, [calm, *entries]))


def test_tables_that_events_do_not_make_are_found_out(played: Played, tmp_path: Path) -> None:
    copy = tmp_path / "journal.db"
    shutil.copyfile(played.journal, copy)
    connection = sqlite3.connect(copy)
    with connection:
        connection.execute("UPDATE leg SET filled = '7'")
    connection.close()
    assert replayed(copy) == ["I12: leg is not what the events make"]
