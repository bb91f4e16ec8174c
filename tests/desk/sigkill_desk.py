"""A desk's trading side as a process of its own, for tests that end it with SIGKILL.

``deal``: open the journal, reconcile, confirm a ticket of two legs; at the named point of the code
the process kills itself, as the kernel would (``sending#2``: at its second time). ``recover``: open
the same journal, reconcile until clean, print what both sides then say.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from decimal import Decimal
from pathlib import Path

import msgspec

from perptui.desk.orders.trading import Trading
from perptui.desk.orders.trading_picture import ProfitMark
from perptui.journal.events import Actor
from perptui.journal.journal import Journal
from perptui.journal.verify import verify_file
from perptui.model.canonical import digest_of
from perptui.model.clock import SystemClock, VenueClock
from perptui.model.market import Book
from perptui.model.money import plain, truncate_to_step
from perptui.model.order import Effect, OrderIntent, Side
from perptui.model.proposal import Proposal
from perptui.model.snapshot import MarketSnapshot
from perptui.settings.credentials import Secret
from perptui.venues.base import Venue
from perptui.venues.open import open_venue
from tests.desk.dealing import answer, proposal, settings_of

VENUE = "binanceusdm"
COINS = ("BTC", "ETH")  # both long: reducing them takes no limit further away, whatever prices do
SPEED = 20.0
STOPPING = "stopping"
"""Name of the folder of a desk that protects positions by stops."""
ALICE = Actor(uid=1000, name="alice")


class ReadPicture:
    """A picture read once from the venue and kept."""

    def __init__(self, snapshot: MarketSnapshot, digest: str) -> None:
        self.kept = snapshot
        self.digest = digest
        self.proposals: dict[str, Proposal] = {}

    def snapshot(self) -> MarketSnapshot | None:
        return self.kept

    def stale(self) -> str:
        return ""

    def clock_offset_ms(self) -> dict[str, int]:
        return {VENUE: 0}

    def volume_usd_day(self) -> dict[str, float]:
        return {one.id: 1e10 for one in self.kept.instruments}

    def volatility_annual(self) -> dict[str, float]:
        return {}

    def settings_digest(self) -> str:
        return self.digest

    def proposal(self, digest: str) -> Proposal | None:
        return self.proposals.get(digest)

    def basis(self, digest: str) -> MarketSnapshot | None:
        return self.kept if digest in self.proposals else None

    def daily_loss(self) -> float | None:
        return 0.0

    def books(self) -> dict[str, Book]:
        return {}

    def profit(self) -> ProfitMark | None:
        return None


async def read_snapshot(venue: Venue) -> MarketSnapshot:
    """Read one consistent picture."""
    account = (await venue.account()).value
    return MarketSnapshot(
        as_of_ms=account.ts_ms,
        instruments=(await venue.instruments()).value,
        quotes=(await venue.quotes()).value,
        funding=(await venue.funding()).value,
        accounts=(account,),
    )


def reducing(snapshot: MarketSnapshot, coin: str) -> OrderIntent:
    """Return an order that takes a tenth off the position in `coin`."""
    identifier = f"{VENUE}:{coin}/USDT:USDT"
    held = next(row for row in snapshot.accounts[0].positions if row.id == identifier).contracts
    rules = next(row for row in snapshot.instruments if row.id == identifier)
    mark = next(row for row in snapshot.quotes if row.id == identifier).mark
    size = truncate_to_step(abs(held) / 10, rules.step)
    side = Side.SELL if held > 0 else Side.BUY
    away = Decimal("0.998") if side is Side.SELL else Decimal("1.002")
    return OrderIntent(
        id=identifier,
        side=side,
        effect=Effect.REDUCE,
        contracts=size,
        notional_usd=size * rules.contract_size * mark,
        limit_price=truncate_to_step(mark * away, rules.tick),
        mark_price=mark,
        reduce_only=True,
        before=held,
        after=held + (size if side is Side.BUY else -size),
    )


async def run(socket: str, folder: Path, task: str, point: str) -> None:
    machine = SystemClock()
    clock = VenueClock(machine, machine.utc_ms(), SPEED)
    key = Secret("simulated")
    venue = open_venue(VENUE, clock=clock, socket=socket, key=key, secret=key, symbols=symbols())
    await venue.open()
    try:
        clock.anchor((await venue.server_time()).value)
        await work(venue, clock, folder, task, point)
    finally:
        await venue.close()


def symbols() -> tuple[str, ...]:
    """All contracts of the demonstration's book."""
    return tuple(f"{coin}/USDT:USDT" for coin in ("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE"))


async def work(venue: Venue, clock: VenueClock, folder: Path, task: str, point: str) -> None:
    settings = settings_of()
    if folder.name == STOPPING:
        stops = msgspec.structs.replace(settings.stops, sigmas=3.0)
        settings = msgspec.structs.replace(settings, stops=stops)
    snapshot = await read_snapshot(venue)
    picture = ReadPicture(snapshot, settings.digest)
    journal = Journal.open(
        folder / "journal.db", desk="main", account="main", clock=clock, actor=ALICE, version="0"
    )

    wanted, _, nth = point.partition("#")
    seen: list[str] = []

    def reached(name: str) -> None:
        seen.append(name)
        if name == wanted and seen.count(name) == int(nth or 1):
            os.kill(os.getpid(), signal.SIGKILL)

    trading = Trading(journal, {VENUE: venue}, settings, clock, picture, checkpoint=reached)
    await trading.start()
    if task == "deal":
        await deal(trading, picture, snapshot)
    else:
        await recover(trading)
    await trading.stop()
    account = (await venue.account()).value
    legs = [leg for head in journal.tickets(10) for leg in journal.legs(head.id)]
    told = {
        "locked": trading.sends_locked,
        "phase": trading.ticket_view.phase,
        "tickets": [head.state for head in journal.tickets(10)],
        "states": [leg.state.value for leg in legs],
        "client_ids": [leg.client_id for leg in legs],
        "ours": {key: plain(held) for key, held in journal.positions().items() if held},
        "theirs": {row.id: plain(row.contracts) for row in account.positions if row.contracts},
        "external": sum(event.kind == "EXTERNAL" for event in journal.events(1)),
        "alarms": sum(event.kind == "ALARM" for event in journal.events(1)),
        "verified": verify_file(journal.path).ok,
    }
    journal.close()
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")


async def deal(trading: Trading, picture: ReadPicture, snapshot: MarketSnapshot) -> None:
    orders = (reducing(snapshot, coin) for coin in COINS)
    made = proposal(*orders, snapshot_digest=digest_of(snapshot))
    picture.proposals = {made.digest: made}
    view = await trading.open_ticket(made, "send", ALICE, 120, 40)
    await asyncio.sleep(1.1)
    await trading.confirm(answer(view), ALICE)
    await trading.sent()


async def recover(trading: Trading) -> None:
    for _ in range(200):
        if not trading.sends_locked:
            return
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]))
