"""Every change, deletion, reordering and truncation of a real day's journal is found.

Of the exported file every byte counts. In the database file some bytes hold nothing (free pages,
what is left between cells); so there a change is found or it changed nothing: whenever the
database verifies, it exports the same bytes as before, and its projections are the replay's.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from perptui.journal.audit import export_lines
from perptui.journal.events import KINDS
from perptui.journal.heads import Witnesses, read_heads
from perptui.journal.schema import PROJECTION_TABLES
from perptui.journal.signing import HeadsFile, Signer, load_key, make_key
from perptui.journal.stored import parse_line
from perptui.journal.verify import Verdict, verify_file
from perptui.model.errors import JournalError
from tests.journal.day import exported, whole_day
from tests.journal.third_party import first_bad

pytestmark = pytest.mark.unmeasured
EVERY = 20
FIELDS = ("actor", "body", "hash", "host", "kind", "prev", "seq", "ts", "v")
"""Of an exported line, in its order."""


class Day(NamedTuple):
    """A day's journal: its database, its export, heads published elsewhere, who signed them."""

    database: Path
    export: Path
    heads: Path
    key: str

    def witnesses(self) -> Witnesses:
        return Witnesses(read_heads(self.heads).heads, self.key)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    folder = tmp_path_factory.mktemp("day")
    database = asyncio.run(whole_day(folder, tickets=36))
    export = exported(database)
    key = make_key(folder / "audit.key")
    signer = Signer(load_key(folder / "audit.key"), "main", "main")
    events = [parse_line(line, 1) for line in lines_of(export)]
    told = [event for event in events if event.seq % EVERY == 0 or event is events[-1]]
    heads = folder / "heads"
    HeadsFile(heads).publish(tuple(signer.head(one.seq, one.hash, one.ts) for one in told))
    return Day(database, export, heads, key)


def lines_of(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines(keepends=True)


def verdict_of(day: Day, folder: Path, content: bytes, *, compare: bool) -> Verdict:
    """Verify changed content with the heads, and hold a third party's verdict against it."""
    file = folder / "changed.jsonl"
    file.write_bytes(content)
    verdict = verify_file(file, day.witnesses())
    if compare:
        assert first_bad(file, day.heads, day.key) == verdict.bad_seq
    return verdict


def test_the_day_is_a_day(day: Day) -> None:
    verdict = verify_file(day.database, day.witnesses())
    assert verdict.ok, verdict
    assert verdict == verify_file(day.export, day.witnesses())
    assert verdict.events > 200
    kinds = {parse_line(line, 1).kind for line in lines_of(day.export)}
    assert len(kinds) >= 14
    assert kinds <= set(KINDS)
    assert first_bad(day.export, day.heads, day.key) is None


def places_in(line: bytes) -> dict[str, tuple[int, int]]:
    """Return where each part of an exported line stands."""
    ends = [line.index(b',"body":')]
    ends += [line.rindex(f',"{name}":'.encode()) for name in FIELDS[2:]] + [len(line) - 2]
    parts = dict(zip(FIELDS, pairwise([0, *ends]), strict=True))
    return parts | {"}": (len(line) - 2, len(line) - 1), "line end": (len(line) - 1, len(line))}


def another(byte: int, draw: random.Random) -> bytes:
    return bytes([draw.choice([other for other in range(256) if other != byte])])


EDITS: dict[str, Callable[[int, random.Random], bytes]] = {
    "another byte": another,
    "one bit": lambda byte, draw: bytes([byte ^ 1 << draw.randrange(8)]),
    "dropped": lambda _, __: b"",
    "doubled": lambda byte, _: bytes([byte, byte]),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_byte_of_each_part_of_a_line_counts(day: Day, tmp_path: Path, edit: str) -> None:
    lines = lines_of(day.export)
    draw = random.Random(edit)
    for turn, part in enumerate(places_in(lines[0])):
        number = draw.randrange(len(lines))
        place = draw.randrange(*places_in(lines[number])[part])
        line = lines[number]
        changed = line[:place] + EDITS[edit](line[place], draw) + line[place + 1 :]
        content = b"".join([*lines[:number], changed, *lines[number + 1 :]])
        verdict = verdict_of(day, tmp_path, content, compare=turn % 4 == 0)
        # An empty line too many is the first bad one itself.
        bad = number + 1 + (changed == line + b"\n")
        assert verdict.bad_seq == bad, (part, number, place, verdict)


def test_every_byte_of_the_export_counts(day: Day) -> None:
    """Every third byte of the day: no line that differs is still an event with its hash."""
    draw = random.Random(5)
    tried = 0
    for number, line in enumerate(lines_of(day.export), start=1):
        for place in range(draw.randrange(3), len(line), 3):
            changed = line[:place] + another(line[place], draw) + line[place + 1 :]
            tried += 1
            try:
                event = parse_line(changed, number)
            except JournalError:
                continue
            assert event.own_hash != event.hash, (number, place)
    assert tried > 20_000


def test_every_deleted_and_every_moved_event_is_found(day: Day, tmp_path: Path) -> None:
    lines = lines_of(day.export)
    draw = random.Random(6)
    for turn in range(15):
        first, second = sorted(draw.sample(range(len(lines)), 2))
        without = lines[:first] + lines[first + 1 :]
        found = verdict_of(day, tmp_path, b"".join(without), compare=turn % 4 == 0)
        assert found.bad_seq == first + 1
        swapped = list(lines)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        found = verdict_of(day, tmp_path, b"".join(swapped), compare=turn % 4 == 1)
        assert found.bad_seq == first + 1


def test_every_truncation_is_found_through_the_heads(day: Day, tmp_path: Path) -> None:
    lines = lines_of(day.export)
    draw = random.Random(7)
    published = [head.seq for head in read_heads(day.heads).heads]
    # Nothing at all, and a cut that leaves a published head last, are truncations as well.
    for keep in [len(lines) - 1, 0, 1, *published[-3:-1], *draw.sample(range(2, len(lines)), 6)]:
        verdict = verdict_of(day, tmp_path, b"".join(lines[:keep]), compare=keep % 3 == 0)
        assert verdict.bad_seq == keep + 1
        assert ("truncated" if keep else "empty chain") in verdict.reason
    for cut in draw.sample(range(1, len(day.export.read_bytes())), 6):
        assert not verdict_of(day, tmp_path, day.export.read_bytes()[:-cut], compare=False).ok


def test_a_change_of_the_database_is_found_or_changed_nothing(day: Day, tmp_path: Path) -> None:
    whole = day.database.read_bytes()
    lines = list(export_lines(day.database))
    draw = random.Random(8)
    found = 0
    path = tmp_path / "journal.db"
    for _ in range(40):
        place = draw.randrange(len(whole))
        other = draw.choice([byte for byte in range(256) if byte != whole[place]])
        path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
        verdict = verify_file(path, day.witnesses())
        if verdict.ok:
            assert list(export_lines(path)) == lines, (place, other)
        found += not verdict.ok
    assert found > 15


def test_every_row_of_every_projection_counts(day: Day, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    changed = 0
    for table in PROJECTION_TABLES:
        path.write_bytes(day.database.read_bytes())
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            deleted = connection.execute(f"DELETE FROM {table}").rowcount  # noqa: S608  constant
        if deleted:
            changed += 1
            assert table in verify_file(path).reason
    assert changed >= 9


def test_the_heads_are_signed_in_order(day: Day) -> None:
    heads = read_heads(day.heads).heads
    assert len(heads) > 10
    assert all(before.seq < after.seq for before, after in pairwise(heads))
