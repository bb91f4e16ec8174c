"""Sockets of our own: what they replace, what they never touch, what they leave behind."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from perptui.model.errors import InputError
from perptui.settings.sockets import BoundSocket, closed_to_us, remove_stale


@pytest.fixture
def path() -> Path:
    return Path(os.environ["XDG_RUNTIME_DIR"]) / "own.sock"


def left_behind(path: Path) -> None:
    """A socket of a process that was killed."""
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    assert path.is_socket()


def test_it_is_bound_with_its_mode_and_goes_when_removed(path: Path) -> None:
    bound = BoundSocket(path, 0o660)
    assert stat.S_IMODE(path.lstat().st_mode) == 0o660
    bound.listener.listen()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    bound.listener.close()
    bound.remove()
    assert not os.path.lexists(path)


def test_a_socket_on_which_nobody_answers_is_replaced(path: Path) -> None:
    left_behind(path)
    before = path.lstat().st_ctime_ns
    bound = BoundSocket(path, 0o600)
    assert path.lstat().st_ctime_ns > before
    bound.listener.close()
    bound.remove()


@pytest.mark.parametrize("link", [False, True])
def test_a_file_is_never_removed(path: Path, link: bool) -> None:
    precious = path.with_name("precious") if link else path
    precious.write_text("kept")
    if link:
        path.symlink_to(precious)
    with pytest.raises(InputError, match=r"was a file at .*; choose another path"):
        BoundSocket(path, 0o600)
    assert path.read_text() == "kept"
    assert path.is_symlink() == link


@pytest.mark.parametrize("clients", [0, 3])
def test_a_socket_that_is_listened_on_is_never_taken_over(path: Path, clients: int) -> None:
    """Also with its queue full of clients that nobody accepted yet."""
    bound = BoundSocket(path, 0o600)
    bound.listener.listen(1)
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(clients)]
    for client in waiting:
        client.setblocking(False)
        client.connect_ex(str(path))
    with pytest.raises(InputError, match="was a process; end it"):
        BoundSocket(path, 0o600)
    assert path.is_socket()
    for client in waiting:
        client.close()
    bound.listener.close()
    bound.remove()


def test_what_another_process_put_in_its_place_stays(path: Path) -> None:
    bound = BoundSocket(path, 0o600)
    bound.listener.close()
    path.unlink()
    other = BoundSocket(path, 0o600)
    bound.remove()
    assert path.is_socket()
    other.listener.close()
    other.remove()
    assert not path.exists()


def test_a_place_that_cannot_be_had_is_refused_with_the_cure(path: Path) -> None:
    with pytest.raises(InputError, match=r"No such file or directory.*choose a path"):
        BoundSocket(path.parent / "absent" / "own.sock", 0o600)
    remove_stale(path)
    assert not path.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="it takes root to be another user")
def test_a_socket_of_a_group_that_one_is_not_in_is_closed_and_not_absent() -> None:
    folder = Path(tempfile.mkdtemp(prefix="pt-", dir="/tmp"))
    path = folder / "crew.sock"
    bound = BoundSocket(path, 0o600)
    try:
        found = [closed_to_us(path), closed_to_us(folder / "none.sock")]
        folder.chmod(0o711)
        found += as_another(path)
        folder.chmod(0o700)
        found += as_another(path)
    finally:
        bound.remove()
        bound.listener.close()
        folder.rmdir()
    assert found == [False, False, True, True]


def as_another(path: Path) -> list[bool]:
    os.seteuid(61_005)
    try:
        return [closed_to_us(path)]
    finally:
        os.seteuid(0)
