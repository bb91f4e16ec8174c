"""A delta of a live table: our line-API grid against Textual's DataTable, through a pty.

    python benchmarks/grid_delta.py [SECONDS]

500 rows of 12 coloured columns on 120x40; 5 rows in sight change ten times a second. Printed: CPU
share and bytes a delta of each, and the ratio. Targets: <= 1/10 of DataTable's CPU (the idle app's
own CPU taken off both) and <= 1.5 KB a delta, header and cursor drawn.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import struct
import sys
import time
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

ROOT = Path(__file__).resolve().parents[1]
SIZE = struct.pack("HHHH", 40, 120, 0, 0)
WARM_S = 2.0
HERTZ = 10
CPU_TARGET, BYTES_TARGET = 0.1, 1536

COMMON = """
import random
from pathlib import Path
from textual.app import App

ROWS, COLUMNS, CHANGED = 500, 12, 5
dice = random.Random(7)

def figure():
    return dice.uniform(-9999, 9999)

book = [[figure() for _ in range(COLUMNS)] for _ in range(ROWS)]

def step():
    rows = dice.sample(range(30), CHANGED)
    for row in rows:
        book[row] = [figure() if dice.random() < .25 else value for value in book[row]]
    return rows
"""

IDLE = (
    COMMON
    + """
from textual.widgets import Static

class Bench(App):
    def compose(self):
        yield Static("idle")

Bench().run()
"""
)

TABLE = (
    COMMON
    + """
from rich.text import Text
from textual.widgets import DataTable

def cell(value):
    return Text(f"{value:,.1f}", style="green" if value > 0 else "red", justify="right")

class Bench(App):
    def compose(self):
        yield DataTable(zebra_stripes=True, cursor_type="row")

    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns(*(f"column{i}" for i in range(COLUMNS)))
        for index, row in enumerate(book):
            table.add_row(*(cell(value) for value in row), key=str(index))
        self.keys = list(table.columns)
        self.set_interval(.1, self.delta)

    def delta(self):
        table = self.query_one(DataTable)
        for row in step():
            for key, value in zip(self.keys, book[row]):
                table.update_cell(str(row), key, cell(value))

Bench().run()
"""
)

GRID = (
    COMMON
    + """
from perptui.tui import theme
from perptui.tui.column import Cell, Column
from perptui.tui.grid import Grid
from perptui.tui.picture import Picture
from perptui.tui.spans import SpanCompositor
from textual.screen import Screen

palette = theme.find("dark", (Path("themes"),))

def column(at):
    def cell(row, now):
        value = row[1][at]
        return Cell(f"{value:,.1f}", "gain" if value > 0 else "loss")
    return Column(f"column{at}", cell, lambda row: row[1][at])

class Table(Picture):
    def __init__(self):
        super().__init__(lambda: palette)
        self.grid = Grid([column(at) for at in range(COLUMNS)], lambda row: str(row[0]))
        self.take()

    def take(self):
        self.grid.set_rows([(index, tuple(row)) for index, row in enumerate(book)])

    def draw(self, width, height):
        return self.grid.lines(width, height, now=0.0, focused=True)

class Paper(Screen):
    def __init__(self):
        super().__init__()
        self._compositor = SpanCompositor()

class Bench(App):
    def get_default_screen(self):
        return Paper()

    def compose(self):
        self.table = Table()
        self.table.styles.height = "100%"
        yield self.table

    def on_mount(self):
        self.set_interval(.1, self.delta)

    def delta(self):
        step()
        self.table.take()
        self.table.repaint()

Bench().run()
"""
)


def watched(source: str, seconds: float) -> tuple[float, float]:
    """Return CPU share and bytes a second of an app, after it has warmed up."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        os.execve(sys.executable, [sys.executable, "-c", source], environment)  # noqa: S606
    ioctl(master, TIOCSWINSZ, SIZE)
    while _drain(master, 0.5) == 0:
        pass  # until the first frame
    _drain(master, WARM_S)
    before = _cpu_s(pid)
    sent = _drain(master, seconds)
    used = _cpu_s(pid) - before
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(master)
    return used / seconds, sent / seconds


def _drain(master: int, seconds: float) -> int:
    """Read what is written for `seconds`; return how many bytes that were."""
    count, until = 0, time.perf_counter() + seconds
    while (left := until - time.perf_counter()) > 0:
        ready, _, _ = select.select([master], [], [], left)
        if ready:
            count += len(os.read(master, 1 << 16))
    return count


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Print the table; return 1 when a target is missed."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    found = {
        name: watched(source, seconds)
        for name, source in (("idle app", IDLE), ("DataTable", TABLE), ("grid", GRID))
    }
    print(f"{'':<12}{'cpu %':>8}{'bytes a delta':>16}   over {seconds:g} s")
    for name, (cpu, sent) in found.items():
        print(f"{name:<12}{cpu * 100:>8.1f}{sent / HERTZ:>16.0f}")
    idle = found["idle app"][0]
    ratio = (found["grid"][0] - idle) / (found["DataTable"][0] - idle)
    delta = found["grid"][1] / HERTZ
    print(f"cpu ratio {ratio:.3f}, target {CPU_TARGET}; bytes {delta:.0f}, target {BYTES_TARGET}")
    return 0 if ratio <= CPU_TARGET and delta <= BYTES_TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
