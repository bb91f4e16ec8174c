"""First paint of the terminal against a bare Textual app, both through a pty, in one run.

    python benchmarks/first_paint.py [ROUNDS]

Measured from exec to the first byte of the marker on screen: "Positions" for perptui (frame, status
lines and every panel saying what it waits for), "bare" for the peer. Rounds alternate; medians and
their ratio are printed, and the CPU time of each child. Target: ratio <= 1.2.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import statistics
import struct
import sys
import time
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

ROOT = Path(__file__).resolve().parents[1]
SIZE = struct.pack("HHHH", 40, 120, 0, 0)
LONGEST_S = 20.0
TARGET = 1.2

BARE = """
from textual.app import App
from textual.widgets import Static

class Bare(App):
    def compose(self):
        yield Static("bare")

Bare().run()
"""

PERPTUI = """
from pathlib import Path
from perptui.model.clock import SystemClock
from perptui.tui.app import run_terminal

async def connect():
    import asyncio
    await asyncio.sleep(30)
    raise OSError("no desk")

run_terminal(connect, clock=SystemClock(), theme_folders=(Path("themes"),))
"""


def first_paint(source: str, marker: bytes) -> tuple[float, float]:
    """Return seconds from exec to `marker` on the terminal, and CPU seconds of the child."""
    started = time.perf_counter()
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # both are compiled, as after install
        os.execve(sys.executable, [sys.executable, "-c", source], environment)  # noqa: S606
    ioctl(master, TIOCSWINSZ, SIZE)
    seen = b""
    while marker not in seen:
        if time.perf_counter() - started > LONGEST_S:
            raise TimeoutError(f"expected {marker!r} on screen, was {seen[-300:]!r}")
        ready, _, _ = select.select([master], [], [], 0.5)
        if ready:
            seen += os.read(master, 65536)
    elapsed = time.perf_counter() - started
    os.kill(pid, signal.SIGKILL)
    _, _, usage = os.wait4(pid, 0)
    os.close(master)
    return elapsed, usage.ru_utime + usage.ru_stime


def main() -> int:
    """Print the table; return 1 when the ratio misses its target."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    peers = {"bare Textual app": (BARE, b"bare"), "perptui": (PERPTUI, b"Positions")}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in peers}
    for source, marker in peers.values():
        first_paint(source, marker)
    for _ in range(rounds):
        for name, (source, marker) in peers.items():
            found[name].append(first_paint(source, marker))
    print(f"{'':<18}{'wall ms':>9}{'cpu ms':>9}   medians of {rounds}")
    medians = {}
    for name, times in found.items():
        medians[name] = statistics.median(wall for wall, _ in times)
        cpu = statistics.median(cpu for _, cpu in times)
        print(f"{name:<18}{medians[name] * 1000:>9.0f}{cpu * 1000:>9.0f}")
    ratio = medians["perptui"] / medians["bare Textual app"]
    print(f"ratio {ratio:.2f}, target {TARGET}")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
