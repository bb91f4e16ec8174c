"""Notes made shorter: nothing is lost but repetition."""

from __future__ import annotations

from perptui.desk.views.notes import condensed, merged_verdicts, model_words
from perptui.model.forecast import (
    FundingForecast,
    InstrumentForecast,
    ModelVolatility,
    ReturnForecast,
    VolatilityForecast,
)

BTC, ETH, SOL, XRP = (f"binanceusdm:{coin}/USDT:USDT" for coin in ("BTC", "ETH", "SOL", "XRP"))


def forecast(key: str, garch: str) -> InstrumentForecast:
    models = (
        ModelVolatility("ewma", 0.5, 1.0),
        ModelVolatility("garch", 0.5, 0.0, fallback=garch),
    )
    return InstrumentForecast(
        id=key,
        coin="BTC",
        venue="binanceusdm",
        mark=1.0,
        expected_return=0.0,
        expected_return_sd=0.1,
        drift=ReturnForecast(0.0, 0.0, 0.0, 0.0),
        funding=FundingForecast(0.0, 8.0, 0.0, 0.0, 0.01),
        volatility=VolatilityForecast(0.5, 0.5, 0.5, models),
        volume_usd_day=1e9,
        half_spread=1e-4,
    )


def test_one_line_says_what_many_contracts_share_and_the_range_of_its_figure() -> None:
    lines = [
        f"{BTC}: half-spread from bars: 1.0 bp",
        f"{ETH}: half-spread from bars: 1.2 bp",
        f"{SOL}: half-spread from bars: 10.5 bp",
        f"{XRP}: half-spread from bars: 2.0 bp",
        "drift left out: walk-forward",
        f"{SOL}: 61 days of history",
    ]
    assert condensed(lines, 5) == (
        "drift left out: walk-forward",
        "half-spread from bars: 1.0 to 10.5 bp: 4 contracts",
        f"61 days of history: {SOL}",
    )
    assert condensed(lines, 4)[1].endswith(": all 4 contracts")


def test_words_that_differ_in_two_figures_stay_apart() -> None:
    lines = [f"{BTC}: 3 h missing in 30 days", f"{ETH}: 4 h missing in 31 days"]
    assert condensed(lines, 2) == (
        f"3 h missing in 30 days: {BTC}",
        f"4 h missing in 31 days: {ETH}",
    )


def test_what_is_of_no_contract_is_kept_once() -> None:
    assert condensed(["no scenarios of losses: too short"] * 2, 3) == (
        "no scenarios of losses: too short",
    )


def test_a_model_silent_on_all_contracts_is_told_from_one_silent_on_some() -> None:
    everywhere = model_words([forecast(BTC, "60 of 500 days"), forecast(ETH, "71 of 500 days")])
    assert everywhere.silent == {"garch": "60 to 71 of 500 days"}
    assert everywhere.partial == ()
    somewhere = model_words([forecast(BTC, "60 of 500 days"), forecast(ETH, "")])
    assert somewhere.silent == {}
    assert somewhere.partial == (f"{BTC}: garch silent, 60 of 500 days",)


def test_models_silent_alike_share_a_verdict() -> None:
    words = ("har silent: 9 of 9 days", "x beats y", "gjr silent: 9 of 9 days")
    assert merged_verdicts(words) == ("har, gjr silent: 9 of 9 days", "x beats y")
