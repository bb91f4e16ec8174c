"""Every row of each venue's table, on bodies in the venue's own form; and what must stay UNKNOWN.

The forms are those of the venues' documentation (sources in `perptui.venues.outcomes`) and of the
answers that ccxt quotes in its comments.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.model.errors import BadResponse
from perptui.model.order import Consequence, Effect, LegState, OrderIntent, OrderReport, Side
from perptui.venues.classify import classify, silence_until_ms
from perptui.venues.markets_binance import name_contracts
from perptui.venues.outcomes import bybit, hyperliquid, okx
from perptui.venues.outcomes.binance import BINANCE
from perptui.venues.outcomes.bybit import BYBIT
from perptui.venues.outcomes.hyperliquid import HYPERLIQUID, TEXTS
from perptui.venues.outcomes.okx import OKX
from perptui.venues.outcomes.table import VenueTable
from perptui.venues.parse_account import acknowledgement
from perptui.venues.transport import Exchange
from perptui.venues.wire_binance import ExchangeInfo, decode
from tests.venues import payloads
from tests.venues.payloads import NOW_MS

CLIENT_ID = payloads.CLIENT_ID
CLOID = "0x" + "0a" * 16
INTENT = OrderIntent(
    id=payloads.BTC,
    side=Side.BUY,
    effect=Effect.REDUCE,
    contracts=Decimal(1),
    notional_usd=Decimal(64600),
    limit_price=Decimal(64700),
    mark_price=Decimal(64600),
    reduce_only=True,
    before=Decimal(-1),
    after=Decimal(0),
)


def binance_error(code: str, text: str = "as documented") -> Any:
    return {"code": int(code), "msg": text}


def bybit_error(code: str, text: str = "as documented") -> Any:
    return {
        "retCode": int(code),
        "retMsg": text,
        "result": {},
        "retExtInfo": {},
        "time": NOW_MS,
    }


def okx_error(code: str, text: str = "as documented") -> Any:
    if code.startswith("50"):
        return {"code": code, "data": [], "msg": text}
    item = {"clOrdId": CLIENT_ID, "ordId": "", "sCode": code, "sMsg": text, "tag": "", "ts": "1"}
    return {
        "code": "1",
        "data": [item],
        "inTime": "1",
        "msg": "All operations failed",
        "outTime": "2",
    }


def statuses(*items: Any) -> Any:
    return {"status": "ok", "response": {"type": "order", "data": {"statuses": list(items)}}}


def words_of(name: str) -> str:
    """Return a text that a pattern was written for: the documentation's, numbers filled in."""
    return {
        "Tick": "Price must be divisible by tick size. asset=84",
        "MinTradeNtl": "Order must have minimum value of $10. asset=4",
        "PerpMargin": "Insufficient margin to place order. asset=84",
        "ReduceOnly": "Reduce only order would increase position. asset=4",
        "BadAloPx": (
            "Post only order would have immediately matched, bbo was 1831.8@1831.9. asset=4"
        ),
        "IocCancel": "Order could not immediately match against any resting orders. asset=4",
        "BadTriggerPx": "Invalid TP/SL price. asset=4",
        "MarketOrderNoLiquidity": "No liquidity available for market order.",
        "PositionIncreaseAtOpenInterestCap": (
            "Order would increase open interest while open interest is capped"
        ),
        "TooAggressiveAtOpenInterestCap": (
            "Order rejected due to price more aggressive than oracle while at open interest cap"
        ),
        "OpenInterestIncrease": "Order would increase open interest too quickly",
        "Oracle": "Order price too far from oracle",
        "PerpMaxPosition": (
            "Order would cause position to exceed margin tier limit at current leverage"
        ),
        "MissingOrder": "Order was never placed, already canceled, or filled. asset=4",
        "UnknownSigner": (
            "User or API Wallet 0xb8a6f8b26223de27c31938d56e470a5b832703a5 does not exist."
        ),
        "TooManyRequests": (
            "Too many cumulative requests sent (37986 > 10436) for cumulative volume traded "
            "$437.92. Place taker orders to free up 1 request per USDC traded."
        ),
    }[name]


WHOLE_REQUEST = {"UnknownSigner", "TooManyRequests"}


def hyperliquid_error(code: str, text: str = "") -> Any:
    words = words_of(code)
    if code in WHOLE_REQUEST:
        return {"status": "err", "response": words}
    return statuses({"error": words})


def binance_names() -> Any:
    info = decode(json.dumps(payloads.exchange_info()).encode(), ExchangeInfo)
    market = {"id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "linear": True}
    return name_contracts(info, [market], None)[0]


NAMES = binance_names()


class Spoken(NamedTuple):
    """A venue as it speaks: its table, its errors, and how it takes our order."""

    table: VenueTable
    status: int
    error: Callable[..., Any]
    taken: Any
    acknowledge: Callable[[bytes], OrderReport]
    unknown: Any


SPOKEN = {
    "binance": Spoken(
        BINANCE,
        400,
        binance_error,
        {**payloads.order(), "clientOrderId": CLIENT_ID},
        lambda body: acknowledgement(body, INTENT, CLIENT_ID, NAMES, NOW_MS),
        binance_error("-9999"),
    ),
    "bybit": Spoken(
        BYBIT,
        200,
        bybit_error,
        {
            "retCode": 0,
            "retMsg": "OK",
            "result": {"orderId": "1321003749386327552", "orderLinkId": CLIENT_ID},
            "retExtInfo": {},
            "time": NOW_MS,
        },
        lambda body: bybit.acknowledgement(body, INTENT, CLIENT_ID, NOW_MS),
        bybit_error("999999"),
    ),
    "okx": Spoken(
        OKX,
        200,
        okx_error,
        {
            "code": "0",
            "data": [
                {
                    "clOrdId": CLIENT_ID,
                    "ordId": "312269865356374016",
                    "sCode": "0",
                    "sMsg": "Order placed",
                    "tag": "",
                    "ts": "1695190491421",
                }
            ],
            "inTime": "1695190491421339",
            "msg": "",
            "outTime": "1695190491423240",
        },
        lambda body: okx.acknowledgement(body, INTENT, CLIENT_ID, NOW_MS),
        okx_error("59999"),
    ),
    "hyperliquid": Spoken(
        HYPERLIQUID,
        200,
        hyperliquid_error,
        statuses({"filled": {"totalSz": "1", "avgPx": "64650.5", "oid": 77747314, "cloid": CLOID}}),
        lambda body: hyperliquid.acknowledgement(body, INTENT, CLOID, NOW_MS),
        statuses({"error": "Some words that nobody documented. asset=4"}),
    ),
}
VENUES = sorted(SPOKEN)


def encoded(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def answered(status: int, payload: Any, **headers: str) -> Exchange:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Exchange(
        method="POST",
        host="venue",
        path="/order",
        sent=True,
        status=status,
        headers=named,
        body=encoded(payload),
        complete=True,
        received_ms=NOW_MS,
    )


def state(venue: str, status: int, payload: Any) -> LegState:
    spoken = SPOKEN[venue]
    return classify(answered(status, payload), spoken.acknowledge, spoken.table).state


def rows(kind: str) -> list[tuple[str, str]]:
    return [
        (venue, code) for venue in VENUES for code in sorted(getattr(SPOKEN[venue].table, kind))
    ]


@pytest.mark.parametrize(("venue", "code"), rows("rejected"))
def test_a_definite_no_in_the_venues_own_form(venue: str, code: str) -> None:
    spoken = SPOKEN[venue]
    exchange = answered(spoken.status, spoken.error(code))
    outcome = classify(exchange, spoken.acknowledge, spoken.table)
    assert (outcome.state, outcome.code) == (LegState.REJECTED, code)
    assert outcome.text.startswith(spoken.table.rejected[code])
    asked = Consequence.SYNC if code in spoken.table.clock else Consequence.NONE
    assert outcome.consequence is (Consequence.HALT if code in spoken.table.key else asked)


@pytest.mark.parametrize(("venue", "code"), rows("unsure") + rows("duplicates"))
def test_a_word_that_does_not_tell_is_unknown(venue: str, code: str) -> None:
    spoken = SPOKEN[venue]
    exchange = answered(spoken.status, spoken.error(code))
    outcome = classify(exchange, spoken.acknowledge, spoken.table)
    assert (outcome.state, outcome.code) == (LegState.UNKNOWN, code)
    assert outcome.text.startswith(spoken.table.meaning(code))


@pytest.mark.parametrize(("venue", "code"), rows("throttled_codes"))
def test_a_throttled_order_was_not_sent(venue: str, code: str) -> None:
    assert state(venue, SPOKEN[venue].status, SPOKEN[venue].error(code)) is LegState.NOT_SENT


@pytest.mark.parametrize("venue", VENUES)
def test_an_order_that_was_taken_is_acknowledged_by_its_names(venue: str) -> None:
    spoken = SPOKEN[venue]
    outcome = classify(answered(200, spoken.taken), spoken.acknowledge, spoken.table)
    assert outcome.state is LegState.ACKED
    report = outcome.report
    assert report is not None
    assert report.venue_order_id
    assert (report.id, report.side, report.contracts) == (INTENT.id, Side.BUY, Decimal(1))
    assert report.client_id == (CLOID if venue == "hyperliquid" else CLIENT_ID)


def swapped(payload: Any, old: str, new: str) -> bytes:
    text = json.dumps(payload)
    assert old in text
    return text.replace(old, new).encode()


NOT_OURS = {
    "binance": [(CLIENT_ID, "pt" + "ff" * 15), ('"BUY"', '"SELL"')],
    "bybit": [
        (CLIENT_ID, "pt" + "ff" * 15),
        ('"1321003749386327552"', '""'),
        ('"retCode": 0', '"retCode": 1'),
        ('"retCode": 0', '"retCode": 110007'),
    ],
    "okx": [
        (CLIENT_ID, "pt" + "ff" * 15),
        ('"312269865356374016"', '""'),
        ('"sCode": "0"', '"sCode": "51008"'),
        ('"code": "0"', '"code": "1"'),
    ],
    "hyperliquid": [
        (CLOID, "0x" + "ff" * 16),
        (f', "cloid": "{CLOID}"', ""),
        ('"oid": 77747314', '"oid": 0'),
        ('"totalSz": "1"', '"totalSz": "1.5"'),
        ('"totalSz": "1"', '"totalSz": "NaN"'),
        ('"ok"', '"err"'),
    ],
}


@pytest.mark.parametrize("venue", VENUES)
def test_an_answer_that_is_not_of_our_order_is_unknown(venue: str) -> None:
    for old, new in NOT_OURS[venue]:
        body = swapped(SPOKEN[venue].taken, old, new)
        assert state(venue, 200, body) is LegState.UNKNOWN, (old, new)


GARBAGE = [
    b"",
    b"null",
    b"{}",
    b"[]",
    b"[{}]",
    b'"ok"',
    b"0",
    b"NaN",
    b"<html><body>502 Bad Gateway</body></html>",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"code": null}',
    b'{"retCode": null}',
    b'{"retCode": "110007", "retMsg": "no"}',
    b'{"retCode": 110007.5}',
    b'{"code": 51008, "data": [], "msg": ""}',
    b'{"code": "1", "data": [], "msg": ""}',
    b'{"code": "1", "data": [{"sCode": 51008}], "msg": ""}',
    b'{"code": "51008", "data": [{"sCode": "51008", "ordId": "7"}], "msg": ""}',
    b'{"status": "ok"}',
    b'{"status": "ok", "response": "ok"}',
    b'{"status": "ok", "response": {"type": "order", "data": {"statuses": []}}}',
    b'{"status": "unknownOid"}',
]


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("status", [200, 201, 302, 400, 401, 403, 404, 500, 502, 503])
def test_garbage_is_unknown_whatever_its_status(venue: str, status: int) -> None:
    taken, error = (encoded(x) for x in (SPOKEN[venue].taken, SPOKEN[venue].unknown))
    cut_off = [taken[:-1], taken[: len(taken) // 2], error[:-1]]
    for body in (*GARBAGE, *cut_off):
        assert state(venue, status, body) is LegState.UNKNOWN, body[:80]


@pytest.mark.parametrize("venue", VENUES)
def test_a_word_that_no_table_has_is_unknown_under_any_status(venue: str) -> None:
    for status in range(200, 600):
        if status not in SPOKEN[venue].table.throttled_statuses:
            assert state(venue, status, SPOKEN[venue].unknown) is LegState.UNKNOWN


@pytest.mark.parametrize("venue", VENUES)
def test_a_definite_no_under_another_status_is_unknown(venue: str) -> None:
    spoken = SPOKEN[venue]
    code = sorted(spoken.table.rejected)[0]
    for status in (201, 302, 403, 408, 409, 500, 502, 503, 504):
        assert state(venue, status, spoken.error(code)) is LegState.UNKNOWN, status


CONTRADICTIONS = {
    "bybit": [
        {**bybit_error("110007"), "result": {"orderId": "1", "orderLinkId": CLIENT_ID}},
        b'{"retCode": 999999, "retMsg": "", "retCode": 110007}',
    ],
    "okx": [
        {**okx_error("51008"), "data": okx_error("51008")["data"] * 2},
        {**okx_error("51008"), "code": "0"},
        {**okx_error("51008"), "data": [{**okx_error("51008")["data"][0], "ordId": "7"}]},
        {**okx_error("51008"), "data": [{**okx_error("51008")["data"][0], "sCode": "0"}]},
        {**okx_error("51008"), "data": [{**okx_error("51008")["data"][0], "sCode": 51008}]},
        b'{"code": "1", "code": "50111", "data": [], "msg": ""}',
    ],
    "hyperliquid": [
        statuses({"error": words_of("Tick")}, {"resting": {"oid": 1, "cloid": CLOID}}),
        statuses({"error": words_of("Tick"), "resting": {"oid": 1, "cloid": CLOID}}),
        statuses({"error": "Note: " + words_of("Tick")}),
        statuses({"error": words_of("Tick") + " or so"}),
        statuses({"error": words_of("Tick") + "\n"}),
        statuses("waitingForTrigger"),
        statuses({"resting": {"oid": 1, "cloid": CLOID}, "filled": None, "error": "x"}),
        {"status": "err", "response": "Invalid nonce: duplicate nonce"},
        {"status": "err", "response": words_of("Tick") + words_of("Tick")},
    ],
    "binance": [
        b'{"code": -9999, "msg": "", "code": -2019}',
        [binance_error("-2019")],
        {"code": "-2019", "msg": "no"},
        {"code": 2019, "msg": "no"},
    ],
}


@pytest.mark.parametrize("venue", VENUES)
def test_an_answer_that_contradicts_itself_is_unknown(venue: str) -> None:
    for payload in CONTRADICTIONS[venue]:
        assert state(venue, SPOKEN[venue].status, payload) is LegState.UNKNOWN, payload


def test_a_resting_and_a_partly_filled_order_at_hyperliquid() -> None:
    rests = statuses({"resting": {"oid": 77738308, "cloid": CLOID}})
    report = hyperliquid.acknowledgement(encoded(rests), INTENT, CLOID, NOW_MS)
    assert (report.state, report.filled) == (LegState.OPEN, Decimal(0))
    assert report.average_price is None
    part = {"totalSz": "0.25", "avgPx": "64650.5", "oid": 7, "cloid": CLOID}
    report = hyperliquid.acknowledgement(encoded(statuses({"filled": part})), INTENT, CLOID, 1)
    assert (report.state, report.filled) == (LegState.PARTIAL, Decimal("0.25"))
    assert report.average_price == Decimal("64650.5")
    for payload in ({"status": "err", "response": "no"}, statuses({}), statuses()):
        with pytest.raises(BadResponse):
            hyperliquid.acknowledgement(encoded(payload), INTENT, CLOID, NOW_MS)


def test_okx_refuses_a_request_under_401_too() -> None:
    assert state("okx", 401, okx_error("50111", "Invalid OK-ACCESS-KEY")) is LegState.REJECTED


def test_bybit_says_when_its_limit_ends() -> None:
    exchange = answered(200, bybit_error("10006"), x_bapi_limit_reset_timestamp=str(NOW_MS + 700))
    outcome = classify(exchange, SPOKEN["bybit"].acknowledge, BYBIT)
    assert (outcome.state, outcome.until_ms) == (LegState.NOT_SENT, NOW_MS + 700)
    odd = answered(429, b"", x_bapi_limit_reset_timestamp="soon", retry_after="3")
    assert silence_until_ms(odd, BYBIT) == NOW_MS + 3000
    assert silence_until_ms(odd, OKX) == NOW_MS + 3000
    assert silence_until_ms(answered(429, b""), HYPERLIQUID) is None


@pytest.mark.parametrize("venue", VENUES)
def test_a_tables_lists_do_not_meet(venue: str) -> None:
    table = SPOKEN[venue].table
    lists = [
        set(table.rejected),
        set(table.unsure),
        set(table.duplicates),
        set(table.throttled_codes),
    ]
    assert len(set().union(*lists)) == sum(map(len, lists))
    assert table.clock | table.key <= set(table.rejected)
    assert not table.clock & table.key
    assert not table.throttled_statuses & table.definite_statuses
    assert table.meaning("no such code") == ""


def test_every_text_of_hyperliquid_is_in_its_table_and_matched_whole() -> None:
    assert set(TEXTS) == set(HYPERLIQUID.rejected) | HYPERLIQUID.throttled_codes
    for name in TEXTS:
        matched = [other for other in TEXTS if TEXTS[other].fullmatch(words_of(name))]
        assert matched == [name]


# ---------------------------------------------------------------- fuzz and monotony

DEFINITE = {LegState.ACKED, LegState.REJECTED}
LEVEL = {LegState.UNKNOWN: 0, LegState.NOT_SENT: 1, LegState.REJECTED: 1, LegState.ACKED: 1}
STATUSES = st.integers(100, 599)


@given(st.sampled_from(VENUES), STATUSES, st.binary(max_size=200))
def test_no_bytes_by_chance_are_an_answer(venue: str, status: int, body: bytes) -> None:
    assert state(venue, status, body) not in DEFINITE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["0", "ok"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "code",
                        "msg",
                        "retCode",
                        "result",
                        "data",
                        "sCode",
                        "ordId",
                        "status",
                        "response",
                    )
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(VENUES), STATUSES, JSON)
def test_no_json_by_chance_is_an_answer(venue: str, status: int, payload: Any) -> None:
    found = state(venue, status, payload)
    said = SPOKEN[venue].table.read(encoded(payload))
    assert found is not LegState.ACKED
    # A code of the table may be drawn; then it must be that code that was read.
    assert found is not LegState.REJECTED or (said and said.code in SPOKEN[venue].table.rejected)


@given(st.sampled_from(VENUES), STATUSES, st.integers(-(10**7), 10**7))
def test_a_number_that_is_no_code_of_the_table_is_never_a_no(
    venue: str, status: int, code: int
) -> None:
    table = SPOKEN[venue].table
    if str(code) in table.rejected or venue == "hyperliquid":
        return
    assert state(venue, status, SPOKEN[venue].error(str(code))) is not LegState.REJECTED


def less(exchange: Exchange, cut: int) -> list[Exchange]:
    """Return what would be known of `exchange` had less of it arrived."""
    body = exchange.body[: cut % (len(exchange.body) + 1)]
    part = msgspec.structs.replace(exchange, body=body, complete=False)
    whole = msgspec.structs.replace(exchange, complete=False)
    nothing = msgspec.structs.replace(exchange, status=None, body=b"", complete=False)
    return [whole, part, nothing]


@given(st.sampled_from(VENUES), STATUSES, st.data(), st.integers(0, 10_000))
def test_less_of_an_answer_is_never_more_definite(
    venue: str, status: int, data: st.DataObject, cut: int
) -> None:
    spoken = SPOKEN[venue]
    codes = sorted(set(spoken.table.rejected) | spoken.table.throttled_codes)
    drawn = data.draw(st.sampled_from(["taken", "unknown", *codes]))
    payload = {"taken": spoken.taken, "unknown": spoken.unknown}.get(drawn)
    whole = answered(status, spoken.error(drawn) if payload is None else payload)
    full = classify(whole, spoken.acknowledge, spoken.table).state
    for part in less(whole, cut):
        found = classify(part, spoken.acknowledge, spoken.table).state
        assert LEVEL[found] <= LEVEL[full]
        assert found in {full, LegState.UNKNOWN} or status in spoken.table.throttled_statuses
        assert found not in DEFINITE
