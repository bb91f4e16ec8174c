"""A quant worker inside the test's own process: the desk's queue, answered here."""

from __future__ import annotations

import asyncio
from pathlib import Path

from perptui.desk.worker import QuantWorker
from perptui.model.clock import SystemClock
from perptui.model.errors import WorkerError
from perptui.model.jobs import Job
from perptui.quant.worker import Worker


class InlineWorker(QuantWorker):
    """Answers the jobs of its queue here, when the test lets it.

    Parameters
    ----------
    inside : Worker
        Answers; kept between tests, its estimates are made once.

    Attributes
    ----------
    gate : asyncio.Event
        Jobs wait until it is set.
    asked : list of Job
        Every job that was answered, in order.
    fails_next : str
        Why the next job fails, as a process does that ends in it; "": it does not.
    """

    def __init__(self, folder: Path, inside: Worker) -> None:
        super().__init__(folder, folder / "quant.log", SystemClock())
        self._inside = inside
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[Job] = []
        self.fails_next = ""

    async def _live(self) -> None:
        while True:
            await self.gate.wait()
            # Whoever was told of the answer before asks for the next thing first.
            await asyncio.sleep(0)
            if not self._waiting():
                self._wake.clear()
                await self._wake.wait()
                continue
            pending = self._take()
            self.asked.append(pending.job)
            if self.fails_next:
                pending.done.set_exception(WorkerError(self.fails_next))
                self.fails_next = ""
                continue
            pending.done.set_result(self._inside.answer(pending.job))
