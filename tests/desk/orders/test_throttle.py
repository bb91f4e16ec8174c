"""The message throttle: counted from the journal, with a budget of its own for cancels."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perptui.desk.orders.throttle import Message, cancels_left, messages_of, order_wait_s
from perptui.journal.journal import Journal
from tests.desk.dealing import DESK, REDUCE_BTC, REDUCE_ETH, Deal
from tests.desk.market import NOW_MS, VENUE, limits

RULES = msgspec.structs.replace(
    limits(), messages_per_second=5, messages_per_minute=60, cancels_reserved=20
)


def orders(*ages_ms: int) -> tuple[Message, ...]:
    return tuple(Message(VENUE, NOW_MS - age) for age in ages_ms)


def cancels(*ages_ms: int) -> tuple[Message, ...]:
    return tuple(Message(VENUE, NOW_MS - age, cancel=True) for age in ages_ms)


@pytest.mark.parametrize(
    ("sent", "wait_s"),
    [
        ((), 0.0),
        (orders(*[1000] * 5), 0.0),
        (orders(600, 500, 400, 300), 0.0),
        (orders(600, 500, 400, 300, 200), 0.4),
        (orders(*range(59_000, 29_000, -500)), 1.0),
        (orders(*range(60_000, 30_000, -500)), 0.0),
        # Cancels count within the second, not within the minute.
        ((*orders(600, 500, 400), *cancels(300, 200)), 0.4),
        ((*orders(*range(59_000, 29_500, -500)), *cancels(*range(2_000, 22_000, 1_000))), 0.0),
        # What is stamped ahead of now, by a clock that was set back, counts.
        (orders(*[-5_000] * 5), 6.0),
        (tuple(Message("bybit", NOW_MS) for _ in range(60)), 0.0),
    ],
)
def test_how_long_an_order_waits(sent: tuple[Message, ...], wait_s: float) -> None:
    assert order_wait_s(sent, VENUE, NOW_MS, RULES) == pytest.approx(wait_s)


@pytest.mark.parametrize("name", ["messages_per_second", "messages_per_minute"])
def test_a_throttle_of_nothing_lets_nothing_through(name: str) -> None:
    for most in (0, -1):
        none = msgspec.structs.replace(RULES, **{name: most})
        assert order_wait_s((), VENUE, NOW_MS, none) == math.inf


@given(st.lists(st.integers(0, 70_000), max_size=80), st.integers(0, 40))
def test_orders_never_use_up_what_is_kept_for_cancels(ages: list[int], canceled: int) -> None:
    sent = (*orders(*ages), *cancels(*[30_000] * canceled))
    assert cancels_left(sent, VENUE, NOW_MS, RULES) == max(0, 20 - canceled)
    assert cancels_left(sent, "bybit", NOW_MS, RULES) == 20


@pytest.mark.asyncio
async def test_a_desk_that_starts_anew_forgets_no_message(tmp_path: Path) -> None:
    deal = Deal(tmp_path)
    await deal.deal(REDUCE_BTC, REDUCE_ETH)
    before = messages_of(deal.journal, deal.clock.utc_ms())
    assert [(one.venue, one.cancel) for one in before] == [(VENUE, False)] * 2
    path = deal.journal.path
    deal.journal.close()
    again = Journal.open(
        path, desk="main", account="main", clock=deal.clock, actor=DESK, version="0"
    )
    assert messages_of(again, deal.clock.utc_ms()) == before
    assert messages_of(again, deal.clock.utc_ms() + 60_001) == ()
    again.close()
