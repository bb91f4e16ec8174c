import json
from pathlib import Path

import msgspec
import pytest

from perptui.cli.app import run
from perptui.cli.estimated import report_of
from perptui.history.dataset import History
from perptui.model.clock import parse_iso
from perptui.model.jobs import EstimateJob
from perptui.model.report import EstimateReport
from perptui.quant.estimate import estimate
from tests.cli.refused import refusal
from tests.quant.markets import BALANCED, BOTH, instrument, market, snapshot

AT = "2024-08-05T12:34:56Z"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    market(History(root), BOTH, 70)
    return root


def command(data: Path, *more: str) -> list[str]:
    fixed = ("strategy.balanced.horizon_days=14.0", "strategy.tactical.horizon_days=2.0")
    sets = [part for text in fixed for part in ("--set", text)]
    return ["estimate", "--data", str(data), "--at", AT, *sets, *more]


def test_json_holds_every_key_that_was_promised(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command(data, "--venues", "binance,bybit", "--json")) == 0
    out, err = capsys.readouterr()
    assert "drift" in err
    report = json.loads(out)
    assert report["as_of"] == AT
    assert list(report["regime"]["probabilities"]) == ["calm", "normal", "stress", "crisis"]
    assert sum(report["regime"]["probabilities"].values()) == pytest.approx(1.0)
    assert [row["id"] for row in report["instruments"]] == [
        "binanceusdm:BTC/USDT:USDT",
        "binanceusdm:ETH/USDT:USDT",
        "bybit:BTC/USDT:USDT",
    ]
    row = report["instruments"][0]
    assert set(row["expected_return"]) >= {"d1", "d7", "d30", "blend", "horizon", "horizon_sd"}
    assert set(row["funding"]) >= {"rate", "interval_h", "apr", "horizon_mean", "horizon_sd"}
    assert set(row["volatility_annual"]) >= {"ewma", "realised", "combined"}
    assert row["funding"]["apr"] == pytest.approx(row["funding"]["rate"] * 3 * 365)
    assert [len(line) for line in report["correlation"]] == [3, 3, 3]
    assert msgspec.json.decode(out, type=EstimateReport).horizon_days == 14.0


def test_what_is_held_earns_its_carry(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = tmp_path / "book.json"
    held = {"id": "binance:BTC/USDT:USDT", "contracts": "-20000", "entry_price": "60000"}
    book.write_text(json.dumps([held]))
    more = ("--venues", "binance,bybit", "--positions", str(book), "--equity", "500000", "--json")
    assert run(command(data, *more)) == 0
    short, _, elsewhere = json.loads(capsys.readouterr().out)["instruments"]
    funding = short["funding"]
    # A short receives f at each of three settlements a day; large, for cents are rounded.
    mark = float(funding["carry_usd_day"]) / (20_000 * funding["rate"] * 24 / funding["interval_h"])
    assert 1 < mark < 1_000_000
    spans = {term["span"]: term for term in funding["term"]}
    assert float(spans["7d"]["carry_usd"]) == pytest.approx(
        20_000 * mark * spans["7d"]["mean"], 1e-3
    )
    assert float(spans["7d"]["carry_sd_usd"]) == pytest.approx(
        20_000 * mark * spans["7d"]["sd"], 1e-3
    )
    assert elsewhere["funding"]["carry_usd_day"] is None
    rates = {row["funding"]["apr"]: row for row in (short, elsewhere)}
    best = "binanceusdm" if max(rates) == funding["apr"] else "bybit"
    assert funding["best_venue"] == best


def test_the_same_question_has_the_same_answer(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = []
    for strategy in ("balanced", "balanced", "tactical"):
        assert run(command(data, "--strategy", strategy, "--json")) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1] != answers[2]
    assert json.loads(answers[2])["horizon_days"] == 2.0


def test_the_table_is_for_a_person(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command(data)) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{AT}   horizon 14 days\nregime ")
    assert "binanceusdm:BTC/USDT:USDT" in out
    assert "correlation" in out
    assert "69 days of history" in out
    assert "bybit" not in out


@pytest.mark.parametrize(
    ("changes", "cure"),
    [
        (["--at", "yesterday"], "write it like"),
        (["--strategy", "bold"], "balanced, hybrid, tactical"),
        (["--data", "/nowhere/at/all"], "name one with history"),
        (["--venues", "atlantis"], "mend --venues"),
        (["--at", "2019-01-01T00:00Z"], "another --at"),
        (["--at", "2024-06-10T00:00Z"], "at least 30 days"),
        (["--horizon", "3"], "--help"),
    ],
)
def test_bad_input_is_one_line_with_its_cure(
    data: Path, capsys: pytest.CaptureFixture[str], changes: list[str], cure: str
) -> None:
    assert cure in refusal(capsys, command(data, *changes))


def test_a_universe_holds_the_most_liquid_and_says_so(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command(data, "--venues", "binance,bybit", "--universe", "1", "--json")) == 0
    report = msgspec.json.decode(capsys.readouterr().out, type=EstimateReport)
    assert run(["universe", "--data", str(data), "--at", AT, "--size", "1", "--json",
                "--venues", "binance,bybit"]) == 0  # fmt: skip
    members = json.loads(capsys.readouterr().out)["members"]
    assert [row.id for row in report.instruments] == members
    assert any(note.startswith("universe of 1: 1 of 3 contracts") for note in report.notes)
    kinds = {one.series.rpartition("USDT-")[2] for one in report.cleaning}
    assert kinds == {"1h", "funding"}
    assert all(one.rows == one.kept > 0 for one in report.cleaning)
    assert run(command(data, "--universe", "none")) == 2
    assert "write it as 8" in capsys.readouterr().err


def test_a_market_too_young_for_a_universe_is_refused(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["estimate", "--data", str(data), "--at", "2024-06-20T00:00Z", "--universe", "3"]
    assert run(at) == 2
    assert "see `perptui universe` for the reasons" in capsys.readouterr().err


@pytest.mark.unmeasured
@pytest.mark.history
def test_a_real_day_is_estimated(history_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["estimate", "--data", str(history_dir), "--at", "2022-11-09T00:00Z", "--json"]
    assert run([*at, "--venues", "binance,bybit", "--strategy", "tactical"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["instruments"]) == 15
    assert report["regime"]["label"] in {"stress", "crisis"}
    volatility = {row["id"]: row["volatility_annual"]["realised"] for row in report["instruments"]}
    assert volatility["binanceusdm:SOL/USDT:USDT"] > volatility["binanceusdm:BTC/USDT:USDT"] > 0.5


def test_the_next_rate_a_year_is_for_its_interval_not_for_the_hours_left(data: Path) -> None:
    at_ms = parse_iso("2024-08-05T07:59:00Z")
    shot = snapshot([instrument("binanceusdm", "BTC")], at_ms)
    found = estimate(EstimateJob(shot, BALANCED), History(data))
    (row,) = found.instruments
    soon = row.funding.term[0]
    assert soon.hours == pytest.approx(1 / 60)
    due = msgspec.structs.replace(soon, hours=0.0)
    funding = msgspec.structs.replace(row.funding, term=(due, *row.funding.term[1:]))
    now = msgspec.structs.replace(
        found, instruments=(msgspec.structs.replace(row, funding=funding),)
    )
    for estimates in (found, now):
        spans = report_of(estimates, shot, "balanced").instruments[0].funding.term
        assert spans[0].apr == pytest.approx(soon.mean * 3 * 365)
        assert spans[1].apr == pytest.approx(row.funding.term[1].mean * 365)
