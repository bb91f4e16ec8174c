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
    assert captured.err.removesuffix("\n").isprintable()
    return captured.err


@pytest.mark.parametrize(
    ("changed", "more", "text"),
    [
        ({"equity": "-5"}, (), "expected a positive amount for --equity, was '-5'; give USD"),
        ({"equity": "0"}, (), "expected a positive amount for --equity"),
        ({"equity": "nan"}, (), "expected a plain number for --equity"),
        ({"equity": "much"}, (), "expected a plain number for --equity"),
        ({"equity": "1_000"}, (), "expected a plain number for --equity, was '1_000'"),
        ({"equity": "\u0661\u0662"}, (), "expected a plain number for --equity"),
        ({"equity": "9" * 5000}, (), "; write it as 1000"),
        ({"equity": "1e30"}, (), "from 1e-12 to 1e+12 in size, was '1e30'; mend it"),
        ({"equity": "1e400"}, (), "in size, was '1e400'"),
        ({"equity": "1e999999999"}, (), "expected a plain number for --equity"),
        ({"data": ""}, (), "expected a path, was an empty argument; name one"),
        ({"data": "/x\x1b[31m"}, (), "was /x\\x1b[31m; name one with history"),
        ({}, ("--positions", ""), "expected a path"),
        ({}, ("--set", f"target:{BTC}=1_0"), "expected --set target:ID=WEIGHT"),
        ({"at": "yesterday"}, (), "expected an ISO 8601 instant for --at, was 'yesterday'"),
        ({"at": "2019-01-01T00:00Z"}, (), "found none; choose another --at"),
        ({"strategy": "bold"}, (), "a strategy among balanced, hybrid, tactical, was 'bold'"),
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


ESCAPE = "binance:X/\\u001b[31m"
ROW = '{{"id": "{id}", "contracts": {contracts}, "entry_price": {entry}}}'


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[", "expected JSON in"),
        ("{}", "expected a JSON list in"),
        ('[{"id": "x"}]', "to hold id, contracts and entry_price"),
        ("[3]", "to hold id, contracts and entry_price"),
        (f"[{ROW.format(id=BTC, contracts='NaN', entry='1')}]", "finite numbers in --positions"),
        (f"[{ROW.format(id=BTC, contracts='true', entry='1')}]", "plain number for contracts"),
        (f"[{ROW.format(id=BTC, contracts='null', entry='1')}]", "plain number for contracts"),
        (f"[{ROW.format(id=BTC, contracts='[1]', entry='1')}]", "plain number for contracts"),
        (f"[{ROW.format(id=BTC, contracts='1e30', entry='1')}]", "in size, was '1e30'; mend it"),
        (f"[{ROW.format(id=BTC, contracts='1e9999', entry='1')}]", "plain number for contracts"),
        (f"[{ROW.format(id=BTC, contracts='9' * 5000, entry='1')}]", "; write it as 1000"),
        (f"[{ROW.format(id=BTC, contracts='1', entry='1e30')}]", "in size, was '1e30'; mend it"),
        (f"[{ROW.format(id=BTC, contracts='0.00015', entry='1')}]", "in multiples of 0.001, was"),
        ("[" * 100_000, "nested too deeply"),
        (f'[{{"id": "{BTC}", "contracts": 1, "contracts": 2, "entry_price": 1}}]', "once in a"),
        (f"[{ROW.format(id=ESCAPE, contracts='1', entry='1')}]", "was binanceusdm:X/\\x1b[31m;"),
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


def test_a_byte_order_mark_is_no_part_of_the_positions(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "positions.json"
    file.write_bytes(b"\xef\xbb\xbf[]")
    assert answer(capsys, arguments(data, "--json", "--positions", str(file)))["status"] == "ok"


@pytest.mark.parametrize("equity", ["0.000000001", "0.01"])
def test_an_equity_too_small_for_any_order_trades_nothing(
    data: Path, capsys: pytest.CaptureFixture[str], equity: str
) -> None:
    argv = arguments(data, "--json", "--venues", "binance,bybit", equity=equity)
    found = answer(capsys, argv)
    assert found["status"] == "no_trade"
    assert found["orders"] == []
    assert found["reasons"][0].startswith("the smallest order is ")


def test_what_is_weak_or_left_out_is_said_in_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    (tmp_path / "binance" / "ETHUSDT-funding.parquet").unlink()
    (tmp_path / "binance" / "SOLUSDT-1h.parquet").unlink()
    notes = answer(capsys, arguments(tmp_path, "--json"))["assumptions"]["notes"]
    assert "left out: binanceusdm:ETH/USDT:USDT: no funding settled by then" in notes
    assert "left out: binanceusdm:SOL/USDT:USDT: no bars by then" in notes
    assert f"{BTC}: half-spread assumed: 1.0 bp" in notes
    assert run(["estimate", "--data", str(tmp_path), "--at", AT, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "binanceusdm:ETH/USDT:USDT: no funding settled by then" in found["left_out"]
    assert f"{BTC}: half-spread assumed: 1.0 bp" in found["notes"]


def test_a_binary_positions_file_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "positions.json"
    file.write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refusal(capsys, arguments(data, "--positions", str(file)))


def test_a_universe_keeps_what_is_held_beside_its_members(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = "binanceusdm:SOL/USDT:USDT"
    file = tmp_path / "positions.json"
    file.write_text(f"[{ROW.format(id=held, contracts='1', entry='25')}]")
    argv = arguments(data, "--json", "--universe", "1", "--positions", str(file))
    found = answer(capsys, argv)
    ids = {row["id"] for row in found["instruments"]}
    assert held in ids
    assert len(ids) <= 2
    (note,) = [text for text in found["assumptions"]["notes"] if text.startswith("universe of 1")]
    assert "1 of 3 contracts" in note
