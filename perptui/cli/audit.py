"""`perptui audit`: verify, export and show what the journal recorded; make the signing key."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from perptui.model.errors import InputError, JournalError
from perptui.model.given import shown
from perptui.model.text import safe_text

if TYPE_CHECKING:
    from perptui.journal.audit import Bound
    from perptui.journal.heads import Published, Witnesses

VERIFIED = 0
BAD = 1
LONGEST_LINE = 1000
"""Characters of a verdict: it quotes the file."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions `verify`, `export`, `show` and `keygen`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = actions.add_parser("verify", help="check every event; exit 1 names the first bad one")
    verify.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="a journal or an exported file"
    )
    verify.add_argument("--head", default="", help="hash the last event must have, 64 hex digits")
    verify.add_argument(
        "--heads", type=Path, metavar="FILE", help="published heads that the events must agree with"
    )
    verify.add_argument(
        "--pubkey", default="", metavar="KEY", help="who signed them, 64 hex digits; else our key"
    )
    export = actions.add_parser("export", help="print one canonical JSON line an event")
    for name, which in (("--from", "first"), ("--to", "last")):
        export.add_argument(
            name,
            dest=which,
            default="",
            metavar="SEQ|TIME",
            help=f"the {which} event: its number, or a UTC date or time",
        )
    show = actions.add_parser("show", help="print the confirmed screen of an event again")
    show.add_argument("seq", type=int, metavar="SEQ", help="number of an event about a ticket")
    show.add_argument("--file", type=Path, metavar="FILE", help="a journal or an exported file")
    for action in (verify, export, show):
        action.add_argument("--desk", default="", help="the desk's name; else the configured one")
    actions.add_parser("keygen", help="make the key that signs heads; print its public key")


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    actions = {"verify": _verify, "export": _export, "show": _show, "keygen": _keygen}
    return actions[args.action](args)


def _verify(args: argparse.Namespace) -> int:
    from perptui.journal.verify import verify_file

    wanted = _head(args.head)
    path = _journal(args, args.file)
    try:
        published, witnesses = _witnesses(args)
    except JournalError as error:
        _say(f"BAD heads: {error} ({args.heads})")
        return BAD
    verdict = verify_file(path, witnesses)
    if not verdict.ok:
        _say(f"BAD at event {verdict.bad_seq}: {verdict.reason} ({path})")
        return BAD
    if wanted and wanted != verdict.head:
        _say(
            f"BAD at event {verdict.events + 1}: expected the head {wanted}, was "
            f"{verdict.head}: events are missing at the end, or it is another chain ({path})"
        )
        return BAD
    held = f", {witnesses.count} published heads agree" if witnesses is not None else ""
    torn = f", {published.torn} torn lines passed over" if published and published.torn else ""
    sys.stdout.write(f"{verdict.events} events verified{held}{torn}, head {verdict.head}\n")
    return VERIFIED


def _say(line: str) -> None:
    """Print what was found in a file that anybody may have written."""
    sys.stdout.write(f"{safe_text(line, LONGEST_LINE)}\n")


def _witnesses(args: argparse.Namespace) -> tuple[Published | None, Witnesses | None]:
    """Return the published heads that are named, and what holds them against the chain.

    Raises
    ------
    InputError
        When they cannot be read, or nobody says whose signature they must carry.
    JournalError
        When a line of them is no head.
    """
    from perptui.journal.heads import Witnesses, checked_key, read_heads

    if args.heads is None:
        if args.pubkey:
            raise InputError("expected --heads with --pubkey, was none; name the published heads")
        return None, None
    key = checked_key(args.pubkey) if args.pubkey else _own_key()
    published = read_heads(args.heads)
    return published, Witnesses(published.heads, key)


def _own_key() -> str:
    from perptui.journal.signing import key_file, load_key, public_of

    if not key_file().exists():
        raise InputError(
            "expected --pubkey, was none and no key is here; copy what `audit keygen` printed"
        )
    return public_of(load_key(key_file()))


def _keygen(_: argparse.Namespace) -> int:
    from perptui.journal.signing import key_file, make_key

    path = key_file()
    key = make_key(path)
    sys.stdout.write(f"{key}\n")
    sys.stderr.write(
        f"perptui: wrote {path}; keep the public key above where auditors find it, and name a "
        "place in [audit] heads\n"
    )
    return 0


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

    first, last = _bound(args.first, "--from"), _bound(args.last, "--to")
    for line in export_lines(_journal(args, None), first, last):
        sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
    return 0


def _bound(text: str, option: str) -> Bound:
    """Return which event is meant by a number, a UTC date (whole, both ends) or a UTC instant.

    Raises
    ------
    InputError
        When it is none of them.
    """
    from perptui.journal.audit import ALL, Bound
    from perptui.model.clock import DAY_MS, parse_iso

    if not text:
        return ALL
    if text.isascii() and text.isdigit():
        return Bound(number=int(text[:18]))
    try:
        utc_ms = parse_iso(text)
    except ValueError:
        raise InputError(
            f"expected an event's number or a UTC time for {option}, was {shown(text)}; "
            "write it as 200 or 2026-11-23T08:00"
        ) from None
    whole_day = option == "--to" and len(text) == len("2026-11-23")
    return Bound(utc_ms=utc_ms + DAY_MS - 1 if whole_day else utc_ms)


def _show(args: argparse.Namespace) -> int:
    from perptui.journal.audit import confirmed_text

    # Bytes, not text: whatever the terminal's encoding, the screen is the one that was confirmed.
    sys.stdout.buffer.write(confirmed_text(_journal(args, args.file), args.seq).encode())
    sys.stdout.buffer.flush()
    return 0


def _journal(args: argparse.Namespace, file: Path | None) -> Path:
    """Return the file that is named, else the journal of the desk that is named or configured.

    Raises
    ------
    InputError
        When there is none, or both are named.
    ConfigError
        When the desk's name cannot be one.
    """
    from perptui.cli.journals import journal_of

    if file is not None and args.desk:
        raise InputError("expected a file or --desk, was both; name one")
    return file if file is not None else journal_of(args.desk)
