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
