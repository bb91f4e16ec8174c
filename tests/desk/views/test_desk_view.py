"""What the screens show: sums, signs and words, against figures worked out by hand.

The book of `tests.desk.market`: BTC +39,000 at 0.02 %/8h, ETH -19,200 at 0.01 %/4h, equity 30,000.
Carry: BTC -39,000·0.0002·3 = -23.40 a day, ETH +19,200·0.0001·6 = +11.52, together -11.88.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from perptui.desk.book import Book, book_of, own_liquidation
from perptui.desk.proposing.posing import Posing
from perptui.desk.proposing.proposal_picture import Kept, ProposalPicture
from perptui.desk.state import DeskState, Picture
from perptui.desk.views.desk_view import Scene, first_view, panels, present_of
from perptui.desk.views.limits import mends, state_of, unit_of
from perptui.desk.views.regime import realised_over
from perptui.desk.views.status import Identity, Standing, VenueTime, merged_news
from perptui.model.carry import best_venues
from perptui.model.clock import DAY_MS, ManualClock
from perptui.model.explanation import Explanation, LimitPrice
from perptui.model.forecast import VolatilityTrack
from perptui.model.jobs import BookFigures, ProposeJob
from perptui.model.limit import LimitCheck
from perptui.model.order import Effect, Side
from perptui.model.whatif import WhatIf
from perptui.protocol.views import DeskView, EventLine
from perptui.protocol.views_ticket import JournalView, TicketView
from perptui.settings.load import load
from tests.desk.estimated import estimates, proposal
from tests.desk.market import (
    BTC,
    ETH,
    FUNDING,
    INSTRUMENTS,
    NOW_MS,
    QUOTES,
    VENUE,
    account,
    flow,
    limits,
    reading,
)

POLLING = load(None, {"desk.mode": "paper"}).settings.polling


class Desk:
    """A state with a clock, and the panels of it."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW_MS)
        self.state = DeskState({VENUE: (BTC, ETH)}, POLLING, self.clock)

    def fill(self) -> Desk:
        now = self.clock.monotonic()
        for call, value in (
            ("instruments", INSTRUMENTS),
            ("quotes", QUOTES),
            ("funding", FUNDING),
            ("account", account()),
        ):
            self.state.observe(VENUE, call, reading(value, now))
        return self

    def panels(
        self, proposed: ProposalPicture | None = None, standing: Standing | None = None
    ) -> DeskView:
        proposed = proposed or ProposalPicture("balanced")
        picture = self.state.picture
        scene = Scene(
            who=Identity("PAPER", "main", "main", "REPLAY"),
            time=VenueTime(NOW_MS, 1000.0, 60.0),
            picture=picture,
            present=present_of(picture, limits(), proposed.estimates),
            proposed=proposed,
            limits=limits(),
            told=lambda: (standing or Standing(), JournalView(), TicketView()),
            quant="idle",
            now_mono=self.clock.monotonic(),
            waits=self.state.why_no_snapshot,
            is_stale=self.state.is_stale,
            age_limit_s=self.state.stale_after_s,
        )
        return msgspec.structs.replace(first_view(scene.who, scene.time), **panels(scene))


def solved() -> ProposalPicture:
    return ProposalPicture(
        strategy="balanced",
        state="ready",
        proposal=proposal(),
        estimates=estimates(),
        solved_mono=1000.0,
        expires_mono=1060.0,
        exposure_before=0.92,
    )


def test_before_anything_was_read_each_panel_says_what_it_waits_for() -> None:
    shown = Desk().panels()
    assert shown.positions.waiting == "waiting for binanceusdm positions"
    assert shown.funding.waiting == "waiting for funding rates"
    assert shown.regime.waiting == "waiting for market history"
    assert shown.rebalance.waiting == "waiting for binanceusdm contracts"
    assert shown.limits.waiting == "waiting for binanceusdm positions"
    assert shown.status.equity_usd is None
    first = first_view(Identity("PAPER", "main", "main"), VenueTime(NOW_MS, 1.0, 1.0))
    panels_waiting = (first.positions, first.funding, first.regime, first.rebalance, first.limits)
    assert all(panel.waiting for panel in panels_waiting)


def test_a_panel_that_waits_says_what_went_wrong() -> None:
    desk = Desk()
    desk.state.fail(VENUE, "instruments", "bad response")
    desk.state.fail(VENUE, "funding", "rate limited until 07:30")
    shown = desk.panels()
    assert shown.positions.waiting == "waiting for binanceusdm positions: bad response"
    assert shown.rebalance.waiting == "waiting for binanceusdm contracts: bad response"
    assert shown.funding.waiting is not None
    assert "rate limited until 07:30" in shown.funding.waiting
    assert shown.status.feeds[0].observed_mono is None
    assert shown.status.feeds[0].stale


def test_positions_have_their_signs_and_sums() -> None:
    view = Desk().fill().panels().positions
    btc, eth = view.rows
    assert (btc.notional_usd, eth.notional_usd) == (Decimal(39000), Decimal(-19200))
    assert (btc.unrealised_usd, eth.unrealised_usd) == (Decimal(600), Decimal(600))
    assert (btc.carry_usd_day, eth.carry_usd_day) == (Decimal("-23.40"), Decimal("11.52"))
    assert (btc.weight, eth.weight) == pytest.approx((1.3, -0.64))
    assert view.gross_usd == Decimal(58200)
    assert view.net_usd == Decimal(19800)
    assert view.unrealised_usd == sum((row.unrealised_usd for row in view.rows), Decimal(0))
    assert view.carry_usd_day == Decimal("-11.88")
    assert view.gross == pytest.approx(1.94)
    assert view.waiting is None


def margin(size: float) -> float:
    """Maintenance of one position by the tiers of the market: 0.4 % to 50,000, 0.5 % above."""
    return max(0.004 * size, 0.005 * size - 50)


def test_the_account_is_liquidated_where_its_equity_meets_its_margin() -> None:
    desk = Desk().fill()
    poor = account(equity="12000", wallet="10800")
    desk.state.observe(VENUE, "account", reading(poor, desk.clock.monotonic()))
    status = desk.panels().status
    down = status.liquidation_down
    assert down is not None
    left = 12000 + (39000 - 19200) * down
    assert left == pytest.approx(margin(39000 * (1 + down)) + margin(19200 * (1 + down)))
    assert down < 0
    # Net long: the equity grows with prices, faster than the margin.
    assert status.liquidation_up is None
    assert status.worst_account == VENUE


def test_a_contract_alone_is_liquidated_where_equity_meets_margin() -> None:
    eth = Desk().fill().panels().positions.rows[1].liquidation_distance
    assert eth is not None
    price = 3200 * (1 + eth)
    left = 30000 - 6 * (price - 3200)
    assert left == pytest.approx(margin(39000) + margin(6 * price))


def test_the_status_sums_the_day_exactly() -> None:
    desk = Desk().fill()
    later = account(NOW_MS + 60_000, equity="29950")
    desk.state.observe(VENUE, "account", reading(later, desk.clock.monotonic()))
    desk.state.add_flows(
        VENUE,
        [flow("funding", "-7.8", NOW_MS + 1000), flow("fee", "-2.5", NOW_MS + 2000)],
    )
    shown = desk.panels()
    status = shown.status
    assert status.today_usd == Decimal(-50)
    assert (status.today_funding_usd, status.today_fees_usd) == (Decimal("-7.8"), Decimal("-2.5"))
    assert status.today_price_usd == Decimal("-39.7")
    assert shown.positions.rows[0].funding_today_usd == Decimal("-7.8")
    assert status.drawdown == pytest.approx(50 / 30000)
    assert status.free_usd == ((VENUE, Decimal(21000)),)
    assert status.margin_ratio == pytest.approx((0.004 * 39000 + 0.004 * 19200) / 29950)
    assert status.next_funding_ms == FUNDING[0].next_ms
    assert (status.mode, status.market, status.speed) == ("PAPER", "REPLAY", 60.0)


def test_an_old_reading_is_shown_with_its_age_and_marked() -> None:
    desk = Desk().fill()
    desk.state.fail(VENUE, "quotes", "bad response")
    desk.clock.advance(30)
    shown = desk.panels()
    assert shown.status.feeds[0].stale
    assert shown.status.feeds[0].text == "bad response"
    assert shown.status.feeds[0].observed_mono == 1000.0
    assert all(row.stale for row in shown.positions.rows)
    assert all(row.stale for row in shown.funding.rows)
    assert shown.positions.observed_mono == 1000.0


def test_funding_rows_have_apr_carry_and_what_changes() -> None:
    view = Desk().fill().panels(solved()).funding
    btc, eth = view.rows
    # 0.02 % each 8 h: 0.0002·3·365; 0.01 % each 4 h: 0.0001·6·365: the same 21.9 % a year.
    assert btc.apr == pytest.approx(0.219)
    assert eth.apr == pytest.approx(0.219)
    assert (btc.carry_usd_day, eth.carry_usd_day) == (Decimal("-23.40"), Decimal("11.52"))
    # The proposal holds 0.1 BTC and 4 ETH short: -9,750 pays 5.85, 12,800 receives 7.68.
    assert (btc.carry_usd_day_after, eth.carry_usd_day_after) == (Decimal("-5.85"), Decimal("7.68"))
    assert view.carry_usd_day == Decimal("-11.88")
    assert view.carry_usd_day_after == Decimal("1.83")
    # Standard deviation 0.003 over 14 days is 0.003·365/14 a year.
    assert btc.apr_sd == pytest.approx(0.003 * 365 / 14)
    assert btc.best_venue == ""


def test_the_rebalance_changes_carry_by_after_less_now() -> None:
    shown = Desk().fill().panels(solved())
    view = shown.rebalance
    assert view.state == "ready"
    assert view.waiting is None
    btc = view.rows[0]
    assert (btc.side, btc.effect, btc.contracts) == ("sell", "REDUCE", Decimal("0.3"))
    assert btc.carry_usd_day == Decimal("17.55")
    total = sum((row.carry_usd_day for row in view.rows), Decimal(0))
    after, now = shown.status.carry_usd_day_after, shown.status.carry_usd_day
    assert after is not None
    assert now is not None
    assert total == after - now
    carry = next(row for row in view.comparisons if row.name == "carry")
    assert (carry.now, carry.after) == pytest.approx((-11.88, 1.83))
    assert {row.name for row in view.comparisons} >= {"volatility", "gross", "net"}
    assert view.solve_ms == pytest.approx(12.5)


def test_a_reduction_is_headed_by_what_it_leaves_broken() -> None:
    assert Desk().fill().panels(solved()).rebalance.headline == "ok"
    left = msgspec.structs.replace(proposal(), stays_broken=("gross", "coin_net:BTC"))
    view = Desk().fill().panels(msgspec.structs.replace(solved(), proposal=left)).rebalance
    assert (view.status, view.headline) == ("ok", "reduction: 2 limits stay broken")


def test_the_rebalance_says_which_key_sets_each_limit() -> None:
    prices = (LimitPrice("cvar", 3.0, "drawdown_max"), LimitPrice("stablecoin", 0.0))
    stands = msgspec.structs.replace(proposal(), explanation=Explanation(limits=prices))
    view = Desk().fill().panels(msgspec.structs.replace(solved(), proposal=stands)).rebalance
    assert view.setting_keys == {"cvar": "drawdown_max", "stablecoin": ""}


def test_on_a_shocked_market_the_rebalance_earns_its_carry_there() -> None:
    made = solved()
    assert made.proposal is not None
    bent = WhatIf(shocks={"BTC": -0.1})
    shocked = msgspec.structs.replace(made.proposal, what_if=bent)
    shown = Desk().fill().panels(msgspec.structs.replace(made, proposal=shocked))
    # A tenth less of the 23.40 that BTC pays now, and of the 5.85 that it would pay after.
    carry = next(row for row in shown.rebalance.comparisons if row.name == "carry")
    assert (carry.now, carry.after) == pytest.approx((-11.88 + 2.34, 1.83 + 0.585), abs=0.011)
    assert shown.rebalance.market == "prices BTC -10 %"
    # The funding panel is of the market as it is, where that trade is never made.
    assert (shown.funding.carry_usd_day, shown.funding.carry_usd_day_after) == (
        Desk().fill().panels().funding.carry_usd_day,
        None,
    )


def job_of(desk: Desk) -> ProposeJob:
    snapshot = desk.state.snapshot()
    assert snapshot is not None
    return Posing(load(None, {"desk.mode": "paper"}).settings).job(snapshot, WhatIf())


def test_what_is_kept_earns_its_carry_on_the_market_that_stands() -> None:
    """Kept unshocked beside half the price, and the other way round: the same for both columns."""
    made = proposal()
    half = WhatIf(shocks={"*": -0.5})
    for ours, theirs in ((half, WhatIf()), (WhatIf(), half)):
        stands = msgspec.structs.replace(made, what_if=ours)
        kept = msgspec.structs.replace(made, what_if=theirs)
        common = BookFigures(made.risk, 1.0, {}, 0.0, Decimal(0))
        job = job_of(Desk().fill())
        beside = (Kept("A", job, kept, True, common, stands.digest),)
        picture = msgspec.structs.replace(solved(), proposal=stands, kept=beside)
        view = Desk().fill().panels(picture).rebalance
        carry = {row.name: row for row in view.comparisons}["carry"]
        (a,) = view.kept
        assert {row.name: row for row in a.figures}["carry"] == carry
        assert carry.after != 0.0


def test_positions_show_the_target_beside_the_weight() -> None:
    view = Desk().fill().panels(solved()).positions
    assert view.rows[0].weight_target == pytest.approx(0.325)
    assert view.gross_target == pytest.approx(0.7517)


def test_an_expired_proposal_is_not_named_in_the_status() -> None:
    desk = Desk().fill()
    assert desk.panels(solved()).status.proposal == "9f3c"
    assert desk.panels(solved()).status.proposal_mends
    desk.clock.advance(61)
    assert desk.panels(solved()).status.proposal == ""


def test_a_failed_solve_keeps_the_old_rows_and_says_why() -> None:
    old = msgspec.structs.replace(solved(), state="failed", failure="the process ended; ask again")
    view = Desk().fill().panels(old).rebalance
    assert view.rows
    assert view.reasons[0] == "the process ended; ask again"
    assert not view.exportable
    none = ProposalPicture("balanced", state="failed", failure="history is short")
    assert Desk().fill().panels(none).rebalance.waiting == "history is short"
    assert Desk().fill().panels(none).regime.waiting == "history is short"


def test_regime_shows_probability_and_the_ratio_of_the_week() -> None:
    shown = Desk().fill().panels(solved())
    view = shown.regime
    assert view.label == "stress"
    assert view.forecast_volatility == pytest.approx(0.61)
    # Root mean square of 0.70 and 0.78, the two points of the last week.
    assert view.realised_7d == pytest.approx(((0.70**2 + 0.78**2) / 2) ** 0.5)
    assert view.ratio_7d == pytest.approx(((0.70**2 + 0.78**2) / 2) ** 0.5 / 0.61)
    assert view.exposure_before == 0.92
    assert shown.status.regime == "stress"
    assert shown.status.regime_probability == 0.86


def test_limits_stand_in_words_now_and_after() -> None:
    view = Desk().fill().panels(solved()).limits
    rows = {row.name: row for row in view.rows}
    coin = rows["coin_net:BTC"]
    assert (coin.now, coin.limit, coin.after) == pytest.approx((1.3, 0.8, 0.325))
    assert (coin.state, coin.state_after) == ("BREACH", "ok")
    assert rows["gross"].now == pytest.approx(1.94)
    assert rows["gross"].state == "ok"
    assert rows["gross"].price_usd_day is None
    assert rows["volatility"].now is not None
    assert rows["liquidation:binanceusdm"].at_least
    assert rows["turnover"].unit == "fraction"


def test_a_row_that_only_the_proposal_has_is_shown_too() -> None:
    view = Desk().fill().panels(solved()).limits
    only = {row.name: row for row in view.rows}["margin_stress:binanceusdm"]
    assert only.now is None
    assert only.state == ""
    assert only.state_after == "BINDS"


@pytest.mark.parametrize(
    ("equity", "now", "state"),
    [
        ("30300", 0.0, "ok"),
        ("28800", 0.04, "ok"),
        ("28590", 0.047, "WARN"),
        ("28500", 0.05, "BREACH"),
    ],
)
def test_the_loss_of_the_day_is_a_limit(equity: str, now: float, state: str) -> None:
    """Opened at 30,000 with a limit of five per cent."""
    desk = Desk().fill()
    desk.state.observe(VENUE, "account", reading(account(NOW_MS + 1, equity=equity), 1000.0))
    row = {row.name: row for row in desk.panels(solved()).limits.rows}["daily_loss"]
    assert row.now == pytest.approx(now)
    assert (row.limit, row.state) == (0.05, state)


def test_the_status_and_the_proposal_say_the_same_exposure() -> None:
    """Estimates say x0.50; the strategy in force does not follow them."""
    own = msgspec.structs.replace(proposal(), exposure=1.0)
    shown = Desk().fill().panels(msgspec.structs.replace(solved(), proposal=own))
    assert (shown.status.exposure, shown.rebalance.exposure) == (1.0, 1.0)
    unproposed = Desk().fill().panels(msgspec.structs.replace(solved(), proposal=None))
    assert unproposed.status.exposure is None


@pytest.mark.parametrize(
    ("value", "limit", "at_least", "state"),
    [
        (2.69, 3.0, False, "ok"),
        (2.71, 3.0, False, "WARN"),
        (3.01, 3.0, False, "BREACH"),
        (0.23, 0.2, True, "ok"),
        (0.21, 0.2, True, "WARN"),
        (0.19, 0.2, True, "BREACH"),
        (-0.89, -1.0, True, "ok"),
        (-0.91, -1.0, True, "WARN"),
        (-1.01, -1.0, True, "BREACH"),
    ],
)
def test_a_limit_warns_in_its_last_tenth(
    value: float, limit: float, at_least: bool, state: str
) -> None:
    ok = value >= limit if at_least else value <= limit
    assert state_of(LimitCheck("gross", value, limit, ok, at_least)) == state


def test_units_follow_names() -> None:
    assert unit_of("coin_gross:BTC") == "x"
    assert unit_of("margin_ratio:binanceusdm") == "fraction"


def test_a_proposal_mends_only_what_is_breached() -> None:
    held = (LimitCheck("gross", 1.0, 3.0, ok=True),)
    broken = (LimitCheck("gross", 3.5, 3.0, ok=False),)
    assert mends(broken, proposal())
    assert not mends(held, proposal())
    assert not mends(broken, None)


def test_best_venue_is_where_our_side_pays_least() -> None:
    other = "bybit:BTC/USDT:USDT"
    here, there = INSTRUMENTS[0], msgspec.structs.replace(INSTRUMENTS[0], id=other, venue="bybit")
    dear, cheap = FUNDING[0], msgspec.structs.replace(FUNDING[0], id=other, rate=Decimal("0.0001"))
    book = book_of(Desk().fill().state.picture)
    held = {row.instrument.id: row.notional_usd for row in book.holdings}
    best = best_venues({BTC: here, other: there}, {BTC: dear, other: cheap}, held)
    assert best[BTC] == "bybit"
    assert best_venues({BTC: here}, {BTC: dear}, held) == {}


def test_a_book_without_its_contract_or_mark_is_not_whole() -> None:
    desk = Desk()
    desk.state.observe(VENUE, "account", reading(account()))
    assert book_of(desk.state.picture).missing == f"waiting for the contract of {BTC}"
    desk.state.observe(VENUE, "instruments", reading(INSTRUMENTS))
    assert book_of(desk.state.picture).missing == f"waiting for the mark of {BTC}"


def test_a_short_alone_can_be_liquidated_and_a_covered_long_cannot() -> None:
    book = book_of(Desk().fill().state.picture)
    long, short = book.accounts[0].holdings
    assert own_liquidation(short, book.accounts[0]) is not None
    richer = msgspec.structs.replace(
        book.accounts[0],
        account=msgspec.structs.replace(book.accounts[0].account, wallet_usd=Decimal(90000)),
    )
    assert own_liquidation(long, richer) is None


def test_realised_is_none_without_recent_points() -> None:
    track = VolatilityTrack((NOW_MS - 30 * DAY_MS,), (0.5,), (0.6,))
    assert realised_over(track, NOW_MS, 7) is None


def test_realised_is_of_whole_days() -> None:
    midnight = NOW_MS // DAY_MS * DAY_MS
    stamps = tuple(midnight - day * DAY_MS for day in range(9, 0, -1))
    track = VolatilityTrack(stamps, (0.5,) * 9, (9.0, 9.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1))
    for now in (midnight, midnight + DAY_MS - 1):
        assert realised_over(track, now, 7) == pytest.approx(0.1)


def test_an_empty_desk_has_no_multiple() -> None:
    assert Book().multiple(Decimal(5)) is None
    assert book_of(Picture(venues=())).worst is None


def test_news_are_the_newest_of_all_sources_in_order() -> None:
    lines = tuple(EventLine(stamp, "info", str(stamp)) for stamp in range(20))
    merged = merged_news(lines[::2], lines[1::2])
    assert [line.ts_ms for line in merged] == list(range(12, 20))


def test_the_trading_side_stands_in_the_status() -> None:
    standing = Standing(kill_state="HALTED", sends_locked="the desk is HALTED", unknown_legs=2)
    status = Desk().fill().panels(standing=standing).status
    assert (status.kill_state, status.unknown_legs) == ("HALTED", 2)
    assert status.sends_locked == "the desk is HALTED"


def test_a_position_that_turns_over_is_a_flip_of_both_its_legs() -> None:
    """.4 BTC are sold, then .1 more: .5 in all, at the lower of both limit prices."""
    made = proposal()
    closing = msgspec.structs.replace(made.orders[0], contracts=Decimal("0.4"), after=Decimal(0))
    opening = msgspec.structs.replace(
        closing,
        effect=Effect.ADD,
        contracts=Decimal("0.1"),
        limit_price=Decimal("97402.5"),
        reduce_only=False,
        before=Decimal(0),
        after=Decimal("-0.1"),
    )
    flip = msgspec.structs.replace(made, orders=(closing, opening))
    picture = msgspec.structs.replace(solved(), proposal=flip)
    row, other = Desk().fill().panels(picture).rebalance.rows
    assert (row.side, row.effect, row.contracts) == ("sell", "FLIP", Decimal("0.5"))
    assert row.limit_price == Decimal("97207.5")
    assert (other.side, other.effect, other.contracts, other.limit_price) == ("", "", None, None)
    bought = [msgspec.structs.replace(leg, side=Side.BUY) for leg in (closing, closing, opening)]
    picture = msgspec.structs.replace(
        solved(), proposal=msgspec.structs.replace(made, orders=tuple(bought))
    )
    assert Desk().fill().panels(picture).rebalance.rows[0].limit_price == Decimal("97402.5")
