"""What every command says of bad input: one line with its cure, and nothing else."""

import pytest

from perptui.cli.app import run


def refusal(capsys: pytest.CaptureFixture[str], command: list[str]) -> str:
    """Run a command that must be refused; return its one line."""
    assert run(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.removesuffix("\n").isprintable()
    return err
