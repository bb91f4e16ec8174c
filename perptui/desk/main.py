"""From settings to a running desk process: its lock, its log, its event loop."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from perptui.desk.app import DeskApp
from perptui.desk.lifecycle import desk_paths, refuse_second
from perptui.desk.logs import log_to
from perptui.desk.startup import refuse_live, refuse_other_account, require_keys
from perptui.model.clock import SystemClock
from perptui.settings.schema import Settings
from perptui.settings.seclusion import keep_to_oneself


def serve(
    settings: Settings,
    private_fd: int | None = None,
    *,
    live: bool = False,
    config: Path | None = None,
) -> int:
    """Run one desk in this process; return its exit code.

    Parameters
    ----------
    private_fd : int, optional
        As of `DeskApp`.
    live : bool
        The command line allowed real orders.
    config : Path, optional
        The configuration in force.

    Raises
    ------
    ConfigError
        When a desk of this name runs, its files cannot be used, or it may not send for real.
    """
    refuse_live(settings, allowed=live)
    require_keys(settings)
    if settings.market_words != "SIMULATED":
        keep_to_oneself()
    paths = desk_paths(settings)
    lock = refuse_second(paths.lock, settings.desk.name)
    try:
        refuse_other_account(settings, paths.state)
        log_to(paths.log)
        logging.getLogger(__name__).info("desk %s starts", settings.desk.name)
        return asyncio.run(_run(settings, private_fd, config), debug=False)
    finally:
        lock.give_back()


async def _run(settings: Settings, private_fd: int | None, config: Path | None) -> int:
    paths = desk_paths(settings)
    return await DeskApp(settings, paths, SystemClock(), private_fd, config=config).run()
