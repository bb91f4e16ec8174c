"""The paper account on a real market: a simulated exchange that is fed with what the desk reads.

It speaks the venue's wire on a UNIX socket, as the simulated venue does, so that orders go through
the same adapter and the same gate. Prices, funding and books are the real venue's as the desk last
gave them; orders meet those books here and nowhere else. Every change of the account is on disk
before its answer leaves, so a restart, or a kill at any moment, loses nothing that was told.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from perptui.model.clock import DAY_MS, Clock
from perptui.model.errors import InputError
from perptui.model.instrument import Instrument
from perptui.model.money import ZERO
from perptui.model.paper import PaperFeed, PaperStanding
from perptui.risk.contract_rules import QUOTE, ContractRules, rules_table
from perptui.simulator.clock import MarketClock
from perptui.simulator.exchange import Exchange
from perptui.simulator.faults import Fault
from perptui.simulator.paper_market import LiveBooks, LiveMarket, middle_of
from perptui.simulator.paper_state import StateFile, put_back, read_state, set_rules, state_of
from perptui.simulator.path import GRID_MS
from perptui.simulator.venue import ServedVenue
from perptui.simulator.wire import WireReply, WireRequest, json_reply
from perptui.simulator.wire_binance import BinanceWire
from perptui.simulator.wire_binance_params import Credentials

WIRE = "binanceusdm"
CANNOT_KEEP = "the paper account cannot be written"


class PaperAccount(ServedVenue):
    """One paper account, kept in a file.

    Parameters
    ----------
    file : Path
        Where the account is kept, 0600; it begins with `equity` where there is none.
    equity : Decimal
        Opening wallet, USD.
    clock : Clock
        The machine's; venue time comes with the feed.

    Raises
    ------
    InputError
        When the file holds no account that can be gone on with.
    """

    def __init__(self, file: Path, equity: Decimal, clock: Clock) -> None:
        self._market = LiveMarket()
        self._file = StateFile(file)
        self._fault = ""
        kept = read_state(file)
        start_ms = 0 if kept is None else kept.now_ms
        self._equity = equity
        exchange = Exchange(self._market, {}, ZERO, start_ms)
        self._books = LiveBooks(self._market, exchange.rules)
        exchange.books = self._books
        if kept is not None:
            put_back(kept, exchange, self._market)
        # Venue time stands still until the desk says what it is.
        venue_clock = MarketClock(clock, start_ms, 0.0)
        wire = BinanceWire(exchange, clock, Credentials())
        super().__init__(self._market.live, exchange, venue_clock, wire)

    # ------------------------------------------------------------------ requests

    def advance(self) -> None:
        """Carry the account on to the present; keep what that changed."""
        before = len(self.exchange.account.bookings), len(self.exchange.trades)
        super().advance()
        if before != (len(self.exchange.account.bookings), len(self.exchange.trades)):
            self._keep()

    def answer(self, request: WireRequest) -> tuple[WireReply, Fault | None]:
        """Answer one request; what it changed is on disk before the answer leaves."""
        reply, fault = super().answer(request)
        if request.method != "GET":
            self._keep()
        if self._fault:
            return json_reply({"code": -1000, "msg": self._fault}, 503), fault
        return reply, fault

    def _keep(self) -> None:
        """Write the account; once that failed nothing more is answered: it would be forgotten."""
        if self._fault:
            return
        try:
            self._file.keep(state_of(self.exchange, self._market))
        except OSError as error:
            self._fault = f"{CANNOT_KEEP}: {error.strerror}; free its disk and start the desk anew"

    def _control(self, request: WireRequest) -> WireReply:
        endpoint = f"{request.method} {request.path}"
        if endpoint == "GET /paper":
            return json_reply(self.standing)
        if endpoint == "POST /feed":
            self.feed(msgspec.json.decode(request.body, type=PaperFeed))
            return json_reply(self.standing)
        if endpoint == "POST /speed":
            raise InputError("expected the real venue's pace, was another; paper mode has no speed")
        return super()._control(request)

    # ------------------------------------------------------------------ the feed

    @property
    def standing(self) -> PaperStanding:
        """Where the account stands."""
        exchange = self.exchange
        orders = {order.request.symbol for order in exchange.resting.values()}
        stops = {stop.request.symbol for stop in exchange.waiting.values()}
        return PaperStanding(
            now_ms=exchange.now_ms,
            held=tuple(sorted(map(self._id_of, exchange.account.open_holdings()))),
            working=tuple(sorted(map(self._id_of, orders | stops))),
        )

    def _id_of(self, symbol: str) -> str:
        return self.exchange.rules[symbol].instrument.id

    def feed(self, feed: PaperFeed) -> None:
        """Take what the desk read, and carry the account on to its time.

        What was read before holds until then; what is read now holds from then on.
        """
        marks = {quote.id: quote.mark for quote in feed.quotes}
        for instrument in feed.instruments:
            if instrument.settle == QUOTE and instrument.id in marks:
                self._list(instrument, marks[instrument.id])
        symbols = {self._id_of(symbol): symbol for symbol in self.exchange.rules}
        for settled in feed.settled:
            if settled.id in symbols:
                self._market.observe_settled(symbols[settled.id], settled)
        exchange = self.exchange
        moment = feed.now_ms // GRID_MS * GRID_MS
        if not exchange.now_ms:
            exchange.now_ms = moment - GRID_MS
            # Yesterday's: today's profit knows of no deposit.
            exchange.account.book(exchange.now_ms - DAY_MS, "TRANSFER", "", self._equity)
        exchange.advance(moment - GRID_MS)
        moment = max(moment, exchange.now_ms + GRID_MS)
        self._observe(feed, symbols, moment)
        self.clock.anchor(max(feed.now_ms, moment))
        self.clock.set_speed(1.0)
        exchange.advance(moment)
        self._keep()

    def _observe(self, feed: PaperFeed, symbols: dict[str, str], moment: int) -> None:
        for quote in feed.quotes:
            if quote.id in symbols:
                self._market.observe(symbols[quote.id], quote, moment)
        for funding in feed.funding:
            if funding.id in symbols:
                self._market.observe_funding(symbols[funding.id], funding)
        middles = {quote.id: middle_of(quote) for quote in feed.quotes}
        for book in feed.books:
            if book.id in symbols and book.id in middles:
                self._books.observe(symbols[book.id], book, middles[book.id])

    def _list(self, instrument: Instrument, mark: Decimal) -> None:
        """Let a contract be traded, or change its rules to what the venue says now."""
        symbol = instrument.venue_symbol
        known = self.exchange.rules.get(symbol)
        rules = rules_of(instrument, known or rules_table().rules(WIRE, symbol, mark))
        if rules != known:
            set_rules(self.exchange, self._market, rules, symbol)


def rules_of(instrument: Instrument, base: ContractRules) -> ContractRules:
    """Return the rules of a real contract: its own, and those of `base` that it does not say.

    Without keys a venue does not say its tiers.
    """
    return msgspec.structs.replace(
        base,
        symbol=instrument.venue_symbol,
        coin=instrument.symbol.partition("/")[0],
        tick=instrument.tick,
        step=instrument.step,
        min_notional=instrument.min_notional_usd,
        max_limit=instrument.max_contracts or base.max_limit,
        maker_fee=instrument.maker_fee,
        taker_fee=instrument.taker_fee,
        tiers=instrument.tiers or base.tiers,
    )
