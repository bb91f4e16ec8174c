"""Arguments of `perptui simulate`; the process itself is tested with the simulator."""

import argparse
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from perptui.cli import simulate
from perptui.cli.app import run
from perptui.model.errors import InputError


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    simulate.add_arguments(parser)
    return parser.parse_args(arguments)


def test_defaults_are_the_demonstration() -> None:
    args = parse("--socket", "s")
    assert (args.wire, args.data, args.book, args.speed) == ("binanceusdm", "", "demo", 1.0)
    assert args.port is None


@pytest.mark.parametrize("equity", ["-5", "0", "much", "NaN", "Infinity"])
def test_equity_must_be_dollars(equity: str) -> None:
    with pytest.raises(InputError, match="above 0 for --equity"):
        simulate.run(parse("--socket", "s", "--equity", equity))


def test_it_serves_until_it_is_told_to_stop(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(os.environ["XDG_RUNTIME_DIR"]) / "s.sock"
    stop = threading.Timer(2.5, os.kill, (os.getpid(), signal.SIGTERM))
    stop.start()
    assert simulate.run(parse("--socket", str(path), "--equity", "1000", "--book", "none")) == 0
    stop.join()
    assert capsys.readouterr().out == f"ready {path}\n"
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (["--port", "99999"], "expected --port from 1 to 65535, was 99999; give another"),
        (["--port", "-1"], "expected --port from 1 to 65535, was -1; give another"),
        (["--seed", "-1"], "expected --seed of 0 or above, was -1; give another"),
        (["--socket", "/absent/x.sock"], "choose a path in a directory of your own"),
        (["--data", "/absent"], "/absent"),
    ],
)
def test_bad_options_are_one_line_with_the_cure_and_code_2(
    arguments: list[str], cure: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "s.sock")
    assert run(["simulate", "--socket", path, "--book", "none", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert cure in err
    assert not Path(path).exists()


def test_a_port_in_use_is_refused_with_the_cure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s.sock"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run(["simulate", "--socket", str(path), "--book", "none", "--port", port]) == 2
    err = capsys.readouterr().err
    assert f"expected port {port} of 127.0.0.1 to be free" in err
    assert "choose another --port" in err
    assert err.count("\n") == 1
    assert not path.exists()


def test_a_file_in_the_sockets_place_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("kept")
    assert run(["simulate", "--socket", str(path), "--book", "none"]) == 2
    assert "was a file" in capsys.readouterr().err
    assert path.read_text() == "kept"


def test_a_damaged_parameter_file_ends_with_one_line_and_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "market_parameters.toml").write_text("[factor\nbeta = ]", encoding="utf-8")
    monkeypatch.setattr("perptui.simulator.market_generated.resources.files", lambda _: tmp_path)
    assert simulate.run(parse("--socket", str(tmp_path / "s.sock"))) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "TOMLDecodeError" in err
