"""Has the quant process ready for the next what-if, between two steps rather than after a key.

A poll moves the market, and with it what estimates and the checks of the present book rest on. A
what-if that is still being typed is solved on the market before until that is worked out, so that
a key waits for its own solve alone; never on one that is longer behind than `BEHIND_S`, nor where
a position changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal

from perptui.desk.proposing.proposer import Proposer
from perptui.desk.worker import QuantWorker
from perptui.model.clock import Clock
from perptui.model.errors import WorkerError
from perptui.model.jobs import JobResult, Prepared, PrepareJob
from perptui.model.snapshot import MarketSnapshot

BENDING_S = 20.0
"""How long after a solve another one is prepared for."""
TOGETHER_S = 0.02
"""Readings of one poll come this close together."""
LONGEST_S = 60.0
BEHIND_S = 0.5
"""How long a preview may rest on the market before the newest."""


class Ahead:
    """Prepares the next job after each poll, while what-ifs are being made.

    Parameters
    ----------
    snapshot : callable
        Returns the snapshot, or why there is none.
    """

    def __init__(
        self,
        worker: QuantWorker,
        clock: Clock,
        proposer: Proposer,
        snapshot: Callable[[], MarketSnapshot | str],
    ) -> None:
        self._worker = worker
        self._clock = clock
        self._proposer = proposer
        self._snapshot = snapshot
        self._moved = asyncio.Event()
        self._asked: MarketSnapshot | None = None
        self._ready: MarketSnapshot | None = None
        self._behind_since: float | None = None

    def moved(self) -> None:
        """Look at the market soon."""
        self._moved.set()

    async def run(self) -> None:
        """Prepare for ever."""
        while True:
            self._moved.clear()
            await self._moved.wait()
            await asyncio.sleep(TOGETHER_S)
            await self.prepare()

    def at_hand(self, newest: MarketSnapshot) -> MarketSnapshot:
        """Return the market to solve a preview on, as the module says."""
        ready = self._newest_ready()
        if ready is None or ready == newest:
            self._behind_since = None
            return newest
        now = self._clock.monotonic()
        if self._behind_since is None:
            self._behind_since = now
        late = now - self._behind_since > BEHIND_S
        return newest if late or _book(ready) != _book(newest) else ready

    def _newest_ready(self) -> MarketSnapshot | None:
        """Return the newest market that was prepared for or solved on."""
        known = (one for one in (self._ready, self._proposer.picture.snapshot) if one is not None)
        return max(known, key=lambda one: one.as_of_ms, default=None)

    async def prepare(self) -> None:
        """Have the next job prepared, once for each market."""
        stands, snapshot = self._proposer.picture, self._snapshot()
        late = (
            stands.solved_mono is None or self._clock.monotonic() - stands.solved_mono > BENDING_S
        )
        if late or isinstance(snapshot, str) or snapshot in (self._asked, stands.snapshot):
            return
        self._asked = snapshot
        self.at_hand(snapshot)  # the market is behind from here on
        job = PrepareJob(self._proposer.job_on(snapshot))
        # A refusal is told to whoever asks for the proposal itself.
        with suppress(WorkerError):
            done: JobResult = Prepared(done=False)
            while isinstance(done, Prepared) and not done.done:
                done = await self._worker.ask(
                    job, "", LONGEST_S, replaces="prepare", background=True
                )
            self._ready, self._behind_since = snapshot, None


def _book(market: MarketSnapshot) -> list[tuple[str, Decimal]]:
    """Return the positions of a market's accounts."""
    return [(one.id, one.contracts) for account in market.accounts for one in account.positions]
