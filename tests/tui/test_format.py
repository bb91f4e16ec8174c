from decimal import Decimal

import pytest

from perptui.tui import format as figures


@pytest.mark.parametrize(
    ("value", "digits", "sign", "shown"),
    [
        (Decimal("1219200"), 0, False, "1,219,200"),
        (Decimal("-1940"), 0, True, "−1,940"),
        (357000.4, 0, True, "+357,000"),
        (Decimal("-0.4"), 0, True, "0"),
        (0.0, 1, True, "0.0"),
        (-126.39, 1, True, "−126.4"),
        (None, 2, True, "·"),
    ],
)
def test_number_has_thousands_and_a_true_sign(
    value: Decimal | float | None, digits: int, sign: bool, shown: str
) -> None:
    assert figures.number(value, digits, sign=sign) == shown


@pytest.mark.parametrize(
    ("write", "value", "shown"),
    [
        (figures.short_money, Decimal(404310), "404.3k"),
        (figures.short_money, Decimal(1204000), "1.204M"),
        (figures.short_money, Decimal(-870), "−870"),
        (figures.short_money, 123_456_789, "123.5M"),
        (figures.price, Decimal("97844.2"), "97,844.2"),
        (figures.price, Decimal("214.88"), "214.880"),
        (figures.price, Decimal("0.00001234"), "0.0000123400"),
        (figures.price, Decimal(0), "0"),
        (figures.rate, 0.000310, "+0.0310%"),
        (figures.rate, -0.000045, "−0.0045%"),
        (figures.multiple, 3.0155, "3.02x"),
        (figures.weight, -0.4457, "−.446"),
        (figures.weight, 1.042, "+1.042"),
        (figures.probability, 0.86, ".86"),
        (figures.percent, -0.44, "−44.0"),
    ],
)
def test_a_figure_is_written_in_its_unit(write: object, value: object, shown: str) -> None:
    assert callable(write)
    assert write(value) == shown
    assert write(None) == "·"


@pytest.mark.parametrize(
    ("seconds", "shown", "short"),
    [
        (2.9, "2 s", "2s"),
        (119.0, "119 s", "119s"),
        (121.0, "2 min", "2m"),
        (3 * 3600.0, "3 h", "3h"),
        (4 * 86400.0 + 5, "4 d", "4d"),
        (-3.0, "0 s", "0s"),
        (None, "·", "·"),
    ],
)
def test_age_is_in_its_largest_unit(seconds: float | None, shown: str, short: str) -> None:
    assert figures.age(seconds) == shown
    assert figures.short_age(seconds) == short


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (235_000, "3:55"),
        (59_900, "0:59"),
        (3 * 3_600_000 + 55 * 60_000 + 29_000, "3:55:29"),
        (3 * 86_400_000, "3 d"),
        (-1, "now"),
        (None, "·"),
    ],
)
def test_countdown(milliseconds: int | None, shown: str) -> None:
    assert figures.countdown(milliseconds) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (3.02, "x", "3.02x"),
        (0.88, "x", ".88x"),
        (0.046, "fraction", "4.6%"),
        (0.61, "annual", "61.0%"),
        (12_175.29, "fraction", ">+999%"),
        (-11.0, "fraction", "<−999%"),
        (500000.0, "usd", "500,000"),
        (14.85, "usd_day", "+14.8"),
        (None, "x", "·"),
    ],
)
def test_a_limit_is_written_in_its_unit(value: float | None, unit: str, shown: str) -> None:
    assert figures.in_unit(value, unit) == shown


def test_words_stand_beside_signs() -> None:
    assert [figures.side(n) for n in (Decimal("0.1"), -2, 0)] == ["LONG", "SHORT", "FLAT"]
    assert [figures.arrow(n) for n in (3, -3, 0, None)] == ["▲", "▼", " ", " "]


def test_times_of_another_day_name_the_day() -> None:
    noon = 1_773_489_600_000  # 2026-03-14T12:00:00Z
    assert figures.since(noon - 3_600_000, noon) == "11:00"
    assert figures.since(noon - 86_400_000, noon) == "13 Mar 12:00"
    assert figures.since(None, noon) == "·"
    assert figures.clock_time(None) == "·"


def test_venues_have_their_names() -> None:
    assert figures.venue("binanceusdm") == "binance"
    assert figures.venue("bybit", short=True) == "byb"
    assert figures.known_venues("margin binanceusdm") == "margin binance"


def test_contracts_have_their_short_names_in_words() -> None:
    words = "half-spread assumed: binanceusdm:BTC/USDT:USDT, bybit:1000PEPE/USDC:USDC"
    assert figures.named(words) == "half-spread assumed: BTC binance, 1000PEPE bybit"
    assert figures.named("binanceusdm:SOL/USDT:USDT: unsteady") == "SOL binance: unsteady"
    assert figures.named("why: 24 h at 12:04, 3/5 days") == "why: 24 h at 12:04, 3/5 days"


def test_p_values_keep_what_matters_of_them() -> None:
    shown = [figures.p_value(value) for value in (None, 0.0004, 0.0032, 0.031, 0.42, 1.0)]
    assert shown == ["·", "<.001", ".003", ".03", ".42", "1.00"]
