"""From `perptui demo` in a terminal to five panels filled with figures, over several rounds.

    python benchmarks/five_panels.py [ROUNDS] [DEMO OPTIONS...]

The demo runs in a pty of 120x40 as a person starts it. A second terminal, of plain sockets,
attaches to its desk and notes when each panel stops saying what it waits for. Printed: seconds from
exec, medians; the processor seconds of all processes by then. Target: all five within 5 s.
"""

from __future__ import annotations

import os
import pty
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from struct import pack
from termios import TIOCSWINSZ

from perptui.protocol.frames import Deframer, Replace, Whole, decode_to_terminal

ROOT = Path(__file__).resolve().parents[1]
SIZE = pack("HHHH", 40, 120, 0, 0)
PANELS = ("positions", "funding", "regime", "rebalance", "limits")
LONGEST_S = 60.0
TARGET_S = 5.0


def filled(options: list[str], home: Path) -> tuple[dict[str, float], float]:
    """Return seconds from exec until each panel was filled, and the processor seconds used."""
    started = time.perf_counter()
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        environment = {**os.environ, "TERM": "xterm-256color"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled, as after an installation
        for name in ("CONFIG_HOME", "STATE_HOME", "DATA_HOME", "RUNTIME_DIR"):
            environment[f"XDG_{name}"] = str(home)
        command = [sys.executable, "-m", "perptui", "demo", *options]
        os.execve(sys.executable, command, environment)  # noqa: S606
    ioctl(master, TIOCSWINSZ, SIZE)
    threading.Thread(target=_drain, args=(master,), daemon=True).start()
    try:
        times = _watch(home / "perptui" / "demo" / "desk.sock", started)
        used = _cpu_s(pid)
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        os.close(master)
    return times, used


def _drain(master: int) -> None:
    with suppress(OSError):
        while os.read(master, 65536):
            pass


def _watch(path: Path, started: float) -> dict[str, float]:
    line = socket.socket(socket.AF_UNIX)
    while line.connect_ex(str(path)):
        if time.perf_counter() - started > LONGEST_S:
            raise TimeoutError(f"expected a desk at {path}, was none")
        time.sleep(0.01)
    times: dict[str, float] = {}
    deframer = Deframer()
    while len(times) < len(PANELS):
        for payload in deframer.feed(line.recv(65536)):
            message = decode_to_terminal(payload)
            now = time.perf_counter() - started
            if now > LONGEST_S:
                raise TimeoutError(f"expected five panels within {LONGEST_S} s, were {times}")
            if isinstance(message, Whole):
                views = {name: getattr(message.view, name) for name in PANELS}
            else:
                views = {message.panel: message.view()} if isinstance(message, Replace) else {}
            for name, view in views.items():
                if name in PANELS and view.waiting is None:
                    times.setdefault(name, now)
    line.close()
    return times


def _cpu_s(root: int) -> float:
    """Return the processor seconds of `root` and its descendants."""
    parents: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            pid = int(entry.parent.name)
            parents.setdefault(int(fields[1]), []).append(pid)
            used[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    total, waiting = 0.0, [root]
    while waiting:
        pid = waiting.pop()
        total += used.get(pid, 0.0)
        waiting += parents.get(pid, [])
    return total


def main() -> int:
    """Print the medians; return 1 when the last panel misses its target."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    options = sys.argv[2:]
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="pt-") as home:
            found.append(filled(options, Path(home)))
    for name in PANELS:
        print(f"{name:<12}{statistics.median(times[name] for times, _ in found):>7.2f} s")
    last = statistics.median(max(times.values()) for times, _ in found)
    used = statistics.median(used for _, used in found)
    print(f"all five    {last:>7.2f} s, target {TARGET_S} s; {used:.1f} processor seconds")
    return 0 if last <= TARGET_S else 1


if __name__ == "__main__":
    sys.exit(main())
