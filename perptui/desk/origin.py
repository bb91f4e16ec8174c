"""Where whoever sits at a terminal came from, for the audit trail."""

from __future__ import annotations

from pathlib import Path

from perptui.model.text import safe_text

PROCESSES = Path("/proc")
SESSIONS = Path("/run/systemd/sessions")


def ssh_of(pid: int, processes: Path = PROCESSES, sessions: Path = SESSIONS) -> str:
    """Return the address of the SSH client behind a process, "" where there is or is known none.

    The machine's own record of the login goes first (logind, by the session that the kernel keeps
    of a process); without one, what sshd left in the process's environment, where it may be read.

    Parameters
    ----------
    processes, sessions : Path
        The kernel's table of processes (proc(5)) and logind's of sessions.
    """
    process = processes / str(pid)
    session = _read(process / "sessionid").decode("ascii", "replace").strip()
    record = _read(sessions / session) if session.isdigit() else b""
    told = _after(b"REMOTE_HOST=", record.splitlines())
    told = told or _after(b"SSH_CONNECTION=", _read(process / "environ").split(b"\0"))
    return safe_text(told.partition(" ")[0])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _after(name: bytes, lines: list[bytes]) -> str:
    found = next((line for line in lines if line.startswith(name)), b"")
    return found.removeprefix(name).decode("utf-8", "replace")
