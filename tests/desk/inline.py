"""A quant worker inside the test's own process: the same answers, in the same order of asking."""

from __future__ import annotations

import asyncio
from pathlib import Path

from perptui.desk.worker import QuantWorker, SupersededError
from perptui.model.clock import SystemClock
from perptui.model.errors import WorkerError
from perptui.model.jobs import Job, JobFailed, JobResult
from perptui.quant.worker import Worker


class InlineWorker(QuantWorker):
    """Answers jobs here, when the test lets it, the ones in the background last.

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
    """

    def __init__(self, folder: Path, inside: Worker) -> None:
        super().__init__(folder, folder / "quant.log", SystemClock())
        self._inside = inside
        self._newest: dict[str, int] = {}
        self._count = 0
        self._foreground = 0
        self._free = asyncio.Event()
        self._free.set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[Job] = []

    async def ask(
        self,
        job: Job,
        name: str,
        timeout_s: float,
        replaces: str = "",
        *,
        background: bool = False,
    ) -> JobResult:
        """Return the answer to `job`, as `QuantWorker.ask` does."""
        self._count += 1
        mine = self._count
        if replaces:
            self._newest[replaces] = mine
        await self._turn(background=background)
        if replaces and self._newest[replaces] != mine:
            raise SupersededError("expected the latest what-if, was an earlier one; ignore it")
        self.asked.append(job)
        result = self._inside.answer(job)
        if isinstance(result, JobFailed):
            raise WorkerError(result.text)
        return result

    async def _turn(self, *, background: bool) -> None:
        if background:
            await self.gate.wait()
            await self._free.wait()
            await asyncio.sleep(0)
            return
        self._foreground += 1
        self._free.clear()
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self._foreground -= 1
            if not self._foreground:
                self._free.set()
