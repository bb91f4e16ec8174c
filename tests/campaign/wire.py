"""Wire sessions: a desk deals through the real ccxt with a venue whose wire goes wrong by seed.

Each session strikes two cells of fault x endpoint. Its first one is struck whatever the session
comes to: as many sessions as there are cells strike every fault at every endpoint.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from perptui.desk.orders.trading import Trading
from perptui.journal.journal import Journal
from perptui.model.canonical import digest_of
from perptui.model.clock import ManualClock
from perptui.model.errors import ConfirmationRefused, GateRefused, VenueError
from perptui.model.instrument import Instrument
from perptui.model.snapshot import MarketSnapshot
from perptui.simulator.faults import BAN_S, Fault, FaultKind
from tests.campaign.coverage import Coverage, TierResult
from tests.campaign.exchange_truth import violations
from tests.campaign.shell import collected_rarely, main, replay
from tests.campaign.wire_world import (
    CONTRACTS,
    ENDPOINTS,
    OPENED_MS,
    WIRE,
    WatchedVenue,
    WireVenue,
    served,
)
from tests.desk.dealing import ALICE, BOB, answer, proposal, settings_of
from tests.desk.sigkill_desk import ReadPicture, reducing

NAME = "wire"
CELLS = tuple((kind, name) for name in ENDPOINTS for kind in FaultKind)
WRITES = frozenset({"order", "query", "cancel"})
"""What a desk asks only where it sends orders."""
TRIES = 3
TRADES_MS = 600_000
STRIDE = 7
"""Coprime to the number of cells for all that they may be: neighbours in time differ in both."""
MARKETS = 3
SETTINGS = settings_of()
MEMORY = next((path for path in (Path("/dev/shm"),) if path.is_dir()), None)
"""Where a journal costs no disk."""
LONGS, OTHERS = ("BTC", "ETH"), ("SOL", "XRP", "BNB", "DOGE")
"""Reducing a long first keeps the net exposure inside its limit whatever follows."""
CALM_S = 9.0
"""Between two looks of a calm desk: three not-founds and 35 s need no more than these."""
SETTLED_S = 60.0
"""I5: after the faults have stopped, nothing is unresolved for longer than this, virtual."""
SHORT_S = 0.15
"""How long a venue is silent, real seconds; longer than the session's patience."""
DELAY_S = 0.01
LASTING = frozenset({"hang", "drip", "endless", "refused_after"})
"""Faults that go on in real time after they struck."""

RESTS = {"banned": BAN_S + 1.0, "rate_limited": 6.0, "too_many_orders": 6.0}
"""How long nothing is asked of a venue that said so, venue seconds."""
DUPLICATE_S = 61.0
"""After this the same order may be sent once more."""

_INSTRUMENTS: dict[int, tuple[Instrument, ...]] = {}


def run(count: int, seed: int, coverage: Coverage | None = None) -> TierResult:
    """Play the sessions `seed` .. `seed` + `count` - 1."""
    began = time.monotonic()
    counted = Coverage(NAME) if coverage is None else coverage
    found: list[str] = []
    with collected_rarely() as done:
        for session in range(seed, seed + count):
            again = replay(NAME, session)
            texts, _ = asyncio.run(play(session, counted))
            found += [f"wire {session}: {text}; {again}" for text in texts]
            done()
    return TierResult(NAME, count, count, found, time.monotonic() - began)


async def play(seed: int, coverage: Coverage) -> tuple[list[str], list[str]]:
    """Play one session; return what it violated, and its history: the kinds of its events."""
    folder = Path(tempfile.mkdtemp(prefix="pt-", dir=MEMORY))
    try:
        return await WireSession(seed, folder, coverage).play()
    except BaseException as error:
        error.add_note(f"wire session {seed}")
        raise
    finally:
        shutil.rmtree(folder)


class WireSession:
    """One session: a few tickets under faults, calm, and the comparison."""

    def __init__(self, seed: int, folder: Path, coverage: Coverage) -> None:
        self.seed = seed
        self.draw = random.Random(seed)
        self.clock = ManualClock(OPENED_MS)
        self.socket = folder / "v"
        self.venue = WireVenue(seed % MARKETS, self.clock)
        self.adapter = WatchedVenue(self.venue, self.socket, self.clock, coverage)
        self.settings = SETTINGS
        self.journal = Journal.open(
            folder / "journal.db",
            desk="main",
            account="main",
            clock=self.clock,
            actor=ALICE,
            version="0",
        )

    async def play(self) -> tuple[list[str], list[str]]:
        """Play it."""
        async with served(self.venue, self.socket):
            try:
                await self.adapter.open()
                await self._play()
            finally:
                await self.adapter.close()
        found = violations(self.venue.exchange, self.journal, WIRE)
        history = [f"{event.ts} {event.kind}" for event in self.journal.events(1)]
        self.journal.close()
        return found, history

    async def _play(self) -> None:
        self.picture = ReadPicture(await self._snapshot(), self.settings.digest)
        self.trading = Trading(
            self.journal,
            {WIRE: self.adapter},
            self.settings,
            self.clock,
            self.picture,
            pause=self._pause,
        )
        await self.trading.reconcile()
        cells = self._cells()
        self.venue.install(*(fault for cell in cells for fault in self._faults(*cell)))
        for number in range(self.draw.choice((1, 2))):
            await self._look()
            await self._ticket()
            if number == 0 and "cancel" in {name for _, name in cells}:
                await self.trading.kill("campaign", ALICE)
            await self._wait(self.draw.choice((1.0, 3.0, 11.0)))
        if self.draw.random() < 0.2:
            await self.trading.kill("campaign", ALICE)
        await self._insist(*cells[0])
        await self._calm()

    async def _insist(self, kind: FaultKind, name: str) -> None:
        """Let the session's first fault strike where nothing that happened asked for it yet."""
        for _ in range(TRIES):
            if self.venue.was_struck(kind.value, ENDPOINTS[name]):
                return
            await self._stop_faults()
            self.clock.advance(DUPLICATE_S if name in WRITES else 0.0)
            await self.trading.reconcile()
            self.venue.install(*self._faults(kind, name, sure=True))
            await self._provoke(name)

    async def _provoke(self, name: str) -> None:
        """Do what makes a desk ask that endpoint."""
        if name not in WRITES:
            await self._read(name)
            return
        if self.trading.kill_state != "ACTIVE":
            await self.trading.kill("campaign", BOB, "ACTIVE")
        await self._look()
        await self._ticket()
        if name == "cancel":
            await self.trading.kill("campaign", ALICE)
        elif name == "query":
            await self._wait(1.0)

    async def _read(self, name: str) -> None:
        adapter = self.adapter
        reads: dict[str, Callable[[], Awaitable[object]]] = {
            "positions": adapter.account,
            "balance": adapter.account,
            "open orders": adapter.open_orders,
            "trades": lambda: adapter.fills(CONTRACTS[0], self.clock.utc_ms() - TRADES_MS),
            "time": adapter.server_time,
            "marks": adapter.funding,
            "quotes": adapter.quotes,
        }
        try:
            await reads[name]()
        except VenueError:
            return

    async def _snapshot(self) -> MarketSnapshot:
        """Read the first picture; the contracts of a market are read by its first session."""
        known = self.seed % MARKETS
        if known not in _INSTRUMENTS:
            _INSTRUMENTS[known] = (await self.adapter.instruments()).value
        account = (await self.adapter.account()).value
        return MarketSnapshot(
            as_of_ms=account.ts_ms,
            instruments=_INSTRUMENTS[known],
            quotes=(await self.adapter.quotes()).value,
            funding=(await self.adapter.funding()).value,
            accounts=(account,),
        )

    async def _pause(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    def _cells(self) -> tuple[tuple[FaultKind, str], ...]:
        """Return the session's two cells: the first ones of all sessions go through them all."""
        first = self.seed * STRIDE % len(CELLS)
        return CELLS[first], CELLS[(first + len(CELLS) // 2 + 1) % len(CELLS)]

    def _faults(self, kind: FaultKind, name: str, *, sure: bool = False) -> list[Fault]:
        long = kind is FaultKind.DELAY
        struck = Fault(
            ENDPOINTS[name],
            1 if sure else self.draw.randint(1, 2),
            kind,
            seconds=DELAY_S if long else SHORT_S,
            times=self.draw.choice((1, 1, 2, 4)),
        )
        if "pick" in Fault.__struct_fields__:
            struck = msgspec.structs.replace(struck, pick=self.draw.randrange(64))
        if name in {"cancel", "query"}:
            # Orders are asked about and cancelled only where it is not known what became of them.
            unsure = FaultKind.OVERLOADED
            if not sure:
                unsure = self.draw.choice((FaultKind.TIMEOUT, FaultKind.OVERLOADED))
            return [msgspec.structs.replace(struck, nth=1), Fault(ENDPOINTS["order"], 1, unsure)]
        return [struck]

    async def _look(self) -> None:
        """Refresh the picture, as a desk's polling does; what cannot be read stays as it was."""
        try:
            account, quotes = await self.adapter.account(), await self.adapter.quotes()
        except VenueError:
            return
        self.picture.kept = msgspec.structs.replace(
            self.picture.kept,
            as_of_ms=self.clock.utc_ms(),
            accounts=(account.value,),
            quotes=quotes.value,
        )

    async def _ticket(self) -> None:
        """Propose, confirm and send a few reductions, unless something refuses."""
        snapshot = self.picture.kept
        coins = [self.draw.choice(LONGS), *self.draw.sample(OTHERS, self.draw.randint(0, 2))]
        made = proposal(
            *(reducing(snapshot, coin) for coin in coins), snapshot_digest=digest_of(snapshot)
        )
        self.picture.proposals = {made.digest: made}
        try:
            view = await self.trading.open_ticket(made, "send", ALICE, 120, 40)
            self.clock.advance(2)
            await self.trading.confirm(answer(view), ALICE)
        except (GateRefused, ConfirmationRefused):
            return
        await self.trading.sent()

    async def _wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.trading.reconcile()
        await self._obey_kill()

    async def _obey_kill(self) -> None:
        """Cancel what may work while HALTED, as the desk's watch does."""
        if self.trading.kill_state == "HALTED":
            await self.trading.cancel_working(ALICE, due_only=True)

    async def _stop_faults(self) -> None:
        """Let no fault strike from now on, and what goes on after one end."""
        struck = {fault for fault, _ in self.venue.struck}
        self.venue.install()
        if LASTING & struck:
            await asyncio.sleep(2 * SHORT_S)
        self.clock.advance(max((RESTS.get(fault, 0.0) for fault in struck), default=0.0))

    async def _calm(self) -> None:
        """Let the faults stop, and what they left be resolved in time."""
        await self._stop_faults()
        ends = self.clock.monotonic() + SETTLED_S
        while self.clock.monotonic() < ends:
            findings = await self.trading.reconcile()
            await self._obey_kill()
            if findings.clean and not self.trading.unknown_legs:
                return
            self.clock.advance(CALM_S)


if __name__ == "__main__":
    sys.exit(main(NAME, 600, run))
