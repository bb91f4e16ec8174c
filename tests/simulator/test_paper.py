"""The paper account: fed with readings of a real market, kept on disk before it answers."""

import hashlib
import hmac
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest

from perptui.model.clock import HOUR_MS, ManualClock, parse_iso
from perptui.model.errors import InputError
from perptui.model.market import Book, BookLevel, FundingQuote, Quote
from perptui.model.paper import PaperFeed
from perptui.risk.contract_rules import rules_table
from perptui.simulator.orders import Status
from perptui.simulator.paper import CANNOT_KEEP, PaperAccount
from perptui.simulator.wire import WireReply, WireRequest

NOW = parse_iso("2026-11-22T12:34:56Z")
RULES = rules_table().rules("binanceusdm", "BTCUSDT")
BTC = RULES.instrument.id
EQUITY = Decimal(1_000_000)


def feed(
    now_ms: int, price: int, *, asks: str = "2", rate: str = "0.0001", settles_ms: int = 0
) -> PaperFeed:
    """What the desk reads while BTC stands at `price`: one dollar of spread, one level a side."""
    mark = Decimal(price)
    half = Decimal("0.5")
    next_ms = settles_ms or NOW + 12 * HOUR_MS
    bids = (BookLevel(mark - half, Decimal(2)),)
    return PaperFeed(
        now_ms=now_ms,
        instruments=(msgspec.structs.replace(RULES.instrument, tiers=()),),
        quotes=(Quote(BTC, now_ms, mark, mark, None, mark - half, mark + half),),
        funding=(FundingQuote(BTC, now_ms, Decimal(rate), next_ms, 8.0),),
        books=(Book(BTC, now_ms, bids, (BookLevel(mark + half, Decimal(asks)),)),),
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "paper.json"


def opened(file: Path, clock: ManualClock) -> PaperAccount:
    return PaperAccount(file, EQUITY, clock)


def ask(account: PaperAccount, method: str, path: str, **given: str) -> WireReply:
    """Send a signed request as the adapter does."""
    query = urlencode({**given, "timestamp": str(account.clock.utc_ms()), "recvWindow": "5000"})
    signature = hmac.new(b"simulated", query.encode(), hashlib.sha256).hexdigest()
    headers = {"x-mbx-apikey": "simulated"}
    request = WireRequest(method, path, f"{query}&signature={signature}", "", headers)
    return account.answer(request)[0]


def order(account: PaperAccount, side: str, quantity: str, price: str, **more: str) -> WireReply:
    given = {"symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": "GTC"}
    given |= {"quantity": quantity, "price": price, **more}
    return ask(account, "POST", "/fapi/v1/order", **given)


def held(account: PaperAccount) -> Decimal:
    return account.exchange.account.quantity("BTCUSDT")


def test_it_begins_with_its_equity_and_the_tables_tiers(file: Path, clock: ManualClock) -> None:
    account = opened(file, clock)
    assert account.standing.now_ms == 0
    account.feed(feed(NOW, 60_000))
    assert account.exchange.equity() == EQUITY
    assert account.exchange.rules["BTCUSDT"].tiers == RULES.tiers
    assert (account.standing.held, account.standing.working) == ((), ())
    assert abs(account.standing.now_ms - NOW) <= 250


def test_an_order_takes_what_the_book_holds_and_rests_with_the_remainder(
    file: Path, clock: ManualClock
) -> None:
    account = opened(file, clock)
    account.feed(feed(NOW, 60_000, asks="2"))
    assert order(account, "BUY", "3", "60001").status == 200
    assert held(account) == 2
    (trade,) = account.exchange.trades.values()
    assert (trade.price, trade.maker) == (Decimal("60000.5"), False)
    assert trade.fee == Decimal("60000.5") * 2 * RULES.taker_fee
    assert account.standing.working == (BTC,)
    # The book is read again with the same two BTC: the real venue knows of no order of ours.
    # What was taken is away for a while, so they are not sold twice.
    clock.advance(1)
    account.feed(feed(NOW + 1000, 60_000, asks="2"))
    assert held(account) < 3
    clock.advance(600)
    account.feed(feed(NOW + 601_000, 60_000, asks="2"))
    assert held(account) == 3
    assert not account.standing.working


def test_the_book_is_marked_and_funded_at_the_prices_read(file: Path, clock: ManualClock) -> None:
    account = opened(file, clock)
    stamp = NOW // HOUR_MS * HOUR_MS + HOUR_MS
    account.feed(feed(NOW, 60_000, settles_ms=stamp))
    order(account, "BUY", "1", "60001")
    fee = Decimal("60000.5") * RULES.taker_fee
    account.feed(feed(stamp - 1000, 61_000, rate="0.0003", settles_ms=stamp))
    assert account.exchange.equity() == EQUITY - fee + (61_000 - Decimal("60000.5"))
    account.feed(feed(stamp + 1000, 62_000, settles_ms=stamp + 8 * HOUR_MS))
    # -quantity x mark x rate at the stamp: the last rate and mark that were read before it.
    paid = [row for row in account.exchange.account.bookings if row.kind == "FUNDING_FEE"]
    assert [(row.ts_ms, row.amount) for row in paid] == [
        (stamp, Decimal(-61_000) * Decimal("0.0003"))
    ]


def test_an_account_below_its_maintenance_is_liquidated(file: Path, clock: ManualClock) -> None:
    account = opened(file, clock)
    account.feed(feed(NOW, 60_000, asks="400"))
    order(account, "BUY", "200", "60001")
    assert held(account) == 200
    clock.advance(3)
    account.feed(feed(NOW + 3000, 55_000))
    assert held(account) == 0
    assert len(account.exchange.liquidator.events) == 1


def test_a_restart_at_any_moment_is_the_same_account(file: Path, clock: ManualClock) -> None:
    account = opened(file, clock)
    account.feed(feed(NOW, 60_000))
    stop = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET"}
    stop |= {"quantity": "1", "triggerPrice": "50000", "reduceOnly": "true"}
    steps: list[Callable[[], WireReply]] = [
        lambda: order(account, "BUY", "1", "60001", newClientOrderId="a"),
        lambda: order(account, "SELL", "1", "70000", newClientOrderId="b"),
        lambda: ask(account, "POST", "/fapi/v1/algoOrder", **stop, workingType="MARK_PRICE"),
        lambda: ask(account, "POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage="7"),
    ]
    for step in steps:
        reply = step()
        assert reply.status == 200, reply.body
        # Nothing is asked of the first: it might have been killed after its answer.
        second = opened(file, clock)
        assert held(second) == held(account)
        assert second.exchange.account == account.exchange.account
        assert second.exchange.resting == account.exchange.resting
        assert second.exchange.waiting == account.exchange.waiting
        assert second.exchange.trades == account.exchange.trades
        assert second.standing.working == account.standing.working
    second.feed(feed(NOW + 5000, 60_000))
    open_orders = ask(second, "GET", "/fapi/v1/openOrders")
    assert [row["clientOrderId"] for row in msgspec.json.decode(open_orders.body)] == ["b"]
    # Ids go on where they were: no two orders or trades share one.
    assert order(second, "BUY", "0.1", "60001").status == 200
    assert max(second.exchange.orders) > max(account.exchange.orders)


def test_the_file_is_the_owners_alone(file: Path, clock: ManualClock) -> None:
    opened(file, clock).feed(feed(NOW, 60_000))
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.glob("paper*")] == ["paper.json"]


def test_what_cannot_be_kept_is_not_answered(file: Path, clock: ManualClock) -> None:
    account = opened(file, clock)
    account.feed(feed(NOW, 60_000))
    kept = file.read_bytes()
    # A folder in the way of the new file: it cannot be written, as on a full disk.
    file.with_name("paper.json.new").mkdir()
    reply = order(account, "BUY", "1", "60001")
    assert reply.status == 503
    assert CANNOT_KEEP.encode() in reply.body
    assert ask(account, "GET", "/fapi/v3/account").status == 503
    file.with_name("paper.json.new").rmdir()
    # It stays silent: what it has in memory is not what a restart will find.
    assert ask(account, "GET", "/fapi/v3/account").status == 503
    assert file.read_bytes() == kept
    assert held(opened(file, clock)) == 0


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"version": 1}'])
def test_no_account_is_begun_over_one_that_cannot_be_read(
    file: Path, clock: ManualClock, content: bytes
) -> None:
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"expected a paper account in .*put it aside"):
        opened(file, clock)
    assert file.read_bytes() == content


def test_a_later_version_is_refused(file: Path, clock: ManualClock) -> None:
    opened(file, clock).feed(feed(NOW, 60_000))
    state = msgspec.json.decode(file.read_bytes())
    file.write_bytes(msgspec.json.encode(state | {"version": 2}))
    with pytest.raises(InputError, match=r"of version 1 in .* was 2; use the perptui"):
        opened(file, clock)


def test_without_a_book_nothing_fills(file: Path, clock: ManualClock) -> None:
    account = opened(file, clock)
    account.feed(msgspec.structs.replace(feed(NOW, 60_000), books=()))
    assert order(account, "BUY", "1", "60001", timeInForce="IOC").status == 200
    (ended,) = account.exchange.orders.values()
    assert ended.status is Status.EXPIRED
    assert held(account) == 0


def test_paper_time_has_no_speed(file: Path, clock: ManualClock) -> None:
    account = opened(file, clock)
    reply = account.control(WireRequest("POST", "/speed", body='{"speed": 60}'))
    assert reply.status == 400
