"""From an intent to the view it leads to, on the desk's side of the socket, with 20 contracts.

    python -m benchmarks.desk_what_if [BENDS] [--contracts N]

The real quant process answers; the proposer and the view are the desk's own. Printed for each kind
of what-if: median and 95th percentile, ms, of Bend -> RebalanceView, of which the process took so
much, of which the solver so much; and the CPU time a key costs this process (the desk's side) and
the quant process, which other work on the machine changes least; once with the market standing
still between two keys, once with marks and funding polled anew before each.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import msgspec

from benchmarks.what_if import percentile, write_market
from perptui.desk.proposing.proposer import Proposer
from perptui.desk.state import DeskState
from perptui.desk.views.proposal import rebalance_view
from perptui.desk.worker import QuantWorker
from perptui.history.dataset import History
from perptui.model.clock import HOUR_MS, SystemClock
from perptui.model.snapshot import MarketSnapshot
from perptui.protocol.frames import Replace, encode
from perptui.quant.offline import Held, snapshot_at
from perptui.settings.load import load

KINDS: dict[str, tuple[str, ...]] = {
    "target": ("target:{btc}=0.20", "target:{btc}=0.21", "target:{btc}=0.22"),
    "limit": ("gross_max=1.9", "gross_max=1.8", "gross_max=1.7"),
    "aversion": ("risk_aversion=5", "risk_aversion=6", "risk_aversion=7"),
    "view": ("view:BTC=0.1", "view:BTC=0.2", "view:BTC=0.3"),
    "shock": ("shock=-0.01", "shock=-0.02", "shock=-0.03"),
    "robust off": ("robust=off uncertainty=0", "robust=off uncertainty=0.1"),
    "ellipsoid": ("robust=ellipsoid uncertainty=0.4", "robust=ellipsoid uncertainty=0.5"),
    "cvar binds": ("cvar_max=0.03", "cvar_max=0.031", "cvar_max=0.032"),
}
BTC = "binanceusdm:BTC/USDT:USDT"


class Market:
    """Snapshots of one instant of history, marks nudged when asked."""

    def __init__(self, history: History, at_ms: int) -> None:
        flat = snapshot_at(history, at_ms, ("binanceusdm",), Decimal(1000000))
        held = []
        for place, (one, quote) in enumerate(zip(flat.instruments, flat.quotes, strict=True)):
            lots = Decimal(40000) * (-1) ** place / quote.mark / one.step
            held.append(Held(one.id, lots.to_integral_value() * one.step, quote.mark))
        self.now = snapshot_at(history, at_ms, ("binanceusdm",), Decimal(1000000), held)
        self._polls = 0

    def poll(self) -> None:
        """Move every mark by a hundredth of a basis point, to and fro."""
        self._polls += 1
        factor = 1 + Decimal("0.000001") * (-1) ** self._polls * self._polls
        quotes = tuple(
            msgspec.structs.replace(one, mark=one.mark * factor) for one in self.now.quotes
        )
        self.now = msgspec.structs.replace(self.now, quotes=quotes)

    def snapshot(self) -> MarketSnapshot:
        """Return the newest."""
        return self.now


def cpu_ms(pid: int | None) -> float:
    """Return the CPU time so far of a process, ms, to the kernel's tick."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) * 1e3 / os.sysconf("SC_CLK_TCK")


async def measure(folder: Path, bends: int, contracts: int) -> None:
    """Print the table."""
    symbols, start = write_market(folder, contracts)
    market = Market(History(folder), start + HOUR_MS)
    settings, clock = load(None, {"desk.mode": "paper"}).settings, SystemClock()
    worker = QuantWorker(folder, folder / "quant.log", clock)
    worker.start()
    proposer = Proposer(worker, settings, clock, market.snapshot)
    state = DeskState({"binanceusdm": tuple(symbols)}, settings.polling, clock)
    await proposer.solve()
    await asyncio.sleep(3.0)
    print(
        f"{'ms':<14}{'market':<10}{'p50':>7}{'p95':>7}{'max':>7}{'solver p50':>12}"
        f"{'CPU: desk':>11}{'quant':>7}{'status':>10}"
    )
    for polled in (False, True):
        for kind, texts in KINDS.items():
            times, solves, statuses = [], [], set()
            spent = time.process_time() * 1e3, cpu_ms(worker.pid)
            for index in range(bends):
                if polled:
                    market.poll()
                text = texts[index % len(texts)].format(btc=BTC)
                began = time.perf_counter()
                await proposer.bend(text, preview=True)
                view = rebalance_view(state.picture, proposer.picture, "")
                encode(Replace.of(index, view))
                times.append((time.perf_counter() - began) * 1e3)
                solves.append(view.solve_ms or 0.0)
                statuses.add(view.status)
            ours = (time.process_time() * 1e3 - spent[0]) / bends
            theirs = (cpu_ms(worker.pid) - spent[1]) / bends
            await proposer.undo()
            figures = statistics.median(times), percentile(times, 0.95), max(times)
            print(
                f"{kind:<14}{'polled' if polled else 'still':<10}"
                + "".join(f"{figure:>7.1f}" for figure in figures)
                + f"{statistics.median(solves):>12.1f}{ours:>11.1f}{theirs:>7.1f}"
                + f"{'/'.join(sorted(statuses)):>10}"
            )
    await worker.close()


def main() -> None:
    """Measure in a folder of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bends", type=int, nargs="?", default=40)
    parser.add_argument("--contracts", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pt-") as home:
        asyncio.run(measure(Path(home), args.bends, args.contracts))


if __name__ == "__main__":
    main()
