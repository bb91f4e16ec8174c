"""`perptui journal`: where the journal is, what it holds; back it up, put a backup in its place."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from perptui.model.clock import SystemClock, iso


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions `backup`, `restore`, `path` and `info`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    backup = actions.add_parser("backup", help="copy it, also while the desk runs, and verify")
    backup.add_argument("--to", default="", metavar="PATH", help="a new file, or a directory")
    restore = actions.add_parser(
        "restore", help="put a backup in its place; the desk starts HALTED"
    )
    restore.add_argument("file", type=Path, metavar="FILE", help="what `journal backup` made")
    path = actions.add_parser("path", help="print where it is")
    info = actions.add_parser("info", help="print what it is of and how far it goes")
    for action in (backup, restore, path, info):
        action.add_argument("--desk", default="", help="the desk's name; else the configured one")


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    actions = {"backup": _backup, "restore": _restore, "path": _path, "info": _info}
    return actions[args.action](args)


def _backup(args: argparse.Namespace) -> int:
    from perptui.cli.arguments import given_path
    from perptui.cli.journals import journal_of
    from perptui.journal.backup import backup

    to = given_path(args.to) if args.to else None
    made, verdict = backup(journal_of(args.desk), to, SystemClock().utc_ms())
    sys.stdout.write(f"{made}\n")
    sys.stderr.write(f"perptui: {verdict.events} events verified, head {verdict.head}\n")
    return 0


def _restore(args: argparse.Namespace) -> int:
    from perptui.cli.journals import desk_named
    from perptui.desk.orders.traders import trader_of
    from perptui.journal.backup import restore
    from perptui.settings.paths import journal_file

    desk = desk_named(args.desk)
    path = journal_file(desk)
    actor = trader_of(os.getuid())
    done = restore(args.file, path, desk=desk, actor=actor, utc_ms=SystemClock().utc_ms())
    aside = f"; the journal it replaced, {done.lost} events longer, is {done.aside}"
    sys.stdout.write(
        f"{path} ends at event {done.events}, head {done.head}{aside if done.aside else ''}\n"
    )
    sys.stderr.write(
        "perptui: the desk starts HALTED: look at what it finds at the venues, then release it "
        f"with `perptui kill --release --desk {desk}`\n"
    )
    return 0


def _path(args: argparse.Namespace) -> int:
    from perptui.cli.journals import journal_of

    sys.stdout.write(f"{journal_of(args.desk)}\n")
    return 0


def _info(args: argparse.Namespace) -> int:
    from perptui.cli.journals import journal_of
    from perptui.journal.backup import about

    path = journal_of(args.desk)
    found = about(path)
    rows = {
        "file": f"{path}, {found.bytes:,} bytes",
        "desk": f"{found.desk}, account {found.account}",
        "version": f"{found.version}, lease {found.fence}, "
        + ("a desk runs on it" if found.held else "no desk runs on it"),
        "events": f"{found.events}, the last {iso(found.last_ms)}",
        "head": found.head,
    }
    sys.stdout.write("".join(f"{name:<9}{text}\n" for name, text in rows.items()))
    return 0
