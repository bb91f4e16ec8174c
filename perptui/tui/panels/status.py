"""The status lines: mode in words, profit split, drawdown, worst account, regime, ages, locks.

What does not fit is left out by rank, never cut: each piece stands whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from perptui.protocol.views import StatusView
from perptui.tui import format as figures
from perptui.tui.keymap import footer
from perptui.tui.panels.base import gain_role, shortened, wrapped
from perptui.tui.panels.limits import limit_name
from perptui.tui.panels.regime_sections import regime_role
from perptui.tui.picture import Line, Picture, Span, beside, crop, width_of
from perptui.tui.second_person import role_words, waiting_line
from perptui.tui.showing import NEWS_LINES, Showing
from perptui.tui.theme import Palette

TABS = (
    ("1", "Desk", "Desk"),
    ("2", "Pos", "Positions"),
    ("3", "Fund", "Funding"),
    ("4", "Vol", "Vol"),
    ("5", "Reb", "Rebalance"),
    ("6", "Risk", "Risk"),
    ("7", "Test", "Test"),
    ("8", "Jrnl", "Journal"),
)
REPLAY = "REPLAY"
"""A market of the past: its label in `StatusView.market`."""
REBALANCE_DIGIT = "5"
WIDE = 110
"""From this width on, words are longer and there are three lines at the top."""

WIDEST = 150
"""From this width on, views and venues have their long names."""

CLOCK = 14
"""Cells of the time, and of the blanks between it, the mode and what is wrong."""
SPLIT_RANK = 6
"""Of the split of today's profit: written short before it is left out."""

MODE_ROLES = {"LIVE": "alarm@alarm", "VIEW": "dim", "EXPORT": "accent"}


def mode_role(words: str) -> str:
    """Return the colour of a desk's mode, said in words: what sends for real is an alarm."""
    return MODE_ROLES.get(words.partition(" ")[0], "title@bar")


class Piece(NamedTuple):
    """Spans that stand or fall together; the smallest rank goes last."""

    rank: int
    spans: Line


def needed(pieces: Sequence[Piece]) -> int:
    """Return the cells that pieces take with two spaces between."""
    return sum(width_of(piece.spans) + 2 for piece in pieces) - 1


def packed(pieces: Sequence[Piece], width: int) -> Line:
    """Return the pieces in order, two spaces apart, less those of highest rank that do not fit.

    The last one stays whatever its length: what matters most is cut rather than left out.
    """
    kept = [piece for piece in pieces if piece.spans]
    while len(kept) > 1 and needed(kept) > width:
        kept.remove(max(kept, key=lambda piece: piece.rank))
    spans: list[Span] = [(" ", "text")]
    for index, piece in enumerate(kept):
        if index:
            spans.append(("  ", "text"))
        spans += piece.spans
    return tuple(spans)


class StatusLines(Picture):
    """One block of status lines.

    Parameters
    ----------
    name : str
        Which block: top or bottom.
    tab : callable
        Returns the digit of the view in sight.
    digits_mean : callable
        Returns what digits do on the page in sight, "" where they choose a view.
    """

    def __init__(
        self,
        showing: Showing,
        palette: Callable[[], Palette],
        name: str,
        tab: Callable[[], str],
        digits_mean: Callable[[], str] = str,
    ) -> None:
        super().__init__(palette, ascii_only=showing.glyphs == "ascii", name=name)
        self.showing = showing
        self._tab = tab
        self._digits_mean = digits_mean

    @property
    def status(self) -> StatusView:
        """The newest status: it is never frozen."""
        return self.showing.live.status

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the lines of the top block."""
        lines = [self.book_line(width), self.tab_line(width)]
        if height >= 3:
            lines.append(self.state_line(width))
        return lines

    # ---------------------------------------------------------------- line 1: the book

    def book_line(self, width: int) -> Line:
        """Return mode, equity, today's split, drawdown and the worst account."""
        wide = width >= WIDE
        moment = figures.clock_time(self.showing.venue_ms()) + ("Z" if wide else "")
        clock: Line = ((moment + " ", "dim"),)
        room = width - width_of(clock) - 1
        pieces = self._book_pieces(width, short=width < WIDE)
        if needed([one for one in pieces if one.spans and one.rank <= SPLIT_RANK]) > room:
            pieces = self._book_pieces(width, short=True)
        return beside(packed(pieces, room), clock, width)

    def _book_pieces(self, width: int, *, short: bool) -> list[Piece]:
        status, f, wide = self.status, figures, width >= WIDE
        words = f" {status.mode} {status.desk} " if status.mode else ""
        pieces = [Piece(0, self._connection(width - len(words) - CLOCK))]
        if words:
            pieces.append(Piece(1, ((words, mode_role(status.mode)),)))
        money = f.short_money if short else f.number
        pieces.append(Piece(2, (("NAV ", "dim"), (money(status.equity_usd), "title"))))
        pieces.append(Piece(3, self._today(short=short)))
        pieces.append(Piece(SPLIT_RANK, self._split(short=short) if wide else ()))
        pieces.append(Piece(4, self._drawdown()))
        pieces.append(Piece(7, self._gross()))
        pieces.append(Piece(5, self._worst(both=wide)))
        if wide:
            pieces.append(Piece(8, self._margin()))
        return pieces

    def _connection(self, most: int) -> Line:
        """Return what is wrong with the line to the desk, in no more cells than the mode leaves."""
        showing = self.showing
        if showing.lost:
            seconds = figures.age(showing.now() - showing.received_mono)
            words = f" DESK LOST · picture {seconds} old · {showing.lost_why} "
            return ((crop(words, most), "alarm@alarm"),)
        if not showing.attached:
            why = f": {showing.lost_why}" if showing.lost_why else ""
            return ((f"connecting to the desk{why}", "accent"),)
        if showing.frozen is not None:
            seconds = figures.age(showing.now() - showing.frozen_mono)
            # The book's own line goes on: what may hurt meanwhile is never hidden.
            return ((f" panels FROZEN {seconds}: f thaws ", "accent@bar"),)
        return ()

    def _today(self, *, short: bool) -> Line:
        status = self.status
        money = figures.short_signed if short else figures.signed
        return (("today ", "dim"), (money(status.today_usd), gain_role(status.today_usd)))

    def _split(self, *, short: bool) -> Line:
        status = self.status
        if status.today_usd is None:
            return ()
        money = figures.short_signed if short else figures.signed
        parts = (
            f"{'px' if short else '= price'} {money(status.today_price_usd)}",
            f"fund {money(status.today_funding_usd)}",
            f"fees {money(status.today_fees_usd)}",
        )
        return ((" ".join(parts), "dim"),)

    def _drawdown(self) -> Line:
        status = self.status
        if status.drawdown is None:
            return (("dd ·", "dim"),)
        most = f"/{figures.percent(status.drawdown_max, 0)}" if status.drawdown_max else ""
        share = status.drawdown / status.drawdown_max if status.drawdown_max else 0.0
        role = "alarm" if share >= 1 else "warn" if share >= 0.75 else "text"
        return (("dd ", "dim"), (f"{figures.percent(status.drawdown)}{most}%", role))

    def _gross(self) -> Line:
        status = self.status
        if status.gross is None:
            return ()
        most = f"/{figures.multiple(status.gross_max)}" if status.gross_max is not None else ""
        over = status.gross_max is not None and status.gross > status.gross_max
        return (
            ("gross ", "dim"),
            (figures.multiple(status.gross) + most, "alarm" if over else "text"),
        )

    def _worst(self, *, both: bool) -> Line:
        status = self.status
        if not status.worst_account:
            return ()
        down, up = status.liquidation_down, status.liquidation_up
        name = figures.venue(status.worst_account)
        if down is None and up is None:
            return ((f"{name} liq ", "dim"), ("none", "text"))
        if both:
            words = figures.both_ways(down, up)
        else:
            nearest = min((v for v in (down, up) if v is not None), key=abs, default=None)
            words = f"{figures.whole(nearest)}%"
        return ((f"{name} liq ", "dim"), (words, "text"))

    def _margin(self) -> Line:
        ratio = self.status.margin_ratio
        return (
            (("margin ", "dim"), (f"{figures.percent(ratio)}%", "text"))
            if ratio is not None
            else ()
        )

    # ---------------------------------------------------------------- line 2: views and ages

    def tab_line(self, width: int) -> Line:
        """Return the views, the market's label, and how old each venue's word is."""
        wide = width >= WIDE
        chosen = self._tab()
        meaning = self._digits_mean()
        tabs: list[Span] = [(f" {meaning} ", "focus")] if meaning else []
        for digit, short, long in () if meaning else TABS:
            name = long if width >= WIDEST else short
            role = "focus" if digit == chosen else "dim"
            if wide:
                tabs.append((f" {digit} {name} " if digit != chosen else f"[{digit} {name}]", role))
            else:
                tabs.append((f"[{digit}{name}]" if digit == chosen else f" {digit}{name}", role))
        pieces = self._ages(wide=wide)
        room = width - width_of(tuple(tabs)) - 1
        return beside(tuple(tabs), (*packed(pieces, room), (" ", "text")), width)

    def _ages(self, *, wide: bool) -> list[Piece]:
        """Return the market's label and each venue's age; what is stale is left out last."""
        status = self.status
        pieces = [Piece(1, ((self._market(), "accent"),))] if status.market else []
        for feed in status.feeds:
            name = figures.venue(feed.venue, short=not wide)
            write = figures.age if wide else figures.short_age
            words = f"{name} {write(self.showing.age(feed.observed_mono))}"
            if feed.stale or self.showing.lost:
                words += " STALE" + (f": {feed.text}" if feed.text and wide else "")
                pieces.append(Piece(0, ((words, "warn"),)))
            else:
                pieces.append(Piece(2, ((words, "dim"),)))
        if wide or status.quant not in {"idle", "ready"}:
            pieces.append(Piece(3, ((f"quant {status.quant}", "dim"),)))
        return pieces

    def _market(self) -> str:
        """Return what market this is; of a replay also its day, and its speed unless that is 1."""
        status = self.status
        day = (
            f" {figures.clock_time(self.showing.venue_ms(), '%d %b %Y')}"
            if status.market == REPLAY
            else ""
        )
        return f"{status.market}{day}" + (f" ×{status.speed:g}" if status.speed != 1 else "")

    # ---------------------------------------------------------------- line 3: state

    def state_line(self, width: int) -> Line:
        """Return what is wrong first, then regime, breaches, proposal, funding, collateral."""
        pieces = [*self.alarms(), *self.outlook(), *self.carry(width)]
        return packed([Piece(index, piece) for index, piece in enumerate(pieces) if piece], width)

    def alarms(self) -> list[Line]:
        """Return what keeps the desk from sending, and what hangs."""
        status = self.status
        found: list[Line] = []
        waits = waiting_line(self.showing)
        found += [waits] if waits else []
        if status.kill_state != "ACTIVE":
            found.append(((f" {status.kill_state} ", "alarm@alarm"),))
        if status.unknown_legs:
            found.append(
                ((f"{status.unknown_legs} UNKNOWN leg{_s(status.unknown_legs)}", "alarm"),)
            )
        if status.working_orders:
            words = f"{status.working_orders} working order{_s(status.working_orders)}"
            found.append(((words, "accent"),))
        locked = status.sends_locked.removeprefix(f"the desk is {status.kill_state}").lstrip("; ")
        if locked:
            reason = crop(locked, max(self.size.width - 34, 20))
            found.append(((f"sends locked: {reason}", "warn"),))
        lacks = role_words(self.showing)
        found += [((lacks, "accent"),)] if lacks else []
        return found

    def outlook(self) -> list[Line]:
        """Return the regime, the breached limits and whether the proposal mends them."""
        status = self.status
        found: list[Line] = []
        if status.regime:
            words = f"{status.regime.upper()} {figures.probability(status.regime_probability)}"
            exposure = "" if status.exposure is None else f" ×{figures.number(status.exposure, 2)}"
            since = (
                ""
                if status.regime_since_ms is None or self.size.width < WIDE
                else (f" since {figures.since(status.regime_since_ms, self.showing.venue_ms())}")
            )
            found.append(((words + exposure, regime_role(status.regime)), (since, "dim")))
        names = [limit_name(name) for name in status.breaches]
        if names:
            more = f" +{len(names) - 2}" if len(names) > 2 else ""
            found.append(((f"{' and '.join(names[:2])}{more} BREACH", "alarm"),))
        if status.proposal:
            mends = " mends" if names and status.proposal_mends else ""
            found.append(((f"#{status.proposal}{mends}", "text"),))
        return found

    def carry(self, width: int) -> list[Line]:
        """Return the next funding stamp, the book's carry and the free collateral."""
        status, f = self.status, figures
        found: list[Line] = []
        if status.next_funding_ms is not None:
            left = f.countdown(status.next_funding_ms - self.showing.venue_ms())
            stamp = f.clock_time(status.next_funding_ms, "%H:%M")
            found.append(((f"funding {stamp} in {left}", "dim"),))
        if status.free_usd:
            found.append(((f"free {self._free(width)}", "dim"),))
        if status.carry_usd_day is not None:
            after = status.carry_usd_day_after
            words = f"book {f.signed(status.carry_usd_day, 1)}"
            words += f" → {f.signed(after, 1)} $/day" if after is not None else " $/day"
            found.append(((words, gain_role(status.carry_usd_day)),))
        return found

    def _free(self, width: int) -> str:
        """Return free collateral per venue; without names where the room is short."""
        free = self.status.free_usd
        if width >= WIDEST:
            return " ".join(
                f"{figures.venue(name)} {figures.thousands(value)}" for name, value in free
            )
        return "/".join(figures.thousands(value) for _, value in free)


class NewsLines(StatusLines):
    """The lines under the panels: at 80 columns state and carry, always the news and the keys."""

    prompt: Line = ()
    """A question or a line being typed; it takes the place of the news."""

    below: Line = ()
    """What is wrong with what is typed; it takes the place of the keys."""

    keymap: Mapping[str, str] = MappingProxyType({})
    """`[keymap]`, so that the keys stand here as they are bound now."""

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the lines of the bottom block; the last names the keys that matter most."""
        lines: list[Line] = []
        if height >= 4:
            first = [Piece(i, p) for i, p in enumerate([*self.alarms(), *self.outlook()])]
            second = [Piece(i, p) for i, p in enumerate(self.carry(width))]
            lines = [packed(first, width), packed(second, width)]
        keys = footer(self.keymap, width, rebalancing=self._tab() == REBALANCE_DIGIT)
        news = [self.prompt] if self.prompt else self._news(width)
        return [*lines, *[*news, self.below or keys][:2]]

    def _news(self, width: int) -> list[Line]:
        """Return the desk's answer while it is fresh, in the keys' place too; else its events."""
        notice = self.showing.current_notice()
        if notice is not None:
            role = {"alarm": "alarm", "warn": "warn"}.get(notice[1], "accent")
            return shortened(wrapped(notice[0], width - 1, " ", role), NEWS_LINES, width)
        pieces = []
        for index, event in enumerate(reversed(self.status.news)):
            moment = figures.clock_time(event.ts_ms, "%H:%M:%S" if width >= WIDE else "%H:%M")
            role = {"alarm": "alarm", "warn": "warn"}.get(event.level, "dim")
            lead = "· " if index else ""
            pieces.append(Piece(index, ((f"{lead}{moment} {event.text}", role),)))
        if pieces and width_of(pieces[0].spans) + 3 > width:
            return [((" ", "text"), *pieces[0].spans)]
        return [packed(pieces, width)]


def _s(count: int) -> str:
    return "" if count == 1 else "s"
