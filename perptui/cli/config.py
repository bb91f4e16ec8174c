"""`perptui config`: write, check and show the configuration."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import msgspec

from perptui.model.errors import ConfigError
from perptui.settings.load import DEFAULT, Loaded, assignments, flat, load, user_file
from perptui.settings.paths import config_file, private_directory, resource


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions `init`, `show`, `check` and `path`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    init = actions.add_parser("init", help="write a commented configuration file")
    init.add_argument("--force", action="store_true", help="overwrite the file that is there")
    for name, help_text in (
        ("show", "print every value in force and where it came from"),
        ("check", "say whether the configuration stands"),
    ):
        action = actions.add_parser(name, help=help_text)
        add_sources(action)
        if name == "show":
            action.add_argument("--json", action="store_true", help="one JSON object")
    actions.add_parser("path", help="print where the configuration file is, or would be")


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add ``--config FILE`` and ``--set KEY=VALUE``, the same for every command that has them."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of your config.toml")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="set one value, as --set limits.gross_max=2.5; may be repeated",
    )


def loaded(args: argparse.Namespace) -> Loaded:
    """Return the settings that the arguments of `add_sources` ask for.

    Raises
    ------
    ConfigError
        As `perptui.settings.load.load` and `assignments` do.
    """
    return load(args.config or user_file(), assignments(args.assignments))


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    actions = {"init": _init, "show": _show, "check": _check, "path": _path}
    return actions[args.action](args)


def _init(args: argparse.Namespace) -> int:
    target = config_file()
    private_directory(target.parent)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if args.force else os.O_EXCL)
    try:
        descriptor = os.open(target, flags, 0o600)
    except FileExistsError:
        raise ConfigError(
            f"expected no file at {target}, was there; edit it, or overwrite it with --force"
        ) from None
    with open(descriptor, "wb") as stream:
        stream.write(resource("config.toml").read_bytes())
    sys.stdout.write(f"wrote {target}\n")
    return 0


def _show(args: argparse.Namespace) -> int:
    found = loaded(args)
    values = flat(found.settings)
    if args.json:
        shown = {
            "digest": found.settings.digest,
            "values": {
                path: {"value": value, "origin": found.origins.get(path, DEFAULT)}
                for path, value in values.items()
            },
        }
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(shown)).decode() + "\n")
        return 0
    lines = {path: msgspec.json.encode(value).decode() for path, value in values.items()}
    left = max(map(len, lines))
    middle = min(max(map(len, lines.values())), 40)
    for path, text in lines.items():
        origin = found.origins.get(path, DEFAULT)
        sys.stdout.write(f"{path:<{left}}  {text:<{middle}}  {origin}\n")
    sys.stdout.write(f"digest {found.settings.digest}\n")
    return 0


def _check(args: argparse.Namespace) -> int:
    found = loaded(args)
    where = found.file or "no file of yours: the shipped defaults"
    sys.stdout.write(f"the configuration stands ({where})\n")
    return 0


def _path(_args: argparse.Namespace) -> int:
    sys.stdout.write(f"{config_file()}\n")
    return 0
