"""Verification finds every change; the file alone is enough."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from perptui.journal.audit import export_lines
from perptui.journal.chain import head
from perptui.journal.events import (
    Alarm,
    FillSeen,
    KillChanged,
    LegMoved,
    LegOutcome,
    LegSending,
    TicketConfirmed,
    TicketProposed,
)
from perptui.journal.stored import Stored, parse_line, sealed
from perptui.journal.verify import verify_events, verify_file
from perptui.model.errors import JournalError
from perptui.model.order import LegState
from tests.journal.made import ALICE, fill, journal_in, ticket


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A day's journal, exported: two tickets, the first one filled."""
    journal = journal_in(tmp_path)
    for number in (1, 2):
        made = ticket(number)
        journal.append(TicketProposed(made, {"v": 1, "marks": [1.5, 1e-7]}), actor=ALICE)
        journal.append(TicketConfirmed(made.id, made.token, 120, 40), actor=ALICE)
        leg = made.legs[0]
        journal.append(LegSending(leg.client_id, 1, leg.intent.notional_usd, "alice"))
        journal.append(LegOutcome(leg.client_id, LegState.ACKED, text="naïve ✓"))
        size = leg.intent.contracts
        journal.append(LegMoved(leg.client_id, LegState.FILLED, size, None, "7", "ack"))
        journal.append(FillSeen(fill(leg, "0.2", str(number))))
    journal.append(KillChanged("HALTED", "end of day"), actor=ALICE)
    journal.close()
    file = tmp_path / "exported.jsonl"
    file.write_bytes(b"".join(export_lines(tmp_path / "journal.db")))
    return file


def rewritten(file: Path, change: Callable[[list[bytes]], None]) -> Path:
    lines = file.read_bytes().splitlines(keepends=True)
    change(lines)
    file.write_bytes(b"".join(lines))
    return file


def test_database_and_export_verify_to_the_same_head(exported: Path) -> None:
    file = verify_file(exported)
    database = verify_file(exported.with_name("journal.db"))
    assert file.ok
    assert file == database
    assert file.events == 15


def test_the_hash_is_what_the_design_says(exported: Path) -> None:
    """A second implementation of the chain, from json and hashlib alone."""
    prev = "0" * 64
    for line in exported.read_text().splitlines():
        event = json.loads(line)
        own = event.pop("hash")
        assert event["prev"] == prev
        # All numbers here are integers or written the same by json, keys are ASCII.
        canonical = json.dumps(
            event, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).replace("1e-07", "1e-7")
        prev = hashlib.sha256(
            b"perptui-audit-v1\n" + prev.encode() + canonical.encode()
        ).hexdigest()
        assert own == prev
    assert list(json.loads(exported.read_text().splitlines()[0])) == [
        "actor",
        "body",
        "hash",
        "host",
        "kind",
        "prev",
        "seq",
        "ts",
        "v",
    ]


@pytest.mark.unmeasured
def test_every_single_byte_that_changes_is_found(exported: Path) -> None:
    whole = exported.read_bytes()
    draw = random.Random(5)
    for _ in range(400):
        place = draw.randrange(len(whole))
        other = draw.choice([byte for byte in range(256) if byte != whole[place]])
        exported.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
        verdict = verify_file(exported)
        changed = whole[:place].count(b"\n") + 1
        assert verdict.bad_seq == changed, (place, other, verdict)


def test_quantity_one_to_nine_is_found_in_the_database_too(exported: Path) -> None:
    """SQLite's integrity_check does not see it (measured, safety.md)."""
    path = exported.with_name("journal.db")
    content = path.read_bytes()
    assert content.count(b'"contracts":"0.2"') > 0
    path.write_bytes(content.replace(b'"contracts":"0.2"', b'"contracts":"9.2"', 1))
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    verdict = verify_file(path)
    assert not verdict.ok
    assert verdict.reason == "the hash does not fit the content"


@pytest.mark.parametrize("place", [0, 4, 9])
def test_a_deleted_event_is_found(exported: Path, place: int) -> None:
    verdict = verify_file(rewritten(exported, lambda lines: lines.__delitem__(place)))
    assert verdict.bad_seq == place + 1


def test_reordered_and_doubled_events_are_found(exported: Path) -> None:
    def swap(lines: list[bytes]) -> None:
        lines[5], lines[6] = lines[6], lines[5]

    whole = exported.read_bytes()
    assert verify_file(rewritten(exported, swap)).bad_seq == 6
    exported.write_bytes(whole)
    assert verify_file(rewritten(exported, lambda lines: lines.insert(3, lines[2]))).bad_seq == 4


def test_truncation_is_seen_against_a_kept_head(exported: Path) -> None:
    kept = verify_file(exported).head
    verdict = verify_file(rewritten(exported, lambda lines: lines.__delitem__(-1)))
    assert verdict.ok
    assert verdict.head != kept


def test_half_a_last_line_is_found(exported: Path) -> None:
    exported.write_bytes(exported.read_bytes()[:-40])
    assert verify_file(exported).bad_seq == 15


@pytest.mark.parametrize(
    "forged",
    [
        b'{"a":1}\n',
        b"[]\n",
        b"\n",
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b'{"v":NaN}\n',
    ],
)
def test_what_is_no_event_is_named_as_such(exported: Path, forged: bytes) -> None:
    verdict = verify_file(rewritten(exported, lambda lines: lines.append(forged)))
    assert verdict.bad_seq == 16
    assert "line 16" in verdict.reason


def test_another_spelling_of_the_same_json_is_refused(exported: Path) -> None:
    line = exported.read_bytes().splitlines(keepends=True)[0]
    with pytest.raises(JournalError, match="canonical"):
        parse_line(line.replace(b'"v":1', b'"v": 1'), 1)


def test_a_chain_needs_its_genesis_first_and_only_once(exported: Path) -> None:
    assert verify_events([]).bad_seq == 1
    events = [parse_line(line, 1) for line in exported.read_bytes().splitlines(keepends=True)]
    wrong = events[0]._replace(v=2)
    assert "version" in verify_events([wrong]).reason
    assert verify_events(events[1:]).bad_seq == 1


def test_a_projection_that_was_changed_by_hand_is_found(exported: Path) -> None:
    path = exported.with_name("journal.db")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE position SET contracts = '7'")
        connection.execute("UPDATE kill SET state = 'ACTIVE'")
    connection.close()
    verdict = verify_file(path)
    assert not verdict.ok
    assert "position, kill" in verdict.reason
    with pytest.raises(JournalError, match="verifies"):
        journal_in(path.parent)


def test_a_database_cut_short_is_bad_not_a_crash(exported: Path) -> None:
    path = exported.with_name("journal.db")
    path.write_bytes(path.read_bytes()[:9000])
    assert not verify_file(path).ok


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="readable file"):
        verify_file(tmp_path / "none.jsonl")


def test_an_impossible_event_with_good_hashes_is_found(exported: Path) -> None:
    """A chain forged from its end: every hash fits, yet it is no life of a leg."""
    path = exported.with_name("journal.db")
    with sqlite3.connect(path, isolation_level=None) as connection:
        (seq, prev) = head(connection)
        body = LegOutcome(ticket(2).legs[0].client_id, LegState.REJECTED)
        event = sealed(seq=seq + 1, ts_ms=1, host="h", actor=ALICE, body=body, prev=prev)
        connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)", event[:8])
    connection.close()
    verdict = verify_file(path)
    assert not verdict.ok
    assert "legal change" in verdict.reason


@pytest.mark.parametrize("again", [False, True])
def test_an_impossible_history_with_good_hashes_is_found_in_a_file(
    exported: Path, again: bool
) -> None:
    """A final leg that is rejected, or a ticket that is proposed twice."""
    events = [parse_line(line, 1) for line in exported.read_bytes().splitlines(keepends=True)]
    client_id = ticket(2).legs[0].client_id
    body = TicketProposed(ticket(1), {}) if again else LegOutcome(client_id, LegState.REJECTED)
    last = events[-1]
    forged = sealed(
        seq=last.seq + 1, ts_ms=last.ts, host="h", actor=ALICE, body=body, prev=last.hash
    )
    verdict = verify_file(rewritten(exported, lambda lines: lines.append(forged.line + b"\n")))
    assert verdict.bad_seq == 16
    assert ("impossible" if again else "legal change") in verdict.reason
    assert verdict.head == last.hash


def test_a_confirmation_forged_from_another_ticket_is_found(exported: Path) -> None:
    events = [parse_line(line, 1) for line in exported.read_bytes().splitlines(keepends=True)]
    last = events[-1]
    forged: list[Stored] = []
    prev = last.hash
    for body in (
        TicketProposed(ticket(8), {}),
        TicketProposed(ticket(9), {}),
        TicketConfirmed(ticket(8).id, ticket(9).token, 80, 24),
    ):
        seq = last.seq + len(forged) + 1
        forged.append(sealed(seq=seq, ts_ms=last.ts, host="h", actor=ALICE, body=body, prev=prev))
        prev = forged[-1].hash
    verdict = verify_file(
        rewritten(exported, lambda lines: lines.extend(one.line + b"\n" for one in forged))
    )
    assert verdict.bad_seq == last.seq + 3
    assert "the token that T8 was shown with" in verdict.reason


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("DROP TRIGGER event_no_update", "event_no_update"),
        ("DROP TRIGGER event_no_delete", "event_no_delete"),
        ("DROP INDEX leg_order", "leg_order"),
        (
            "CREATE TRIGGER quiet AFTER INSERT ON event BEGIN UPDATE lease SET pid = 0; END",
            "quiet",
        ),
    ],
)
def test_a_schema_that_does_not_guard_the_chain_is_found(
    exported: Path, statement: str, name: str
) -> None:
    path = exported.with_name("journal.db")
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    verdict = verify_file(path)
    assert not verdict.ok
    assert f"{name} missing, added or changed" in verdict.reason


@pytest.mark.unmeasured
def test_ten_thousand_events_verify_in_seconds(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    for block in range(20):
        journal.append(*(Alarm("x", f"{block}-{n}", "text") for n in range(500)))
    journal.close()
    started = time.perf_counter()
    assert verify_file(tmp_path / "journal.db").events == 10_002
    assert time.perf_counter() - started < 30
