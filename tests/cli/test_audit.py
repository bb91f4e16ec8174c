"""`perptui audit`: exit codes, which journal it means, the same bytes again."""

from __future__ import annotations

from pathlib import Path

import pytest

from perptui.cli.app import run
from perptui.journal.events import KillChanged, TicketConfirmed, TicketProposed
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
