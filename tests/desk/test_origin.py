"""Where a terminal's user came from: the machine's record of the login, else sshd's own word."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from perptui.desk.intents import Intents
from perptui.desk.origin import ssh_of
from perptui.desk.server import Peer
from perptui.journal.audit import export_lines
from perptui.protocol.intents import Kill
from tests.desk.dealing import Deal
from tests.desk.proposing.test_proposer import waiting

SSH = "192.0.2.7 50122 198.51.100.1 22"


@pytest.fixture
def pid() -> Iterator[int]:
    """A process as sshd starts it."""
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(
        command,
        env={"SSH_CONNECTION": SSH},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
        child.kill()


def machine(folder: Path, session: str, record: str, environment: bytes = b"") -> tuple[Path, Path]:
    """Return tables of processes and sessions as proc(5) and logind have them."""
    processes, sessions = folder / "proc", folder / "sessions"
    (processes / "7").mkdir(parents=True)
    sessions.mkdir()
    (processes / "7" / "sessionid").write_text(session)
    (processes / "7" / "environ").write_bytes(environment)
    (sessions / "12").write_text(record)
    return processes, sessions


def test_the_environment_of_a_real_process(pid: int, tmp_path: Path) -> None:
    assert ssh_of(pid, sessions=tmp_path) == "192.0.2.7"


def test_the_record_of_the_login_goes_before_what_the_process_says(tmp_path: Path) -> None:
    record = "UID=1001\nREMOTE=1\nREMOTE_HOST=203.0.113.9\n"
    said = b"HOME=/x\0SSH_CONNECTION=192.0.2.7 1 2 3\0"
    assert ssh_of(7, *machine(tmp_path, "12\n", record, said)) == "203.0.113.9"


@pytest.mark.parametrize(
    ("session", "record", "environment", "told"),
    [
        ("4294967295", "", b"", ""),
        ("12", "UID=1001\nREMOTE=0\n", b"HOME=/x\0", ""),
        ("../../etc/passwd", "", b"SSH_CONNECTION=192.0.2.7 1 2 3", "192.0.2.7"),
        ("12", "REMOTE_HOST=a\x1b[2Jb\n", b"", "a\\x1b[2Jb"),
    ],
)
def test_what_is_not_known_is_not_told(
    tmp_path: Path, session: str, record: str, environment: bytes, told: str
) -> None:
    assert ssh_of(7, *machine(tmp_path, session, record, environment)) == told
    assert ssh_of(8, tmp_path / "proc", tmp_path / "sessions") == ""


@pytest.mark.asyncio
async def test_it_stands_in_the_export_with_who_acted(tmp_path: Path, pid: int) -> None:
    deal = Deal(tmp_path)
    intents = Intents(waiting(tmp_path), cast(Any, deal.picture), lambda: "")
    intents.trading = deal.trading
    await intents.answer(Kill("drill"), Peer(pid=pid, uid=os.getuid(), gid=os.getgid()))
    deal.journal.close()
    lines = [line for line in export_lines(tmp_path / "journal.db") if b'"kind":"KILL"' in line]
    told = ssh_of(pid)
    assert told, "of this machine's own session, where it has one"
    assert f'"ssh":"{told}"'.encode() in lines[-1]
