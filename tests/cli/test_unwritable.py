"""A disk, a folder or a file that takes nothing at the start: one line with the cure, exit 2."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest

from perptui.cli import app
from perptui.client.launch import last_line

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_it_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    module = ModuleType("perptui.cli.demo")

    def fails(_: object) -> int:
        raise OSError(number, os.strerror(number), "/a/desk.lock")

    module.__dict__.update(add_arguments=lambda _: None, run=fails)
    monkeypatch.setitem(sys.modules, "perptui.cli.demo", module)
    assert app.run(["demo"]) == 2
    said = capsys.readouterr().err
    assert said == (
        f"perptui: expected to read and write /a/desk.lock, was {os.strerror(number)}; "
        "free space or mend it, then try again\n"
    )


def test_another_fault_of_the_system_is_no_disk_of_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("perptui.cli.demo")

    def fails(_: object) -> int:
        raise OSError(errno.EBADF, "a fault of ours")

    module.__dict__.update(add_arguments=lambda _: None, run=fails)
    monkeypatch.setitem(sys.modules, "perptui.cli.demo", module)
    with pytest.raises(OSError, match="a fault of ours"):
        app.run(["demo"])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte for all state."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def a_desk() -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "perptui", "desk"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.unmeasured
def test_a_desk_on_a_read_only_and_on_a_full_disk(small: Path) -> None:
    made = small / "perptui" / "main" / "history"
    made.mkdir(parents=True)
    for folder in (made, *made.parents[:2]):
        folder.chmod(0o700)
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    ended = a_desk()
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 2, "where to attach, and why not"
    assert "main/desk.lock, was Read-only file system; free space or mend it" in ended.stderr
    subprocess.run(["mount", "-o", "remount,rw", str(small)], check=True)
    (small / "desk.out").touch()
    assert "it said nothing" in last_line(small / "desk.out")
    ballast = os.open(small / "ballast", os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while os.write(ballast, bytes(4096)):
            continue
    os.close(ballast)
    ended = a_desk()
    assert ended.returncode == 2
    assert "was No space left on device; free space" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert last_line(small / "desk.out") == f"its disk is full: free space ({small})"
