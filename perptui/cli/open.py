"""`perptui`: attach to a running desk, or open one of one's own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from perptui.cli.config import add_sources, loaded
from perptui.cli.demo import add_appearance
from perptui.cli.desk import add_live
from perptui.client.demo import DESK as DEMO
from perptui.client.launch import Launcher, place_of
from perptui.desk.lifecycle import listens
from perptui.desk.startup import refuse_live
from perptui.model.clock import SystemClock
from perptui.model.errors import ConfigError
from perptui.settings.load import user_file
from perptui.settings.sockets import closed_to_us

NO_CONFIG = "expected a config.toml or a running desk, was neither; "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the settings come from and how the terminal draws."""
    add_sources(parser)
    parser.add_argument("--name", default="", help="attach to the desk of this name")
    add_live(parser)
    add_appearance(parser)


def run(args: argparse.Namespace) -> int:
    """Attach, or open a private desk, or offer the demo where there is no configuration."""
    way = found(args)
    if way is None:
        return offer_demo()
    try:
        way.claim()
        from perptui.cli.terminal import open_terminal

        return open_terminal(way, args, args.config or user_file())
    finally:
        way.end()


def found(args: argparse.Namespace) -> Launcher | None:
    """Return the way to a desk; None without a configuration and without a running desk.

    Raises
    ------
    ConfigError
        When the configuration does not stand, or the named desk does not run.
    """
    clock = SystemClock()
    configured = args.config is not None or user_file() is not None
    if not configured and args.live:
        raise ConfigError(
            'expected desk.mode = "live" in a config.toml with --live, was no config.toml; '
            "write one with `perptui config init`"
        )
    if not configured:
        return _running((args.name,) if args.name else ("main", DEMO))
    settings = loaded(args).settings
    refuse_live(settings, allowed=args.live)
    desk = args.name or settings.desk.name
    place = place_of(desk, settings.desk.socket_dir)
    if settings.desk.socket_dir and not listens(place.socket):
        raise ConfigError(_unreachable(desk, place.socket))
    command = ["--name", desk]
    command += [] if args.config is None else ["--config", str(args.config)]
    command += ["--live"] if args.live else []
    for assignment in args.assignments:
        command += ["--set", assignment]
    return Launcher(place, clock, command)


def _unreachable(desk: str, path: Path) -> str:
    """Return why a shared desk cannot be attached to, and what to do about it."""
    if closed_to_us(path):
        return (
            f"expected to reach the shared desk {desk} at {path}, was not permitted; "
            f"have yourself taken into the group of {path.parent}, then log in again"
        )
    return f"expected the shared desk {desk} at {path}, was none; start `perptui desk`"


def _running(names: tuple[str, ...]) -> Launcher | None:
    for name in names:
        place = place_of(name)
        if listens(place.socket):
            return Launcher(place, SystemClock())
    return None


def offer_demo() -> int:
    """Offer the demo in one line; without a terminal to answer, refuse with the cure.

    Raises
    ------
    ConfigError
        When nobody can answer.
    """
    cure = "start `perptui demo`, or write a configuration with `perptui config init`"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(NO_CONFIG + cure)
    sys.stderr.write("No config.toml and no running desk. Start the demo (no keys)? [Y/n] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"", "y", "yes"}:
        raise ConfigError(NO_CONFIG + cure)
    from perptui.cli.app import run as run_command

    return run_command(["demo"])
