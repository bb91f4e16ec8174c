import argparse
import os
import stat
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

from perptui.cli import app
from tests.cli.refused import refusal

HEAVY = {"numpy", "pandas", "pyarrow", "scipy", "cvxpy", "arch", "ccxt", "clarabel", "piqp"}


def run_in_process(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "perptui", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_command(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([flag]) == 0
    out = capsys.readouterr().out
    listed = {line.split()[0] for line in out.splitlines() if line.startswith("  ")}
    assert listed == set(app.COMMANDS)


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([flag]) == 0
    assert capsys.readouterr().out == f"perptui {version('perptui')}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dmo"], "perptui: expected a command, was 'dmo'; did you mean `perptui demo`?\n"),
        (["xyzzy"], "perptui: expected a command, was 'xyzzy'; see `perptui --help`\n"),
        (["schema"], "the following arguments are required: NAME; see `perptui schema --help`"),
        (["schema", "orders"], "see `perptui schema --help`"),
        (["config", "show", "--sett", "a=1"], "unrecognized arguments: --sett a=1"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refusal(capsys, arguments)


@pytest.mark.parametrize("writable", [True, False])
def test_what_nobody_expected_is_one_line_and_a_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    writable: bool,
) -> None:
    def broken(_: argparse.Namespace) -> int:
        raise ZeroDivisionError("secret\x1b[31m")

    module = ModuleType("perptui.cli.schema")
    vars(module).update(add_arguments=lambda _: None, run=broken)
    monkeypatch.setitem(sys.modules, "perptui.cli.schema", module)
    monkeypatch.setitem(sys.modules, "perptui.cli.desk", module)
    state = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    if writable:
        # One that an earlier run left open to others is closed to them.
        left = state / "perptui" / "crashes" / "schema.log"
        left.parent.mkdir(parents=True, mode=0o700)
        left.write_text("")
        left.chmod(0o644)
    else:
        state.write_text("a file stands where the directory would be")
    assert app.run(["schema"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(
        "perptui: expected `perptui schema` to end well, was ZeroDivisionError inside perptui; "
    )
    assert captured.err.removesuffix("\n").isprintable()
    assert "secret" not in captured.err
    if writable:
        file = state / "perptui" / "crashes" / "schema.log"
        assert captured.err.endswith(f"report it with {file}\n")
        assert "in broken\n" in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(ZeroDivisionError):
        app.run(["desk"])


def test_hidden_characters_and_long_arguments_leave_the_cure_in_sight(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert app.run(["propose\x1b[31m"]) == 2
    assert app.run(["x" * 5000]) == 2
    for line in capsys.readouterr().err.splitlines():
        assert line.isprintable()
        assert len(line) < 1200
        assert line.endswith("`perptui --help`") or "did you mean `perptui propose`?" in line


def test_a_commands_help_is_exit_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["schema", "--help"]) == 0
    assert "usage: perptui schema" in capsys.readouterr().out


def test_every_command_that_is_listed_can_be_asked_for_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command in app.COMMANDS:
        assert app.run([command, "--help"]) == 0
        assert f"usage: perptui {command}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["open", "--help"]])
def test_the_way_to_the_first_picture_loads_no_numerical_or_venue_library(
    arguments: list[str],
) -> None:
    program = (
        "import sys; from perptui.cli.app import run; "
        f"code = run({arguments!r}); "
        "sys.stderr.write(' '.join(name.partition('.')[0] for name in sys.modules)); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.split())
    assert "perptui" in loaded
    assert not loaded & HEAVY


def test_the_overview_needs_no_terminal_library_either() -> None:
    program = (
        "import sys; from perptui.cli.app import run; run(['--help']); "
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"textual", "rich", "asyncio"} & set(done.stderr.split())


def test_a_reader_that_goes_away_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "perptui", "schema", "propose"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_the_process_writes_files_for_its_owner_alone_and_no_core(tmp_path: Path) -> None:
    program = (
        "import os, resource, sys; sys.argv = ['perptui', '--version']; "
        "from perptui.__main__ import main; main(); "
        "mask = os.umask(0); print(oct(mask), resource.getrlimit(resource.RLIMIT_CORE)[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0o77 0"


def test_the_module_runs_as_a_program() -> None:
    done = run_in_process("dmo", cwd=Path(os.sep))
    assert done.returncode == 2
    assert done.stderr.endswith("did you mean `perptui demo`?\n")
