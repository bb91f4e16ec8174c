import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perptui.cli.app import run
from perptui.model.report import ProposeReport
from perptui.settings.paths import resource
from tests.cli.refused import refusal
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
    assert "coin_net:BTC 0.8x" in found["reasons"][0]
    assert "cannot hold together" in found["reasons"][0]
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
    assert "cannot hold together" in refused


def test_another_config_brings_its_limits(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.toml"
    text = resource("config.toml").read_text().replace("gross_max = 3.0 ", "gross_max = 0.3 ")
    file.write_text(text)
    found = answer(capsys, arguments(data, "--json", "--config", str(file)))
    assert next(one for one in found["limits"] if one["name"] == "gross")["limit"] == 0.3
    assert found["risk"]["gross"] <= 0.3


@pytest.mark.parametrize(
    ("changed", "more", "text"),
    [
        ({"equity": "-5"}, (), "expected a positive amount for --equity, was '-5'; give USD"),
        ({"equity": "0"}, (), "expected a positive amount for --equity"),
        ({"equity": "nan"}, (), "expected a plain number for --equity"),
        ({"equity": "much"}, (), "expected a plain number for --equity"),
        ({"equity": "1_000"}, (), "expected a plain number for --equity, was '1_000'"),
        ({"equity": "\u0661\u0662"}, (), "expected a plain number for --equity"),
        ({"equity": "9" * 5000}, (), "; write it like 1000 or 0.25"),
        ({"equity": "1e30"}, (), "from 1e-12 to 1e+12 in size, was '1e30'; mend it"),
        ({"equity": "1e400"}, (), "in size, was '1e400'"),
        ({"equity": "1e999999999"}, (), "expected a plain number for --equity"),
        ({"data": ""}, (), "expected a path, was an empty argument; name one"),
        ({"data": "/x\x1b[31m"}, (), "was /x\\x1b[31m; name one with history"),
        ({}, ("--positions", ""), "expected a path"),
        ({}, ("--set", f"target:{BTC}=1_0"), "expected a plain number for target:"),
        ({"at": "yesterday"}, (), "expected an ISO 8601 instant for --at, was 'yesterday'"),
        ({"at": "2019-01-01T00:00Z"}, (), "found none; choose another --at"),
        ({"strategy": "bold"}, (), "a strategy among balanced, hybrid, tactical, was 'bold'"),
        ({"data": "/nowhere/at/all"}, (), "expected a directory for --data"),
        ({}, ("--venues", "binance,kraken"), "among binance, bybit, was kraken"),
        ({}, ("--venues", ","), "was none; mend --venues"),
        ({}, ("--venues", "binance, binance"), "once in --venues, was 'binance' twice; drop one"),
        (
            {},
            ("--set", 'strategy.balanced.puts=[{coin="BTC"}]'),
            "a list of tables { coin, strike, expiry_ms, premium_usd, step, held }, was "
            "[{'coin': 'BTC'}]; table 1 lacks strike, expiry_ms, premium_usd",
        ),
        ({}, ("--set", 'strategy.balanced.puts=["BTC"]'), "; write table 1 as { coin, strike, "),
        (
            {},
            (
                "--set",
                'strategy.balanced.puts=[{coin="BTC",strike=9,expiry_ms=1,premium_usd=1,bid=1}]',
            ),
            "; table 1 knows no bid",
        ),
        ({}, ("--set", "stablecoin_min=1.3"), "expected stablecoin_min from 0 to 1, was 1.3"),
        ({}, ("--set", "stablecoin_min=1"), "stablecoin_min: expected below 1, was 1.0"),
        ({}, ("--set", "puts=1"), "--set as strategy.NAME.puts=VALUE"),
        ({}, ("--positions", "/nowhere.json"), "readable --positions file"),
        ({}, ("--set", "target:BTC=0.1"), "expected an instrument id"),
        ({}, ("--set", f"target:{BTC}=much"), "expected a plain number for target:"),
        ({}, ("--set", "limits.gross=1"), "gross"),
        ({}, ("--set", "target:binance:DOGE/USDT:USDT=0.1"), "contract of the desk, was"),
        ({}, ("--set", "gros_max=2"), "did you mean gross_max?"),
        ({}, ("--set", "net=1"), "did you mean net_min or net_max?"),
        ({}, ("--set", "gross_max"), "expected NAME=VALUE, was 'gross_max'"),
        ({}, ("--set", "gross_max=nan"), "expected a plain number for gross_max, was 'nan'"),
        ({}, ("--set", "gross_max=11"), "expected gross_max from 0 to 10, was 11"),
        ({}, ("--set", "uncertainty=11"), "expected uncertainty from 0 to 10, was 11"),
        ({}, ("--set", "net_min=2"), "limits.net_min: expected at most limits.net_max"),
        ({}, ("--set", "strategy=bold"), "a strategy among balanced, hybrid, tactical, was 'bold'"),
        ({}, ("--set", "regime=panic"), "expected regime one of calm, normal, stress, crisis"),
        ({}, ("--set", "shock:DOGE=-0.1"), "expected a contract or coin of the desk, was DOGE"),
        ({}, ("--set", "equity=0"), "expected a positive equity"),
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
        (
            f"[{ROW.format(id=BTC, contracts='9' * 5000, entry='1')}]",
            "; write it like 1000 or 0.25",
        ),
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


def sets(*texts: str) -> tuple[str, ...]:
    """Return the arguments that set each of `texts`."""
    return tuple(word for text in texts for word in ("--set", text))


def test_what_ifs_by_bare_names_are_those_of_config_by_dotted_ones(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ("gross_max=0.7", "stablecoin_min=0.8,0.8,0.8,0.9", "uncertainty=0")
    bare = answer(capsys, arguments(data, "--json", *sets(*texts)))
    dotted = sets(
        "limits.gross_max=0.7",
        "strategy.balanced.uncertainty=0",
        "strategy.balanced.stablecoin_min=[0.8, 0.8, 0.8, 0.9]",
    )
    configured = answer(capsys, arguments(data, "--json", *dotted))
    assert bare["what_if"] == list(texts)
    assert configured["what_if"] == []
    for key in ("instruments", "orders", "limits", "risk", "exportable"):
        assert bare[key] == configured[key]
    # What was asked differs, so what is signed does.
    assert bare["digest"] != configured["digest"]


def test_another_strategy_can_be_set(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bent = answer(capsys, arguments(data, "--json", *sets("strategy=tactical")))
    own = answer(capsys, arguments(data, "--json", strategy="tactical"))
    assert bent["strategy"] == "tactical"
    assert bent["exportable"] is True
    assert bent["instruments"] == own["instruments"]


@pytest.mark.parametrize(
    "text", ["regime=crisis", "equity=9e5", "shock=-0.1", "shock:BTC=0.1", "cost=3", "gross_max=4"]
)
def test_what_is_supposed_is_shown_with_the_reason_why_it_is_not_sent(
    data: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    found = answer(capsys, arguments(data, "--json", *sets(text)))
    assert found["exportable"] is False
    assert found["reasons"][0].startswith("shown, not sent: ")


def held(folder: Path) -> Path:
    """Write a book of 1.5 BTC, and 20 ETH and 300 SOL sold."""
    rows = (("BTC", "1.5", "30000"), ("ETH", "-20", "2000"), ("SOL", "-300", "25"))
    texts = (
        ROW.format(id=f"binanceusdm:{coin}/USDT:USDT", contracts=contracts, entry=entry)
        for coin, contracts, entry in rows
    )
    file = folder / "positions.json"
    file.write_text(f"[{','.join(texts)}]")
    return file


def test_an_explanation_adds_up(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = arguments(
        data, "--json", "--explain", "--positions", str(held(tmp_path)), *sets("gross_max=0.5")
    )
    found = answer(capsys, argv)
    msgspec.convert(found, ProposeReport)
    why = found["explain"]
    assert {row["id"] for row in why["ledger"]} == {row["id"] for row in found["instruments"]}
    for row in why["ledger"]:
        terms = ("alpha", "carry", "risk", "uncertainty", "cost", "limits")
        assert sum(row[term] for term in terms) == pytest.approx(row["residual"], abs=1e-6)
        assert abs(row["residual"]) < 1e-3
    prices = {row["name"]: row["price_usd_per_day"] for row in why["limits"]}
    assert prices["gross"] > 0
    for name in ("volatility_annual", "gross", "net", "margin_ratio"):
        assert why["after"][name] == found["risk"][name]
    equity = float(found["equity_usd"])
    now = sum(abs(row["weight_now"]) for row in found["instruments"])
    assert why["before"]["gross"] == pytest.approx(now)
    assert why["before"]["worst_account"] == "binanceusdm"
    assert why["clash"] == []
    (account,) = why["after"]["accounts"]
    assert float(account["equity_usd"]) == equity
    assert account["liquidation_down"] == why["after"]["liquidation_down"]
    ids = [row["id"] for row in found["instruments"] if row["weight_now"]]
    assert [row["id"] for row in why["before"]["positions"]] == sorted(ids)
    for row in why["before"]["positions"]:
        if row["liquidation_price"] is not None:
            away = float(row["mark"]) * (1.0 + row["liquidation_move"])
            assert row["liquidation_price"] == pytest.approx(away)
    assert why["reduction"] is None
    # What the limit is on is the robust one: the same as the limit's own row says.
    limited = next(row["value"] for row in found["limits"] if row["name"] == "volatility")
    assert why["after"]["robust_volatility_annual"] == pytest.approx(limited, rel=1e-9)
    assert why["after"]["robust_volatility_annual"] > why["after"]["volatility_annual"]


def test_the_price_of_a_limit_is_what_a_little_more_of_it_brings(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Central difference of the objective, in dollars a day, over one percent of the limit."""

    def told(most: float) -> dict[str, Any]:
        argv = arguments(data, "--json", "--explain", *sets(f"gross_max={most:.6f}"))
        explained: dict[str, Any] = answer(capsys, argv)["explain"]
        return explained

    price = {row["name"]: row for row in told(0.5)["limits"]}["gross"]["price_usd_per_day"]
    step = 0.0005
    up, down = told(0.5 + step), told(0.5 - step)
    difference = up["objective_usd_per_day"] - down["objective_usd_per_day"]
    assert price == pytest.approx(difference / (2 * step), rel=0.01)


def test_a_clash_names_a_relaxation_that_is_enough(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = f"target:{BTC}=0.95"
    found = answer(capsys, arguments(data, "--json", "--explain", *sets(fixed)))
    members = {row["name"]: row for row in found["explain"]["clash"]}
    assert set(members) == {"coin_net:BTC", f"target:{BTC}"}
    for member in members.values():
        mended = f"{member['setting']}={member['needed']}"
        texts = sets(mended) if member["setting"].startswith("target:") else sets(fixed, mended)
        assert answer(capsys, arguments(data, "--json", *texts))["status"] == "ok"


def test_an_explanation_can_be_read(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = ("--explain", "--positions", str(held(tmp_path)))
    assert run(arguments(data, *book, *sets("gross_max=0.5"))) == 0
    text = capsys.readouterr().out
    for words in (
        "what-if gross_max=0.5",
        "ledger, bp of equity a year",
        "limits that cost",
        "liquidation, prices down",
        "liquidation price, others as they are",
        "account binanceusdm: margin",
        "objective ",
    ):
        assert words in text
    assert [line for line in text.splitlines() if len(line) > 120] == []
    assert run(arguments(data, *book, *sets(f"target:{BTC}=0.95"))) == 0
    assert "clash coin_net:BTC: limit 0.8, needs" in capsys.readouterr().out
