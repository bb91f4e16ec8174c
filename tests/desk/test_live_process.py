"""Live mode as it is typed, `perptui desk --live`, on a venue that stands in for the real one.

Run by root, the processes are another user's; reading this user's libraries is all they keep.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from perptui.journal.audit import stored_events
from perptui.journal.verify import verify_file
from perptui.settings.paths import resource
from tests.desk.attached import PATIENCE_S, Terminal, children_of, confirm, filled

ROOT = Path(__file__).resolve().parents[2]
ORDINARY = 61_007
"""Uid of the ordinary user."""
KEY = "simulated"
"""What the simulated venue takes for a key and its secret."""

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]


class Person:
    """A user with a home of its own, who may trade for real."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.socket = home / "venue.sock"
        config = home / "config" / "perptui"
        (config / "credentials").mkdir(parents=True, mode=0o700)
        text = resource("config.toml").read_text()
        for before, after in (
            ('mode = "view"', 'mode = "live"'),
            ('endpoint = "simulated"', 'endpoint = "live"'),
            ('socket = "" ', f'socket = "{self.socket}" '),
        ):
            assert before in text
            text = text.replace(before, after, 1)
        (config / "config.toml").write_text(text)
        self.keys = config / "credentials" / "binanceusdm-main.toml"
        self.take()

    def keep_keys(self) -> None:
        self.keys.write_text(f'api_key = "{KEY}"\nsecret = "{KEY}"\n')
        self.keys.chmod(0o600)
        self.take()

    def take(self) -> None:
        """Let all of the home be the user's."""
        if os.getuid() == 0:
            for path in (self.home, *self.home.rglob("*")):
                os.chown(path, ORDINARY, ORDINARY)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*ordinary(), sys.executable, "-m", "perptui", *arguments],
            cwd=ROOT,
            env=environment(self.home),
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def refused(self, *arguments: str) -> str:
        """Return what a command says that does not run."""
        process = self.start(*arguments)
        _, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 2, said
        return said


def environment(home: Path) -> dict[str, str]:
    names = ("CONFIG_HOME", "STATE_HOME", "DATA_HOME", "CACHE_HOME", "RUNTIME_DIR")
    folders = {f"XDG_{name}": str(home / name.partition("_")[0].lower()) for name in names}
    return {**os.environ, **folders, "HOME": str(home)}


def ordinary() -> tuple[str, ...]:
    """Return what goes before a command that root runs as an ordinary user."""
    if os.getuid() != 0:
        return ()
    ids = (f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups")
    return ("setpriv", *ids, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


@pytest.fixture
def person() -> Iterator[Person]:
    if os.getuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root needs setpriv (util-linux) to run a process as another user")
    with tempfile.TemporaryDirectory(prefix="pt-") as folder:
        home = Path(folder)
        for name in ("state", "data", "cache", "runtime"):
            (home / name).mkdir(mode=0o700)
        yield Person(home)


def confirmed(terminal: Terminal) -> tuple[str, ...]:
    """Propose, confirm and wait for the end; return the text of the ticket."""
    terminal.until(lambda view: filled(view) and not view.status.sends_locked)
    view = confirm(terminal)
    assert {leg.state for leg in view.ticket.legs} == {"FILLED"}
    return view.ticket.text


def told_of(pid: int) -> str:
    """Return what every user may learn of a process, and its environment."""
    parts = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ", "limits")]
    return b"\n".join(parts).decode(errors="replace").replace("\0", "\n")


def test_three_locks_then_a_ticket_that_says_so(person: Person) -> None:
    assert "expected --live with" in person.refused("desk")
    assert "was 'paper'; leave --live out" in person.refused(
        "desk", "--live", "--set", "desk.mode=paper"
    )
    said = person.refused("desk", "--live")
    assert "expected keys of binanceusdm main in live mode, was none" in said
    assert str(person.keys) in said
    person.keep_keys()
    if os.getuid() == 0:
        rooted = subprocess.run(
            [sys.executable, "-m", "perptui", "desk", "--live"],
            cwd=ROOT,
            env=environment(person.home),
            capture_output=True,
            text=True,
            check=False,
        )
        assert rooted.returncode == 2
        assert "expected an ordinary user in live mode, was root" in rooted.stderr
    venue = person.start("simulate", "--socket", str(person.socket), "--seed", "7")
    desk = person.start("desk", "--live")
    try:
        terminal = Terminal(person.home / "runtime" / "perptui" / "main" / "desk.sock")
        view = terminal.until(lambda view: not view.status.sends_locked)
        assert view.status.mode == "LIVE REHEARSAL"
        assert "LIVE REHEARSAL" in confirmed(terminal)[0]
        for pid in (desk.pid, *children_of(desk.pid)):
            told = told_of(pid)
            assert f"\n{KEY}\n" not in told
            assert f"={KEY}\n" not in told
        limits = next(line for line in told_of(desk.pid).splitlines() if "core file" in line)
        assert limits.split()[4:6] == ["0", "0"]
        terminal.close()
        desk.send_signal(signal.SIGTERM)
        _, said = desk.communicate(timeout=PATIENCE_S)
        assert desk.returncode == 0
        assert said == "perptui desk main (LIVE REHEARSAL): attach with `perptui`\n"
    finally:
        for process in (desk, venue):
            process.kill()
            process.communicate()
    journal = person.home / "state" / "perptui" / "main" / "journal.db"
    assert verify_file(journal).ok
    kinds = [event.kind for event in stored_events(journal)]
    assert kinds.index("PERMISSIONS") < kinds.index("SENDING")
    for path in journal.parent.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
