"""From settings to a running desk process: its lock, its log, its event loop."""

from __future__ import annotations

import asyncio
import logging

from perptui.desk.app import DeskApp
from perptui.desk.lifecycle import desk_paths, refuse_second
from perptui.desk.logs import log_to
from perptui.model.clock import SystemClock
from perptui.settings.schema import Settings


def serve(settings: Settings, private_fd: int | None = None) -> int:
    """Run one desk in this process; return its exit code.

    Raises
    ------
    ConfigError
        When a desk of this name runs, or its files cannot be used.
    """
    paths = desk_paths(settings)
    lock = refuse_second(paths.lock, settings.desk.name)
    try:
        log_to(paths.log)
        logging.getLogger(__name__).info("desk %s starts", settings.desk.name)
        return asyncio.run(_run(settings, private_fd))
    finally:
        lock.give_back()


async def _run(settings: Settings, private_fd: int | None) -> int:
    return await DeskApp(settings, desk_paths(settings), SystemClock(), private_fd).run()
