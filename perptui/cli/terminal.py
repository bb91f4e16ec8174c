"""Opening the terminal on a way to a desk: what `perptui` and `perptui demo` share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from perptui.client.launch import Launcher
from perptui.model.clock import SystemClock
from perptui.settings.load import load
from perptui.settings.paths import state_dir, themes_dirs
from perptui.settings.redaction import install

FRAMES_PER_SECOND = "240"
BY_SIGNAL = 128
"""Exit codes from here on say that a signal, or a line that hung up, ended the terminal."""


def open_terminal(way: Launcher, args: argparse.Namespace, config: Path | None = None) -> int:
    """Run the terminal until it is left; return its exit code.

    Parameters
    ----------
    config : Path, optional
        Where appearance and keys come from; the shipped defaults without one.

    Raises
    ------
    ConfigError
        When the configuration does not stand or there is no such theme.
    """
    settings = load(config).settings
    install()
    # Read by Textual at its import: how long a picture that is ready may wait for the next frame.
    # The desk's own throttle, not this, says how often there is a picture.
    os.environ.setdefault("TEXTUAL_FPS", FRAMES_PER_SECOND)
    from perptui.tui.run import run_terminal

    code = run_terminal(
        way.connect,
        clock=SystemClock(),
        theme_folders=themes_dirs(),
        relaunch=way.relaunch,
        trouble=way.venue_failure,
        theme=args.theme or settings.ui.theme,
        low_bandwidth=args.low_bandwidth or settings.ui.low_bandwidth,
        glyphs=settings.ui.glyphs,
        keymap=settings.keymap,
        crash_dir=state_dir(way.desk),
    )
    if code >= BY_SIGNAL:
        way.leave()  # nobody waits here: a desk of ours journals, reconciles and ends by itself
    return code
