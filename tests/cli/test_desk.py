"""`perptui desk`, `perptui kill` and `perptui` as a person types them."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from perptui.cli.app import run
from perptui.cli.open import add_arguments, found
from perptui.client.launch import place_of
from perptui.protocol.intents import Kill
from perptui.settings.paths import config_file, kill_file, resource, state_dir
from tests.desk.attached import PATIENCE_S, Terminal, alive, children_of

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
    assert "starting the simulated venue" in view.status.feeds[0].text
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
    assert kill_file("alone").read_text() == "drill\n"
    terminal.close()
    assert desk.poll() is None


@pytest.mark.unmeasured
@pytest.mark.slow
def test_a_desk_with_its_own_venue_shows_but_never_sends_without_a_journal() -> None:
    (state_dir("own") / "journal.db.lock").mkdir()
    six = [f"{coin}/USDT:USDT" for coin in ("BTC", "ETH", "SOL", "BNB", "XRP", "DOGE")]
    symbols = f"venues.binanceusdm.symbols={msgspec.json.encode(six).decode()}"
    command = [sys.executable, "-m", "perptui", "desk", "--name", "own", "--set", symbols]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        path = Path(os.environ["XDG_RUNTIME_DIR"]) / "perptui" / "own" / "desk.sock"
        terminal = Terminal(path)
        view = terminal.until(lambda view: view.positions.waiting is None)
        assert view.status.market == "SIMULATED MARKET"
        view = terminal.until(lambda view: "journal is not open" not in view.status.sends_locked)
        assert view.status.sends_locked
        assert any(line.level == "alarm" for line in view.status.news)
        refused = terminal.ask(Kill("drill"))
        assert not refused.ok
        assert refused.text == view.status.sends_locked
        children = children_of(process.pid)
        assert len(children) == 2
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE_S) == 0
        terminal.close()
        assert not [pid for pid in children if alive(pid)]


def test_kill_leaves_a_file_where_no_desk_answers(capsys: pytest.CaptureFixture[str]) -> None:
    place_of("gone")
    assert run(["kill", "--desk", "gone", "--reason", "smoke"]) == 0
    assert "no desk runs; gone will start HALTED" in capsys.readouterr().err
    assert kill_file("gone").read_text() == "smoke\n"


def test_kill_means_the_configured_desk_where_none_runs(capsys: pytest.CaptureFixture[str]) -> None:
    config_file().parent.mkdir(parents=True, exist_ok=True)
    shipped = resource("config.toml").read_text()
    config_file().write_text(shipped.replace('name = "main"', 'name = "fund"', 1))
    assert run(["kill", "--reason", "smoke"]) == 0
    assert kill_file("fund").read_text() == "smoke\n"
    assert str(kill_file("fund")) in capsys.readouterr().err


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


def test_a_shared_desk_that_does_not_run_is_not_started_by_a_terminal(tmp_path: Path) -> None:
    refused = perptui(
        "open", "--config", str(resource("config.toml")), "--set", f"desk.socket_dir={tmp_path}"
    )
    assert refused.returncode == 2
    assert "start `perptui desk`" in refused.stderr


def test_the_way_to_a_configured_desk_keeps_its_arguments() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    way = found(parser.parse_args(["--config", str(resource("config.toml")), "--name", "second"]))
    assert way is not None
    assert way.desk == "second"
    assert way.claim()
    way.end()
    assert found(parser.parse_args([])) is None
