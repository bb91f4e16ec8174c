import json
from pathlib import Path

import msgspec
import pytest

from perptui.cli.app import run
from perptui.cli.universe import UniverseReport
from perptui.history.dataset import History
from tests.cli.refused import refusal
from tests.quant.markets import BOTH, instrument, market, write_bars, write_funding
from tests.quant.markets import closes as prices

AT = "2024-08-05T12:34:56Z"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    history = History(root)
    market(history, BOTH, 70)
    late = instrument("binanceusdm", "SOL")
    write_bars(history, late, prices(9, 24 * 20))
    write_funding(history, late)
    return root


def command(data: Path, *more: str) -> list[str]:
    return ["universe", "--data", str(data), "--at", AT, "--venues", "binance,bybit", *more]


def test_json_says_who_is_in_and_why(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command(data, "--json", "--size", "1")) == 0
    out, err = capsys.readouterr()
    assert err == ""
    report = msgspec.json.decode(out, type=UniverseReport)
    assert (report.size, report.last_rank) == (1, 1)
    assert report.decided == "2024-08-05T00:00:00Z"
    assert report.members == (report.contracts[0].id,)
    assert report.contracts[0].reason == "rank 1: within 1"
    assert [row.rank for row in report.contracts] == [1, 2, 3, None]
    refused = report.contracts[-1]
    assert (refused.id, refused.member) == ("binanceusdm:SOL/USDT:USDT", False)
    assert refused.reason == "too young: 19 of 30 days"
    # 2,000 coins an hour; the median day of thirty.
    ranked = [row.volume_usd_day for row in report.contracts[:3]]
    assert ranked == sorted(ranked, reverse=True)


def test_the_table_is_for_a_person(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command(data)) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"universe at {AT}   decided 2024-08-05T00:00:00Z, next 2024-08-12")
    assert "enters within 8, stays within 12: 3 of 4 contracts" in out
    assert "rank 2: within 8" in out
    # Bars begin on 2024-05-27; the first Monday thirty days later is 2024-07-01.
    assert out.count("2024-07-01") == 3
    assert "too young: 19 of 30 days" in out


@pytest.mark.parametrize(
    ("changes", "cure"),
    [
        (["--size", "0"], "write it as 8"),
        (["--size", "eight"], "write it as 8"),
        (["--size", "-3"], "write it as 8"),
        (["--at", "noon"], "write it like"),
        (["--at", "2019-01-01T00:00Z"], "another --at"),
        (["--venues", "atlantis"], "mend --venues"),
        (["--data", "/nowhere/at/all"], "name one with history"),
    ],
)
def test_bad_input_is_one_line_with_its_cure(
    data: Path, capsys: pytest.CaptureFixture[str], changes: list[str], cure: str
) -> None:
    assert cure in refusal(capsys, command(data, *changes))


@pytest.mark.history
def test_the_real_universe_is_printed(
    history_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["universe", "--data", str(history_dir), "--at", "2024-08-05T12:00Z", "--size", "3"]
    assert run([*at, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert "binanceusdm:BTC/USDT:USDT" in report["members"]
    assert "binanceusdm:ETH/USDT:USDT" in report["members"]
    depths = {row["id"]: row["depth_usd"] for row in report["contracts"]}
    assert depths["binanceusdm:BTC/USDT:USDT"] > 1e6
    assert depths["binanceusdm:ADA/USDT:USDT"] is None
