"""Backups while the desk runs; putting one back, also one older than what the venues know."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from perptui.journal.backup import about, backup, restore
from perptui.journal.events import Alarm
from perptui.journal.journal import Journal
from perptui.journal.place import is_held
from perptui.journal.verify import verify_file
from perptui.model.clock import ManualClock
from perptui.model.errors import GateRefused, JournalError
from tests.desk.dealing import BOB, REDUCE_BTC, REDUCE_ETH, Deal
from tests.desk.ledger_venue import LedgerVenue
from tests.desk.market import NOW_MS
from tests.journal.made import ALICE, journal_in


def restored(file: Path, folder: Path, utc_ms: int = NOW_MS) -> tuple[str, int]:
    done = restore(file, folder / "journal.db", desk="main", actor=ALICE, utc_ms=utc_ms)
    return done.aside, done.lost


def test_a_backup_is_made_and_verified_while_the_desk_writes(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    journal.append(Alarm("x", "k", "t"))
    made, verdict = backup(journal.path, None, NOW_MS)
    assert made.name.startswith("journal-v2-2024")
    assert (verdict.events, verdict.head) == journal.head
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    journal.append(Alarm("x", "k2", "t"))
    again, _ = backup(journal.path, None, NOW_MS)
    assert again.name == f"{made.stem}-2.db"
    assert verify_file(made).events + 1 == verify_file(again).events == 4
    assert sorted(tmp_path.glob("journal-v2*-wal")) == []
    elsewhere, _ = backup(journal.path, tmp_path / "b.db", NOW_MS)
    assert verify_file(elsewhere).ok
    with pytest.raises(JournalError, match="expected a new file"):
        backup(journal.path, tmp_path / "b.db", NOW_MS)
    journal.close()


def test_what_does_not_verify_is_not_backed_up(tmp_path: Path) -> None:
    journal_in(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as connection:
        connection.execute("UPDATE kill SET state = 'HALTED'")
    with pytest.raises(JournalError, match=r"keep .* for a person"):
        backup(tmp_path / "journal.db", None, NOW_MS)
    assert sorted(tmp_path.glob("journal-v2*")) == []


def test_what_a_journal_says_of_itself(tmp_path: Path) -> None:
    journal = journal_in(tmp_path, account="fund")
    found = about(journal.path)
    assert (found.desk, found.account, found.version, found.fence) == ("main", "fund", 2, 1)
    assert (found.events, found.head) == journal.head
    assert found.held
    journal.close()
    assert not about(journal.path).held
    assert not is_held(tmp_path / "elsewhere.db")


def test_a_restore_is_refused_while_a_desk_runs_and_of_what_is_no_backup(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    made, _ = backup(journal.path, None, NOW_MS)
    with pytest.raises(JournalError, match="only sender"):
        restored(made, tmp_path)
    journal.close()
    whole = journal.path.read_bytes()
    with pytest.raises(JournalError, match="the journal itself"):
        restored(journal.path, tmp_path)
    (tmp_path / "text").write_text("{}")
    with pytest.raises(JournalError, match="another file"):
        restored(tmp_path / "text", tmp_path)
    with pytest.raises(JournalError, match="of desk other, was of main"):
        restore(made, journal.path, desk="other", actor=ALICE, utc_ms=NOW_MS)
    with closing(sqlite3.connect(made, isolation_level=None)) as connection:
        connection.execute("UPDATE kill SET state = 'REDUCING'")
    with pytest.raises(JournalError, match="expected a backup that verifies"):
        restored(made, tmp_path)
    assert journal.path.read_bytes() == whole
    assert not is_held(journal.path)


def test_the_replaced_journal_is_kept_and_the_restored_one_starts_halted(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    made, _ = backup(journal.path, None, NOW_MS)
    journal.append(Alarm("x", "k", "t"), Alarm("x", "k2", "t"))
    head = journal.head
    journal.close()
    journal_in(tmp_path).close()
    aside, lost = restored(made, tmp_path)
    assert lost == 3
    assert (verify_file(Path(aside)).events, verify_file(Path(aside)).ok) == (head[0] + 1, True)
    again = journal_in(tmp_path)
    assert again.kill_state().state == "HALTED"
    assert "look, then release" in again.kill_state().reason
    assert again.kill_state().uid == ALICE.uid
    # The lease that the lost part of the chain gave out is not given out again.
    assert again.fence == 3
    again.close()
    assert verify_file(tmp_path / "journal.db").ok


def test_it_replaces_a_damaged_journal_and_one_that_is_gone(tmp_path: Path) -> None:
    journal_in(tmp_path).close()
    path = tmp_path / "journal.db"
    made, _ = backup(path, None, NOW_MS)
    path.write_bytes(path.read_bytes()[:5000])
    aside, lost = restored(made, tmp_path)
    assert lost == 0
    assert len(Path(aside).read_bytes()) == 5000
    assert verify_file(path).ok
    path.unlink()
    assert restored(made, tmp_path) == ("", 0)
    assert verify_file(path).events == 3


async def older(folder: Path, *script: str) -> tuple[Deal, Path, list[str]]:
    """Deal a ticket, back up, deal another that the backup does not know; end the desk."""
    first = Deal(folder, script)
    await first.deal(REDUCE_BTC)
    made, _ = backup(first.journal.path, None, first.clock.utc_ms())
    first.clock.advance(60)
    await first.deal(REDUCE_ETH)
    ids = [leg.client_id for leg in first.journal.legs("T2")]
    await first.trading.stop()
    first.journal.close()
    restored(made, folder, first.clock.utc_ms())
    return first, made, ids


@pytest.mark.asyncio
async def test_an_older_backup_sends_nothing_until_a_person_accepts(tmp_path: Path) -> None:
    first, _, lost_ids = await older(tmp_path, "fill", "rest")
    first.clock.advance(1)
    deal = Deal(tmp_path, venue=first.venue, clock=first.clock)
    await deal.trading.start()
    alarms = [event.body["text"] for event in deal.events() if event.kind == "ALARM"]
    assert any(
        f"order {lost_ids[0]} of" in text and "not in the journal" in text for text in alarms
    )
    assert "HALTED" in deal.trading.sends_locked
    with pytest.raises(GateRefused, match="HALTED"):
        await deal.open(REDUCE_ETH)
    await deal.trading.kill("looked at", BOB, "ACTIVE")
    await deal.deal(REDUCE_ETH)
    assert deal.states() == ["FILLED"]
    # The number of the lost ticket is used again; no id at the venue is.
    assert deal.journal.tickets(1)[0].id == "T2"
    assert len(set(deal.venue.submitted)) == len(deal.venue.submitted) == 3
    await deal.trading.stop()
    deal.journal.close()


@pytest.mark.asyncio
async def test_fills_after_the_backup_are_seen_as_changed_outside(tmp_path: Path) -> None:
    first, _, _ = await older(tmp_path, "fill", "fill")
    deal = Deal(tmp_path, venue=first.venue, clock=first.clock)
    await deal.trading.start()
    assert "EXTERNAL" in deal.kinds()
    assert deal.journal.positions() == {
        key: held for key, held in deal.venue.positions.items() if held
    }
    assert "HALTED" in deal.trading.sends_locked
    await deal.trading.stop()
    deal.journal.close()


@pytest.mark.asyncio
async def test_a_ticket_after_a_restore_has_another_id_than_its_lost_namesake(
    tmp_path: Path,
) -> None:
    """One millisecond later is enough: the token is over the instant the ticket was made at."""
    ids = set()
    for later in range(8):
        folder = tmp_path / str(later)
        folder.mkdir()
        clock = ManualClock(NOW_MS + later)
        deal = Deal(folder, venue=LedgerVenue(clock), clock=clock)
        await deal.trading.reconcile()
        view = await deal.open(REDUCE_BTC)
        ids.add(deal.journal.legs(view.id)[0].client_id)
        deal.journal.close()
    assert len(ids) == 8


def test_an_older_version_can_be_put_back(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    dump = Path(__file__).with_name("version1.sql").read_text()
    with closing(sqlite3.connect(folder / "old.db", isolation_level=None)) as connection:
        connection.executescript(dump)
    restored(folder / "old.db", tmp_path)
    clock = ManualClock(1_722_846_000_000)
    journal = Journal.open(
        tmp_path / "journal.db", desk="main", account="main", clock=clock, actor=ALICE, version="0"
    )
    assert journal.kill_state().state == "HALTED"
    assert "MIGRATED" in [event.kind for event in journal.events(20)]
    journal.close()
