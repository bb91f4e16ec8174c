"""`perptui audit`: exit codes, which journal it means, the same bytes again."""

from __future__ import annotations

from pathlib import Path

import pytest

from perptui.cli.app import run
from perptui.journal.events import KillChanged, TicketConfirmed, TicketProposed
from perptui.journal.signing import HeadsFile, Signer, key_file, load_key
from perptui.journal.verify import verify_file
from perptui.settings.paths import journal_file
from tests.journal.made import ALICE, journal_in, ticket


def write_journal(desk: str) -> Path:
    """A journal with a confirmed ticket where the desk of that name has its own."""
    path = journal_file(desk)
    journal = journal_in(path.parent, desk=desk)
    made = ticket()
    journal.append(TicketProposed(made, {}), actor=ALICE)
    journal.append(TicketConfirmed(made.id, made.token, 80, 24), actor=ALICE)
    journal.append(KillChanged("HALTED", "end"))
    journal.close()
    return path


def test_a_whole_journal_verifies(capfd: pytest.CaptureFixture[str]) -> None:
    write_journal("main")
    assert run(["audit", "verify"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("5 events verified, head ")
    head = out.split()[-1]
    assert run(["audit", "verify", "--head", head]) == 0
    assert run(["audit", "verify", "--head", head.upper()]) == 0
    assert run(["audit", "verify", "--head", "0" * 64]) == 1
    assert "events are missing at the end" in capfd.readouterr().out


def test_the_export_verifies_and_a_change_in_it_does_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_journal("main")
    assert run(["audit", "export"]) == 0
    exported = capfd.readouterr().out
    file = tmp_path / "audit.jsonl"
    file.write_text(exported)
    assert run(["audit", "verify", str(file)]) == 0
    file.write_text(exported.replace('"contracts":"0.2"', '"contracts":"9.2"', 1))
    assert run(["audit", "verify", str(file)]) == 1
    assert "BAD at event 3" in capfd.readouterr().out


def test_an_export_can_be_a_part(capfd: pytest.CaptureFixture[str]) -> None:
    write_journal("main")
    assert run(["audit", "export"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 5
    day = "2024-08-05"
    for arguments, part in (
        (["--from", "2"], lines[1:]),
        (["--from", "2", "--to", "4"], lines[1:4]),
        (["--from", day, "--to", day], lines),
        (["--to", "2024-08-05T07:19"], []),
        (["--from", "2024-08-05T07:20"], lines),
        (["--from", "2024-08-06"], []),
    ):
        assert run(["audit", "export", *arguments]) == 0
        assert capfd.readouterr().out.splitlines() == part, arguments


def test_published_heads_find_what_the_chain_cannot_show(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_journal("main")
    assert run(["audit", "verify", "--heads", str(tmp_path / "heads")]) == 2
    assert "copy what `audit keygen` printed" in capfd.readouterr().err
    assert run(["audit", "keygen"]) == 0
    said = capfd.readouterr()
    key = said.out.strip()
    assert len(key) == 64
    assert str(key_file()) in said.err
    assert run(["audit", "keygen"]) == 2
    assert "move it away first" in capfd.readouterr().err
    assert run(["audit", "verify", "--heads", str(tmp_path / "heads")]) == 2
    assert "expected a file of heads" in capfd.readouterr().err
    signer = Signer(load_key(key_file()), "main", "main")
    HeadsFile(tmp_path / "heads").publish((signer.head(5, verify_file(path).head, 1),))
    for more in ([], ["--pubkey", key]):
        assert run(["audit", "verify", "--heads", str(tmp_path / "heads"), *more]) == 0
        assert "5 events verified, 1 published heads agree, head " in capfd.readouterr().out
    assert run(["audit", "export", "--to", "4"]) == 0
    short = tmp_path / "short.jsonl"
    short.write_text(capfd.readouterr().out)
    assert run(["audit", "verify", str(short)]) == 0
    assert run(["audit", "verify", str(short), "--heads", str(tmp_path / "heads")]) == 1
    assert "BAD at event 5: the chain ends at 4" in capfd.readouterr().out
    (tmp_path / "heads").write_text('{"a":1}\n')
    assert run(["audit", "verify", "--heads", str(tmp_path / "heads")]) == 1
    assert "BAD heads: expected a head in line 1" in capfd.readouterr().out


def test_a_verdict_quotes_a_file_and_its_name_without_what_they_hide(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "day\x1b[2J\u202e.jsonl"
    file.write_text("")
    assert run(["audit", "verify", str(file)]) == 1
    said = capfd.readouterr().out
    assert said.startswith("BAD at event 1: ")
    assert "day\\x1b[2J\\u202e.jsonl" in said
    assert said.endswith("\n")
    assert said[:-1].isprintable()


def test_show_draws_the_confirmed_screen_again(capfd: pytest.CaptureFixture[str]) -> None:
    path = write_journal("main")
    for arguments in (["4"], ["3", "--file", str(path)], ["4", "--desk", "main"]):
        assert run(["audit", "show", *arguments]) == 0
        assert capfd.readouterr().out == "CONFIRM ticket T1\n\n 1  BTC  buy 0.2\n"
    assert run(["audit", "show", "1"]) == 2
    assert "about a ticket" in capfd.readouterr().err


def test_without_a_desk_of_ones_own_it_is_the_demos(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "verify"]) == 2
    assert "expected a journal of desk main" in capfd.readouterr().err
    write_journal("demo")
    assert run(["audit", "verify"]) == 0
    assert run(["audit", "verify", "--desk", "main"]) == 2
    assert run(["audit", "verify", "--desk", "demo"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "file", "--desk", "main"], "was both"),
        (["verify", "--desk", "../elsewhere"], "it names files"),
        (["verify", "absent.jsonl"], "readable file"),
        (["verify", "file", "--pubkey", "0" * 64], "expected --heads with --pubkey"),
        (["verify", "f", "--heads", "h", "--pubkey", "x"], "expected a public key"),
        (["export", "--from", "yesterday"], "number or a UTC time for --from"),
        (["verify", "--head", "0" * 63], "expected 64 hex digits for --head"),
        (["verify", "--head", "g" * 64], "copy the whole hash"),
        (["show", "x"], "invalid int"),
        ([], "ACTION"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", *arguments]) == 2
    captured = capfd.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
