import json
import stat
from pathlib import Path

import pytest

from perptui.cli.app import run
from perptui.settings.load import load
from perptui.settings.paths import config_file, resource


def test_init_writes_the_commented_file_and_never_over_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = config_file()
    assert run(["config", "init"]) == 0
    assert target.read_bytes() == resource("config.toml").read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    target.write_text(target.read_text().replace('name = "main"', 'name = "mine"'))
    assert run(["config", "init"]) == 2
    assert "overwrite it with --force" in capsys.readouterr().err
    assert 'name = "mine"' in target.read_text()
    assert run(["config", "init", "--force"]) == 0
    assert target.read_bytes() == resource("config.toml").read_bytes()


def test_show_prints_each_value_and_its_origin(capsys: pytest.CaptureFixture[str]) -> None:
    run(["config", "init"])
    capsys.readouterr()
    assert run(["config", "show", "--set", "limits.gross_max=2.5", "--set", "ui.theme=light"]) == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert rows["limits.gross_max"][1:] == ["2.5", "--set"]
    assert rows["ui.theme"][1:] == ['"light"', "--set"]
    line = 1 + config_file().read_text().splitlines().index(
        next(text for text in config_file().read_text().splitlines() if text.startswith("net_max"))
    )
    assert rows["limits.net_max"][1:] == ["1.0", f"{config_file()}:{line}"]
    assert rows["digest"][1] != load().settings.digest


def test_show_as_json_of_a_named_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(resource("config.toml").read_bytes())
    assert run(["config", "show", "--json", "--config", str(file)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["digest"] == load().settings.digest
    assert shown["values"]["desk.mode"]["value"] == "view"
    assert shown["values"]["desk.mode"]["origin"].startswith(f"{file}:")
    assert shown["values"]["limits.order_notional_max_usd"]["value"] == "500000"


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check"]) == 0
    assert "the shipped defaults" in capsys.readouterr().out
    broken = tmp_path / "broken.toml"
    broken.write_text("[limits]\ngross_max = 99\n")
    assert run(["config", "check", "--config", str(broken)]) == 2
    err = capsys.readouterr().err
    assert err == (
        f"perptui: limits.gross_max ({broken}:2): expected 0 to 10, was 99; choose a value in that "
        "range\n"
    )


def test_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "path"]) == 0
    assert capsys.readouterr().out == f"{config_file()}\n"
