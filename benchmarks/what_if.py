"""From a key to the repainted what-if, in tmux, on a desk with 20 contracts.

    python -m benchmarks.what_if [KEYS] [--contracts N] [--raw] [--hops]

A desk of its own is started as a person starts it, in a pane of tmux (120x40), on a replayed market
of 20 generated contracts: terminal, desk, quant and venue processes are the real ones. tmux is
driven in control mode: a key goes in by `send-keys`, what the program writes comes back, and a
small screen kept from that tells when the digest of the new proposal stands on it. Each key nudges
a target. Printed for each setting: median and 95th percentile of key to repainted what-if, and of
the key's own echo, ms; and the CPU time a key costs each of the desk's processes above what they
use at rest, which other work on the machine hardly changes. Target: p95 <= 50 ms. With --hops, how
long each step of a key's way through the processes took.
"""

from __future__ import annotations

import argparse
import codecs
import json
import os
import random
import re
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import hops

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 120, 40
LONGEST_S = 30.0
"""How long a repaint is waited for; one that takes longer counts as this."""

START_S = 240.0
REST_S = 10.0
TARGET_MS = 50.0
COINS = ("BTC", "ETH", "SOL", "BNB", "XRP", "DOGE", "AVAX", "ADA", "LINK", "LTC")
MORE = ("DOT", "ATOM", "NEAR", "UNI", "AAVE", "FIL", "ETC", "XLM", "TRX", "ALGO")
"""Names for a second market of the same ten kinds of coins."""

PROCESSES = {"desk": "desk", "perptui.quant.serve": "quant", "simulate": "venue"}
"""Words that tell the processes of a desk apart; without any of them it is the terminal."""

SETTINGS: dict[str, tuple[str, ...]] = {
    "as configured": (),
    "robust off": ("robust=off", "covariance_uncertainty=0"),
    "robust ellipsoid": ("robust=ellipsoid",),
    "CVaR binding": ("cvar_max=0.058",),
    "CVaR binding, robust off": ("cvar_max=0.058", "robust=off", "covariance_uncertainty=0"),
}

_SEQUENCE = re.compile(
    r"\x1b(?:\[([0-?]*)[ -/]*([@-~])|[\]P][^\x07\x1b]*(?:\x07|\x1b\\)|[ -OQ-Z\\^-~])"
)
_OCTAL = re.compile(rb"\\([0-7]{3})")
_DIGEST = re.compile(r"#([0-9a-f]{4}) ")


class Screen:
    """As much of a terminal as Textual's partial updates need: moves, text, clearing."""

    def __init__(self) -> None:
        self.rows = [[" "] * WIDTH for _ in range(HEIGHT)]
        self._x = self._y = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        """Take what the program wrote."""
        text, at = self._rest + text, 0
        while at < len(text):
            if text[at] != "\x1b":
                self._put(text[at])
                at += 1
                continue
            found = _SEQUENCE.match(text, at)
            if found is None:
                break
            self._control(found[1] or "", found[2] or "")
            at = found.end()
        self._rest = text[at:]

    def _put(self, character: str) -> None:
        if character == "\r":
            self._x = 0
        elif character == "\n":
            self._y = min(self._y + 1, HEIGHT - 1)
        elif character >= " " and self._x < WIDTH:
            self.rows[self._y][self._x] = character
            self._x += 1

    def _control(self, numbers: str, kind: str) -> None:
        if kind == "H":
            row, _, column = numbers.partition(";")
            self._y = min(max(int(row or 1), 1), HEIGHT) - 1
            self._x = min(max(int(column or 1), 1), WIDTH) - 1
        elif kind == "J":
            self.rows = [[" "] * WIDTH for _ in range(HEIGHT)]

    def text(self) -> str:
        """Return what stands on it."""
        return "\n".join("".join(row) for row in self.rows)


class Pane:
    """A program in a pane of tmux, by control mode."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        self._socket = folder / "tmux"
        self._process = subprocess.Popen(
            [
                *("tmux", "-S", str(self._socket), "-f", "/dev/null", "-C", "new-session"),
                *("-x", str(WIDTH), "-y", str(HEIGHT), command),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self.screen = Screen()
        self._line = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def tell(self, command: str) -> None:
        """Give tmux a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self.tell("send-keys " + " ".join(f"'{key}'" for key in keys))

    def until(self, fulfilled: Callable[[], bool], longest_s: float = LONGEST_S) -> float:
        """Read until the screen fulfils something; return the moment it did."""
        ends = time.perf_counter() + longest_s
        while not fulfilled():
            if time.perf_counter() > ends:
                raise TimeoutError(f"waited {longest_s} s, the screen is\n{self.screen.text()}")
            self._read(0.05)
        return time.perf_counter()

    def by(self, fulfilled: Callable[[], bool]) -> float:
        """Read until the screen fulfils something; return the moment it did, or gave up."""
        try:
            return self.until(fulfilled)
        except TimeoutError:
            return time.perf_counter()

    def rest(self, seconds: float) -> None:
        """Read on for some time."""
        ends = time.perf_counter() + seconds
        while (left := ends - time.perf_counter()) > 0:
            self._read(left)

    def _read(self, wait_s: float) -> None:
        assert self._process.stdout is not None
        file = self._process.stdout.fileno()
        if not select.select([file], [], [], wait_s)[0]:
            return
        data = os.read(file, 1 << 16)
        if not data:
            raise EOFError(f"the program ended; the screen was\n{self.screen.text()}")
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            if line.startswith(b"%output "):
                self.screen.feed(self._decoder.decode(_written(line.split(b" ", 2)[2])))

    def end(self) -> None:
        """End the program and tmux."""
        with suppress(EOFError):
            self.press("q")
            self.rest(1.0)
        subprocess.run(["tmux", "-S", str(self._socket), "kill-server"], check=False)
        self._process.wait(10)


def _written(escaped: bytes) -> bytes:
    """Return what the pane wrote, from tmux's octal escapes."""
    return _OCTAL.sub(lambda found: bytes([int(found[1], 8)]), escaped)


def digest(pane: Pane) -> str:
    """Return the four characters of the proposal that stands on the screen; "" for none."""
    found = _DIGEST.search(pane.screen.text().split("\n", 3)[-1])
    return found[1] if found else ""


def write_market(folder: Path, contracts: int) -> tuple[list[str], int]:
    """Write hourly history of generated coins to replay; return their symbols and its start."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from perptui.model.clock import HOUR_MS, parse_iso
    from perptui.simulator.market_generated import GeneratedMarket

    start = parse_iso("2026-03-14T12:00:00Z")
    (folder / "binance").mkdir(parents=True)
    names = (*COINS, *MORE)[:contracts]
    for seed in range(2):
        market = GeneratedMarket(7 + seed, start)
        for coin in COINS:
            name = coin if seed == 0 else MORE[COINS.index(coin)]
            if name not in names:
                continue
            series = market.series[f"{coin}USDT"]
            stamps = [series.first_ms + HOUR_MS * row for row in range(len(series.close))]
            bars: dict[str, Any] = {"ts": stamps}
            for column in ("open", "high", "low", "close", "volume"):
                bars[column] = getattr(series, column)
            path = folder / "binance" / f"{name}USDT"
            pq.write_table(pa.table(bars), f"{path}-1h.parquet")
            funding = {
                "ts": series.funding_ms,
                "funding_rate": series.funding_rate,
                "interval_hours": series.funding_hours,
            }
            pq.write_table(pa.table(funding), f"{path}-funding.parquet")
    return [f"{name}/USDT:USDT" for name in names], start


def desk_command(folder: Path, contracts: int) -> str:
    """Write a configuration with so many contracts; return the command that opens its desk."""
    from perptui.model.clock import iso

    symbols, start = write_market(folder / "data", contracts)
    assignments = (
        'desk.name="bench"',
        f"venues.binanceusdm.symbols={json.dumps(symbols)}",
        f"simulator.data={json.dumps(str(folder / 'data'))}",
        f"simulator.start={json.dumps(iso(start))}",
    )
    words = [sys.executable, "-m", "perptui", "--config", str(ROOT / "config.toml")]
    for assignment in assignments:
        words += ["--set", assignment]
    return " ".join(f"'{word}'" for word in words)


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which nothing of the user's own is read or written."""
    made = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    made.pop("PYTHONDONTWRITEBYTECODE", None)
    made.pop("TMUX", None)
    for name in ("CONFIG_HOME", "STATE_HOME", "DATA_HOME", "RUNTIME_DIR"):
        (folder / name[0]).mkdir(mode=0o700)
        made[f"XDG_{name}"] = str(folder / name[0])
    return made


def cpu_ms(folder: Path) -> dict[str, float]:
    """Return the CPU time so far of each process of this desk, ms, by what it is."""
    found: dict[str, float] = {}
    mark = f"XDG_STATE_HOME={folder / 'S'}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark not in (process / "environ").read_bytes().split(b"\0"):
                continue
            words = (process / "cmdline").read_text().split("\0")
            ticks = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
            if "python" in words[0]:
                kind = next((PROCESSES[word] for word in words if word in PROCESSES), "terminal")
                spent = sum(map(int, ticks)) * 1000 / os.sysconf("SC_CLK_TCK")
                found[kind] = found.get(kind, 0.0) + spent
    return found


def nudges(pane: Pane, keys: int) -> Iterator[tuple[float, float, float]]:
    """Yield the moments, s, at which each nudge was pressed, echoed and repainted.

    One that was not within LONGEST_S counts as that long: a slow solve is a time in the table, too.
    """
    draw = random.Random(11)
    for index in range(keys):
        pane.rest(0.15 + 0.35 * draw.random())
        before, shown = digest(pane), pane.screen.text()
        key = "]" if index % 7 < 4 else "["
        started = time.perf_counter()
        pane.press(key)
        echo = pane.by(lambda shown=shown: pane.screen.text() != shown)
        done = pane.by(lambda before=before: digest(pane) not in {"", before})
        yield started, echo, done


def type_command(pane: Pane, text: str) -> None:
    """Type a what-if and wait until it stands."""
    before = digest(pane)
    pane.press(":", *text, "Enter")
    pane.until(lambda: digest(pane) not in {"", before})
    pane.rest(1.0)


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(-(-len(ordered) * share // 1) - 1, 0).__int__()]


def main() -> int:
    """Print the table; return 1 when a setting misses the target."""
    parser = argparse.ArgumentParser()
    parser.add_argument("keys", type=int, nargs="?", default=100)
    parser.add_argument("--contracts", type=int, default=20)
    parser.add_argument("--only", default="", help="settings whose name holds this")
    parser.add_argument("--raw", action="store_true", help="print every time as well")
    parser.add_argument("--hops", action="store_true", help="print each step of a key's way")
    args = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory(prefix="pt-") as home:
        folder = Path(home)
        outside = environment(folder)
        outside |= hops.environment(folder / "hops") if args.hops else {}
        pane = Pane(desk_command(folder, args.contracts), folder, outside)
        try:
            pane.until(lambda: bool(digest(pane)), START_S)
            pane.rest(5.0)
            pane.press("5")
            pane.rest(1.0)
            before = cpu_ms(folder)
            pane.rest(REST_S)
            at_rest = {kind: (end - before[kind]) / REST_S for kind, end in cpu_ms(folder).items()}
            print("at rest, CPU ms a s: " + "  ".join(f"{k} {v:.0f}" for k, v in at_rest.items()))
            print(
                f"{'ms':<26}{'echo p50':>9}{'p95':>7}{'what-if p50':>13}{'p95':>7}{'max':>7}"
                f"{'CPU: terminal':>16}{'desk':>7}{'quant':>7}"
            )
            for name, assignments in SETTINGS.items():
                if args.only not in name:
                    continue
                pane.press("D")
                pane.rest(2.0)
                for assignment in assignments:
                    type_command(pane, assignment)
                spent, began = cpu_ms(folder), time.perf_counter()
                times = list(nudges(pane, args.keys))
                seconds = time.perf_counter() - began
                spent = {
                    kind: end - spent[kind] - at_rest[kind] * seconds
                    for kind, end in cpu_ms(folder).items()
                }
                echo = sorted((seen - began) * 1e3 for began, seen, _ in times)
                repainted = sorted((end - began) * 1e3 for began, _, end in times)
                worst = percentile(repainted, 0.95)
                missed = missed or worst > TARGET_MS
                print(
                    f"{name:<26}{statistics.median(echo):>9.1f}{percentile(echo, 0.95):>7.1f}"
                    f"{statistics.median(repainted):>13.1f}{worst:>7.1f}{repainted[-1]:>7.1f}"
                    f"{spent['terminal'] / args.keys:>16.1f}{spent['desk'] / args.keys:>7.1f}"
                    f"{spent['quant'] / args.keys:>7.1f}"
                )
                if args.raw:
                    print(" ".join(f"{value:.0f}" for value in repainted))
                if args.hops:
                    hops.report(folder / "hops", [(began, end) for began, _, end in times])
        finally:
            pane.end()
    print(f"target: p95 <= {TARGET_MS:.0f} ms")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
