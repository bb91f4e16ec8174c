"""`perptui desk`: the desk process, for terminals to attach to."""

from __future__ import annotations

import argparse
import os
import sys

from perptui.cli.config import add_sources, loaded
from perptui.desk.startup import refuse_live


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the settings come from, and the two descriptors of a private desk."""
    add_sources(parser)
    parser.add_argument("--name", help="the desk's name, instead of desk.name")
    add_live(parser)
    parser.add_argument("--private-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--hold-fd", type=int, help=argparse.SUPPRESS)


def add_live(parser: argparse.ArgumentParser) -> None:
    """Add the lock of live mode that stands on the command line."""
    parser.add_argument(
        "--live",
        action="store_true",
        help='allow real orders; refused unless desk.mode = "live", which is refused without it',
    )


def run(args: argparse.Namespace) -> int:
    """Run the desk until SIGTERM, SIGHUP, Ctrl-C or the end of its private terminal."""
    if args.name:
        args.assignments = [*args.assignments, f'desk.name="{args.name}"']
    found = loaded(args)
    settings = found.settings
    refuse_live(settings, allowed=args.live)
    if args.private_fd is None:
        sys.stderr.write(
            f"perptui desk {settings.desk.name} ({settings.mode_words}): attach with `perptui`\n"
        )
    for fd in (args.private_fd, args.hold_fd):
        if fd is not None:
            os.set_inheritable(fd, False)
    from perptui.desk.main import serve

    return serve(settings, args.private_fd, live=args.live, config=found.file)
