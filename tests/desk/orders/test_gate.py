"""The gate: each reason alone, from an input that passes; it never loosens."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given as drawn
from hypothesis import settings as tuned
from hypothesis import strategies as st

from perptui.desk.orders.gate import drawdown_stop, gate, throttle_wait
from perptui.desk.orders.gate_input import GateInput, SentOrder
from perptui.model.account import Position
from perptui.model.instrument import Instrument
from perptui.model.limit import Limits
from perptui.model.market import Quote
from perptui.model.order import Effect, OrderIntent, Side
from perptui.model.snapshot import MarketSnapshot
from tests.desk.dealing import ADD_ETH, FLIP_ETH, REDUCE_BTC, REDUCE_ETH, order
from tests.desk.market import (
    BTC,
    ETH,
    FUNDING,
    INSTRUMENTS,
    NOW_MS,
    QUOTES,
    VENUE,
    account,
    limits,
)

replace = msgspec.structs.replace
SNAPSHOT = MarketSnapshot(NOW_MS, INSTRUMENTS, QUOTES, FUNDING, (account(),))


def passing(*legs: OrderIntent) -> GateInput:
    """An input that nothing is wrong with: gross 1.94, net 0.66, equity 30,000."""
    legs = legs or (REDUCE_BTC, REDUCE_ETH)
    return GateInput(
        now_ms=NOW_MS,
        now_mono=1000.0,
        legs=legs,
        ticket_legs=len(legs),
        ticket_notional_usd=sum((leg.notional_usd for leg in legs), Decimal(0)),
        snapshot=SNAPSHOT,
        basis=SNAPSHOT,
        positions={BTC: Decimal("0.4"), ETH: Decimal(-6)},
        limits=replace(limits(), coin_net_max=2.0, coin_gross_max=2.0),
        stand="",
        kill_state="ACTIVE",
        unclean="",
        stale="",
        clock_offset_ms={VENUE: -2499},
        volume_usd_day={BTC: 1e10, ETH: 5e9},
        volatility_annual={},
        day_notional_usd=Decimal(0),
        sent_mono={},
        recent=(),
        unknown=(),
        daily_loss=0.0499,
    )


def reasons(given: GateInput) -> list[str]:
    return [refusal.reason for refusal in gate(given)]


def limited(given: GateInput, **changes: object) -> GateInput:
    return replace(given, limits=replace(given.limits, **changes))


def leg0(given: GateInput, **changes: object) -> GateInput:
    return replace(given, legs=(replace(given.legs[0], **changes), *given.legs[1:]))


def ruled(given: GateInput, **changes: object) -> GateInput:
    assert given.snapshot is not None
    first, *rest = given.snapshot.instruments
    changed: tuple[Instrument, ...] = (replace(first, **changes), *rest)
    snapshot = replace(given.snapshot, instruments=changed)
    return replace(given, snapshot=snapshot, basis=snapshot)


def marked(given: GateInput, mark: str) -> GateInput:
    assert given.snapshot is not None
    quotes = (Quote(BTC, NOW_MS, Decimal(mark)), given.snapshot.quotes[1])
    return replace(given, snapshot=replace(given.snapshot, quotes=quotes))


def test_a_good_ticket_passes() -> None:
    assert gate(passing()) == ()
    assert gate(passing(REDUCE_BTC, ADD_ETH)) == ()


CASES: list[tuple[str, Callable[[GateInput], GateInput]]] = [
    ("schema", lambda g: replace(g, legs=())),
    ("schema", lambda g: leg0(g, after=Decimal("0.21"))),
    ("schema", lambda g: leg0(g, effect=Effect.ADD)),
    ("kill", lambda g: replace(g, kill_state="HALTED")),
    ("reconcile", lambda g: replace(g, unclean="leg of BTC is UNKNOWN")),
    ("stale", lambda g: replace(g, stale="account is stale")),
    ("clock", lambda g: replace(g, clock_offset_ms={})),
    ("clock", lambda g: replace(g, clock_offset_ms={VENUE: 2500})),
    ("clock", lambda g: replace(g, clock_offset_ms={VENUE: -2500})),
    ("token", lambda g: replace(g, stand="expired")),
    ("instrument", lambda g: ruled(g, active=False)),
    ("tick", lambda g: ruled(g, tick=Decimal(2))),
    ("step", lambda g: ruled(g, step=Decimal("0.03"))),
    ("size", lambda g: ruled(g, min_contracts=Decimal("0.201"))),
    ("size", lambda g: ruled(g, max_contracts=Decimal("0.199"))),
    ("notional", lambda g: leg0(g, notional_usd=Decimal("19500.03"))),
    ("collar", lambda g: leg0(g, limit_price=Decimal("97207.4"))),
    ("collar", lambda g: marked(g, "97793")),
    ("order_notional", lambda g: limited(g, order_notional_max_usd=Decimal(19499))),
    ("participation", lambda g: replace(g, volume_usd_day={ETH: 5e9})),
    ("participation", lambda g: replace(g, volume_usd_day={BTC: 1.9e6, ETH: 5e9})),
    ("ticket_legs", lambda g: limited(g, ticket_legs_max=1)),
    ("ticket_notional", lambda g: limited(g, ticket_notional_max_usd=Decimal(22699))),
    ("day_notional", lambda g: replace(g, day_notional_usd=Decimal(4977301))),
    ("throttle", lambda g: replace(g, sent_mono={VENUE: (999.1, 999.2, 999.3, 999.4, 999.5)})),
    ("unknown", lambda g: replace(g, unknown=(ETH,))),
    ("daily_loss", lambda g: replace(passing(REDUCE_BTC, ADD_ETH), daily_loss=0.05)),
    ("daily_loss", lambda g: replace(passing(REDUCE_BTC, ADD_ETH), daily_loss=None)),
    ("restricted", lambda g: limited(g, restricted=(ETH,))),
]


@pytest.mark.parametrize(("reason", "change"), CASES)
def test_each_reason_alone(reason: str, change: Callable[[GateInput], GateInput]) -> None:
    assert reasons(change(passing())) == [reason]


def test_a_position_that_is_not_what_the_order_rests_on() -> None:
    moved = replace(passing(), positions={BTC: Decimal("0.4"), ETH: Decimal(-7)})
    assert reasons(moved) == ["position"]


@pytest.mark.parametrize("name", ["contracts", "limit_price", "mark_price"])
def test_what_is_not_positive_is_no_order(name: str) -> None:
    for amount in ("0", "-1"):
        assert reasons(leg0(passing(), **{name: Decimal(amount)}))[0] == "schema"


def test_a_flip_in_two_legs_is_judged_as_one_change() -> None:
    """ETH from -6 over 0 to +2: gross 1.3 + 0.2133 = 1.51333, whatever lies between."""
    given = limited(passing(*FLIP_ETH), net_max=2.0)
    assert gate(given) == ()
    assert gate(limited(given, gross_max=1.514)) == ()
    assert reasons(limited(given, gross_max=1.513)) == ["limit:gross"]
    assert reasons(replace(given, legs=FLIP_ETH[::-1])) == ["position", "position"]


def test_reduce_only_must_reduce() -> None:
    assert "schema" in reasons(passing(replace(ADD_ETH, reduce_only=True)))


def test_without_a_picture_nothing_passes() -> None:
    found = reasons(replace(passing(), snapshot=None))
    assert found[:1] == ["stale"]
    assert "instrument" in found


def test_reducing_lets_only_reduce_only_legs_through() -> None:
    assert gate(replace(passing(), kill_state="REDUCING")) == ()
    assert reasons(replace(passing(REDUCE_BTC, ADD_ETH), kill_state="REDUCING")) == ["kill"]


def test_the_minimum_notional_binds_all_but_reduce_only_orders() -> None:
    dear = passing(ADD_ETH)
    assert dear.snapshot is not None
    rules = tuple(
        replace(one, min_notional_usd=Decimal(100_000)) for one in dear.snapshot.instruments
    )
    snapshot = replace(dear.snapshot, instruments=rules)
    assert reasons(replace(dear, snapshot=snapshot)) == ["min_notional"]
    assert gate(replace(passing(), snapshot=snapshot)) == ()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"gross_max": 1.9}, "limit:gross"),
        ({"net_max": 0.6}, "limit:net_max"),
        ({"net_min": 0.7, "net_max": 1.0}, "limit:net_min"),
        ({"coin_net_max": 0.64}, "limit:coin_net:ETH"),
        ({"coin_gross_max": 0.64}, "limit:coin_gross:ETH"),
        ({"venue_gross_max": 1.9}, f"limit:venue_gross:{VENUE}"),
        ({"margin_ratio_max": 0.001}, f"limit:margin_ratio:{VENUE}"),
        ({"liquidation_distance_min": 1.01}, f"limit:liquidation:{VENUE}"),
        ({"turnover_max": 0.01}, "limit:turnover"),
        ({"free_collateral_min": 0.985}, f"limit:free_collateral:{VENUE}"),
    ],
)
def test_the_book_after_the_ticket_keeps_every_limit(change: dict[str, float], name: str) -> None:
    """ETH from -6 to -6.5 at 3,200 on equity 30,000: gross 1.993, net 0.607, ETH 0.693."""
    assert name in reasons(limited(passing(ADD_ETH), **change))


def test_the_book_is_judged_after_all_legs() -> None:
    """-0.64 in ETH to -0.69 breaks 0.68; with the BTC leg net, gross fall, ETH stays broken."""
    tight = limited(passing(REDUCE_BTC, ADD_ETH), coin_net_max=0.68)
    assert reasons(tight) == ["limit:coin_net:ETH"]
    # Gross 1.94 now; 1.343 after both: the second leg alone would break 1.95.
    assert gate(limited(passing(REDUCE_BTC, ADD_ETH), gross_max=1.95)) == ()
    assert reasons(limited(passing(ADD_ETH), gross_max=1.95)) == ["limit:gross"]


def test_reducing_is_not_stopped_by_the_breach_it_mends() -> None:
    assert gate(limited(passing(REDUCE_ETH), gross_max=1.0)) == ()
    assert "limit:gross" in reasons(limited(passing(ADD_ETH), gross_max=1.0))


def test_a_drawdown_allows_only_reducing() -> None:
    given = passing(REDUCE_BTC)
    assert given.snapshot is not None
    deep = replace(given.snapshot, peak_equity_usd=Decimal(40_000))
    assert gate(replace(given, snapshot=deep, basis=deep)) == ()
    assert reasons(replace(passing(ADD_ETH), snapshot=deep)) == ["limit:drawdown"]


def test_a_limit_that_binds_does_not_break_at_the_next_tick() -> None:
    """Gross after is 1.3 + 0.69333; with BTC 0.1 % up it would be above, and still goes."""
    given = limited(passing(ADD_ETH), gross_max=1.9933333333333334)
    assert gate(given) == ()
    assert gate(marked(given, "97597.5")) == ()
    assert reasons(limited(given, gross_max=1.9933)) == ["limit:gross"]


def test_what_the_account_survives_is_judged_at_the_prices_of_now() -> None:
    """An equity that fell since the proposal: margin ratio now, not then."""
    given = limited(passing(ADD_ETH), margin_ratio_max=0.02)
    assert gate(given) == ()
    fallen = replace(SNAPSHOT, accounts=(account(equity="9000"),))
    found = reasons(replace(given, snapshot=fallen))
    assert found == [f"limit:margin_ratio:{VENUE}"]


def test_a_book_that_cannot_be_judged_is_refused() -> None:
    other = {**passing().positions, f"{VENUE}:XRP/USDT:USDT": Decimal(5)}
    assert reasons(replace(passing(), positions=other)) == ["book"]
    assert reasons(ruled(passing(), tiers=())) == ["book"]
    snapshot = replace(SNAPSHOT, accounts=(account(equity="-1"),))
    for changes in ({"snapshot": snapshot}, {"basis": snapshot}):
        assert "book" in reasons(replace(passing(), **changes))
    assert reasons(replace(passing(), basis=None)) == ["book"]


@pytest.mark.parametrize("way", [1, -1], ids=["before", "after"])
def test_an_account_of_another_collateral_at_the_venue_carries_none_of_it(way: int) -> None:
    """The dollars' account covers what it holds; 100 USD of coin beside it would cover nothing."""
    given = passing(REDUCE_BTC, ADD_ETH)
    coin = replace(account(equity="100", wallet="100"), collateral="BTC", positions=())
    accounts = (account(), coin)[::way]
    snapshot = replace(SNAPSHOT, accounts=accounts)
    assert gate(replace(given, snapshot=snapshot, basis=snapshot)) == ()


def test_hedge_mode_is_refused() -> None:
    snapshot = replace(SNAPSHOT, accounts=(replace(account(), one_way=False),))
    assert reasons(replace(passing(), snapshot=snapshot)) == ["account_mode"]


def test_the_same_order_within_a_minute_is_a_duplicate() -> None:
    sent = SentOrder(BTC, Side.SELL, Decimal("0.2"), NOW_MS - 59_999)
    assert reasons(replace(passing(), recent=(sent,))) == ["duplicate"]
    for other in (
        replace(sent, sent_ms=NOW_MS - 60_000),
        replace(sent, contracts=Decimal("0.201")),
        replace(sent, side=Side.BUY),
        replace(sent, id=ETH),
    ):
        assert gate(replace(passing(), recent=(other,))) == ()


def test_an_instrument_nobody_knows_is_refused() -> None:
    stranger = order(BTC, Side.SELL, "0.2", "0.4", reduce_only=True)
    stranger = replace(stranger, id=f"{VENUE}:LUNA/USDT:USDT", before=Decimal(0))
    assert "instrument" in reasons(passing(stranger))


def in_drawdown(given: GateInput) -> GateInput:
    """12.5 % under the highest equity, above the 10 % at which only reducing is allowed."""
    peaked = replace(SNAPSHOT, peak_equity_usd=Decimal(30000) / Decimal("0.875"))
    return replace(given, snapshot=peaked, basis=peaked)


@pytest.mark.parametrize("loss", [0.05, 0.9, None])
def test_a_loss_or_drawdown_never_stops_what_only_reduces(loss: float | None) -> None:
    cut = passing(REDUCE_BTC, REDUCE_ETH)
    assert gate(replace(in_drawdown(cut), daily_loss=loss)) == ()
    refused = gate(replace(passing(REDUCE_BTC, ADD_ETH), daily_loss=loss))
    assert [one.reason for one in refused] == ["daily_loss"]
    assert refused[0].text.endswith(f"{ETH} is not reduce-only")
    known = "today's loss of" if loss else "today's profit is not known yet"
    assert refused[0].text.startswith(known)


def test_a_drawdown_stops_what_adds() -> None:
    assert reasons(in_drawdown(passing(REDUCE_BTC, ADD_ETH))) == ["limit:drawdown"]


def test_the_drawdown_stop_is_said_in_words() -> None:
    peaked = in_drawdown(passing()).snapshot
    words = "a drawdown of 12.50% is beyond its limit of 10.00%"
    assert drawdown_stop(peaked, limits()) == words
    assert drawdown_stop(SNAPSHOT, limits()) == ""
    assert drawdown_stop(None, limits()) == ""


@pytest.mark.parametrize(
    ("sigma", "away", "refused"),
    [
        # 3 x 4.0 x sqrt(30 s / 365 d) = 117.04 bp of 97,500: 1,141.1
        (4.0, "1141.1", False),
        (4.0, "1141.2", True),
        (None, "292.5", False),
        (None, "292.6", True),
    ],
)
def test_the_gate_takes_the_wide_collar_of_reducing_legs(
    sigma: float | None, away: str, refused: bool
) -> None:
    legs = (replace(REDUCE_BTC, limit_price=Decimal(97500) - Decimal(away)),)
    given = replace(passing(*legs), volatility_annual={} if sigma is None else {BTC: sigma})
    assert ("collar" in reasons(given)) is refused
    adding = replace(ADD_ETH, limit_price=Decimal(3190))
    assert "collar" in reasons(replace(passing(adding), volatility_annual={ETH: 4.0}))


@pytest.mark.parametrize(
    ("sent", "wait"),
    [
        ((), 0.0),
        ((999.0,) * 5, 0.0),
        ((999.4, 999.5, 999.6, 999.7, 999.8), 0.4),
        (tuple(941.0 + n / 2 for n in range(60)), 1.0),
    ],
)
def test_the_throttle_says_how_long_to_wait(sent: tuple[float, ...], wait: float) -> None:
    assert throttle_wait(sent, 1000.0, limits()) == pytest.approx(wait)


def test_positions_without_contracts_need_no_price() -> None:
    flat = {**passing().positions, f"{VENUE}:OLD/USDT:USDT": Decimal(0)}
    assert gate(replace(passing(), positions=flat)) == ()


@pytest.mark.unmeasured
@tuned(max_examples=200, deadline=None)
@drawn(st.data())
def test_tighter_limits_never_let_more_through(data: st.DataObject) -> None:
    """Whatever is refused stays refused when any limit is tightened."""
    given = passing(REDUCE_BTC, ADD_ETH)
    factor = data.draw(st.floats(0.001, 1.0))
    name = data.draw(
        st.sampled_from(
            [
                "gross_max",
                "coin_net_max",
                "coin_gross_max",
                "venue_gross_max",
                "margin_ratio_max",
                "turnover_max",
                "participation_max",
                "collar_bps",
                "daily_loss_max",
                "order_notional_max_usd",
                "ticket_notional_max_usd",
                "day_notional_max_usd",
            ]
        )
    )
    bound = getattr(given.limits, name)
    tight = bound * Decimal(repr(factor)) if isinstance(bound, Decimal) else bound * factor
    once: Limits = replace(given.limits, **{name: tight})
    half = tight / 2
    twice: Limits = replace(given.limits, **{name: half})
    before = set(reasons(replace(given, limits=once)))
    after = set(reasons(replace(given, limits=twice)))
    assert before <= after


def test_a_position_type_is_what_the_snapshot_says() -> None:
    assert isinstance(SNAPSHOT.accounts[0].positions[0], Position)
