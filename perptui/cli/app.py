"""The command line: one module a command, imported only when that command runs.

A command is a module ``perptui/cli/<command>.py`` with two functions::

    def add_arguments(parser: argparse.ArgumentParser) -> None: ...
    def run(args: argparse.Namespace) -> int: ...

Exit codes: 0 done, 1 the command's own "no" (a chain that does not verify) or an error of perptui
itself, 2 bad input or a refusal, with one line on standard error that names the cure, 130
interrupted by the keyboard.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from perptui.model.errors import InputError, PerptuiError
from perptui.model.text import safe_text

EXIT_DONE = 0
EXIT_BROKEN = 1
EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130

HEADLESS = {"propose", "estimate", "universe", "schema", "config", "audit", "journal"}
"""Commands that programs call: they read one line, and a traceback is kept in a file."""

LONGEST_ERROR = 1000
CURE_CHARACTERS = 60

UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
"""What a disk, a folder or a file says that takes nothing: a person's to mend, no fault of ours."""

DEFAULT_COMMAND = "open"

COMMANDS = {
    "open": "attach to the running desk, or open one of your own (what plain `perptui` does)",
    "demo": "a whole desk on a simulated venue: no keys, no network, no files",
    "desk": "run the desk process alone, for terminals to attach to",
    "simulate": "run the simulated venue alone",
    "config": "write, check and show the configuration",
    "audit": "verify, export and show the journal's events; the key that signs its heads",
    "journal": "back the journal up, put a backup in its place, show where it is",
    "kill": "halt the desk: cancel orders, send nothing more",
    "propose": "print the rebalance that the optimiser proposes, without a terminal",
    "estimate": "print the estimates behind a proposal, without a terminal",
    "universe": "print the most liquid contracts, which of them are held, and why",
    "schema": "print the JSON schema of what propose, estimate and universe print",
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line that names the cure."""

    def error(self, message: str) -> NoReturn:
        """Raise `InputError` instead of printing a usage block and leaving.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(f"{message}; see `{self.prog} --help`")


def run(argv: Sequence[str]) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str
        The command line without the program's name; without a command it means `open`.

    Returns
    -------
    int
        The exit code, as in the module's docstring.
    """
    try:
        return _run(list(argv))
    except PerptuiError as error:
        sys.stderr.write(f"perptui: {_one_line(error)}\n")
        return EXIT_REFUSED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe went away (`| head`): end quietly, also at the flush on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except Exception as error:
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            sys.stderr.write(f"perptui: {_one_line(_unwritable(error))}\n")
            return EXIT_REFUSED
        # The outermost edge: there is nobody above to tell.
        if not argv or argv[0] not in HEADLESS:
            raise
        sys.stderr.write(f"perptui: {_one_line(_kept(argv[0], error))}\n")
        return EXIT_BROKEN


def _unwritable(error: OSError) -> InputError:
    """Return what is wrong with a disk, a folder or a file, and that a person can mend it."""
    place = error.filename or "the files of this desk"
    return InputError(
        f"expected to read and write {place}, was {error.strerror}; "
        "free space or mend it, then try again"
    )


def _kept(command: str, error: Exception) -> PerptuiError:
    """Return an error that names the file with the traceback.

    The message may hold anything, so the line shows only what kind of error it was.
    """
    import traceback

    from perptui.settings.paths import log_file
    from perptui.settings.redaction import redacted

    kind = type(error).__name__
    said = f"expected `perptui {command}` to end well, was {kind} inside perptui"
    try:
        file = log_file("crashes", command)
        # Its own mode, whatever the umask: a message in a traceback may hold anything.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8") as kept:
            os.fchmod(descriptor, 0o600)
            kept.write(redacted("".join(traceback.format_exception(error))))
    except (OSError, PerptuiError):
        return PerptuiError(f"{said}; its traceback could not be written, free the state directory")
    return PerptuiError(f"{said}; report it with {file}")


def _run(argv: list[str]) -> int:
    if argv and argv[0] in {"-h", "--help"}:
        sys.stdout.write(overview())
        return EXIT_DONE
    if argv and argv[0] in {"-V", "--version"}:
        from importlib.metadata import version

        sys.stdout.write(f"perptui {version('perptui')}\n")
        return EXIT_DONE
    name, rest = _command_and_rest(argv)
    module = importlib.import_module(f"perptui.cli.{name}")
    parser = Parser(prog=f"perptui {name}", description=f"{COMMANDS[name]}.", allow_abbrev=False)
    module.add_arguments(parser)
    try:
        code: int = module.run(parser.parse_args(rest))
    except SystemExit as left:
        # argparse leaves this way after `--help`, and only then: errors raise `InputError`.
        return left.code if isinstance(left.code, int) else EXIT_DONE
    return code


def _command_and_rest(argv: list[str]) -> tuple[str, list[str]]:
    if not argv or argv[0].startswith("-"):
        return DEFAULT_COMMAND, argv
    name, *rest = argv
    if name in COMMANDS:
        return name, rest
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    cure = f"did you mean `perptui {near[0]}`?" if near else "see `perptui --help`"
    raise InputError(f"expected a command, was {name!r}; {cure}")


def overview() -> str:
    """Return the text of `perptui --help`: what there is, without importing any of it."""
    width = max(map(len, COMMANDS)) + 2
    rows = "".join(f"  {name:<{width}}{text}\n" for name, text in COMMANDS.items())
    return (
        "usage: perptui [COMMAND] [OPTIONS]\n\n"
        "The rebalance desk for perpetual futures, in a terminal.\n\n"
        f"commands:\n{rows}\n"
        "`perptui COMMAND --help` shows a command's options; `perptui --version` the version.\n"
        "Start with `perptui demo`.\n"
    )


def _one_line(error: PerptuiError) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    # Arguments, paths and files come back in messages: what they hide must not reach a terminal.
    text = safe_text(words, LONGEST_ERROR)
    # The cure stands at the end.
    return text if text[-1:] != "…" else f"{text} {safe_text(words[-CURE_CHARACTERS:])}"
