from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from perptui.model import jobs
from perptui.model.account import Account
from perptui.model.errors import OrderStateUnknown, PerptuiError, RateLimited
from perptui.model.instrument import instrument_id, split_id
from perptui.model.limit import LimitCheck
from perptui.model.market import Bar, Quote
from perptui.model.order import LegState
from perptui.model.record import Record


class _Nested(Record, frozen=True):
    rows: tuple[tuple[float, ...], ...] = ()
    by_name: dict[str, float] = msgspec.field(default_factory=dict)


class _Loose(Record, frozen=True):
    value: object


class _Own(float):
    pass


class _Exact(Decimal):
    pass


NAN = float("nan")


@pytest.mark.parametrize(
    "bad",
    [
        *(_Own("nan"), _Exact("NaN"), Decimal("sNaN"), Decimal("-Infinity")),
        *((1, NAN), (1.0, NAN), (None, NAN), (Decimal(1), Decimal("NaN"))),
        *(("a", {"b": NAN}), {"a": (1.0, NAN)}, ((), (NAN,)), (_Loose(1), NAN), (2.0, None, NAN)),
    ],
    ids=repr,
)
def test_what_is_not_finite_is_found_wherever_it_stands(bad: object) -> None:
    with pytest.raises(ValueError, match=r"finite _Loose\.value"):
        _Loose(bad)


def test_what_is_finite_or_no_number_is_let_through() -> None:
    good: tuple[object, ...] = (
        None,
        "NaN",
        True,
        10**400,
        1.5,
        Decimal(1),
        _Own(2),
        _Exact(3),
        (),
        {},
        {"a": ()},
    )
    for value in (*good, good, (1.5, 2.5), (_Loose(1), _Loose(2)), LegState.OPEN):
        assert _Loose(value).value is value


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_no_record_holds_what_is_not_finite(bad: float) -> None:
    with pytest.raises(ValueError, match=r"finite LimitCheck\.value"):
        LimitCheck(name="gross", value=bad, limit=3.0, ok=False)
    with pytest.raises(ValueError, match=r"finite _Nested\.rows"):
        _Nested(rows=((0.25, bad),))
    with pytest.raises(ValueError, match=r"finite _Nested\.by_name"):
        _Nested(by_name={"a": bad})
    with pytest.raises(ValueError, match=r"finite Quote\.mark"):
        Quote(id="v:A/B:B", ts_ms=5, mark=Decimal(bad))


def test_nan_is_refused_while_decoding_too() -> None:
    raw = msgspec.msgpack.encode(
        {"ts_ms": 7, "open": float("nan"), "high": 2, "low": 1, "close": 2, "volume": 3}
    )
    with pytest.raises(msgspec.ValidationError, match="finite"):
        msgspec.msgpack.decode(raw, type=Bar)


def test_records_cannot_be_changed() -> None:
    check = LimitCheck(name="gross", value=1.5, limit=3.0, ok=True)
    with pytest.raises(AttributeError):
        check.value = 2.5  # type: ignore[misc]


def test_ids_name_the_venue_and_resolve_its_alias() -> None:
    assert instrument_id("binance", "BTC/USDT:USDT") == "binanceusdm:BTC/USDT:USDT"
    assert split_id("binance:BTC/USDT:USDT") == ("binanceusdm", "BTC/USDT:USDT")
    with pytest.raises(ValueError, match="venue:BASE/QUOTE:SETTLE"):
        split_id("BTCUSDT")


def test_an_account_is_named_by_venue_and_sub_account() -> None:
    account = Account(
        venue="bybit",
        name="main",
        collateral="USDT",
        ts_ms=9,
        wallet_usd=Decimal(5),
        equity_usd=Decimal(7),
    )
    assert account.key == "bybit"
    assert msgspec.structs.replace(account, name="carry").key == "bybit/carry"
    assert msgspec.structs.replace(account, collateral="BTC").key == "bybit(BTC)"


def test_jobs_survive_the_wire() -> None:
    series = jobs.BarSeries(
        venue="binanceusdm",
        venue_symbol="BTCUSDT",
        kind="1h",
        bars=(Bar(ts_ms=3, open=1.5, high=2.5, low=1.25, close=2.0, volume=7.5),),
    )
    request = jobs.JobRequest(number=4, job=jobs.AppendHistory(series=(series,)))
    assert jobs.decode_request(jobs.encode(request)) == request
    reply = jobs.JobReply(number=4, result=jobs.HistoryReach(last_ms={"a": 3}), seconds=0.5)
    assert jobs.decode_reply(jobs.encode(reply)) == reply


def test_errors_say_what_the_caller_should_do() -> None:
    assert RateLimited("expected quiet", "-1003", until_ms=77).until_ms == 77
    unknown = OrderStateUnknown("expected an id", "-1007")
    assert isinstance(unknown, PerptuiError)
    assert unknown.code == "-1007"
