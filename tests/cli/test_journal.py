"""`perptui journal`: where it is, what it holds, a backup, and a backup in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from perptui.cli.app import run
from perptui.journal.events import Alarm
from perptui.journal.verify import verify_file
from perptui.settings.paths import journal_file
from tests.journal.made import journal_in


def test_a_backup_goes_back_into_its_place(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = journal_file("main")
    journal = journal_in(path.parent)
    assert run(["journal", "backup", "--to", str(tmp_path)]) == 0
    said = capfd.readouterr()
    made = Path(said.out.strip())
    assert made.parent == tmp_path
    assert said.err.startswith("perptui: 2 events verified, head ")
    journal.append(Alarm("x", "k", "t"))
    assert run(["journal", "restore", str(made)]) == 2
    assert "only sender" in capfd.readouterr().err
    journal.close()
    assert run(["journal", "restore", str(made)]) == 0
    said = capfd.readouterr()
    assert f"{path} ends at event 2, head {verify_file(made).head}" in said.out
    assert "the journal it replaced, 1 events longer, is " in said.out
    assert "perptui kill --release --desk main" in said.err
    again = journal_in(path.parent)
    assert again.kill_state().state == "HALTED"
    again.close()


def test_where_it_is_and_what_it_is_of(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["journal", "path"]) == 2
    assert "expected a journal of desk main" in capfd.readouterr().err
    path = journal_file("demo")
    journal = journal_in(path.parent, desk="demo")
    assert run(["journal", "path"]) == 0
    assert capfd.readouterr().out == f"{path}\n"
    assert run(["journal", "info", "--desk", "demo"]) == 0
    said = capfd.readouterr().out
    assert "demo, account main" in said
    assert "version  2, lease 1, a desk runs on it" in said
    assert "events   2, the last 2024-08-05T07:20:00Z" in said
    assert journal.head[1] in said
    journal.close()
    assert run(["journal", "info"]) == 0
    assert "no desk runs on it" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "ACTION"),
        (["restore"], "FILE"),
        (["restore", "absent.db"], "readable file"),
        (["backup", "--to", ""], "expected a journal of desk"),
        (["path", "--desk", "../x"], "it names files"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["journal", *arguments]) == 2
    captured = capfd.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
