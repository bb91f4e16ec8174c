"""`perptui kill`: halt a desk from any shell; works when the desk does not answer.

`--release` lets a halted desk send again. In live mode that takes another user than the one who
halted it; where no order is real (paper, export, view) the same user may. Both are journalled.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from perptui.client.demo import DESK as DEMO
from perptui.client.launch import place_of
from perptui.desk.lifecycle import listens
from perptui.model.errors import ConfigError, InputError, ProtocolError
from perptui.model.text import safe_text
from perptui.protocol.frames import Ask, Deframer, Refused, Reply, decode_to_terminal, encode, frame
from perptui.protocol.intents import Kill
from perptui.settings.load import load, user_file
from perptui.settings.paths import kill_file, known, shared_kill_file
from perptui.settings.schema import DeskSettings
from perptui.settings.sockets import require_desk_of

ANSWER_S = 10.0
LONGEST_REPLY = 2000
"""Characters of a reply that are shown: it lists every order that is UNKNOWN."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which desk, why, and how far."""
    parser.add_argument("--desk", default="", help="the desk's name; else the one that runs")
    parser.add_argument("--reason", default="perptui kill", help="for the journal")
    parser.add_argument(
        "--reducing", action="store_true", help="still allow orders that only reduce"
    )
    parser.add_argument(
        "--release", action="store_true", help="leave HALTED; live mode takes another user"
    )


def run(args: argparse.Namespace) -> int:
    """Tell the desk over its socket; leave the kill file where none answers.

    Raises
    ------
    InputError
        When there is no such desk, or one that does not answer is to be released.
    """
    if args.release and args.reducing:
        raise InputError("expected --release or --reducing, was both; name one")
    desk, path = chosen(args.desk)
    if args.release:
        return release(desk, path, args.reason)
    state = "REDUCING" if args.reducing else "HALTED"
    try:
        reply = tell(path, Kill(reason=args.reason, state=state))
    except (OSError, ProtocolError, ConfigError) as error:
        file = _left(desk, args.reason)
        sys.stderr.write(f"perptui: {_silent(error)}; {desk} will start HALTED: left {file}\n")
        return 0
    if not reply.ok:
        file = _left(desk, args.reason)
        sys.stderr.write(f"perptui: the desk refused ({_said(reply)}): left {file}\n")
        return 1
    sys.stdout.write(f"{desk}: {_said(reply)}\n")
    return 0


def _said(reply: Reply) -> str:
    """Return a reply as a terminal may show it: whoever listens there may be anybody."""
    return safe_text(reply.text, LONGEST_REPLY)


def _left(desk: str, reason: str) -> Path:
    """Leave the kill file where the desk looks for it.

    Raises
    ------
    InputError
        When there is no room even for an empty file.
    """
    settings = _configured()
    shared = settings.socket_dir if settings is not None and settings.name == desk else ""
    try:
        return leave_file(desk, reason, shared)
    except OSError as error:
        raise InputError(
            f"expected to leave a kill file for {desk}, could not ({error.strerror}); "
            "end its process: it leaves nothing half sent"
        ) from None


def _silent(error: Exception) -> str:
    """Return in words why no desk answered."""
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return "no desk runs"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"the desk did not take it ({safe_text(said, LONGEST_REPLY)})"


def release(desk: str, path: Path, reason: str) -> int:
    """Ask the desk to leave HALTED or REDUCING; 1 when it refuses.

    Raises
    ------
    InputError
        When no desk answers.
    """
    try:
        reply = tell(path, Kill(reason=reason, state="ACTIVE"))
    except (OSError, ProtocolError, ConfigError) as error:
        raise InputError(
            f"expected the desk {desk} to answer, was none ({_silent(error)}); "
            "start it, then release it"
        ) from None
    if not reply.ok:
        sys.stderr.write(f"perptui: {desk}: {_said(reply)}\n")
        return 1
    sys.stdout.write(f"{desk}: {_said(reply)}\n")
    return 0


def chosen(name: str) -> tuple[str, Path]:
    """Return the desk to halt and its socket: the named one, one that runs, the configured one.

    Raises
    ------
    InputError
        When none is named, none runs and none is configured; or none has the name.
    """
    settings = _configured(told=True)
    places = {}
    if name and not known(name) and (settings is None or settings.name != name):
        raise InputError(f"expected the name of a desk that ran here, was {name!r}; correct --desk")
    if settings is not None:
        places[settings.name] = place_of(settings.name, settings.socket_dir)
    for other in ("main", DEMO, name):
        if other and other not in places and known(other):
            places[other] = place_of(other)
    if name:
        return name, places[name].socket
    for desk, place in places.items():
        if listens(place.socket):
            return desk, place.socket
    if settings is not None:
        return settings.name, places[settings.name].socket
    raise InputError("expected a running desk, was none; name one with --desk to leave a kill file")


def _configured(*, told: bool = False) -> DeskSettings | None:
    """Return the configured desk; None without one, or with a file that cannot be read.

    A desk runs on with what it has read: a mistake in the file since must not keep it from being
    halted.
    """
    file = user_file()
    try:
        return None if file is None else load(file).settings.desk
    except ConfigError as error:
        if told:
            sys.stderr.write(f"perptui: {safe_text(error, LONGEST_REPLY)}; halting without it\n")
        return None


def tell(path: Path, intent: Kill) -> Reply:
    """Send one intent and return the desk's reply.

    Raises
    ------
    OSError
        When no desk answers in time.
    ConfigError
        When it is another user's process that listens, or the desk does not let this user in.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ANSWER_S)
        line.connect(str(path))
        require_desk_of(line, path)
        line.sendall(frame(encode(Ask(number=1, intent=intent))))
        deframer = Deframer()
        while data := line.recv(65536):
            for payload in deframer.feed(data):
                message = decode_to_terminal(payload)
                if isinstance(message, Reply) and message.number == 1:
                    return message
                if isinstance(message, Refused):
                    raise ConfigError(message.text)
    raise ConnectionError("it closed the line")


def leave_file(desk: str, reason: str, socket_dir: str = "") -> Path:
    """Write the kill file of a desk and return its path; without the reason on a full disk.

    That of a shared desk is in the folder of its socket, where the whole group may leave it.
    """
    shared = shared_kill_file(desk, socket_dir)
    if shared is not None:
        if shared.exists():
            return shared
        with suppress(OSError):
            # Readable to the desk, which is another user.
            return _leave(shared, reason, 0o644)
    return _leave(kill_file(desk), reason, 0o600)


def _leave(file: Path, reason: str, mode: int) -> Path:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    try:
        # The file's being there is what halts the desk; its mode, whatever the umask, lets it read.
        with suppress(OSError):
            os.fchmod(descriptor, mode)
        with suppress(OSError):
            os.write(descriptor, f"{reason}\n".encode(errors="replace"))
    finally:
        os.close(descriptor)
    return file
