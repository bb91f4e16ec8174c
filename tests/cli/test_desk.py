"""`perptui desk`, `perptui kill` and `perptui` as a person types them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from perptui.cli.app import run
from perptui.cli.desk import refuse_root
from perptui.model.errors import ConfigError
from perptui.settings.load import load
from perptui.settings.paths import state_dir
from tests.desk.attached import PATIENCE_S, Terminal

NO_VENUE = ("--set", "venues.binanceusdm.socket=/nowhere/venue.sock")


def perptui(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perptui", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture
def desk() -> Iterator[subprocess.Popen[str]]:
    """A desk that runs for good, without any venue."""
    with subprocess.Popen(
        [sys.executable, "-m", "perptui", "desk", "--name", "alone", *NO_VENUE],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def attach() -> Terminal:
    return Terminal(Path(os.environ["XDG_RUNTIME_DIR"]) / "perptui" / "alone" / "desk.sock")


@pytest.mark.slow
def test_a_desk_runs_once_and_ends_in_order_on_sigterm(desk: subprocess.Popen[str]) -> None:
    terminal = attach()
    view = terminal.until(lambda view: bool(view.status.feeds and view.status.feeds[0].text))
    assert "no simulated venue listens" in view.status.feeds[0].text
    assert terminal.hello is not None
    assert not terminal.hello.private
    second = perptui("desk", "--name", "alone", *NO_VENUE)
    assert second.returncode == 2
    assert "expected no other desk named alone" in second.stderr
    desk.send_signal(signal.SIGTERM)
    terminal.until_lost()
    terminal.close()
    assert desk.wait(PATIENCE_S) == 0
    log = (state_dir("alone") / "desk.log").read_text().splitlines()
    assert msgspec.json.decode(log[-1])["text"] == "the desk ended in order"


@pytest.mark.slow
def test_a_desk_that_cannot_journal_yet_refuses_and_the_kill_file_stays(
    desk: subprocess.Popen[str],
) -> None:
    terminal = attach()
    terminal.until(lambda _: True)
    killed = perptui("kill", "--desk", "alone", "--reason", "drill")
    assert killed.returncode == 1
    assert "left" in killed.stderr
    assert (state_dir("alone") / "KILL").read_text() == "drill\n"
    terminal.close()
    assert desk.poll() is None


def test_kill_leaves_a_file_where_no_desk_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["kill", "--desk", "gone", "--reason", "smoke"]) == 0
    assert "did not answer" in capsys.readouterr().err
    assert (state_dir("gone") / "KILL").read_text() == "smoke\n"


def test_kill_without_a_desk_names_the_cure(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["kill"]) == 2
    assert "name one with --desk" in capsys.readouterr().err


def test_plain_perptui_without_anything_offers_the_demo_to_a_person_only() -> None:
    refused = perptui()
    assert refused.returncode == 2
    assert "perptui demo" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_desk_named_but_not_running_is_refused() -> None:
    refused = perptui("open", "--name", "nobody")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1


def test_live_orders_are_never_sent_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(None, {"desk.mode": "live", "venues.binanceusdm.endpoint": "live"}).settings
    monkeypatch.setattr(os, "getuid", lambda: 0)
    with pytest.raises(ConfigError, match="was root"):
        refuse_root(settings)
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    refuse_root(settings)
    refuse_root(load().settings)
