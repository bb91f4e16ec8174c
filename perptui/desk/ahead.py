"""Has the quant process ready for the next what-if, between two steps rather than after a key.

A poll moves the market, and with it what estimates and the checks of the present book rest on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from perptui.desk.proposer import Proposer
from perptui.desk.worker import QuantWorker
from perptui.model.clock import Clock
from perptui.model.errors import WorkerError
from perptui.model.jobs import PrepareJob
from perptui.model.snapshot import MarketSnapshot

BENDING_S = 20.0
"""How long after a solve another one is prepared for."""
TOGETHER_S = 0.02
"""Readings of one poll come this close together."""
LONGEST_S = 60.0


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
        self._ready: MarketSnapshot | None = None

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

    async def prepare(self) -> None:
        """Have the next job prepared, once for each market."""
        stands, snapshot = self._proposer.picture, self._snapshot()
        late = (
            stands.solved_mono is None or self._clock.monotonic() - stands.solved_mono > BENDING_S
        )
        if late or isinstance(snapshot, str) or snapshot in (self._ready, stands.snapshot):
            return
        self._ready = snapshot
        job = PrepareJob(self._proposer.job_on(snapshot))
        # A refusal is told to whoever asks for the proposal itself.
        with suppress(WorkerError):
            await self._worker.ask(job, "", LONGEST_S, replaces="prepare", background=True)
