"""The table of order outcomes measured: what the venue did, what ccxt raised, what we make of it.

Every row of the design's table goes through the real ccxt, synchronous and asynchronous, to the
simulated venue on its socket. The URLs keep the venue's own hosts, by which ccxt chooses its
classes of errors.
"""

import asyncio
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from ccxt.binanceusdm import binanceusdm as synchronous

from perptui.model.clock import ManualClock, parse_iso
from perptui.model.money import ceil_to_tick, plain
from perptui.model.order import Effect, LegState, OrderIntent, Outcome, Side
from perptui.simulator.events import Event, EventKind, happen
from perptui.simulator.faults import Fault, FaultKind, FaultScript
from perptui.simulator.orders import OrderRequest, OrderType, TimeInForce
from perptui.simulator.server import VenueServer
from perptui.simulator.venue import SimulatedVenue, VenueOptions
from perptui.venues import parse_account
from perptui.venues.ccxt_client import binanceusdm
from perptui.venues.classify import classify
from perptui.venues.outcomes.binance import BINANCE
from perptui.venues.parse_market import Names
from perptui.venues.transport import Exchange, captured, socket_session
from tests.venues.sync_socket import session_over

HOST = "fapi.binance.com"
ORDER = "POST /fapi/v1/order"
KEY = "simulated"
PATIENCE_MS = 10_000
SHORT_PATIENCE_MS = 250
"""How long ccxt waits where the venue keeps silent, which is for longer."""
HANG_S = 0.4

Prepare = Callable[[SimulatedVenue, str], None]


class Row(NamedTuple):
    """One row: how it is brought about, and what safety asks of it.

    `code` is the venue's, by which ccxt's own table of the live host names its class; without one
    `raised` are the classes that ccxt may raise, "" for none: (synchronous, asynchronous).
    """

    name: str
    outcome: LegState
    at_venue: bool
    prepare: Prepare
    raised: tuple[str, str] = ("", "")
    code: str = ""
    coin: str = "BTC"
    quantity: str = "0.01"
    kind: str = "limit"
    reduce_only: bool = False


class Measured(NamedTuple):
    """What came of a row: `at_venue` from the venue's true history, `raised` by ccxt."""

    name: str
    mode: str
    at_venue: bool
    status: int | None
    raised: str
    expected_raised: str
    outcome: Outcome
    expected: LegState
    history: str


def struck(kind: FaultKind) -> Prepare:
    """Strike the order with a fault."""

    def prepare(venue: SimulatedVenue, _client_id: str) -> None:
        venue.faults = FaultScript((Fault(ORDER, 1, kind, HANG_S),))

    return prepare


def after(kind: EventKind, symbol: str, amount: str = "0", text: str = "") -> Prepare:
    """Let something happen before the order."""

    def prepare(venue: SimulatedVenue, _client_id: str) -> None:
        happen(venue.exchange, Event(kind, symbol=symbol, amount=Decimal(amount), text=text))

    return prepare


def nothing(_venue: SimulatedVenue, _client_id: str) -> None:
    """Leave the venue as it is: it refuses or takes the order itself."""


def high_leverage(venue: SimulatedVenue, _client_id: str) -> None:
    """Set the leverage at which the smallest position is allowed."""
    tier = venue.exchange.rules["ETHUSDT"].tiers[0]
    venue.exchange.account.leverage["ETHUSDT"] = tier.max_leverage


def shut_door(venue: SimulatedVenue, _client_id: str) -> None:
    """Refuse connections after the next look at the clock."""
    venue.faults = FaultScript((Fault("GET /fapi/v1/time", 1, FaultKind.REFUSED_AFTER, HANG_S),))


def resting_twin(venue: SimulatedVenue, client_id: str) -> None:
    """Have an order rest under the same client id."""
    price = ceil_to_tick(venue.exchange.mark("BTCUSDT") * Decimal("0.98"), Decimal("0.1"))
    request = OrderRequest(
        *("BTCUSDT", Side.BUY, OrderType.LIMIT, Decimal("0.01"), price, TimeInForce.GTC),
        client_id=client_id,
    )
    venue.exchange.place(request)


UNKNOWN, REJECTED, NOT_SENT = LegState.UNKNOWN, LegState.REJECTED, LegState.NOT_SENT
GONE = ("NetworkError", "ExchangeNotAvailable")
QUIET = ("", "")
MID = ("NetworkError", "ExchangeError")
DOOR = ("ExchangeNotAvailable",) * 2
MANY = ("DDoSProtection",) * 2
GARBAGE = ("", "ExchangeError")
"""Left alone ccxt takes a garbage 200 for an order without an id; our session refuses the body."""

ROWS = (
    Row("accepted", LegState.ACKED, True, nothing),
    Row("hang", UNKNOWN, True, struck(FaultKind.HANG), ("RequestTimeout",) * 2),
    Row("reset before the answer", UNKNOWN, True, struck(FaultKind.RESET_BEFORE_ANSWER), GONE),
    Row("reset mid-body", UNKNOWN, True, struck(FaultKind.RESET_MID_BODY), MID),
    Row("200 truncated", UNKNOWN, True, struck(FaultKind.TRUNCATED), GARBAGE),
    Row("200 HTML", UNKNOWN, True, struck(FaultKind.HTML), GARBAGE),
    Row("200 empty", UNKNOWN, True, struck(FaultKind.EMPTY), GARBAGE),
    Row("200 {}", UNKNOWN, True, struck(FaultKind.EMPTY_OBJECT), QUIET),
    Row("200 NaN", UNKNOWN, True, struck(FaultKind.NAN), GARBAGE),
    Row("200 null", UNKNOWN, True, struck(FaultKind.NULL), GARBAGE),
    Row("500", UNKNOWN, True, struck(FaultKind.INTERNAL_ERROR), code="-1000"),
    Row("502 HTML", UNKNOWN, True, struck(FaultKind.BAD_GATEWAY), DOOR),
    Row("503 -1000", UNKNOWN, True, struck(FaultKind.UNKNOWN_STATUS), code="-1000"),
    Row("504 -1007", UNKNOWN, True, struck(FaultKind.TIMEOUT), code="-1007"),
    Row("408 -1007", UNKNOWN, True, struck(FaultKind.TIMEOUT_408), code="-1007"),
    Row("400 -1006", UNKNOWN, True, struck(FaultKind.UNEXPECTED), code="-1006"),
    Row("503 Service Unavailable", UNKNOWN, False, struck(FaultKind.UNAVAILABLE), code="-1001"),
    Row("503 -1008", UNKNOWN, False, struck(FaultKind.OVERLOADED), code="-1008"),
    Row("403 WAF page", UNKNOWN, False, struck(FaultKind.FIREWALL), DOOR),
    Row("429", NOT_SENT, False, struck(FaultKind.RATE_LIMITED), MANY),
    Row("429 -1015", NOT_SENT, False, struck(FaultKind.TOO_MANY_ORDERS), MANY),
    Row("418", NOT_SENT, False, struck(FaultKind.BANNED), MANY),
    Row("connect refused", NOT_SENT, False, shut_door, GONE),
    Row("-2019", REJECTED, False, nothing, code="-2019", quantity="90"),
    Row("-4164", REJECTED, False, nothing, code="-4164", coin="SOL", quantity="0.01"),
    Row("-2022", REJECTED, False, nothing, code="-2022", coin="SOL", reduce_only=True),
    Row("-2027", REJECTED, False, high_leverage, code="-2027", coin="ETH", quantity="900"),
    Row("-4108", REJECTED, False, after(EventKind.CONTRACT_CLOSED, "XRPUSDT"), code="-4108",
        coin="XRP", quantity="100"),
    Row("-4131", REJECTED, False, after(EventKind.BAND_CHANGED, "ADAUSDT", "0.0000001"),
        code="-4131", coin="ADA", quantity="1000", kind="market"),
    Row("-1121", REJECTED, False,
        after(EventKind.CONTRACT_RENAMED, "DOGEUSDT", "1000", "1000DOGEUSDT"), code="-1121",
        coin="DOGE", quantity="1000"),
    Row("-1111", REJECTED, False, after(EventKind.STEP_CHANGED, "BNBUSDT", "1"), code="-1111",
        coin="BNB", quantity="0.01"),
    Row("-1021", REJECTED, False, struck(FaultKind.CLOCK), code="-1021"),
    Row("-2015", REJECTED, False, struck(FaultKind.KEY_REVOKED), code="-2015"),
    Row("-4116", UNKNOWN, True, resting_twin, code="-4116"),
)  # fmt: skip
"""The rows of the design's table of outcomes, in its order, and an order that goes well."""


class Bench:
    """One venue on its socket, and both clients of it."""

    def __init__(self, folder: Path) -> None:
        clock = ManualClock(parse_iso("2026-11-22T12:34:56Z"))
        self.venue = SimulatedVenue(VenueOptions(seed=5, book="none"), clock)
        self.path = folder / "venue.sock"
        self.markets: Any = None
        self.count = 0

    async def measure(self) -> list[Measured]:
        """Measure every row through both clients."""
        server, ready = VenueServer(self.venue, self.path), asyncio.Event()
        serving = asyncio.create_task(server.serve(ready.set))
        await ready.wait()
        try:
            found = [await self._asynchronous(row) for row in ROWS]
            return found + [await self._synchronous(row) for row in ROWS]
        finally:
            server.stop()
            await serving

    def _terms(self, row: Row) -> tuple[OrderIntent, str, list[Any]]:
        """Return the order of a row, its client id, and what ccxt is asked with."""
        self.count += 1
        self.venue.faults = FaultScript()
        client_id = f"pt{self.count:030x}"
        rules = self.venue.exchange.rules[f"{row.coin}USDT"]
        mark = self.venue.exchange.mark(f"{row.coin}USDT")
        limit, size = ceil_to_tick(mark * Decimal("1.003"), rules.tick), Decimal(row.quantity)
        symbol = f"{row.coin}/USDT:USDT"
        intent = OrderIntent(
            id=f"binanceusdm:{symbol}",
            side=Side.BUY,
            effect=Effect.ADD,
            contracts=size,
            notional_usd=size * mark,
            limit_price=limit,
            mark_price=mark,
            reduce_only=row.reduce_only,
            before=Decimal(0),
            after=size,
        )
        params = {"newClientOrderId": client_id}
        if row.kind == "limit":
            params["timeInForce"] = "IOC"
        if row.reduce_only:
            params["reduceOnly"] = "true"
        price = plain(limit) if row.kind == "limit" else None
        return intent, client_id, [symbol, row.kind, "buy", plain(size), price, params]

    async def _asynchronous(self, row: Row) -> Measured:
        intent, client_id, terms = self._terms(row)
        session = socket_session(str(self.path), frozenset({HOST}), self.venue.clock)
        client = binanceusdm(session, self.venue.clock, KEY, KEY, demo_trading=False)
        if self.markets is None:
            self.markets = await client.fetch_markets()
        client.set_markets(self.markets)
        client.timeout = _patience_ms(row)
        row.prepare(self.venue, client_id)
        if row.prepare is shut_door:
            await client.fetch_time()
        collected: list[Exchange] = []
        token = captured.set(collected)
        raised: Exception | None = None
        try:
            await client.create_order(*terms)
        except Exception as error:  # noqa: BLE001 - what ccxt raises is what is measured
            raised = error
        finally:
            captured.reset(token)
        await client.close()
        await session.close()
        return await self._row(row, "async", intent, client_id, collected, raised)

    async def _synchronous(self, row: Row) -> Measured:
        intent, client_id, terms = self._terms(row)
        session, adapter = session_over(str(self.path), self.venue.clock)
        client = synchronous(
            {
                "apiKey": KEY,
                "secret": KEY,
                "session": session,
                "enableRateLimit": False,
                "timeout": _patience_ms(row),
                "options": {"recvWindow": 5000, "maxRetriesOnFailure": 0},
            }
        )
        client.milliseconds = self.venue.clock.utc_ms
        client.set_markets(self.markets)
        row.prepare(self.venue, client_id)
        if row.prepare is shut_door:
            await asyncio.to_thread(client.fetch_time)
        adapter.captured.clear()
        raised: Exception | None = None
        try:
            await asyncio.to_thread(client.create_order, *terms)
        except Exception as error:  # noqa: BLE001 - what ccxt raises is what is measured
            raised = error
        client.close()
        return await self._row(row, "sync", intent, client_id, adapter.captured, raised)

    async def _row(
        self,
        row: Row,
        mode: str,
        intent: OrderIntent,
        client_id: str,
        exchanges: list[Exchange],
        raised: Exception | None,
    ) -> Measured:
        if row.prepare is shut_door:
            await asyncio.sleep(HANG_S)
        venue_symbol = intent.id.partition(":")[2].partition(":")[0].replace("/", "")
        names = Names({venue_symbol: intent.id}, (venue_symbol,))
        exchange = exchanges[-1] if exchanges else None
        outcome = classify(
            exchange,
            lambda body: parse_account.acknowledgement(body, intent, client_id, names, 1),
            BINANCE,
        )
        return Measured(
            row.name,
            mode,
            any(order.client_id == client_id for order in self.venue.exchange.orders.values()),
            exchange.status if exchange else None,
            type(raised).__name__ if raised else "",
            _expected_class(row, mode),
            outcome,
            row.outcome,
            self._history(client_id),
        )

    def _history(self, client_id: str) -> str:
        """Return what the venue's true history says of the order: how often, and what came."""
        rows = [
            row
            for row in self.venue.recorder.all()
            if row.method == "POST" and client_id in row.body + row.query
        ]
        return " + ".join(
            f"{'handled' if row.handled else 'not handled'} {row.status or ''} {row.fault}".strip()
            for row in rows
        )


def _patience_ms(row: Row) -> int:
    """Return a time that a busy machine does not run into, but for the row that is about it."""
    return SHORT_PATIENCE_MS if row.name == "hang" else PATIENCE_MS


def _expected_class(row: Row, mode: str) -> str:
    """Return the class that ccxt's own table has for the code at the live host."""
    if not row.code:
        return row.raised[mode == "async"]
    table = synchronous().exceptions
    found = table["linear"]["exact"].get(row.code) or table["exact"].get(row.code)
    # -4108 is in neither: ccxt raises the class of what it does not know.
    return "ExchangeError" if found is None else str(found.__name__)


def measure() -> list[Measured]:
    """Return every row of the table of outcomes, measured through both clients."""
    with tempfile.TemporaryDirectory(prefix="pt-") as folder:
        return asyncio.run(Bench(Path(folder)).measure())


def table(found: list[Measured]) -> str:
    """Return the measured rows as text, a line each."""
    head = f"{'row':26}{'ccxt':7}{'at venue':10}{'HTTP':6}{'raised':24}{'outcome':10}code"
    lines = [
        f"{row.name:26}{row.mode:7}{'yes' if row.at_venue else 'no':10}"
        f"{row.status or '-':<6}{row.raised or '-':24}{row.outcome.state:10}{row.outcome.code}"
        for row in found
    ]
    return "\n".join([head, *lines])
