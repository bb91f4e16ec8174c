"""The gate: each reason alone, from an input that passes; it never loosens."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given as drawn
from hypothesis import settings as tuned
from hypothesis import strategies as st

from perptui.desk.orders.gate import CHECKS, gate
from perptui.desk.orders.gate_desk import drawdown_stop
from perptui.desk.orders.gate_input import GateInput, SentOrder
from perptui.desk.orders.throttle import Message
from perptui.model.account import Position
from perptui.model.instrument import Instrument
from perptui.model.limit import Limits
from perptui.model.market import Book, BookLevel, Quote
from perptui.model.order import Effect, OrderIntent, OrderKind, Side
from perptui.model.snapshot import MarketSnapshot
from tests.desk.dealing import ADD_ETH, FLIP_ETH, REDUCE_BTC, REDUCE_ETH, order
from tests.desk.market import (
    BTC,
    ETH,
    FUNDING,
    INSTRUMENTS,
    NOW_MS,
    QUOTES,
    TIERS,
    VENUE,
    account,
    book_around,
    limits,
)

replace = msgspec.structs.replace
SNAPSHOT = MarketSnapshot(NOW_MS, INSTRUMENTS, QUOTES, FUNDING, (account(),))


def passing(*legs: OrderIntent) -> GateInput:
    """An input that nothing is wrong with: gross 1.94, net 0.66, equity 30,000."""
    legs = legs or (REDUCE_BTC, REDUCE_ETH)
    return GateInput(
        now_ms=NOW_MS,
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
        trader_notional_usd=Decimal(0),
        messages=(),
        rejections=0,
        mode="paper",
        hosts={VENUE: "simulated"},
        confirmed_hosts={VENUE: "simulated"},
        books={BTC: book_around(BTC, Decimal(97500)), ETH: book_around(ETH, Decimal(3200))},
        recent=(),
        unknown=(),
        daily_loss=0.0499,
    )


def reasons(given: GateInput) -> list[str]:
    return [refusal.reason for refusal in gate(given)]


def limited(given: GateInput, **changes: object) -> GateInput:
    return replace(given, limits=replace(given.limits, **changes))


def sent(*times_ms: int) -> tuple[Message, ...]:
    """Orders that went to the venue at these instants."""
    return tuple(Message(VENUE, at) for at in times_ms)


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


Change = Callable[[GateInput], GateInput]
BOTH = (REDUCE_BTC, ADD_ETH)
"""A reduction and an addition."""


def adding(**changes: object) -> Change:
    """Put the changed input of a ticket that also adds in its place."""
    return lambda given: replace(passing(*BOTH), **changes)


def held(given: GateInput, **changes: object) -> GateInput:
    """Change the account of now."""
    assert given.snapshot is not None
    changed = (replace(given.snapshot.accounts[0], **changes),)
    return replace(given, snapshot=replace(given.snapshot, accounts=changed))


def leveraged(given: GateInput, before: str, now: str) -> GateInput:
    """Let BTC have stood at one leverage, and stand at another."""
    first, *rest = account().positions

    def at(leverage: str) -> MarketSnapshot:
        positions = (replace(first, leverage=Decimal(leverage)), *rest)
        return replace(SNAPSHOT, accounts=(replace(account(), positions=positions),))

    return replace(given, basis=at(before), snapshot=at(now))


def around(contracts: str) -> dict[str, Book]:
    return {ETH: book_around(ETH, Decimal(3200), contracts)}


SOUND = book_around(ETH, Decimal(3200))
CROSSED = replace(SOUND, bids=SOUND.asks, asks=SOUND.bids)
ONE_SIDED = replace(SOUND, asks=())
UNSORTED = replace(SOUND, asks=SOUND.asks[::-1], bids=(BookLevel(Decimal(3000), Decimal(1)),))
NEGATIVE = replace(SOUND, asks=(BookLevel(Decimal(3201), Decimal(-1)),))
LAST_SECOND = tuple(NOW_MS - 100 * n for n in range(1, 6))
ONE_SMALL_TIER = (replace(TIERS[0], cap_usd=Decimal(20_000)),)

CASES: list[tuple[str, str, Change]] = [
    ("schema", "schema", lambda g: replace(g, legs=())),
    ("schema", "schema", lambda g: leg0(g, after=Decimal("0.21"))),
    ("schema", "schema", lambda g: leg0(g, effect=Effect.ADD)),
    ("schema", "schema", lambda g: leg0(g, trigger_price=Decimal(97000))),
    ("kill", "kill", lambda g: replace(g, kill_state="HALTED")),
    ("kill", "kill", adding(kill_state="REDUCING")),
    ("kill", "kill", adding(kill_state="no such state")),
    ("reconcile", "reconcile", lambda g: replace(g, unclean="leg of BTC is UNKNOWN")),
    ("position", "position", lambda g: replace(g, positions={**g.positions, ETH: Decimal(-7)})),
    ("stale", "stale", lambda g: replace(g, stale="account is stale")),
    ("clock", "clock", lambda g: replace(g, clock_offset_ms={})),
    ("clock", "clock", lambda g: replace(g, clock_offset_ms={VENUE: 2500})),
    ("clock", "clock", lambda g: replace(g, clock_offset_ms={VENUE: -2500})),
    ("token", "token", lambda g: replace(g, stand="expired")),
    ("approval", "approval", lambda g: replace(g, approval="nobody has approved it")),
    ("instrument", "instrument", lambda g: ruled(g, active=False)),
    ("instrument", "tick", lambda g: ruled(g, tick=Decimal(2))),
    ("instrument", "tick", lambda g: ruled(g, tick=Decimal(0))),
    ("instrument", "step", lambda g: ruled(g, step=Decimal("0.03"))),
    ("instrument", "step", lambda g: ruled(g, step=Decimal(0))),
    ("instrument", "size", lambda g: ruled(g, min_contracts=Decimal("0.201"))),
    ("instrument", "size", lambda g: ruled(g, max_contracts=Decimal("0.199"))),
    ("instrument", "notional", lambda g: leg0(g, notional_usd=Decimal("19500.03"))),
    ("collar", "collar", lambda g: leg0(g, limit_price=Decimal("97207.4"))),
    ("collar", "collar", lambda g: marked(g, "97793")),
    (
        "order_notional",
        "order_notional",
        lambda g: limited(g, order_notional_max_usd=Decimal(19499)),
    ),
    ("order_notional", "participation", lambda g: replace(g, volume_usd_day={ETH: 5e9})),
    ("order_notional", "participation", lambda g: replace(g, volume_usd_day={BTC: 0.0, ETH: 5e9})),
    ("order_notional", "participation", lambda g: replace(g, volume_usd_day={BTC: -1e9, ETH: 5e9})),
    (
        "order_notional",
        "participation",
        lambda g: replace(g, volume_usd_day={BTC: 1.9e6, ETH: 5e9}),
    ),
    ("depth", "depth", adding(books={})),
    # 0.5 ETH of 1,600 USD; three levels of 0.33 at 1, 2 and 3 bp below offer 3,167.
    ("depth", "depth", adding(books=around("0.33"))),
    ("depth", "depth", adding(books={ETH: CROSSED})),
    ("depth", "depth", adding(books={ETH: ONE_SIDED})),
    ("depth", "depth", adding(books={ETH: UNSORTED})),
    ("depth", "depth", adding(books={ETH: NEGATIVE})),
    ("depth", "depth", lambda g: replace(g, books={ETH: CROSSED})),
    ("ticket_notional", "ticket_legs", lambda g: limited(g, ticket_legs_max=1)),
    (
        "ticket_notional",
        "ticket_notional",
        lambda g: limited(g, ticket_notional_max_usd=Decimal(22699)),
    ),
    ("day_notional", "day_notional", lambda g: replace(g, day_notional_usd=Decimal(4977301))),
    ("day_notional", "trader_notional", lambda g: replace(g, trader_notional_usd=Decimal(4977301))),
    ("book", "book", lambda g: replace(g, basis=None)),
    ("tier", "tier", lambda g: tiered(passing(*BOTH))),
    ("throttle", "throttle", lambda g: replace(g, messages=sent(*LAST_SECOND))),
    ("throttle", "throttle", lambda g: limited(g, cancels_reserved=0)),
    (
        "duplicate",
        "duplicate",
        lambda g: replace(g, recent=(SentOrder(BTC, Side.SELL, Decimal("0.2"), NOW_MS - 59_999),)),
    ),
    ("rejections", "rejections", adding(rejections=3)),
    ("unknown", "unknown", lambda g: replace(g, unknown=(ETH,))),
    ("account_mode", "account_mode", lambda g: held(g, one_way=False)),
    ("account_mode", "account_mode", lambda g: held(g, multi_assets=True)),
    ("account_mode", "account_mode", lambda g: held(g, isolated=(BTC,))),
    ("account_mode", "account_mode", lambda g: leveraged(g, "10", "5")),
    ("host", "host", lambda g: replace(g, hosts={VENUE: ""})),
    ("host", "host", lambda g: replace(g, hosts={})),
    ("host", "host", lambda g: replace(g, confirmed_hosts={})),
    ("venue", "venue_halted", lambda g: replace(g, halted={VENUE: "it refused our key"})),
    ("venue", "venue_resting", lambda g: replace(g, resting={VENUE: "until 12:00"})),
    ("host", "host", lambda g: replace(g, mode="live", hosts={VENUE: "fapi.binance.com"})),
    (
        "host",
        "host",
        lambda g: replace(
            g, hosts={VENUE: "fapi.binance.com"}, confirmed_hosts={VENUE: "fapi.binance.com"}
        ),
    ),
    ("daily_loss", "daily_loss", adding(daily_loss=0.05)),
    ("daily_loss", "daily_loss", adding(daily_loss=None)),
    ("restricted", "restricted", lambda g: limited(g, restricted=(ETH,))),
    ("permission", "permission", lambda g: replace(g, permission="alice may not trade")),
    ("permission", "key_permission", lambda g: replace(g, key_permission="it may withdraw")),
]


def tiered(given: GateInput) -> GateInput:
    """Let the contract of the addition allow no more than 20,000 USD; -6.5 ETH are 20,800."""
    assert given.snapshot is not None
    rules = tuple(
        replace(one, tiers=ONE_SMALL_TIER) if one.id == ETH else one
        for one in given.snapshot.instruments
    )
    return replace(given, snapshot=replace(given.snapshot, instruments=rules))


@pytest.mark.parametrize(("check", "reason", "change"), CASES)
def test_each_reason_alone(check: str, reason: str, change: Change) -> None:
    given = change(passing())
    assert reasons(given) == [reason]
    assert [name for name, ask in CHECKS if list(ask(given))] == [check]


def test_each_check_is_seen_to_refuse_alone() -> None:
    assert {check for check, _, _ in CASES} == {name for name, _ in CHECKS}


SAFETY = """schema, kill, reconcile, position, stale, clock, token, approval, instrument, collar,
order_notional, depth, ticket_notional, day_notional, book, tier, throttle, duplicate, rejections,
unknown, venue, account_mode, host, daily_loss, restricted, permission"""


def test_the_order_is_that_of_the_design() -> None:
    """As safety.md has it; positions stand with the reconcile that they follow from.

    A venue that refused the key or shut its door stands in the table of outcomes, with UNKNOWN.
    """
    assert [name for name, _ in CHECKS] == SAFETY.replace("\n", " ").split(", ")


def apart() -> list[tuple[str, dict[str, object]]]:
    """What each case changes, of those that leave the orders alone and refuse what adds too."""
    base, found = passing(*BOTH), []
    for _, reason, change in CASES:
        changed = change(base)
        fields = {
            name: getattr(changed, name)
            for name in base.__struct_fields__
            if getattr(base, name) != getattr(changed, name)
        }
        if "legs" not in fields and reason in reasons(changed):
            found.append((reason, fields))
    return found


APART = apart()


@pytest.mark.unmeasured
@tuned(max_examples=50, deadline=None)
@drawn(st.permutations(range(len(APART))), st.integers(2, 6))
def test_no_cause_lets_through_what_another_refuses(order_of: list[int], count: int) -> None:
    """Causes that lie in different inputs, put together, refuse with the reason of each."""
    changes: dict[str, object] = {}
    wanted = set()
    for reason, fields in (APART[pick] for pick in order_of[:count]):
        if not changes.keys() & fields.keys():
            changes.update(fields)
            wanted.add(reason)
    assert wanted <= set(reasons(replace(passing(*BOTH), **changes)))


@pytest.mark.parametrize(("check", "reason", "change"), CASES[::5])
def test_the_gate_is_pure(check: str, reason: str, change: Change) -> None:
    given = change(passing())
    before = msgspec.json.encode(given)
    assert gate(given) == gate(given)
    assert msgspec.json.encode(given) == before


WRONG = (Decimal("NaN"), Decimal("-Infinity"), Decimal(-1), None, "x", float("nan"), -1.0)


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize(
    "name",
    ["contracts", "notional_usd", "limit_price", "mark_price", "before", "after"],
)
def test_an_order_with_a_figure_that_is_none_is_refused(name: str, wrong: object) -> None:
    """Records do not take them, and the gate does not trust that: it refuses and raises nothing."""
    leg = replace(ADD_ETH)
    msgspec.structs.force_setattr(leg, name, wrong)
    given = replace(passing(*BOTH))
    msgspec.structs.force_setattr(given, "legs", (REDUCE_BTC, leg))
    assert gate(given) != ()


@pytest.mark.parametrize("wrong", [None, float("nan"), "x"], ids=repr)
@pytest.mark.parametrize(
    "name",
    [
        "positions",
        "clock_offset_ms",
        "volume_usd_day",
        "day_notional_usd",
        "trader_notional_usd",
        "ticket_notional_usd",
        "messages",
        "rejections",
        "daily_loss",
        "books",
        "limits",
        "hosts",
        "basis",
        "snapshot",
    ],
)
def test_an_input_that_is_none_of_its_kind_is_refused(name: str, wrong: object) -> None:
    given = replace(passing(*BOTH))
    msgspec.structs.force_setattr(given, name, wrong)
    assert gate(given) != ()


@pytest.mark.parametrize("wrong", [0, -1], ids=repr)
@pytest.mark.parametrize(
    "name",
    [
        "gross_max",
        "coin_net_max",
        "coin_gross_max",
        "venue_gross_max",
        "margin_ratio_max",
        "turnover_max",
        "participation_max",
        "depth_max",
        "collar_bps",
        "order_notional_max_usd",
        "ticket_notional_max_usd",
        "day_notional_max_usd",
        "trader_day_notional_max_usd",
        "ticket_legs_max",
        "daily_loss_max",
        "messages_per_second",
        "messages_per_minute",
        "cancels_reserved",
        "rejections_max",
    ],
)
def test_a_limit_of_nothing_lets_nothing_be_added(name: str, wrong: int) -> None:
    given = passing(*BOTH)
    kind = type(getattr(given.limits, name))
    assert gate(limited(given, **{name: kind(wrong)})) != ()


@pytest.mark.parametrize(
    ("name", "tight"),
    [
        ("net_min", 0.9),
        ("net_max", -0.1),
        ("liquidation_distance_min", 1.0001),
        ("free_collateral_min", 1.0),
        ("drawdown_max", -0.0001),
    ],
)
def test_a_floor_that_nothing_reaches_lets_nothing_be_added(name: str, tight: float) -> None:
    assert gate(limited(passing(*BOTH), **{name: tight})) != ()


@pytest.mark.parametrize("name", sorted(Limits.__struct_fields__))
def test_a_limit_that_is_absent_refuses(name: str) -> None:
    """Those that need estimates are the proposal's: the gate has no figure to hold against them."""
    given = replace(passing(*BOTH), volatility_annual={BTC: 0.6})
    rules = replace(given.limits)
    msgspec.structs.force_setattr(rules, name, None)
    assert (gate(replace(given, limits=rules)) != ()) is (name not in OF_PROPOSALS)


OF_PROPOSALS = {
    "volatility_max",
    "beta_max",
    "cvar_max",
    "standalone_risk_max",
    "market_correlation_max",
    "first_component_max",
    "trade_min_usd",
}


def test_what_only_reduces_passes_where_additions_do_not() -> None:
    """Repeated rejections, no fresh book and a thin one, the day's loss: all but reductions."""
    cut = passing(REDUCE_BTC, REDUCE_ETH)
    thin = {BTC: book_around(BTC, Decimal(97500), "0.001")}
    assert gate(replace(cut, rejections=99, books={}, daily_loss=0.9)) == ()
    assert gate(replace(cut, books=thin)) == ()


@pytest.mark.parametrize(
    ("contracts", "refused"),
    # Half of three levels at 1, 2 and 3 bp below 3,200: 1.5 x n x 3,199.36 against 1,600.
    [("0.33334", True), ("0.33341", False)],
)
def test_the_depth_is_what_rests_within_the_limit_price(contracts: str, refused: bool) -> None:
    given = replace(passing(*BOTH), books=around(contracts))
    assert ("depth" in reasons(given)) is refused
    # Nothing rests at a price above every bid.
    near = replace(ADD_ETH, limit_price=Decimal(3200))
    assert reasons(replace(passing(REDUCE_BTC, near))) == ["depth"]


def test_a_position_is_held_to_the_notional_that_its_leverage_allows() -> None:
    """At 110x the first tier alone allows the leverage: 50,000 USD; at 100x both do."""
    grown = order(BTC, Side.BUY, "0.2", "0.4")
    loose = {"coin_net_max": 9.0, "coin_gross_max": 9.0, "net_max": 9.0, "gross_max": 9.0}
    given = limited(passing(grown), **loose)
    assert gate(given) == ()
    assert reasons(leveraged(given, "110", "110")) == ["tier"]
    assert reasons(leveraged(given, "100", "100")) == []


def test_a_leverage_that_is_set_counts_before_there_is_a_position() -> None:
    """Flat in ETH at 110x: 50,000 USD are allowed; 16 contracts are 51,200."""
    flat = replace(account(), positions=(), leverages=((ETH, Decimal(110)),))
    snapshot = replace(SNAPSHOT, accounts=(flat,))
    loose = {"coin_net_max": 9.0, "coin_gross_max": 9.0, "net_max": 9.0, "turnover_max": 9.0}
    given = replace(
        limited(passing(order(ETH, Side.BUY, "16", "0")), **loose),
        positions={},
        snapshot=snapshot,
        basis=snapshot,
    )
    assert reasons(given) == ["tier"]
    assert gate(replace(given, legs=(order(ETH, Side.BUY, "15.6", "0"),))) == ()


STOP = replace(
    order(BTC, Side.SELL, "0.4", "0.4", reduce_only=True),
    kind=OrderKind.STOP_MARKET,
    limit_price=Decimal(90_000),
    trigger_price=Decimal(90_000),
)


def test_a_stop_rests_and_is_held_to_what_stops_are_held_to() -> None:
    """No collar, size, depth or day's notional: it moves nothing until its mark is reached."""
    stopped = passing(STOP)
    assert gate(stopped) == ()
    assert gate(limited(stopped, order_notional_max_usd=Decimal(1), depth_max=0.0)) == ()
    assert gate(replace(stopped, volume_usd_day={}, books={})) == ()
    rest = replace(STOP, contracts=Decimal("0.2"), notional_usd=Decimal(19500))
    after = replace(rest, before=Decimal("0.2"), after=Decimal(0))
    assert gate(passing(REDUCE_BTC, after)) == ()
    assert reasons(marked(stopped, "90000")) == ["collar"]
    assert reasons(replace(stopped, legs=(replace(STOP, trigger_price=None),))) == ["schema"]
    low = replace(STOP, trigger_price=Decimal(89_999))
    assert reasons(replace(stopped, legs=(low,))) == ["schema"]
    assert "schema" in reasons(replace(stopped, legs=(replace(STOP, reduce_only=False),)))
    assert reasons(replace(stopped, kill_state="HALTED")) == ["kill"]
    assert gate(replace(stopped, kill_state="REDUCING")) == ()


def test_a_stop_is_no_duplicate_of_an_order_of_its_size() -> None:
    like = SentOrder(BTC, Side.SELL, Decimal("0.4"), NOW_MS - 1, OrderKind.LIMIT_IOC)
    assert gate(replace(passing(STOP), recent=(like,))) == ()
    same = replace(like, kind=OrderKind.STOP_MARKET)
    assert reasons(replace(passing(STOP), recent=(same,))) == ["duplicate"]


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


@pytest.mark.parametrize(("equity", "deeper"), [("8000", False), ("7500", True)])
def test_a_breach_that_grew_since_it_was_shown_is_no_longer_the_one_that_was_shown(
    equity: str, deeper: bool
) -> None:
    """0.4 % of 59,800 USD: 0.0295 where it was shown at 8,100, 0.0299 at 8,000, 0.0319 at 7,500."""
    given = limited(passing(ADD_ETH), margin_ratio_max=0.02)
    shown = replace(SNAPSHOT, accounts=(account(equity="8100"),))
    now = replace(SNAPSHOT, accounts=(account(equity=equity),))
    found = reasons(replace(given, snapshot=now, shown=shown))
    name = f"margin_ratio:{VENUE}"
    assert found == ([f"deeper:{name}"] if deeper else []) + [f"limit:{name}"]
    assert reasons(replace(given, snapshot=now)) == [f"limit:{name}"]


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


def test_positions_without_contracts_need_no_price() -> None:
    flat = {**passing().positions, f"{VENUE}:OLD/USDT:USDT": Decimal(0)}
    assert gate(replace(passing(), positions=flat)) == ()


@pytest.mark.unmeasured
@tuned(max_examples=60, deadline=None)
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
                "trader_day_notional_max_usd",
                "depth_max",
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
