"""By chance nothing is an answer, and less of an answer is never more definite."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from perptui.model.order import LegState
from perptui.venues.classify import classify
from perptui.venues.transport import Exchange
from tests.venues.spoken import SPOKEN, VENUES, answered, encoded, state

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
