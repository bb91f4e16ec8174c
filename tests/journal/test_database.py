"""The file: private, durable, one sender, refused where it cannot be trusted."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from perptui.journal.database import Database
from perptui.journal.events import Alarm
from perptui.journal.place import refuse_network_file_system
from perptui.journal.schema import APPLICATION_ID, MIGRATIONS
from perptui.model.errors import JournalError
from tests.journal.made import journal_in, journal_on, let_grow_no_more


def test_the_files_are_private_and_so_is_their_directory(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    (folder / "journal.db").touch(mode=0o644)
    journal = journal_in(folder)
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in folder.iterdir()}
    assert set(modes) == {"journal.db", "journal.db-wal", "journal.db-shm", "journal.db.lock"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    journal.close()


def test_it_is_durable_and_distrusts_what_the_file_says(tmp_path: Path) -> None:
    database = Database.sender(tmp_path / "journal.db")
    pragmas = {
        name: database.connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")
    }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
    }
    assert database.connection.execute("PRAGMA busy_timeout").fetchone()[0] == 2000
    database.close()


def test_a_second_sender_is_refused_and_a_later_one_gets_a_higher_fence(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    first = Database.sender(path)
    with pytest.raises(JournalError, match="only sender"):
        Database.sender(path)
    assert first.fence == 1
    first.close()
    second = Database.sender(path)
    assert second.fence == 2
    second.close()


def test_a_sender_whose_lease_was_taken_over_writes_nothing(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    with sqlite3.connect(journal.path) as other:
        other.execute("UPDATE lease SET fence = fence + 1")
    other.close()
    head = journal.head
    with pytest.raises(JournalError, match="another desk has taken over"):
        journal.append(Alarm("x", "k", "t"))
    assert journal.head == head
    assert "taken over" in journal.fault
    journal.close()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE event SET body = '{}' WHERE seq = 1", "no update"),
        ("DELETE FROM event WHERE seq = 1", "no delete"),
        ("INSERT OR REPLACE INTO event VALUES (1, 0, '', '{}', 'X', '{}', '', '')", "sequence"),
        ("INSERT INTO event VALUES (9, 0, '', '{}', 'X', '{}', '', '')", "sequence"),
    ],
)
def test_events_are_append_only(tmp_path: Path, statement: str, message: str) -> None:
    journal = journal_in(tmp_path)
    journal.close()
    with (
        sqlite3.connect(tmp_path / "journal.db") as other,
        pytest.raises(sqlite3.DatabaseError, match=message),
    ):
        other.execute(statement)
    other.close()


def test_another_database_and_a_newer_journal_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    with pytest.raises(JournalError, match="or database"):
        Database.sender(other)
    with pytest.raises(JournalError, match="another file or"):
        Database.reader(other)
    journal_in(tmp_path).close()
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(JournalError, match="journal version"):
        Database.sender(tmp_path / "journal.db")


def test_what_is_left_of_a_journal_that_is_gone_is_not_thrown_away(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    (tmp_path / "journal.db").unlink()
    wal = (tmp_path / "journal.db-wal").read_bytes()
    journal.close()
    (tmp_path / "journal.db-wal").write_bytes(wal)
    with pytest.raises(JournalError, match="put it back, or put a backup"):
        Database.sender(tmp_path / "journal.db")
    assert (tmp_path / "journal.db-wal").read_bytes() == wal


def test_a_damaged_file_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 4096)
    with pytest.raises(JournalError, match=r"^the journal is damaged: `perptui journal restore"):
        Database.sender(path)


def test_a_link_and_a_directory_in_its_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match="writable journal"):
        Database.sender(tmp_path / "journal.db")
    (tmp_path / "dir.db").mkdir()
    with pytest.raises(JournalError, match="writable journal"):
        Database.sender(tmp_path / "dir.db")


def test_a_device_in_its_place_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "journal.db")
    with pytest.raises(JournalError, match="file of one's own"):
        Database.sender(tmp_path / "journal.db")


def test_an_absent_journal_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="expected a journal"):
        Database.reader(tmp_path / "journal.db")
    assert list(tmp_path.glob("journal*")) == []


def test_a_full_disk_stops_writing_and_loses_nothing(tmp_path: Path) -> None:
    journal_in(tmp_path).close()
    database = Database.sender(tmp_path / "journal.db")
    journal = journal_on(database)
    head = journal.head
    let_grow_no_more(database)
    with pytest.raises(JournalError, match="full"):
        journal.append(*(Alarm("x", f"key {number}", "t" * 4000) for number in range(50)))
    assert journal.head == head
    assert "full" in journal.fault
    journal.close()


@pytest.mark.parametrize(
    ("kind", "refused"), [("ext4", False), ("nfs4", True), ("fuse.sshfs", True), ("tmpfs", False)]
)
def test_network_file_systems_are_refused(tmp_path: Path, kind: str, refused: bool) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
        f"40 22 0:50 / {tmp_path} rw,relatime shared:1 - {kind} server:/home rw\n"
        f"41 22 0:51 / {tmp_path}/elsewhere rw - nfs server:/else rw\n"
    )
    if refused:
        with pytest.raises(JournalError, match=kind):
            refuse_network_file_system(tmp_path / "desk", mounts)
    else:
        refuse_network_file_system(tmp_path / "desk", mounts)


def test_where_there_is_no_table_of_mounts_nothing_is_refused(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    refuse_network_file_system(tmp_path, absent)
    # The same directory on a network file system is refused as soon as there is a table.
    absent.write_text(f"40 22 0:50 / {tmp_path} rw,relatime - nfs4 server:/home rw\n")
    with pytest.raises(JournalError, match="nfs4"):
        refuse_network_file_system(tmp_path, absent)


def test_commits_are_measured(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    assert 0 < journal.worst_commit_s < 5
    assert int.from_bytes(b"ptT1", "big") == APPLICATION_ID
    journal.close()
