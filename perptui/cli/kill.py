"""`perptui kill`: halt a desk from any shell; works when the desk does not answer."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

from perptui.client.demo import DESK as DEMO
from perptui.client.launch import place_of
from perptui.desk.lifecycle import listens
from perptui.model.errors import InputError, ProtocolError
from perptui.protocol.frames import Ask, Deframer, Reply, decode_to_terminal, encode, frame
from perptui.protocol.intents import Kill
from perptui.settings.load import load, user_file
from perptui.settings.paths import kill_file

ANSWER_S = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which desk, why, and how far."""
    parser.add_argument("--desk", default="", help="the desk's name; else the one that runs")
    parser.add_argument("--reason", default="perptui kill", help="for the journal")
    parser.add_argument(
        "--reducing", action="store_true", help="still allow orders that only reduce"
    )


def run(args: argparse.Namespace) -> int:
    """Tell the desk over its socket; leave the kill file where none answers."""
    desk, path = chosen(args.desk)
    state = "REDUCING" if args.reducing else "HALTED"
    try:
        reply = tell(path, Kill(reason=args.reason, state=state))
    except (OSError, ProtocolError) as error:
        file = leave_file(desk, args.reason)
        sys.stderr.write(f"perptui: the desk did not answer ({error}): left {file}\n")
        return 0
    if not reply.ok:
        file = leave_file(desk, args.reason)
        sys.stderr.write(f"perptui: the desk refused ({reply.text}): left {file}\n")
        return 1
    sys.stdout.write(f"{desk}: {reply.text}\n")
    return 0


def chosen(name: str) -> tuple[str, Path]:
    """Return the desk to halt and its socket: the named one, one that runs, the configured one.

    Raises
    ------
    InputError
        When none is named, none runs and none is configured.
    """
    file = user_file()
    settings = load(file).settings if file is not None else None
    places = {}
    if settings is not None:
        places[settings.desk.name] = place_of(settings.desk.name, settings.desk.socket_dir)
    for known in ("main", DEMO, name):
        if known and known not in places:
            places[known] = place_of(known)
    if name:
        return name, places[name].socket
    for desk, place in places.items():
        if listens(place.socket):
            return desk, place.socket
    if settings is not None:
        return settings.desk.name, places[settings.desk.name].socket
    raise InputError("expected a running desk, was none; name one with --desk to leave a kill file")


def tell(path: Path, intent: Kill) -> Reply:
    """Send one intent and return the desk's reply.

    Raises
    ------
    OSError
        When no desk answers in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ANSWER_S)
        line.connect(str(path))
        line.sendall(frame(encode(Ask(number=1, intent=intent))))
        deframer = Deframer()
        while data := line.recv(65536):
            for payload in deframer.feed(data):
                message = decode_to_terminal(payload)
                if isinstance(message, Reply) and message.number == 1:
                    return message
    raise ConnectionError("it closed the line")


def leave_file(desk: str, reason: str) -> Path:
    """Write the kill file of a desk, 0600, and return its path."""
    file = kill_file(desk)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        stream.write(f"{reason}\n")
    return file
