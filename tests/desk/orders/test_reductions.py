"""A reduction that leaves limits broken: proposal, ticket and gate say the same of it.

What only reduces and breaks no limit more may be sent, and is said to leave what it leaves; what
breaks a limit of the desk otherwise has no send path.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perptui.desk.orders.confirmation import positions_of
from perptui.desk.orders.gate import gate
from perptui.desk.orders.gate_input import GateInput
from perptui.model.errors import ConfirmationRefused, GateRefused
from perptui.model.limit import LimitCheck, Limits
from perptui.model.order import Effect, Side
from perptui.model.proposal import Proposal
from perptui.optimization.compose import compose
from perptui.optimization.rebalance import rebalance
from tests.desk.dealing import ADD_ETH, ALICE, REDUCE_BTC, Deal, proposal, settings_of
from tests.optimization.explain.random_books import RandomBook
from tests.optimization.market import LIMITS


def gate_input(book: RandomBook, made: Proposal, rules: Limits) -> GateInput:
    """Return what the gate is asked of a proposal when nothing else is wrong."""
    return GateInput(
        now_ms=book.snapshot.as_of_ms,
        legs=made.orders,
        ticket_legs=len(made.orders),
        ticket_notional_usd=Decimal(0),
        snapshot=book.snapshot,
        basis=book.snapshot,
        positions=positions_of(book.snapshot),
        limits=rules,
        stand="",
        kill_state="ACTIVE",
        unclean="",
        stale="",
        clock_offset_ms={"binanceusdm": 0, "bybit": 0},
        volume_usd_day={leg.id: 1e12 for leg in made.orders},
        volatility_annual={},
        day_notional_usd=Decimal(0),
        trader_notional_usd=Decimal(0),
        messages=(),
        rejections=0,
        mode="live",
        hosts={"binanceusdm": "h", "bybit": "h"},
        confirmed_hosts={"binanceusdm": "h", "bybit": "h"},
        books={},
        recent=(),
        unknown=(),
        daily_loss=0.0,
    )


def limits_refused(given_: GateInput) -> list[str]:
    return [one.reason for one in gate(given_) if one.reason.startswith(("limit", "book"))]


@pytest.mark.unmeasured
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 8))
def test_the_gate_says_what_the_proposal_says(seed: int, tight: int) -> None:
    """What may be sent passes; a leg turned into an addition to a book beyond gross does not."""
    book = RandomBook(seed, tight)
    book.targets = {}
    inputs = book.posed(reduce_only=True)
    made = compose(
        inputs, rebalance(inputs), book.snapshot, book.estimates, book.strategy, "digest"
    )
    if not made.orders:
        return
    rules = msgspec.structs.replace(LIMITS, **book.limits)
    asked = gate_input(book, made, rules)
    if made.exportable:
        assert limits_refused(asked) == []
    broken = {check.name for check in made.limits if not check.ok}
    assert set(made.stays_broken) <= broken
    first = made.orders[0]
    grown = msgspec.structs.replace(
        first,
        side=Side.SELL if first.side is Side.BUY else Side.BUY,
        effect=Effect.ADD,
        reduce_only=False,
        after=first.before + (first.before - first.after),
    )
    adding = msgspec.structs.replace(asked, legs=(grown, *made.orders[1:]))
    if len(made.orders) == 1 and not next(one for one in made.limits_now if one.name == "gross").ok:
        assert "limit:gross" in limits_refused(adding)


def leaving(*orders: Any, **changes: Any) -> Proposal:
    """Return a proposal that leaves the gross limit of 1 broken."""
    made = proposal(
        *orders,
        limits_now=(LimitCheck("gross", 1.94, 1.0, ok=False),),
        limits=(LimitCheck("gross", 1.29, 1.0, ok=False),),
        **changes,
    )
    return msgspec.structs.replace(made, digest="e" * 64)


def tight_deal(folder: Path) -> Deal:
    """Return a desk whose gross limit of 1 is broken, and no other."""
    loose = settings_of()
    rules = msgspec.structs.replace(
        loose.limits, gross_max=1.0, net_max=2.0, coin_net_max=2.0, coin_gross_max=2.0
    )
    return Deal(folder, settings=msgspec.structs.replace(loose, limits=rules))


@pytest.mark.asyncio
async def test_a_reduction_is_sent_with_the_words_of_what_stays_broken(tmp_path: Path) -> None:
    deal = tight_deal(tmp_path)
    await deal.trading.reconcile()
    made = deal.picture.take(leaving(REDUCE_BTC, stays_broken=("gross",)))
    view = await deal.trading.open_ticket(made, "send", ALICE, 120, 40)
    assert "REDUCTION: 1 LIMIT STAYS BROKEN: gross" in view.text
    await deal.confirm(view)
    await deal.trading.sent()
    assert deal.states() == ["FILLED"]


@pytest.mark.asyncio
async def test_a_breached_limit_has_no_send_path(tmp_path: Path) -> None:
    deal = tight_deal(tmp_path)
    await deal.trading.reconcile()
    adding = deal.picture.take(leaving(ADD_ETH))
    with pytest.raises(GateRefused) as refused:
        await deal.trading.open_ticket(adding, "send", ALICE, 120, 40)
    assert refused.value.reason == "limit:gross"
    aside = deal.picture.take(leaving(REDUCE_BTC, stays_broken=("gross",), exportable=False))
    with pytest.raises(ConfirmationRefused) as closed:
        await deal.trading.open_ticket(aside, "send", ALICE, 120, 40)
    assert closed.value.reason == "not_exportable"
    assert "PROPOSED" not in deal.kinds()
