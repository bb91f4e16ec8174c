"""`perptui audit`: verify, export and show what the journal recorded."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from perptui.model.errors import InputError

VERIFIED = 0
BAD = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions `verify`, `export` and `show`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = actions.add_parser("verify", help="check every event; exit 1 names the first bad one")
    verify.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="a journal or an exported file"
    )
    verify.add_argument("--head", default="", help="hash the last event must have, 64 hex digits")
    export = actions.add_parser("export", help="print one canonical JSON line an event")
    show = actions.add_parser("show", help="print the confirmed screen of an event again")
    show.add_argument("seq", type=int, metavar="SEQ", help="number of an event about a ticket")
    show.add_argument("--file", type=Path, metavar="FILE", help="a journal or an exported file")
    for action in (verify, export, show):
        action.add_argument("--desk", default="", help="the desk's name; else the configured one")


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    actions = {"verify": _verify, "export": _export, "show": _show}
    return actions[args.action](args)


def _verify(args: argparse.Namespace) -> int:
    from perptui.journal.verify import verify_file

    wanted = _head(args.head)
    path = _journal(args, args.file)
    verdict = verify_file(path)
    if not verdict.ok:
        sys.stdout.write(f"BAD at event {verdict.bad_seq}: {verdict.reason} ({path})\n")
        return BAD
    if wanted and wanted != verdict.head:
        sys.stdout.write(
            f"BAD at event {verdict.events + 1}: expected the head {wanted}, was "
            f"{verdict.head}: events are missing at the end, or it is another chain ({path})\n"
        )
        return BAD
    sys.stdout.write(f"{verdict.events} events verified, head {verdict.head}\n")
    return VERIFIED


def _head(text: str) -> str:
    """Return the hash of `--head` as verdicts have it, "" when none was given.

    Raises
    ------
    InputError
        When it is no hash.
    """
    if text and not re.fullmatch(r"[0-9A-Fa-f]{64}", text):
        raise InputError(f"expected 64 hex digits for --head, was {text!r}; copy the whole hash")
    return text.lower()


def _export(args: argparse.Namespace) -> int:
    from perptui.journal.audit import export_lines

    for line in export_lines(_journal(args, None)):
        sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
    return 0


def _show(args: argparse.Namespace) -> int:
    from perptui.journal.audit import confirmed_text

    # Bytes, not text: whatever the terminal's encoding, the screen is the one that was confirmed.
    sys.stdout.buffer.write(confirmed_text(_journal(args, args.file), args.seq).encode())
    sys.stdout.buffer.flush()
    return 0


def _journal(args: argparse.Namespace, file: Path | None) -> Path:
    """Return the file that is named, else the journal of the desk that is named or configured.

    Where the configured desk has none, it is the demo's: then the demo is all there is.

    Raises
    ------
    InputError
        When there is none.
    ConfigError
        When the desk's name cannot be one.
    """
    from perptui.client.demo import DESK as DEMO
    from perptui.settings.load import assignments, load, user_file
    from perptui.settings.paths import journal_file, known

    if file is not None and args.desk:
        raise InputError("expected a file or --desk, was both; name one")
    if file is not None:
        return file
    given = [f"desk.name={json.dumps(args.desk)}"] if args.desk else []
    desk = load(user_file(), assignments(given)).settings.desk.name
    for name in (desk,) if args.desk else (desk, DEMO):
        if known(name) and (path := journal_file(name)).is_file():
            return path
    raise InputError(f"expected a journal of desk {desk}, was none; name another with --desk")
