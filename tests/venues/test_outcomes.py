"""Every row of each venue's table, on bodies in the venue's own form; and what must stay UNKNOWN.

The forms are those of ccxt's parsers, and of the answers that it quotes in its comments; what was
confirmed where stands in `perptui.venues.outcomes`.
"""

import importlib.util
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from perptui.model.errors import BadResponse
from perptui.model.order import Consequence, LegState, Side
from perptui.venues.classify import classify, silence_until_ms
from perptui.venues.outcomes import hyperliquid
from perptui.venues.outcomes.bybit import BYBIT
from perptui.venues.outcomes.hyperliquid import HYPERLIQUID, TEXTS
from perptui.venues.outcomes.okx import OKX
from perptui.venues.outcomes.table import VenueTable
from tests.venues.payloads import NOW_MS
from tests.venues.spoken import (
    CLIENT_ID,
    CLOID,
    INTENT,
    SPOKEN,
    VENUES,
    answered,
    binance_error,
    bybit_error,
    encoded,
    okx_error,
    state,
    statuses,
    words_of,
)


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
        {**binance_error("-2019"), "orderId": 7},
        {**binance_error("-2019"), "clientOrderId": CLIENT_ID, "status": "NEW"},
        {**binance_error("-2021"), "algoId": 7, "clientAlgoId": CLIENT_ID},
        [binance_error("-2019")],
        {"code": "-2019", "msg": "no"},
        {"code": 2019, "msg": "no"},
    ],
}


@pytest.mark.parametrize("venue", VENUES)
def test_an_answer_that_contradicts_itself_is_unknown(venue: str) -> None:
    for payload in CONTRADICTIONS[venue]:
        assert state(venue, SPOKEN[venue].status, payload) is LegState.UNKNOWN, payload


@pytest.mark.parametrize("venue", VENUES)
def test_a_throttled_answer_that_speaks_of_an_order_is_unknown(venue: str) -> None:
    spoken = SPOKEN[venue]
    for status in sorted(spoken.table.throttled_statuses):
        assert state(venue, status, spoken.taken) is LegState.UNKNOWN
        assert state(venue, status, b"<html>slow down</html>") is LegState.NOT_SENT
        for code in (*spoken.table.unsure, *spoken.table.duplicates):
            assert state(venue, status, spoken.error(code)) is LegState.UNKNOWN


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


@pytest.mark.parametrize(("name", "table"), [("okx", OKX), ("bybit", BYBIT)])
def test_every_code_stands_in_the_source_that_the_table_names(name: str, table: VenueTable) -> None:
    """Second source: ccxt's own file, as its module's docstring says."""
    spec = importlib.util.find_spec("ccxt")
    assert spec is not None
    assert spec.origin is not None
    text = Path(spec.origin).with_name(f"{name}.py").read_text()
    codes = {*table.rejected, *table.duplicates, *table.throttled_codes}
    assert [code for code in codes if f"'{code}'" not in text] == []
    unnamed = {code for code in table.unsure if f"'{code}'" not in text}
    assert unnamed == ({"-1", "429", "10000"} if name == "bybit" else set())
