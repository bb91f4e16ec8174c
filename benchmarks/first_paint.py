"""First paint of the terminal against a bare Textual app, both through a pty, in one run.

    python benchmarks/first_paint.py [ROUNDS]

Measured from exec to the first byte of the marker on screen: "Positions" for perptui (frame, status
lines and every panel saying what it waits for), "bare" for the peer. The terminal is measured alone
and as `perptui demo`, whose venue, desk and quant processes start beside it on the same cores.
Rounds alternate; medians and ratios to the peer of the same run are printed, and the CPU time of
each process measured. Target: ratio <= 1.2.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import time
from contextlib import suppress
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
from perptui.tui.run import run_terminal

async def connect():
    import asyncio
    await asyncio.sleep(30)
    raise OSError("no desk")

run_terminal(connect, clock=SystemClock(), theme_folders=(Path("themes"),))
"""


def first_paint(arguments: list[str], marker: bytes, home: str) -> tuple[float, float]:
    """Return seconds from exec to `marker` on the terminal, and CPU seconds of the child."""
    started = time.perf_counter()
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # both are compiled, as after install
        for name in ("CONFIG_HOME", "STATE_HOME", "DATA_HOME", "RUNTIME_DIR"):
            environment[f"XDG_{name}"] = home
        os.execve(sys.executable, [sys.executable, *arguments], environment)  # noqa: S606
    ioctl(master, TIOCSWINSZ, SIZE)
    seen = b""
    while marker not in seen:
        if time.perf_counter() - started > LONGEST_S:
            raise TimeoutError(f"expected {marker!r} on screen, was {seen[-300:]!r}")
        ready, _, _ = select.select([master], [], [], 0.5)
        if ready:
            seen += os.read(master, 65536)
    elapsed = time.perf_counter() - started
    used = _cpu_s(pid)
    os.kill(pid, signal.SIGTERM)  # in order, so that the demo's children end too
    while not os.waitpid(pid, os.WNOHANG)[0]:
        ready, _, _ = select.select([master], [], [], 0.1)
        if ready:
            with suppress(OSError):
                os.read(master, 65536)
    os.close(master)
    return elapsed, used


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Print the table; return 1 when the ratio misses its target."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    peers = {
        "bare Textual app": (["-c", BARE], b"bare"),
        "perptui alone": (["-c", PERPTUI], b"Positions"),
        "perptui demo": (["-m", "perptui", "demo"], b"Positions"),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in peers}
    with tempfile.TemporaryDirectory(prefix="pt-") as home:
        for arguments, marker in peers.values():
            first_paint(arguments, marker, home)
        for _ in range(rounds):
            for name, (arguments, marker) in peers.items():
                found[name].append(first_paint(arguments, marker, home))
    print(f"{'':<18}{'wall ms':>9}{'cpu ms':>9}   medians of {rounds}")
    medians: dict[str, float] = {}
    for name, times in found.items():
        medians[name] = statistics.median(wall for wall, _ in times)
        cpu = statistics.median(cpu for _, cpu in times)
        print(f"{name:<18}{medians[name] * 1000:>9.0f}{cpu * 1000:>9.0f}")
    bare = medians.pop("bare Textual app")
    for name, median in medians.items():
        print(f"{name}: ratio {median / bare:.2f}, target {TARGET}")
    return 0 if all(median / bare <= TARGET for median in medians.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
