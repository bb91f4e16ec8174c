import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perptui.cli.app import run
from perptui.model.report import ProposeReport
from perptui.settings.paths import resource
from tests.quant.market import written

AT = "2023-05-20T00:30Z"
BTC = "binanceusdm:BTC/USDT:USDT"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("history")
    written(root, ("binanceusdm", "bybit"))
    return root


def arguments(history: Path, *more: str, **changed: str) -> list[str]:
    options = {"data": str(history), "at": AT, "equity": "250000", "strategy": "balanced"} | changed
    return ["propose", *(word for name, value in options.items() for word in (f"--{name}", value)),
            *more]  # fmt: skip


def answer(capsys: pytest.CaptureFixture[str], argv: list[str]) -> dict[str, Any]:
    assert run(argv) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    found: dict[str, Any] = json.loads(captured.out)
    return found


def test_json_is_one_object_with_the_promised_keys(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, arguments(data, "--json", "--venues", "binance,bybit"))
    msgspec.convert(found, ProposeReport)
    assert found["as_of"] == "2023-05-20T00:30:00Z"
    assert found["status"] == "ok"
    assert found["equity_usd"] == "250000"
    assert [set(row) for row in found["instruments"]] == [
        {
            "id", "weight_now", "weight_target", "weight_rounded", "expected_return", "carry_apr",
            "volatility_annual",
        }
    ] * 6  # fmt: skip
    order = found["orders"][0]
    assert set(order) == {"id", "side", "contracts", "notional_usd", "limit_price", "reduce_only"}
    assert all(isinstance(order[key], str) for key in ("contracts", "notional_usd", "limit_price"))
    assert all(Decimal(order["contracts"]) > 0 for order in found["orders"])
    assert all(one["ok"] for one in found["limits"])
    assert set(found["risk"]) == {"volatility_annual", "gross", "net", "margin_ratio"}
    gross = sum(abs(row["weight_rounded"]) for row in found["instruments"])
    assert found["risk"]["gross"] == pytest.approx(gross)
    assert found["solver"]["status"] == "optimal"
    assumed = found["assumptions"]
    assert assumed["equity_usd"] == {"binanceusdm": "125000", "bybit": "125000"}
    assert {one["id"] for one in assumed["instruments"]} == {
        row["id"] for row in found["instruments"]
    }
    assert assumed["table_date"] == "2025-06-30"
    assert len(found["digest"]) == 64


def test_the_digest_repeats_and_the_seconds_do_not_enter_it(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = answer(capsys, arguments(data, "--json"))
    two = answer(capsys, arguments(data, "--json"))
    assert one["digest"] == two["digest"]
    del one["solver"]["seconds"], two["solver"]["seconds"]
    assert one == two


def test_positions_are_read_signed_from_numbers_or_text(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "positions.json"
    file.write_text(
        '[{"id": "binance:BTC/USDT:USDT", "contracts": -0.25, "entry_price": "31000.5"},'
        ' {"id": "binanceusdm:SOL/USDT:USDT", "contracts": "300", "entry_price": 20}]'
    )
    found = answer(capsys, arguments(data, "--json", "--positions", str(file)))
    now = {row["id"]: row["weight_now"] for row in found["instruments"]}
    assert now[BTC] < 0 < now["binanceusdm:SOL/USDT:USDT"]
    assert now["binanceusdm:ETH/USDT:USDT"] == 0


def test_a_fixed_target_and_a_limit_can_be_set(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = arguments(
        data, "--json", "--set", "target:binance:BTC/USDT:USDT=0.2", "--set", "limits.gross_max=0.5"
    )
    found = answer(capsys, argv)
    btc = next(row for row in found["instruments"] if row["id"] == BTC)
    assert btc["weight_target"] == 0.2
    assert 0.19 < btc["weight_rounded"] <= 0.2
    assert next(one for one in found["limits"] if one["name"] == "gross")["limit"] == 0.5


def test_infeasible_is_an_answer_with_its_reason(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = arguments(data, "--json", "--set", f"target:{BTC}=0.95")
    found = answer(capsys, argv)
    assert found["status"] == "infeasible" == found["solver"]["status"]
    assert found["orders"] == []
    assert "coin_net:BTC would have to be 0.95 (limit 0.8)" in found["reasons"][0]
    assert any(reason.startswith("hold") for reason in found["reasons"])
    assert any(reason.startswith("reduce-only") for reason in found["reasons"])


def test_without_json_a_person_can_read_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(data)) == 0
    text = capsys.readouterr().out
    report = answer(capsys, arguments(data, "--json"))
    assert text.startswith("balanced at 2023-05-20T00:30:00Z   equity 250000 USD   ok")
    assert f"digest {report['digest']}" in text
    assert f"limits: {len(report['limits'])} of {len(report['limits'])} kept" in text
    for order in report["orders"]:
        assert order["limit_price"] in text
    assert max(map(len, text.splitlines())) <= 120
    assert run(arguments(data, "--set", f"target:{BTC}=0.95")) == 0
    refused = capsys.readouterr().out
    assert "no orders" in refused
    assert "would have to be" in refused


def test_another_config_brings_its_limits(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.toml"
    text = resource("config.toml").read_text().replace("gross_max = 3.0 ", "gross_max = 0.3 ")
    file.write_text(text)
    found = answer(capsys, arguments(data, "--json", "--config", str(file)))
    assert next(one for one in found["limits"] if one["name"] == "gross")["limit"] == 0.3
    assert found["risk"]["gross"] <= 0.3


def refusal(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    assert run(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    ("changed", "more", "text"),
    [
        ({"equity": "-5"}, (), "expected a positive amount for --equity, was '-5'; give USD"),
        ({"equity": "nan"}, (), "expected a positive amount for --equity"),
        ({"equity": "much"}, (), "expected a positive amount for --equity"),
        ({"at": "yesterday"}, (), "expected an ISO 8601 instant for --at, was 'yesterday'"),
        ({"at": "2019-01-01T00:00Z"}, (), "found none; choose another --at"),
        ({"strategy": "bold"}, (), "expected a strategy among balanced, tactical, was 'bold'"),
        ({"data": "/nowhere/at/all"}, (), "expected a directory for --data"),
        ({}, ("--venues", "binance,kraken"), "among binance, bybit, was kraken"),
        ({}, ("--venues", ","), "was none; mend --venues"),
        ({}, ("--positions", "/nowhere.json"), "readable --positions file"),
        ({}, ("--set", "target:BTC=0.1"), "expected --set target:ID=WEIGHT"),
        ({}, ("--set", f"target:{BTC}=much"), "expected --set target:ID=WEIGHT"),
        ({}, ("--set", "limits.gross=1"), "gross"),
        ({}, ("--set", "target:binance:DOGE/USDT:USDT=0.1"), "contract of the desk, was"),
        ({}, ("--sideways",), "see `perptui propose --help`"),
    ],
)
def test_bad_input_is_one_line_with_its_cure(
    data: Path,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    more: tuple[str, ...],
    text: str,
) -> None:
    assert text in refusal(capsys, arguments(data, "--json", *more, **changed))


ROW = '{{"id": "{id}", "contracts": {contracts}, "entry_price": {entry}}}'


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[", "expected JSON in"),
        ("{}", "expected a JSON list in"),
        ('[{"id": "x"}]', "to hold id, contracts and entry_price"),
        ("[3]", "to hold id, contracts and entry_price"),
        (f"[{ROW.format(id=BTC, contracts='NaN', entry='1')}]", "finite numbers in --positions"),
        (f"[{ROW.format(id=BTC, contracts='true', entry='1')}]", "a number for contracts"),
        (f"[{ROW.format(id=BTC, contracts='null', entry='1')}]", "a number for contracts"),
        (f"[{ROW.format(id=BTC, contracts='1', entry='0')}]", "positive entry_price"),
        (f"[{ROW.format(id='BTCUSDT', contracts='1', entry='1')}]", "venue:BASE/QUOTE:SETTLE"),
        (
            f"[{ROW.format(id='binance:DOGE/USDT:USDT', contracts='1', entry='1')}]",
            "was binanceusdm:DOGE/USDT:USDT",
        ),
        (
            f"[{ROW.format(id=BTC, contracts='1', entry='1')},"
            f"{ROW.format(id=BTC, contracts='2', entry='1')}]",
            "expected one position of",
        ),
    ],
)
def test_malformed_positions_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, text: str
) -> None:
    file = tmp_path / "positions.json"
    file.write_text(content)
    assert text in refusal(capsys, arguments(data, "--json", "--positions", str(file)))


def test_a_binary_positions_file_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "positions.json"
    file.write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refusal(capsys, arguments(data, "--positions", str(file)))
