"""Signed heads from a running desk: what was missed, what is due, and a place that fails."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from perptui.desk.publishing import RETRY_S, Publishing
from perptui.journal.events import Alarm
from perptui.journal.heads import Head, Witnesses, read_heads
from perptui.journal.journal import Journal
from perptui.journal.signing import key_file, load_key, make_key, public_of
from perptui.journal.verify import verify_file
from perptui.model.clock import DAY_MS, ManualClock
from perptui.model.errors import JournalError
from perptui.settings.schema import Settings
from tests.desk.dealing import settings_of
from tests.desk.market import NOW_MS
from tests.journal.made import journal_in

pytestmark = pytest.mark.asyncio


class Told(list[tuple[str, str]]):
    """The news."""

    def __call__(self, level: str, text: str) -> None:
        self.append((level, text))


class Shut:
    """A place that takes nothing until it is opened."""

    def __init__(self) -> None:
        self.open = False
        self.heads: list[Head] = []

    def publish(self, heads: tuple[Head, ...]) -> None:
        if not self.open:
            raise JournalError("expected room there, was none; free it")
        self.heads.extend(heads)

    def published(self) -> tuple[Head, ...]:
        return tuple(self.heads)


def settings_with(heads: str, every: int = 5) -> Settings:
    audit = msgspec.structs.replace(settings_of().audit, heads=heads, every=every)
    return msgspec.structs.replace(settings_of(), audit=audit)


def alarms(journal: Journal, count: int, word: str = "k") -> None:
    start = journal.head[0]
    journal.append(*(Alarm("x", f"{word}{start + n}", "t") for n in range(count)))


def numbers(path: Path) -> list[int]:
    return [head.seq for head in read_heads(path).heads]


async def test_heads_are_due_every_so_many_events_at_the_start_and_at_the_end(
    tmp_path: Path,
) -> None:
    key, clock, told = make_key(key_file()), ManualClock(NOW_MS), Told()
    place = tmp_path / "heads"
    journal = journal_in(tmp_path, clock)
    publishing = Publishing(journal, settings_with(str(place)), clock, told)
    await publishing.look(begins=True)
    assert numbers(place) == [2]
    alarms(journal, 1)
    await publishing.look()
    assert numbers(place) == [2]
    alarms(journal, 8)
    await publishing.look()
    assert numbers(place) == [2, 5, 10]
    await publishing.end()
    assert numbers(place) == [2, 5, 10, 11]
    journal.close()
    witnesses = Witnesses(read_heads(place).heads, key)
    assert verify_file(journal.path, witnesses).ok
    assert witnesses.count == 4
    assert told == []


async def test_the_last_event_of_a_utc_day_is_published_when_the_day_is_over(
    tmp_path: Path,
) -> None:
    make_key(key_file())
    clock, place = ManualClock(NOW_MS - NOW_MS % DAY_MS + DAY_MS - 5_000), tmp_path / "heads"
    journal = journal_in(tmp_path, clock)
    publishing = Publishing(journal, settings_with(str(place), 100), clock, Told())
    await publishing.look(begins=True)
    alarms(journal, 2)
    await publishing.look()
    clock.advance(10)
    alarms(journal, 1)
    await publishing.look()
    assert numbers(place) == [2, 4]
    clock.advance(10)
    await publishing.look()
    assert numbers(place) == [2, 4]
    journal.close()


async def test_heads_that_were_missed_are_published_at_the_next_start(tmp_path: Path) -> None:
    make_key(key_file())
    clock, place = ManualClock(NOW_MS), tmp_path / "heads"
    journal = journal_in(tmp_path, clock)
    await Publishing(journal, settings_with(str(place)), clock, Told()).look(begins=True)
    alarms(journal, 11)
    journal.close()
    journal = journal_in(tmp_path, clock)
    await Publishing(journal, settings_with(str(place)), clock, Told()).look(begins=True)
    assert numbers(place) == [2, 5, 10, 14]
    journal.close()


async def test_a_place_that_fails_is_told_once_and_gets_all_of_it_later(tmp_path: Path) -> None:
    make_key(key_file())
    clock, told, place = ManualClock(NOW_MS), Told(), Shut()
    journal = journal_in(tmp_path, clock)
    publishing = Publishing(journal, settings_with("elsewhere"), clock, told, place)
    await publishing.look(begins=True)
    alarms(journal, 9)
    for _ in range(3):
        await publishing.look()
        clock.advance(RETRY_S + 1)
    assert [level for level, _ in told] == ["alarm"]
    assert "signed heads are not published: expected room there" in told[0][1]
    assert sum(event.body.get("what") == "heads" for event in journal.events(1)) == 1
    place.open = True
    await publishing.look()
    assert [head.seq for head in place.heads] == [5, 10]
    assert told[1] == ("info", "signed heads are published again, up to event 10")
    journal.close()


async def test_without_a_key_the_desk_says_so_until_there_is_one(tmp_path: Path) -> None:
    clock, told, place = ManualClock(NOW_MS), Told(), tmp_path / "heads"
    journal = journal_in(tmp_path, clock)
    publishing = Publishing(journal, settings_with(str(place)), clock, told)
    await publishing.look(begins=True)
    assert "perptui audit keygen" in told[0][1]
    await publishing.end()
    assert not place.exists()
    make_key(key_file())
    clock.advance(RETRY_S + 1)
    await publishing.look(begins=True)
    assert numbers(place) == [3]
    journal.close()


async def test_nothing_is_signed_where_no_place_is_named(tmp_path: Path) -> None:
    clock, told = ManualClock(NOW_MS), Told()
    journal = journal_in(tmp_path, clock)
    publishing = Publishing(journal, settings_with(""), clock, told)
    await publishing.run()
    await publishing.end()
    assert told == []
    journal.close()


async def test_a_journal_that_lost_published_events_is_an_alarm_at_the_start(
    tmp_path: Path,
) -> None:
    make_key(key_file())
    clock, place = ManualClock(NOW_MS), tmp_path / "heads"
    (tmp_path / "new").mkdir()
    for folder, count, told in ((tmp_path, 20, Told()), (tmp_path / "new", 3, Told())):
        journal = journal_in(folder, clock)
        alarms(journal, count, folder.name)
        await Publishing(journal, settings_with(str(place)), clock, told).look(begins=True)
        journal.close()
    assert told[0][0] == "alarm"
    assert "a head of event 22 was published and this journal ends before it" in told[0][1]
    key = public_of(load_key(key_file()))
    verdict = verify_file(tmp_path / "new" / "journal.db", Witnesses(read_heads(place).heads, key))
    assert not verdict.ok
