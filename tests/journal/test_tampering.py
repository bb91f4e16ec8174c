"""Every change, deletion, reordering and truncation of a real day's journal is found.

Of the exported file every byte counts. In the database file some bytes hold nothing (free pages,
what is left between cells); so there a change is found or it changed nothing: whenever the
database verifies, it exports the same bytes as before, and its projections are the replay's.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
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
from tests.journal.day import exported, whole_day
from tests.journal.third_party import first_bad

pytestmark = pytest.mark.unmeasured
EVERY = 20


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


def test_every_byte_of_the_export_counts(day: Day, tmp_path: Path) -> None:
    whole = day.export.read_bytes()
    draw = random.Random(5)
    for turn in range(60):
        place = draw.randrange(len(whole))
        other = draw.choice([byte for byte in range(256) if byte != whole[place]])
        changed = whole[:place] + bytes([other]) + whole[place + 1 :]
        verdict = verdict_of(day, tmp_path, changed, compare=turn % 4 == 0)
        assert verdict.bad_seq == whole[:place].count(b"\n") + 1, (place, other, verdict)


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
    for keep in [len(lines) - 1, 1, *draw.sample(range(2, len(lines) - 1), 6)]:
        verdict = verdict_of(day, tmp_path, b"".join(lines[:keep]), compare=keep % 3 == 0)
        assert verdict.bad_seq == keep + 1
        assert "truncated" in verdict.reason
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
