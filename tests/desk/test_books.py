"""Order books of what is traded: fresh ones only, and what decides whose are read."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from perptui.desk.books import BookShelf
from perptui.model.clock import ManualClock
from perptui.model.market import Book
from perptui.venues.base import Reading
from tests.desk.market import BTC, ETH, NOW_MS, book_around


def reading(identifier: str, received_mono: float) -> Reading[Book]:
    return Reading(book_around(identifier, Decimal(100)), NOW_MS, received_mono, "book")


def test_a_book_counts_until_it_is_stale() -> None:
    """15 s: three intervals of five."""
    clock = ManualClock(NOW_MS)
    shelf = BookShelf(clock, 15.0)
    began = clock.monotonic()
    assert shelf.age_s(BTC) is None
    shelf.put(reading(BTC, began))
    clock.advance(10)
    shelf.put(reading(ETH, clock.monotonic()))
    assert shelf.age_s(BTC) == 10.0
    assert set(shelf.fresh()) == {BTC, ETH}
    clock.advance(5)
    assert set(shelf.fresh()) == {BTC, ETH}
    clock.advance(0.5)
    assert set(shelf.fresh()) == {ETH}
    assert shelf.age_s(BTC) is None


@pytest.mark.asyncio
async def test_books_are_waited_for_and_not_for_ever() -> None:
    clock = ManualClock(NOW_MS)
    shelf = BookShelf(clock, 15.0)
    waiting = asyncio.create_task(shelf.wait_for({BTC, ETH}, 5.0))
    for identifier in (BTC, ETH):
        await asyncio.sleep(0)
        assert not waiting.done()
        shelf.put(reading(identifier, clock.monotonic()))
    await asyncio.wait_for(waiting, 5.0)
    clock.advance(60)
    await shelf.wait_for({BTC}, 0.01)
    assert shelf.fresh() == {}


def test_the_newest_book_is_kept() -> None:
    clock = ManualClock(NOW_MS)
    shelf = BookShelf(clock, 15.0)
    shelf.put(reading(BTC, clock.monotonic()))
    clock.advance(14)
    shelf.put(reading(BTC, clock.monotonic()))
    clock.advance(14)
    assert set(shelf.fresh()) == {BTC}
