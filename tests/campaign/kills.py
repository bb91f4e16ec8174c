"""Real SIGKILLs between a ticket that is shown and the fill of it that is recorded.

The venue lives in this process; each desk is a child forked from it, with the libraries loaded, on
a clock that both share. A desk is killed at one of nine points, and another starts on its files.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec

from perptui.desk.orders.trading import LOOK_S, Trading
from perptui.journal.events import Actor, Body, FillSeen
from perptui.journal.journal import Journal
from perptui.journal.stored import Stored
from perptui.model.canonical import digest_of
from perptui.simulator.faults import Fault, FaultKind
from perptui.simulator.wire import WireReply, WireRequest, json_reply
from perptui.venues import ccxt_client
from tests.campaign.coverage import Coverage, TierResult
from tests.campaign.exchange_truth import violations
from tests.campaign.shell import collected_rarely, main, replay
from tests.campaign.wire import MARKETS, MEMORY, SETTINGS
from tests.campaign.wire_world import ENDPOINTS, OPENED_MS, WIRE, WatchedVenue, WireVenue, served
from tests.desk.dealing import ALICE, answer, proposal
from tests.desk.sigkill_desk import ReadPicture, read_snapshot, reducing

NAME = "kills"
POINTS = (
    "shown",
    "confirmed",
    "sending",
    "left",
    "accepted",
    "answered",
    "recorded",
    "fill asked",
    "fill recorded",
)
"""From a ticket on the screen to its fill in the journal.

"left": the request is at the venue, which loses it; "accepted": the order is there, its answer is
not; "fill asked": the venue is asked for the fill, and nobody takes the answer.
"""
LOST = 3
"""Every third desk that is killed also has an order whose answer says nothing."""
AGAIN = 5
"""Every fifth desk that starts again also deals."""
SETTLED_S = 60.0
LOADED = ccxt_client.RECV_WINDOW_MS
"""Read so that the library is here before the first child is: each would load it anew."""
UNSURE = (FaultKind.TIMEOUT, FaultKind.RESET_BEFORE_ANSWER)
LONGS = ("BTC", "ETH")
OTHER = "BNB"
"""Long too, so that a smaller position of it breaks no limit; what is dealt after the restart."""


class SharedClock:
    """A clock that moves only when told, the same one in a process and its children."""

    def __init__(self, utc_ms: int) -> None:
        self._memory = mmap.mmap(-1, 16)
        self._set(utc_ms, 1000.0)

    def _set(self, utc_ms: int, monotonic: float) -> None:
        struct.pack_into("<qd", self._memory, 0, utc_ms, monotonic)

    def _get(self) -> tuple[int, float]:
        utc_ms, monotonic = struct.unpack_from("<qd", self._memory, 0)
        return int(utc_ms), float(monotonic)

    def utc_ms(self) -> int:
        """Return the venue time that was set."""
        return self._get()[0]

    def monotonic(self) -> float:
        """Return the monotonic time that was set."""
        return self._get()[1]

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by `seconds`."""
        utc_ms, monotonic = self._get()
        self._set(utc_ms + round(seconds * 1000), monotonic + seconds)


class Death(msgspec.Struct):
    """Where a desk is to die: at the `left`-th time that `point` is reached."""

    point: str
    left: int

    def reached(self, name: str) -> bool:
        """Count one time that a point is reached; True when it is the fatal one."""
        if name != self.point:
            return False
        self.left -= 1
        return self.left == 0

    def here(self, name: str) -> None:
        """End this process, as the kernel would, when it is the fatal one."""
        if self.reached(name):
            os.kill(os.getpid(), signal.SIGKILL)


class DeadlyVenue(WireVenue):
    """A venue that kills its client at the points which only the venue sees."""

    def __init__(self, seed: int, clock: SharedClock, death: Death) -> None:
        super().__init__(seed, clock)
        self.death = death
        self.kill: Callable[[], None] = lambda: None

    def answer(self, request: WireRequest) -> tuple[WireReply, Fault | None]:
        """Answer one request of a client, or the last one of it."""
        endpoint = f"{request.method} {request.path}"
        if endpoint == ENDPOINTS["order"] and self.death.reached("left"):
            self.kill()
            return json_reply({}), None
        if endpoint == ENDPOINTS["trades"] and self.death.reached("fill asked"):
            self.kill()
        found = super().answer(request)
        if endpoint == ENDPOINTS["order"] and self.death.reached("accepted"):
            self.kill()
        return found


class MortalJournal(Journal):
    """A journal whose process ends when a fill was committed."""

    death: Death

    def append(self, *bodies: Body, actor: Actor | None = None) -> tuple[Stored, ...]:
        """Append events in one transaction."""
        events = super().append(*bodies, actor=actor)
        if any(isinstance(body, FillSeen) for body in bodies):
            self.death.here("fill recorded")
        return events


class Killed(msgspec.Struct, frozen=True):
    """What one case violated, how its legs ended, and whether the desk died at its point."""

    violations: list[str]
    states: list[str]
    died: bool


def run(count: int, seed: int, coverage: Coverage | None = None) -> TierResult:
    """Kill `count` desks; case n dies at point n % 9."""
    began = time.monotonic()
    counted = Coverage(NAME) if coverage is None else coverage
    found: list[str] = []
    died = 0
    with collected_rarely() as done:
        for case in range(seed, seed + count):
            killed = asyncio.run(play(case))
            point = POINTS[case % len(POINTS)]
            again = replay(NAME, case)
            found += [f"kill {case} at {point}: {text}; {again}" for text in killed.violations]
            died += killed.died
            for state in killed.states or ["no leg"]:
                counted.note("SIGKILL", point, state)
            done()
    return TierResult(NAME, count, died, found, time.monotonic() - began)


async def play(case: int) -> Killed:
    """Kill one desk, start another, and compare."""
    folder = Path(tempfile.mkdtemp(prefix="pt-", dir=MEMORY))
    try:
        return await Case(case, folder).play()
    finally:
        shutil.rmtree(folder)


class Case:
    """One desk that dies and the one after it."""

    def __init__(self, case: int, folder: Path) -> None:
        draw = random.Random(case)
        self.case = case
        self.folder = folder
        self.clock = SharedClock(OPENED_MS)
        self.coins = draw.sample(LONGS, 2)
        self.death = Death(POINTS[case % len(POINTS)], 1)
        if self.death.point not in {"shown", "confirmed", "fill asked"}:
            self.death.left = draw.choice((1, 2))
        self.venue = DeadlyVenue(case % MARKETS, self.clock, self.death)
        if case % LOST == 0 and self.death.left == 1:
            self.venue.install(Fault(ENDPOINTS["order"], 1, draw.choice(UNSURE)))

    async def play(self) -> Killed:
        """Play it."""
        async with served(self.venue, self.folder / "v"):
            died = await self._live("deal") == -signal.SIGKILL
            self.venue.kill = lambda: None
            self.death.point = "none"
            self.venue.install()
            code = await self._live("recover")
        found = [] if code == 0 else [f"the desk that started again ended with {code}"]
        if not died:
            found.append(f"the desk did not reach {POINTS[self.case % len(POINTS)]}")
        journal = _journal(self.folder, self.clock)
        found += violations(self.venue.exchange, journal, WIRE)
        kinds = {event.kind for event in journal.events(1)}
        found += [f"{kind} without a cause" for kind in sorted(kinds & {"EXTERNAL", "ALARM"})]
        states = [leg.state.value for t in journal.tickets(9) for leg in journal.legs(t.id)]
        journal.close()
        return Killed(found, states, died)

    async def _live(self, task: str) -> int:
        """Let a desk live in a process of its own; return how it ended, as `Popen` says it."""
        child = os.fork()
        if child == 0:
            self._desk(task)
        self.venue.kill = lambda: os.kill(child, signal.SIGKILL)
        ended = asyncio.Event()
        descriptor = os.pidfd_open(child)
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
        loop.remove_reader(descriptor)
        os.close(descriptor)
        return _ended(child)

    def _desk(self, task: str) -> NoReturn:
        code = 70
        try:
            asyncio.run(Desk(self).live(task))
            code = 0
        finally:
            if code:
                traceback.print_exc()
            os._exit(code)


class Desk:
    """A desk's trading side in a child: it deals until it dies, or recovers."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.clock = case.clock

    async def live(self, task: str) -> None:
        """Deal, or recover until nothing is locked."""
        case = self.case
        venue = WatchedVenue(case.venue, case.folder / "v", self.clock, Coverage())
        await venue.open()
        try:
            snapshot = await read_snapshot(venue)
            picture = ReadPicture(snapshot, SETTINGS.digest)
            journal = _journal(case.folder, self.clock)
            journal.death = case.death
            trading = Trading(
                journal,
                {WIRE: venue},
                SETTINGS,
                self.clock,
                picture,
                checkpoint=case.death.here,
                pause=self._pause,
            )
            await trading.start()
            if task == "deal":
                await self._deal(trading, picture, case.coins)
            else:
                await self._recover(trading)
            if task == "recover" and case.case % AGAIN == 0:
                picture.kept = await read_snapshot(venue)
                await self._deal(trading, picture, [OTHER])
                await self._recover(trading)
            await trading.stop()
            journal.close()
        finally:
            await venue.close()

    async def _pause(self, seconds: float) -> None:
        if seconds == LOOK_S:
            # The desk's own watch would run ahead of the venue's process: this one reconciles.
            await asyncio.Event().wait()
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    async def _deal(self, trading: Trading, picture: ReadPicture, coins: list[str]) -> None:
        snapshot = picture.kept
        orders = (reducing(snapshot, coin) for coin in coins)
        made = proposal(*orders, snapshot_digest=digest_of(snapshot))
        picture.proposals = {made.digest: made}
        view = await trading.open_ticket(made, "send", ALICE, 120, 40)
        self.case.death.here("shown")
        self.clock.advance(2)
        await trading.confirm(answer(view), ALICE)
        await trading.sent()

    async def _recover(self, trading: Trading) -> None:
        ends = self.clock.monotonic() + SETTLED_S
        while trading.sends_locked or trading.unknown_legs:
            if self.clock.monotonic() >= ends:
                raise AssertionError(f"expected sending to be possible, was {trading.sends_locked}")
            self.clock.advance(2.5)
            await trading.reconcile()


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _journal(folder: Path, clock: SharedClock) -> MortalJournal:
    journal = MortalJournal.open(
        folder / "journal.db", desk="main", account="main", clock=clock, actor=ALICE, version="0"
    )
    assert isinstance(journal, MortalJournal)
    journal.death = Death("none", 0)
    return journal


if __name__ == "__main__":
    sys.exit(main(NAME, 200, run))
