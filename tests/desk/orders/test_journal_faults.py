"""The journal fails under a running desk: nothing more is sent, nothing recorded is lost.

Each fault strikes while the first of two legs is at the venue, so that its outcome cannot be
recorded; the desk says what, where and the cure, goes on showing, and the next start finds out.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from perptui.desk.journal_news import JournalNews
from perptui.desk.painter import told_by
from perptui.journal.backup import restore
from perptui.journal.database import Database
from perptui.journal.events import Alarm
from perptui.journal.journal import Journal
from perptui.journal.place import lock_file
from perptui.journal.verify import verify_file
from perptui.model.clock import ManualClock
from perptui.model.errors import GateRefused, JournalError
from tests.desk.dealing import ALICE, BOB, REDUCE_BTC, REDUCE_ETH, Deal
from tests.desk.ledger_venue import LedgerVenue
from tests.desk.market import NOW_MS
from tests.journal.made import journal_in, journal_on, let_grow_no_more

Strike = Callable[[Journal, Database, ExitStack], None]


def full(journal: Journal, database: Database, _: ExitStack) -> None:
    let_grow_no_more(database)
    with suppress(JournalError):
        for number in range(100):
            journal.append(Alarm("ballast", f"{number}", "x" * 4000))


def read_only(_: Journal, database: Database, __: ExitStack) -> None:
    database.connection.execute("PRAGMA query_only = ON")


def locked(_: Journal, database: Database, stack: ExitStack) -> None:
    database.connection.execute("PRAGMA busy_timeout = 20")
    other = stack.enter_context(closing(sqlite3.connect(database.path, isolation_level=None)))
    other.execute("BEGIN IMMEDIATE")


def damaged(_: Journal, database: Database, __: ExitStack) -> None:
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.connection.execute("PRAGMA shrink_memory")
    whole = database.path.read_bytes()
    with database.path.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * (len(whole) - 4096))


def renamed(_: Journal, database: Database, __: ExitStack) -> None:
    database.path.rename(database.path.with_name("elsewhere.db"))


def deleted(_: Journal, database: Database, __: ExitStack) -> None:
    database.path.unlink()


def without_wal(_: Journal, database: Database, __: ExitStack) -> None:
    Path(f"{database.path}-wal").unlink()


def without_lock(_: Journal, database: Database, __: ExitStack) -> None:
    lock_file(database.path).unlink()


def without_folder(_: Journal, database: Database, __: ExitStack) -> None:
    shutil.rmtree(database.path.parent)


RECOVERS: dict[str, tuple[Strike, str]] = {
    "full": (full, "the journal's disk is full: free space, then start the desk again"),
    "read-only": (read_only, "the journal is read-only: make it writable, then start"),
    "locked": (locked, "another program locks the journal: end that one, then start"),
}
GONE: dict[str, Strike] = {
    "renamed": renamed,
    "deleted": deleted,
    "without its -wal": without_wal,
    "without its lock": without_lock,
    "without its folder": without_folder,
}


async def struck(folder: Path, strike: Strike, stack: ExitStack) -> tuple[Deal, list[str]]:
    """Return a desk whose journal failed while the first of two legs was sent, and its news."""
    clock = ManualClock(NOW_MS)
    journal_in(folder, clock).close()
    database = Database.sender(folder / "journal.db")
    journal = journal_on(database, clock)
    deal = Deal(folder, venue=LedgerVenue(clock), clock=clock, journal=journal)
    await deal.trading.start()
    told = told_by(deal.trading)
    told()

    async def at_the_venue(_: str) -> None:
        strike(journal, database, stack)

    deal.venue.after = at_the_venue
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    await deal.trading.sent()
    assert len(deal.venue.submitted) == 1
    assert deal.trading.sends_locked
    with pytest.raises((GateRefused, JournalError)):
        await deal.open(REDUCE_ETH)
    assert len(deal.venue.submitted) == 1
    standing, shown, _ = told()
    assert standing.sends_locked == deal.trading.sends_locked
    assert shown.events
    assert deal.trading.sends_locked.endswith(shown.fault)
    assert shown.fault
    news: list[tuple[str, str]] = []
    look = JournalNews(journal, lambda level, text: news.append((level, text)), live=False)
    look.look()
    look.look()
    assert len(news) == 1, news
    assert news[0][0] == "alarm"
    assert news[0][1] == f"nothing is sent any more: {deal.trading.sends_locked}"
    await deal.trading.stop()
    return deal, [text for _, text in news]


async def goes_on(deal: Deal, folder: Path) -> Deal:
    """Start the desk again on the same venue: the leg in flight is settled, the other unsent."""
    deal.venue.after = LedgerVenue(deal.clock).after
    again = Deal(folder, venue=deal.venue, clock=deal.clock)
    await again.trading.start()
    assert again.states() == ["FILLED", "NOT_SENT"]
    assert again.journal.positions() == deal.venue.positions
    assert len(deal.venue.submitted) == 1
    return again


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", RECOVERS)
async def test_what_mends_itself_goes_on_after_a_restart(tmp_path: Path, fault: str) -> None:
    strike, words = RECOVERS[fault]
    folder = tmp_path / "state"
    with ExitStack() as stack:
        deal, news = await struck(folder, strike, stack)
        assert words in news[0]
        assert str(folder / "journal.db") in news[0]
    deal.journal.close()
    again = await goes_on(deal, folder)
    assert again.trading.sends_locked == ""
    again.journal.close()
    assert verify_file(folder / "journal.db").ok


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", GONE)
async def test_what_was_recorded_is_saved_before_it_is_lost(tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "state"
    deal, news = await struck(folder, GONE[fault], ExitStack())
    rescue = folder / "journal-rescued-2.db"
    cure = f"put it back, or `perptui journal restore {rescue}`"
    assert f"moved or deleted under the desk: {cure}" in news[0]
    deal.journal.close()
    verdict = verify_file(rescue)
    assert verdict.ok
    restore(rescue, folder / "journal.db", desk="main", actor=ALICE, utc_ms=NOW_MS)
    again = await goes_on(deal, folder)
    assert again.trading.kill_state == "HALTED"
    await again.trading.kill("looked at", BOB, "ACTIVE")
    assert again.trading.sends_locked == ""
    again.journal.close()
    assert verify_file(folder / "journal.db").ok


@pytest.mark.asyncio
async def test_a_damaged_page_stops_the_desk_and_the_next_start_names_the_cure(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "state"
    deal, news = await struck(folder, damaged, ExitStack())
    assert "the journal is damaged: `perptui journal restore BACKUP`" in news[0]
    deal.journal.close()
    with pytest.raises(JournalError, match=r"journal restore BACKUP|move .* away and keep it"):
        Deal(folder, venue=deal.venue, clock=deal.clock)
    assert not verify_file(folder / "journal.db").ok


@pytest.mark.asyncio
async def test_a_fault_does_not_heal_under_the_desk(tmp_path: Path) -> None:
    """Whether the last outcome was recorded is for the next start to find out."""
    with ExitStack() as stack:
        deal, _ = await struck(tmp_path / "state", locked, stack)
    with pytest.raises(JournalError, match="locks the journal"):
        deal.journal.append(Alarm("x", "k", "t"))
    assert deal.states() == ["SENDING", "CONFIRMED"]
    deal.journal.close()


CHILD = """
import asyncio, os, resource, sys
from pathlib import Path
from tests.desk.dealing import Deal, REDUCE_BTC, REDUCE_ETH

async def run(folder):
    deal = Deal(folder)
    await deal.trading.start()
    async def at_the_venue(_):
        size = os.stat(f"{deal.journal.path}-wal").st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 200, size + 200))
    deal.venue.after = at_the_venue
    await deal.confirm(await deal.open(REDUCE_BTC, REDUCE_ETH))
    await deal.trading.sent()
    print(len(deal.venue.submitted), deal.trading.sends_locked, *deal.states(), sep="|")
    os._exit(0)

asyncio.run(run(Path(sys.argv[1])))
"""


@pytest.mark.unmeasured
def test_a_file_that_may_not_grow_in_a_real_process(tmp_path: Path) -> None:
    """RLIMIT_FSIZE: the kernel itself refuses the bytes of the outcome, in mid-frame."""
    said = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    submitted, words, *states = said.split("|")
    assert (submitted, states) == ("1", ["SENDING", "CONFIRMED"])
    assert "then start the desk again" in words
    assert str(tmp_path / "journal.db") in words
    assert verify_file(tmp_path / "journal.db").ok
    deal = Deal(tmp_path)
    assert deal.states() == ["SENDING", "CONFIRMED"]
    deal.journal.close()


@pytest.mark.unmeasured
def test_a_full_and_a_read_only_file_system(tmp_path: Path) -> None:
    """A tmpfs of one megabyte: really full, then read-only at the start."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(tmp_path)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system")
    try:
        deal = asyncio.run(really_full_and_free_again(tmp_path / "state"))
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
        assert verify_file(tmp_path / "state" / "journal.db").ok
        with pytest.raises(JournalError, match="Read-only file system"):
            Deal(tmp_path / "state", venue=deal.venue, clock=deal.clock)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def really_full(journal: Journal, database: Database, _: ExitStack) -> None:
    folder = database.path.parent / "ballast"
    folder.mkdir()
    with suppress(OSError), (folder / "file").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(b"\xff" * 65_536)
    with suppress(JournalError):
        for number in range(100):
            journal.append(Alarm("ballast", f"{number}", "x" * 4000))


async def really_full_and_free_again(folder: Path) -> Deal:
    deal, news = await struck(folder, really_full, ExitStack())
    assert "the journal's disk" in news[0]
    deal.journal.close()
    shutil.rmtree(folder / "ballast")
    again = await goes_on(deal, folder)
    again.journal.close()
    return deal
