"""From version 1 to this one: a verified backup first, all or nothing, the same state after.

`version1.sql` is the dump of a journal that the code of version 1 wrote (commit before schema
version 2): a ticket that was filled, one whose order rested and was cancelled, and one that stood
between SENDING and its outcome when the desk ended.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from perptui.journal.audit import confirmed_text, export_lines
from perptui.journal.database import Database, version_of
from perptui.journal.journal import Journal
from perptui.journal.migration import migrate
from perptui.journal.schema import MIGRATIONS
from perptui.journal.verify import differing_projections, verify_file
from perptui.model.clock import ManualClock
from perptui.model.errors import JournalError
from perptui.model.order import LegState, OrderKind
from tests.desk.dealing import Deal
from tests.desk.ledger_venue import LedgerVenue
from tests.journal.made import DESK, let_grow_no_more

DUMP = Path(__file__).with_name("version1.sql")
AFTER_MS = 1_722_842_400_000 + 3_600_000
EVENTS = 23


def version1(folder: Path) -> Path:
    """Write the journal of version 1."""
    path = folder / "journal.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(DUMP.read_text())
    return path


def opened(folder: Path) -> Journal:
    return Journal.open(
        folder / "journal.db",
        desk="main",
        account="main",
        clock=ManualClock(AFTER_MS),
        actor=DESK,
        version="0",
    )


def backups(folder: Path) -> list[Path]:
    return sorted(folder.glob("journal-v1-*.db"))


def test_readers_take_version_1_as_it_is(tmp_path: Path) -> None:
    path = version1(tmp_path)
    before = path.read_bytes()
    verdict = verify_file(path)
    assert (verdict.events, verdict.ok) == (EVENTS, True), verdict
    exported = tmp_path / "exported.jsonl"
    exported.write_bytes(b"".join(export_lines(path)))
    assert verify_file(exported) == verdict
    assert "T1" in confirmed_text(path, 5)
    assert path.read_bytes() == before


def test_a_projection_or_guard_of_version_1_that_was_changed_is_found(tmp_path: Path) -> None:
    path = version1(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE leg SET filled = '9' WHERE number = 0")
    assert "leg" in verify_file(path).reason
    path.unlink()
    path = version1(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER event_no_delete")
    assert "event_no_delete" in verify_file(path).reason


def test_it_is_backed_up_verified_and_brought_up(tmp_path: Path) -> None:
    path = version1(tmp_path)
    head = verify_file(path).head
    journal = opened(tmp_path)
    (kept,) = backups(tmp_path)
    assert kept.name == "journal-v1-20240805T082000Z.db"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert (verify_file(kept).events, verify_file(kept).head) == (EVENTS, head)
    assert [event.kind for event in journal.events(EVENTS + 1)] == ["MIGRATED", "STARTED"]
    with closing(sqlite3.connect(path)) as connection:
        assert version_of(connection) == len(MIGRATIONS)
        assert differing_projections(connection) == ()
        # A cancel of version 1 counts in the table that version 2 has for it.
        assert connection.execute("SELECT count(*) FROM cancel").fetchone() == (1,)
    assert all(leg.kind is OrderKind.LIMIT_IOC for leg in journal.legs("T1"))
    journal.close()
    assert verify_file(path).ok
    opened(tmp_path).close()
    assert backups(tmp_path) == [kept]


@pytest.mark.asyncio
async def test_orders_in_flight_are_settled_after_it(tmp_path: Path) -> None:
    version1(tmp_path)
    clock = ManualClock(AFTER_MS)
    venue = LedgerVenue(clock)
    with closing(Database.reader(tmp_path / "journal.db").connection) as connection:
        rows = connection.execute("SELECT client_id, state FROM leg ORDER BY rowid").fetchall()
    assert [state for _, state in rows] == ["FILLED", "CANCELED", "SENDING", "CONFIRMED"]
    journal = opened(tmp_path)
    legs = [leg for number in (1, 2, 3) for leg in journal.ticket(f"T{number}").legs]
    for leg, word in zip(legs, ("fill", "expire", "fill"), strict=False):
        venue.accept(leg.intent, leg.client_id, word)
    deal = Deal(tmp_path, venue=venue, clock=clock, journal=journal)
    await deal.trading.start()
    assert deal.states() == ["FILLED", "NOT_SENT"]
    assert deal.trading.sends_locked == ""
    assert venue.submitted == []
    assert journal.positions() == venue.positions
    await deal.trading.stop()
    journal.close()
    assert verify_file(tmp_path / "journal.db").ok


def test_a_full_disk_leaves_the_old_journal(tmp_path: Path) -> None:
    path = version1(tmp_path)
    database = Database.sender(path)
    let_grow_no_more(database)
    with pytest.raises(JournalError, match="full"):
        migrate(database, ts_ms=AFTER_MS, host="h", actor=DESK)
    database.close()
    assert (verify_file(path).events, verify_file(path).ok) == (EVENTS, True)
    opened(tmp_path).close()
    assert verify_file(path).events == EVENTS + 2


def test_a_journal_that_does_not_verify_is_not_brought_up(tmp_path: Path) -> None:
    path = version1(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE position SET contracts = '7'")
    with pytest.raises(JournalError, match="verifies"):
        opened(tmp_path)
    assert backups(tmp_path) == []
    database = Database.sender(path)
    with pytest.raises(JournalError, match="verifies"):
        migrate(database, ts_ms=AFTER_MS, host="h", actor=DESK)
    assert version_of(database.connection) == 1
    database.close()
    assert backups(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from perptui.journal.database import Database
from perptui.journal.migration import migrate
from tests.journal.made import DESK
database = Database.sender(Path(sys.argv[1]))
left = int(sys.argv[2])
def trace(statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
database.connection.set_trace_callback(trace)
migrate(database, ts_ms=1_722_846_000_000, host="h", actor=DESK)
"""


@pytest.mark.unmeasured
@pytest.mark.parametrize("statement", [1, 2, 6, 25, 60, 110])
def test_sigkill_between_any_two_statements_leaves_old_or_new(
    tmp_path: Path, statement: int
) -> None:
    path = version1(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(statement)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    verdict = verify_file(path)
    assert (verdict.events, verdict.ok) == (EVENTS, True), verdict
    journal = opened(tmp_path)
    assert journal.events(EVENTS + 1)[0].kind == "MIGRATED"
    legs = journal.legs("T3")
    assert [leg.state for leg in legs] == [LegState.SENDING, LegState.CONFIRMED]
    journal.close()
    assert verify_file(path).ok
