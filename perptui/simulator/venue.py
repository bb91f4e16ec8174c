"""A simulated venue put together: market, exchange, clock, wire, faults and true history."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from perptui.model.clock import Clock, parse_iso
from perptui.model.errors import InputError
from perptui.model.instrument import HISTORY_FOLDERS
from perptui.model.money import ZERO
from perptui.risk.contract_rules import ContractRules, rules_table
from perptui.simulator.clock import MarketClock
from perptui.simulator.events import Event, EventScript, happen
from perptui.simulator.exchange import Exchange
from perptui.simulator.faults import (
    INSTEAD,
    Fault,
    FaultKind,
    FaultScript,
    damaged,
    replaced,
    without_orders,
)
from perptui.simulator.market import Market, Source
from perptui.simulator.market_generated import GeneratedMarket
from perptui.simulator.opening import Opening, open_book
from perptui.simulator.recorder import Recorder
from perptui.simulator.wire import Wire, WireReply, WireRequest, json_reply
from perptui.simulator.wire_binance import BinanceWire
from perptui.simulator.wire_binance_params import Credentials

CONTROL_HOST = "control.perptui"
DEFAULT_EQUITY = Decimal(404_310)
WIRES = ("binanceusdm",)


class VenueOptions(msgspec.Struct, frozen=True):
    """What a simulated venue is made from.

    Attributes
    ----------
    wire : str
        Protocol, by ccxt's id.
    data : str
        Directory of Parquet history; empty for a generated market.
    start : str
        ISO 8601 instant; empty: now for a generated market, the first usable day of a history.
    seed : int
        Of the generated market.
    speed : float
        Venue seconds per second.
    equity : Decimal
        Opening equity, USD.
    book : str
        ``demo``, ``none``, or a file of ``[{id, contracts, entry_price}]``.
    """

    wire: str = "binanceusdm"
    data: str = ""
    start: str = ""
    seed: int = 1
    speed: float = 1.0
    equity: Decimal = DEFAULT_EQUITY
    book: str = "demo"


class SpeedWish(msgspec.Struct, frozen=True):
    """Body of ``POST /speed``: venue seconds per second."""

    speed: float


def build_source(options: VenueOptions, clock: Clock) -> Source:
    """Return the market that `options` ask for.

    Raises
    ------
    InputError
        When the start, the wire or the data directory is wrong.
    """
    if options.wire not in WIRES:
        raise InputError(f"expected a wire of {', '.join(WIRES)}, was {options.wire!r}")
    try:
        start_ms = parse_iso(options.start) if options.start else None
    except ValueError:
        raise InputError(
            f"expected an ISO 8601 start, was {options.start!r}; write it like 2024-08-04T12:00Z"
        ) from None
    if not options.data:
        if start_ms is None:
            start_ms = clock.utc_ms()
        return GeneratedMarket(options.seed, start_ms)
    # Parquet is read only where there is some: importing it is a third of the start.
    from perptui.simulator.market_replay import ReplayMarket

    folder = HISTORY_FOLDERS.get(options.wire, options.wire)
    known = tuple(rules_table().contracts[options.wire])
    return ReplayMarket(Path(options.data) / folder, known, start_ms)


def rules_of(wire: str, source: Source) -> dict[str, ContractRules]:
    """Return the rules of every contract of a market, by symbol.

    Those that the table does not know are assumed from the price the market starts with.

    Raises
    ------
    InputError
        When a contract is not against USDT.
    """
    rules = {}
    for symbol, series in source.series.items():
        price = Decimal(repr(float(series.open[series.row(source.start_ms)])))
        rules[symbol] = rules_table().rules(wire, symbol, price)
    return rules


class ServedVenue:
    """What a server serves: requests in, replies out, venue time from a clock.

    Parameters
    ----------
    source : Source
        The market.
    exchange : Exchange
        The core.
    venue_clock : MarketClock
        Venue time.
    wire : Wire
        The protocol.
    faults : FaultScript, optional
        Faults from the first call on.
    """

    def __init__(
        self,
        source: Source,
        exchange: Exchange,
        venue_clock: MarketClock,
        wire: Wire,
        faults: FaultScript | None = None,
    ) -> None:
        self.source = source
        self.exchange = exchange
        self.clock = venue_clock
        self.wire = wire
        self.faults = faults or FaultScript()
        self.events = EventScript()
        self.recorder = Recorder()

    def advance(self) -> None:
        """Bring the exchange to the clock's present, through all that was to happen on the way."""
        now = self.clock.utc_ms()
        for event in self.events.due(now):
            self.exchange.advance(event.at_ms)
            self._happen(event)
        self.exchange.advance(now)

    def _happen(self, event: Event) -> None:
        happen(self.exchange, event)
        self.recorder.note(self.exchange.now_ms, event.kind, msgspec.json.encode(event).decode())

    def set_speed(self, speed: float) -> None:
        """Run venue time at `speed` from now on.

        Raises
        ------
        InputError
            When `speed` is not between 0 and 100,000.
        """
        if not 0 <= speed <= 100_000:
            raise InputError(f"expected a speed between 0 and 100000, was {speed}; choose one")
        self.clock.set_speed(speed)
        self.wire.speed = speed

    def answer(self, request: WireRequest) -> tuple[WireReply, Fault | None]:
        """Answer one request of a client; the second value is the fault that struck it."""
        self.advance()
        endpoint = f"{request.method} {request.path}"
        for event in self.events.called(endpoint):
            self._happen(event)
        fault = self.faults.strike(endpoint)
        now = self.exchange.now_ms
        if fault is not None and fault.kind in INSTEAD:
            self.recorder.keep(now, request, None, fault.kind)
            return replaced(fault.kind, now), fault
        reply = self.wire.handle(request)
        self.recorder.keep(now, request, reply, fault.kind if fault else "")
        return self._struck(request, reply, fault), fault

    def _struck(self, request: WireRequest, reply: WireReply, fault: Fault | None) -> WireReply:
        """Return what the client is sent in place of `reply`."""
        known = self.faults.remember(request, reply)
        if fault is None:
            return reply
        if fault.kind is FaultKind.STALE:
            return known or reply
        if fault.kind is FaultKind.NO_ORDERS:
            return without_orders(request, reply)
        return damaged(fault.kind, reply, fault.pick)

    @property
    def detail(self) -> str:
        """What the market is, and which contracts' rules are assumed."""
        assumed = [symbol for symbol, rules in self.exchange.rules.items() if rules.assumed]
        said = f"; rules assumed of {', '.join(assumed)}" if assumed else ""
        return self.source.detail + said

    # ------------------------------------------------------------------ control plane

    def state(self) -> dict[str, Any]:
        """Return what the venue says of itself."""
        self.advance()
        return {
            "label": self.source.label,
            "market": self.source.kind,
            "detail": self.detail,
            "seed": self.source.seed,
            "speed": self.clock.speed,
            "utc_ms": self.clock.utc_ms(),
            "start_ms": self.source.start_ms,
            "end_ms": self.source.end_ms,
            "wire": self.wire.name,
            "liquidations": len(self.exchange.liquidator.events),
        }

    def control(self, request: WireRequest) -> WireReply:
        """Answer the control plane: state, speed, history, faults, events."""
        try:
            return self._control(request)
        except (InputError, msgspec.MsgspecError) as error:
            return json_reply({"error": " ".join(str(error).split())}, 400)

    def _control(self, request: WireRequest) -> WireReply:
        endpoint = f"{request.method} {request.path}"
        if endpoint == "GET /state":
            return json_reply(self.state())
        if endpoint == "POST /speed":
            self.advance()
            self.set_speed(msgspec.json.decode(request.body, type=SpeedWish).speed)
            return json_reply(self.state())
        if endpoint == "GET /history":
            return json_reply(self.recorder.all())
        if endpoint == "POST /rights":
            self.wire.rights.clear()
            self.wire.rights.update(msgspec.json.decode(request.body, type=dict[str, bool | None]))
            return json_reply({"rights": self.wire.rights})
        if endpoint == "POST /faults":
            self.faults = FaultScript(msgspec.json.decode(request.body, type=tuple[Fault, ...]))
            return json_reply({"faults": len(self.faults.faults)})
        if endpoint == "POST /events":
            self.events = EventScript(msgspec.json.decode(request.body, type=tuple[Event, ...]))
            return json_reply({"events": len(self.events.events)})
        return json_reply({"error": f"expected a control endpoint, was {endpoint}"}, 404)


class SimulatedVenue(ServedVenue):
    """One venue on a market of its own: generated, or a history that is replayed.

    Parameters
    ----------
    options : VenueOptions
        What to simulate.
    clock : Clock
        The machine's, or a manual one in tests.
    faults : FaultScript, optional
        Faults from the first call on.
    """

    def __init__(
        self, options: VenueOptions, clock: Clock, faults: FaultScript | None = None
    ) -> None:
        source = build_source(options, clock)
        market = Market(source)
        self.options = options
        exchange = Exchange(market, rules_of(options.wire, source), ZERO, source.start_ms)
        opening = Opening.of(options.book, options.wire)
        open_book(exchange, opening, options.equity)
        venue_clock = MarketClock(clock, source.start_ms, options.speed, source.end_ms)
        wire = BinanceWire(exchange, clock, Credentials())
        super().__init__(source, exchange, venue_clock, wire, faults)
        self.set_speed(options.speed)
