"""Which limits of what stands clash, found in the background a slice at a time.

One job is one slice, below every what-if, which waits for one slice at most.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from perptui.desk.proposing.what_ifs import only_shown
from perptui.desk.worker import QuantWorker
from perptui.model.errors import WorkerError
from perptui.model.explanation import Clash, Reduction
from perptui.model.freed import only_reducing, reduction_in
from perptui.model.jobs import ClashDone, ClashJob, ProposeDone, ProposeJob

SLICE_TIMEOUT_S = 20.0
_log = logging.getLogger(__name__)


class Clashes:
    """Looks for one clash at a time; a new one drops the old.

    Parameters
    ----------
    changed : callable
        Called when it is found, or given up.

    Attributes
    ----------
    found : tuple of Clash
        One minimal set of limits that cannot all hold; empty until it is known.
    words : str
        The same in words.
    reduction : Reduction or None
        Where only reducing leads, once it is known.
    shown : tuple of str
        Members whose relaxation could be looked at but never sent.
    pending : bool
        It, or where only reducing leads, is being looked for.
    """

    def __init__(self, worker: QuantWorker, changed: Callable[[], None]) -> None:
        self._worker = worker
        self._changed = changed
        self._task: asyncio.Task[None] | None = None
        self._stopped: ProposeJob | None = None
        self.found: tuple[Clash, ...] = ()
        self.words = ""
        self.reduction: Reduction | None = None
        self.shown: tuple[str, ...] = ()
        self.pending = False

    def fields(self) -> dict[str, Any]:
        """Return what the desk's picture says of them, by its fields."""
        return {
            "clash": self.found,
            "clash_shown": self.shown,
            "clash_words": self.words,
            "clash_pending": self.pending,
            "reduction": self.reduction,
        }

    def drop(self) -> None:
        """Stop, and forget what was found."""
        self.stop()
        self._stopped = None
        self.found, self.words, self.pending, self.reduction = (), "", False, None
        self.shown = ()

    def stop(self) -> None:
        """Stop; what was found stays with the proposal that still stands."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def resume(self) -> None:
        """Go on where the search was stopped, if it was."""
        if self.pending and self._stopped is not None:
            self.look(self._stopped)

    def look(self, job: ProposeJob) -> None:
        """Begin to look for what clashes in the program that `job` poses."""
        self.drop()
        self.pending, self._stopped = True, job
        self._task = asyncio.create_task(self._look(job), name="clash")

    async def _look(self, job: ProposeJob) -> None:
        try:
            while self.pending:
                done = await self._worker.ask(
                    ClashJob(job), "clash", SLICE_TIMEOUT_S, background=True
                )
                if isinstance(done, ClashDone) and done.done:
                    self.found, self.words = done.clash, done.words
                    self.shown = only_shown(job, done.clash)
                    self.reduction = done.reduction or await self._freed(job)
                    self.pending = False
        except WorkerError as error:
            _log.warning("clash: %s", error)
            self.pending = False
        self._changed()

    async def _freed(self, job: ProposeJob) -> Reduction | None:
        """Return where only reducing leads once no target is in its way; None where nowhere."""
        asked, freed = only_reducing(job)
        if not freed:
            return None
        self._changed()  # what clashes is known by now
        done = await self._worker.ask(asked, "clash", SLICE_TIMEOUT_S, background=True)
        return reduction_in(done.proposal, freed) if isinstance(done, ProposeDone) else None
