"""Opening: whose journal it is, that it verifies; reading beside the sender."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from perptui.journal.events import Actor, Alarm, Genesis, Started, client_id
from perptui.journal.verify import verify_file
from perptui.model.errors import JournalError
from tests.journal.made import ALICE, DESK, journal_in


def test_the_first_event_binds_desk_and_account(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    events = journal.events(1)
    assert [event.kind for event in events] == ["GENESIS", "STARTED"]
    assert events[0].record() == Genesis("main", "main", "0.1.0")
    started = events[1].record()
    assert isinstance(started, Started)
    assert started.fence == journal.fence == 1
    assert events[0].actor == DESK == journal.actor
    journal.close()


def test_another_desk_or_account_is_refused(tmp_path: Path) -> None:
    journal_in(tmp_path).close()
    for desk, account in (("other", "main"), ("main", "fund")):
        with pytest.raises(JournalError, match="journal of desk"):
            journal_in(tmp_path, desk=desk, account=account)
    journal_in(tmp_path).close()


def test_a_refused_journal_can_be_opened_by_its_owner_at_once(tmp_path: Path) -> None:
    """The lock is given back when opening fails."""
    journal_in(tmp_path).close()
    with pytest.raises(JournalError):
        journal_in(tmp_path, desk="other")
    journal = journal_in(tmp_path)
    assert journal.verified.ok
    assert journal.verified.events == 2
    journal.close()


def test_a_broken_chain_is_not_continued(tmp_path: Path) -> None:
    journal_in(tmp_path).close()
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute("DROP TRIGGER event_no_update")
        connection.execute("UPDATE event SET ts = ts + 1 WHERE seq = 1")
    connection.close()
    with pytest.raises(JournalError, match="bad at event 1"):
        journal_in(tmp_path)


def test_verify_reads_while_the_desk_writes(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    journal.append(Alarm("x", "k", "t"))
    assert verify_file(journal.path).events == 3
    journal.append(Alarm("x", "k2", "t"))
    assert verify_file(journal.path).head == journal.head[1]
    journal.close()


def test_alarms_are_noted_by_key_and_actors_kept(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    assert not journal.has_notice("k")
    (event,) = journal.append(Alarm("x", "k", "t"), actor=ALICE)
    assert journal.has_notice("k")
    assert event.opened()[0] == Actor(1000, "alice", "10.0.0.7")
    journal.close()


def test_a_client_id_is_one_for_ever_and_another_for_another_try() -> None:
    """'pt' + 30 hex of SHA-256: 32 characters of [a-z0-9], which every venue takes."""
    token = "ab" * 32
    first = client_id("main", "main", "T1", 0, token)
    assert first == client_id("main", "main", "T1", 0, token)
    assert len(first) == 32
    assert first.startswith("pt")
    assert first.isalnum()
    others = {
        client_id("main", "main", "T1", 1, token),
        client_id("main", "main", "T2", 0, token),
        client_id("main", "main", "T1", 0, "cd" * 32),
        client_id("fund", "main", "T1", 0, token),
        client_id("main", "fund", "T1", 0, token),
    }
    assert len(others | {first}) == 6
