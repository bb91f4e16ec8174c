import tomllib
from decimal import Decimal
from importlib import resources

import pytest

from perptui.model.clock import parse_iso
from perptui.model.errors import InputError
from perptui.risk.contract_rules import rules_table, table_of, tier_schedule
from perptui.risk.margin import maintenance

D = Decimal
TABLE = rules_table()
ROWS = [rules for venue in TABLE.contracts.values() for rules in venue.values()]
PRICES = ("0.0000123", "0.2", "1", "9.99", "137", "60000", "1234567")


def test_the_table_is_dated_and_says_where_it_comes_from() -> None:
    assert parse_iso(TABLE.date)
    assert "not fetched" in TABLE.source
    assert TABLE.venues == ("binanceusdm", "bybit")


@pytest.mark.parametrize("rules", ROWS, ids=lambda one: f"{one.venue}-{one.symbol}")
def test_every_row_is_consistent(rules: object) -> None:
    row = next(one for one in ROWS if one is rules)
    assert row.symbol == f"{row.coin}USDT"
    assert row.max_market <= row.max_limit
    assert row.max_limit % row.step == 0
    assert row.maker_fee < row.taker_fee
    assert not row.assumed
    leverages = [tier.max_leverage for tier in row.tiers]
    assert leverages == sorted(set(leverages), reverse=True)
    # Opening at the highest leverage must not be a liquidation.
    assert all(tier.rate < 1 / tier.max_leverage for tier in row.tiers)
    for before, after in zip(row.tiers, row.tiers[1:], strict=False):
        # MM is continuous where tiers meet, and the rates rise (method §11).
        below = before.rate * after.floor_usd - before.deduction_usd
        assert below == maintenance(after.floor_usd, row.tiers)
        assert after.rate > before.rate


def test_the_instrument_says_the_same_as_its_rules() -> None:
    rules = TABLE.rules("binanceusdm", "XRPUSDT")
    found = rules.instrument
    assert found.id == "binanceusdm:XRP/USDT:USDT"
    assert (found.venue_symbol, found.coin, found.settle) == ("XRPUSDT", "XRP", "USDT")
    assert (found.tick, found.step, found.max_contracts) == (
        rules.tick,
        rules.step,
        rules.max_limit,
    )
    assert (rules.price_decimals, rules.quantity_decimals) == (4, 1)
    assert found.tiers == rules.tiers


@pytest.mark.parametrize("price", PRICES)
@pytest.mark.parametrize("venue", TABLE.venues)
def test_an_unknown_contract_has_rules_of_its_price(venue: str, price: str) -> None:
    found, at = TABLE.rules(venue, "NEWUSDT", D(price)), D(price)
    assert found.assumed
    # Between a tenth of a basis point and one; between half a dollar and five.
    assert at / 100_000 < found.tick <= at / 10_000
    assert D("0.5") < found.step * at <= 5
    assert found.max_limit * at <= 100_000
    assert found.max_market <= found.max_limit
    assert found.max_limit % found.step == 0 == found.max_market % found.step
    assert found.taker_fee == TABLE.fees[venue]["taker_fee"]


def test_the_assumed_schedule_is_the_heaviest_at_every_notional() -> None:
    heavy = TABLE.cautious_tiers
    floors = {tier.floor_usd for row in ROWS for tier in row.tiers} | {t.floor_usd for t in heavy}
    for notional in sorted(floors | {floor + 1 for floor in floors} | {D(10) ** 10}):
        leverage = [t.max_leverage for t in heavy if t.floor_usd <= notional][-1]
        for row in ROWS:
            assert maintenance(notional, heavy) >= maintenance(notional, row.tiers)
            allowed = [t.max_leverage for t in row.tiers if t.floor_usd <= notional][-1]
            assert leverage <= allowed, (row.symbol, notional)
    assert all(row.half_spread <= TABLE.cautious["half_spread"] for row in ROWS)
    assert all(tier.rate < 1 / tier.max_leverage for tier in heavy)


@pytest.mark.parametrize(
    ("venue", "symbol", "price", "text"),
    [
        ("binanceusdm", "LUNAUSDT", None, "LUNAUSDT at binanceusdm; choose from ADAUSDT"),
        ("binanceusdm", "BTCUSDC", D(1), "BTCUSDC at binanceusdm"),
        ("binanceusdm", "USDT", D(1), "was USDT at"),
        ("kraken", "NEWUSDT", D(1), "NEWUSDT at kraken"),
        ("bybit", "NEWUSDT", D(0), "positive price of NEWUSDT, was 0"),
    ],
)
def test_what_has_no_rules_is_refused(
    venue: str, symbol: str, price: Decimal | None, text: str
) -> None:
    with pytest.raises(InputError, match=text):
        TABLE.rules(venue, symbol, price)


def test_tier_schedule_by_hand() -> None:
    tiers = tier_schedule([["0", "0.01", "20"], ["1000", "0.02", "10"]])
    assert (tiers[0].cap_usd, tiers[1].cap_usd) == (D(1000), None)
    assert tiers[1].deduction_usd == 10


def test_a_table_without_a_named_schedule_is_refused() -> None:
    text = (resources.files("perptui.risk") / "contract_rules.toml").read_text(encoding="utf-8")
    tree = tomllib.loads(text)
    assert table_of(tree) == TABLE
    del tree["tiers"]["bybit_btc"]
    with pytest.raises(KeyError, match="bybit_btc"):
        table_of(tree)
