"""Poll cycle of 23 requests at the simulated venue: the adapter's share over bare ccxt.

10 x bars, 10 x books, funding, positions and balance, all at once, first through ccxt alone, then
through the adapter, which limits, captures, checks and parses the same answers. Each speaks to a
simulated venue of its own (one venue's request budget would not do for both) with the same seed;
rounds alternate. Target (design, performance): the desk's own share is at most 30 % of the cycle.

    uv run python benchmarks/poll_cycle.py [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from perptui.model.clock import SystemClock, VenueClock
from perptui.model.instrument import split_id
from perptui.settings.credentials import Secret
from perptui.venues import ccxt_client
from perptui.venues.base import Venue
from perptui.venues.open import LIVE_HOST, open_venue
from perptui.venues.transport import socket_session

REQUESTS = 23
TARGET = 0.30
PAUSE_S = 0.6
"""Longer than the adapter shares marks between readings: each round makes all its requests."""

Cycle = Callable[[], Awaitable[Any]]


def through_ccxt(exchange: Any, symbols: list[str]) -> Cycle:
    """Return a cycle of 23 unified ccxt calls."""

    def cycle() -> Awaitable[Any]:
        return asyncio.gather(
            *(exchange.fetch_ohlcv(symbol, "1h", None, 3) for symbol in symbols),
            *(exchange.fetch_order_book(symbol, 20) for symbol in symbols),
            exchange.fetch_funding_rates(),
            exchange.fetch_positions(),
            exchange.fetch_balance(),
        )

    return cycle


def through_adapter(venue: Venue, identifiers: list[str]) -> Cycle:
    """Return a cycle of the same 23 requests through the adapter."""

    def cycle() -> Awaitable[Any]:
        return asyncio.gather(
            *(venue.bars(identifier, None, 2) for identifier in identifiers),
            *(venue.book(identifier, 20) for identifier in identifiers),
            venue.funding(),
            venue.account(),
        )

    return cycle


async def timed(cycle: Cycle) -> tuple[float, float]:
    """Return wall and CPU seconds of one cycle."""
    wall, cpu = time.perf_counter(), time.process_time()
    await cycle()
    return time.perf_counter() - wall, time.process_time() - cpu


async def measure(
    bare_socket: Path, socket: Path, rounds: int
) -> list[tuple[float, float, float, float]]:
    """Return (wall, CPU) of ccxt and of the adapter for each round."""
    clock = VenueClock(SystemClock(), SystemClock().utc_ms())
    key = Secret("simulated")
    venue = open_venue("binance", clock=clock, socket=socket, key=key, secret=key)
    await venue.open()
    clock.anchor((await venue.server_time()).value)
    identifiers = [instrument.id for instrument in (await venue.instruments()).value]
    identifiers = (identifiers * 10)[:10]
    session = socket_session(str(bare_socket), frozenset({LIVE_HOST}), clock)
    exchange = ccxt_client.binanceusdm(
        session, clock, key.reveal(), key.reveal(), demo_trading=False
    )
    await exchange.load_markets()
    bare = through_ccxt(exchange, [split_id(identifier)[1] for identifier in identifiers])
    ours = through_adapter(venue, identifiers)
    for cycle in (bare, ours):
        await cycle()
    found = []
    for _ in range(rounds):
        await asyncio.sleep(PAUSE_S)
        found.append((*await timed(bare), *await timed(ours)))
    await asyncio.gather(exchange.close(), venue.close())
    await session.close()
    return found


@contextmanager
def simulated(socket: Path) -> Iterator[None]:
    """Run a simulated venue on `socket`."""
    command = [sys.executable, "-m", "perptui", "simulate", "--socket", str(socket)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready")
            yield
        finally:
            process.terminate()


def main() -> int:
    """Run the venues, measure, print one table and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pt-") as directory:
        sockets = [Path(directory) / name for name in ("ccxt.sock", "adapter.sock")]
        with simulated(sockets[0]), simulated(sockets[1]):
            rounds = asyncio.run(measure(sockets[0], sockets[1], args.rounds))
    return report(rounds, as_json=args.json)


def report(rounds: list[tuple[float, float, float, float]], *, as_json: bool) -> int:
    """Print medians in ms and the adapter's share of its own cycle; 1 when over the target.

    The share is of CPU time, which the venue in its own process does not blur.
    """
    columns = [statistics.median(column) * 1000 for column in zip(*rounds, strict=True)]
    names = ("ccxt_wall_ms", "ccxt_cpu_ms", "adapter_wall_ms", "adapter_cpu_ms")
    figures: dict[str, Any] = dict(zip(names, columns, strict=True))
    share = statistics.median((ours - bare) / ours for _, bare, _, ours in rounds)
    figures |= {"requests": REQUESTS, "rounds": len(rounds), "share": share, "target": TARGET}
    if as_json:
        print(msgspec.json.encode(figures).decode())
    else:
        print(f"{REQUESTS} requests, median of {len(rounds)} rounds    wall ms    CPU ms")
        print(f"  ccxt alone                            {columns[0]:8.1f}  {columns[1]:8.1f}")
        print(f"  through the adapter                   {columns[2]:8.1f}  {columns[3]:8.1f}")
        verdict = "within" if share <= TARGET else "OVER"
        print(f"  the adapter's share of the cycle      {share:8.1%}  {verdict} {TARGET:.0%}")
    return 0 if share <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
