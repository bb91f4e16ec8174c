"""Arguments of `perptui simulate`; the process itself is tested with the simulator."""

import argparse
import os
import signal
import threading
from pathlib import Path

import pytest

from perptui.cli import simulate
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


def test_what_cannot_start_ends_with_one_line_and_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "absent" / "s.sock"
    assert simulate.run(parse("--socket", str(nowhere), "--book", "none")) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("perptui: the simulated venue cannot start: FileNotFoundError: ")


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
