"""Tasks: what trading does in the background, and that a failure of it never goes unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Tasks:
    """Tasks by name.

    Parameters
    ----------
    failed : callable
        Told in words of one that failed: nobody watches any more.
    """

    def __init__(self, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run a coroutine."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def named(self, name: str) -> list[asyncio.Task[None]]:
        """Return the tasks of that name that still run."""
        return [task for task in self._running if task.get_name() == name]

    async def cancel(self) -> None:
        """Cancel all, and wait until they ended."""
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            self._failed(f"{task.get_name()} failed: {type(fault).__name__}")
