"""`perptui desk`: the desk process, for terminals to attach to."""

from __future__ import annotations

import argparse
import os
import sys

from perptui.cli.config import add_sources, loaded
from perptui.model.errors import ConfigError
from perptui.settings.schema import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the settings come from, and the two descriptors of a private desk."""
    add_sources(parser)
    parser.add_argument("--name", help="the desk's name, instead of desk.name")
    parser.add_argument("--private-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--hold-fd", type=int, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Run the desk until SIGTERM, SIGHUP, Ctrl-C or the end of its private terminal."""
    if args.name:
        args.assignments = [*args.assignments, f'desk.name="{args.name}"']
    settings = loaded(args).settings
    refuse_root(settings)
    if args.private_fd is None:
        sys.stderr.write(f"perptui desk {settings.desk.name}: attach with `perptui`\n")
    for fd in (args.private_fd, args.hold_fd):
        if fd is not None:
            os.set_inheritable(fd, False)
    from perptui.desk.main import serve

    return serve(settings, args.private_fd)


def refuse_root(settings: Settings) -> None:
    """Let nobody send real orders as root.

    Raises
    ------
    ConfigError
        In live mode as uid 0.
    """
    if settings.desk.mode == "live" and os.getuid() == 0:
        raise ConfigError(
            "expected an ordinary user in live mode, was root; use an account of its own"
        )
