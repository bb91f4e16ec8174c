"""Running the terminal from start to exit code."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from perptui.model.clock import Clock
from perptui.model.errors import ConfigError
from perptui.tui.app import DeskApp

if TYPE_CHECKING:
    from perptui.client.attach import Connect


def run_terminal(
    connect: Connect,
    *,
    clock: Clock,
    theme_folders: tuple[Path, ...],
    relaunch: Connect | None = None,
    trouble: Callable[[], str] = str,
    theme: str = "dark",
    low_bandwidth: bool = False,
    glyphs: str = "braille",
    keymap: dict[str, str] | None = None,
    crash_dir: Path | None = None,
    pictures_dir: Path | None = None,
) -> int:
    """Run the terminal until it is left; return the exit code.

    Parameters
    ----------
    connect : Connect
        Coroutine function that opens (reader, writer) to the desk, on the terminal's event loop.
    clock, theme_folders
        Monotonic time for ages; `perptui.settings.paths.themes_dirs()`.
    relaunch : Connect | None
        Joins or starts another desk after one was lost; None only tries `connect` again.
    trouble : Callable[[], str]
        What went wrong with a process of this terminal's own, "" while nothing did.
    theme, low_bandwidth, glyphs, keymap
        `[ui]` and `[keymap]` of the settings. NO_COLOR and `low_bandwidth` choose the ansi theme.
    crash_dir, pictures_dir : Path | None
        Where a crash's report and F8's pictures go.

    Raises
    ------
    ConfigError
        When there is no such theme, or its file is wrong; when the desk lets this user not in.
    """
    if low_bandwidth or os.environ.get("NO_COLOR"):
        theme = "ansi"
    app = DeskApp(
        connect,
        clock=clock,
        theme_folders=theme_folders,
        relaunch=relaunch,
        theme=theme,
        glyphs=glyphs,
        keymap=keymap,
        crash_dir=crash_dir,
        pictures_dir=pictures_dir,
    )
    app.showing.trouble = trouble
    code = app.run() or 0
    if app.not_let_in:
        raise ConfigError(app.not_let_in)
    return code
