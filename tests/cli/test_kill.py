"""`perptui kill`: halting with and without a desk, and letting it go again."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perptui.cli.app import run
from perptui.client.launch import place_of
from perptui.protocol.frames import Ask, Deframer, Refused, Reply, decode_to_desk, encode, frame
from perptui.protocol.intents import Kill
from perptui.settings.paths import config_file, kill_file, known
from tests.desk.users import LISTENER, listening


@contextmanager
def desk(path: Path, answer: Reply | Refused) -> Iterator[list[Ask]]:
    """Answer one intent at `path`, and keep what was asked."""
    asked: list[Ask] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            line, _ = listener.accept()
            with line:
                deframer = Deframer()
                while not asked and (data := line.recv(65536)):
                    came = [decode_to_desk(payload) for payload in deframer.feed(data)]
                    asked.extend(message for message in came if isinstance(message, Ask))
                if asked:
                    line.sendall(frame(encode(answer)))

        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join(10)


def test_without_a_desk_the_file_is_left_and_said_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    place_of("main")
    assert run(["kill", "--desk", "main", "--reason", "smoke"]) == 0
    said = capsys.readouterr().err
    assert "no desk runs; main will start HALTED" in said
    assert "Errno" not in said
    assert kill_file("main").read_text() == "smoke\n"


@pytest.mark.parametrize("text", ["[limits]\ngross_max = 99\n", "[desk", "\xff"])
def test_a_mistake_in_the_configuration_keeps_nobody_from_halting(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The desk runs on with what it has read; whoever halts it may not know what was edited."""
    file = config_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode("latin-1"))
    path = place_of("main").socket
    with desk(path, Reply(1, ok=True, text="the desk is HALTED")) as asked:
        assert run(["kill", "--desk", "main", "--reason", "fire"]) == 0
    assert asked[0].intent == Kill(reason="fire", state="HALTED")
    shown = capsys.readouterr()
    assert (shown.out, "halting without it" in shown.err) == ("main: the desk is HALTED\n", True)
    path.unlink()
    assert run(["kill", "--desk", "main", "--reason", "smoke"]) == 0
    assert kill_file("main").read_text() == "smoke\n"


@pytest.mark.parametrize("name", ["nope", "..", "a/b"])
def test_an_unknown_desk_is_refused_and_leaves_no_folder(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["kill", "--desk", name]) == 2
    assert "correct --desk" in capsys.readouterr().err
    assert run(["audit", "verify", "--desk", name]) == 2
    assert not known(name)


def test_a_release_asks_the_desk_for_active(capsys: pytest.CaptureFixture[str]) -> None:
    path = place_of("main").socket
    with desk(path, Reply(1, ok=True, text="the desk is ACTIVE")) as asked:
        assert run(["kill", "--desk", "main", "--release", "--reason", "looked at it"]) == 0
    assert asked[0].intent == Kill(reason="looked at it", state="ACTIVE")
    assert capsys.readouterr().out == "main: the desk is ACTIVE\n"


def test_a_refused_release_says_why_and_leaves_no_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with desk(place_of("main").socket, Reply(1, ok=False, text="expected a second person")):
        assert run(["kill", "--desk", "main", "--release"]) == 1
    assert "expected a second person" in capsys.readouterr().err
    assert not kill_file("main").exists()


def test_a_desk_that_lets_this_user_not_in_is_halted_by_the_file_and_its_words_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with desk(place_of("main").socket, Refused("expected a user of desk main, was uid 7")):
        assert run(["kill", "--desk", "main", "--reason", "smoke"]) == 0
    said = capsys.readouterr().err
    assert "did not take it (expected a user of desk main, was uid 7); main will start" in said
    assert kill_file("main").read_text() == "smoke\n"


def test_what_answers_cannot_write_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with desk(place_of("main").socket, Reply(1, ok=True, text="\x1b[2Jthe desk\u202e is HALTED")):
        assert run(["kill", "--desk", "main"]) == 0
    assert capsys.readouterr().out == "main: \\x1b[2Jthe desk\\u202e is HALTED\n"


@pytest.mark.skipif(os.getuid() != 0, reason="it takes root to listen in another user's folder")
def test_another_users_socket_in_the_desks_place_is_not_believed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It would say that the desk is HALTED, and nothing would be."""
    path = place_of("main").socket
    with listening(path, uid=LISTENER):
        assert run(["kill", "--desk", "main", "--reason", "smoke"]) == 0
        assert run(["kill", "--desk", "main", "--release"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"was a process of uid {LISTENER}: it may be anybody's" in said.err
    assert kill_file("main").read_text() == "smoke\n"


def test_a_release_without_a_desk_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    place_of("main")
    assert run(["kill", "--desk", "main", "--release"]) == 2
    assert "start it, then release it" in capsys.readouterr().err
    assert not kill_file("main").exists()
    assert run(["kill", "--desk", "main", "--release", "--reducing"]) == 2
    assert "name one" in capsys.readouterr().err
