"""What config.toml says, as frozen records; the limits and strategies are model records.

Units stand in the names (``_s`` seconds, ``_usd`` dollars, ``_bps`` basis points); what has no unit
in its name is a fraction, a multiple or a word.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from perptui.model.canonical import digest_of
from perptui.model.instrument import instrument_id
from perptui.model.limit import Limits
from perptui.model.record import Record
from perptui.model.strategy import StrategyParameters
from perptui.model.stress import Stress

Mode = Literal["paper", "export", "live", "view"]
Endpoint = Literal["simulated", "testnet", "live"]
Glyphs = Literal["braille", "block", "ascii"]

PLACES = ("LIVE", "TESTNET", "REHEARSAL", "SIMULATED")
"""What a venue can be, in words, the most serious first."""

SUPPORTED_VENUES = ("binanceusdm",)
"""ccxt ids of the venues that this version has an adapter for."""


class DeskSettings(Record, frozen=True):
    """One desk.

    Attributes
    ----------
    name : str
        Names the desk's folder, socket and journal.
    mode : str
        ``paper``: orders go to a simulated account, on the market of `VenueSettings.endpoint`.
        ``export``: orders are written to files and never sent. ``live``: confirmed orders are sent.
        ``view``: nothing is proposed or sent.
    account : str
        Name of the book on screen and in the journal.
    strategy : str
        The strategy in force at start, a table under ``[strategy]``.
    socket_dir : str
        Folder of a shared desk's socket; empty for a desk of one's own.
    export_dir : str
        Folder for exported orders; empty for ``exports`` in the data directory.
    """

    name: str
    mode: Mode
    account: str
    strategy: str
    socket_dir: str
    export_dir: str


class VenueSettings(Record, frozen=True):
    """One venue.

    Attributes
    ----------
    endpoint : str
        ``simulated``: the simulated venue, over a UNIX socket. ``testnet``, ``live``: the venue.
    symbols : tuple[str, ...]
        Contracts in CCXT's form, ``BTC/USDT:USDT``.
    account : str
        Sub-account; its credentials carry the same name.
    socket : str
        Socket of a simulated venue that already runs; empty: the desk starts one as its child.
        With another endpoint that venue stands in for the real one: a rehearsal.
    """

    endpoint: Endpoint
    symbols: tuple[str, ...]
    account: str = "main"
    socket: str = ""


class SimulatorSettings(Record, frozen=True):
    """The market of the simulated venue that the desk starts.

    Attributes
    ----------
    seed : int
        Of the generated market.
    data : str
        Directory of Parquet history to replay; empty for the generated market.
    start : str
        ISO 8601 instant at which the replay begins; empty for the history's first usable hour.
    speed : float
        Venue seconds per second.
    """

    seed: int
    data: str
    start: str
    speed: float


class PaperSettings(Record, frozen=True):
    """The account of paper mode on a real market; it begins with `equity_usd` and is kept."""

    equity_usd: Decimal = Decimal(100_000)


class PollingSettings(Record, frozen=True):
    """Seconds between two calls of a kind to one venue.

    Attributes
    ----------
    fills_working_s : float
        The pace of fills while orders work.
    bars_delay_s : float
        How long after a bar's close it is asked for.
    stale_after_intervals : float
        A value older than this many of its intervals is stale: shown, never acted on.
    """

    account_s: float
    marks_s: float
    funding_s: float
    fills_s: float
    fills_working_s: float
    open_orders_s: float
    book_s: float
    bars_delay_s: float
    markets_s: float
    tiers_s: float
    clock_s: float
    reconcile_s: float
    stale_after_intervals: float


class ConfirmationSettings(Record, frozen=True):
    """How long a confirmation stands, and a proposal that may still become one, seconds.

    `on_rejection`: what a leg that the venue rejects does to the rest of its ticket.
    """

    expiry_s: float
    proposal_s: float = 60.0
    on_rejection: Literal["stop", "go_on"] = "stop"


class ApprovalSettings(Record, frozen=True):
    """When a ticket takes a second person: from these thresholds on.

    Attributes
    ----------
    notional_usd : Decimal
        Notional of a ticket's orders.
    margin_ratio : float
        Maintenance margin over equity of the worst account after the ticket.
    expiry_s : float
        How long a confirmed ticket waits for its approval.
    """

    notional_usd: Decimal
    margin_ratio: float
    expiry_s: float


class Roles(Record, frozen=True):
    """Who may view, trade and approve: user names, ``uid:1001``, ``@group``, or ``*`` for all."""

    view: tuple[str, ...]
    trade: tuple[str, ...]
    approve: tuple[str, ...]


class StopSettings(Record, frozen=True):
    """Protective stops at the venue, and what is prepared past the drawdown limit.

    Attributes
    ----------
    sigmas : float
        Distance of a stop from the mark in standard deviations of a day; 0: no stops.
    distance_min, distance_max : float
        Bounds on that distance, fractions of the mark.
    drawdown_share : float
        Share of every position that the prepared ticket closes; 0: none is prepared.
    """

    sigmas: float
    distance_min: float
    distance_max: float
    drawdown_share: float


class WatchdogSettings(Record, frozen=True):
    """What sets the kill switch to REDUCING by itself; `dead_man_s` 0 is off.

    Attributes
    ----------
    loss_max : float
        Loss within `loss_window_s`, fraction of equity at its start.
    rejections_max : int
        Orders rejected within ten minutes.
    mismatches_max : int
        External changes and alarms within an hour.
    pair_s : float
        How long one leg of a hedged pair may stand without the other.
    dead_man_s : float
        Silence of the desk after which the venue cancels working orders.
    """

    loss_max: float
    loss_window_s: float
    rejections_max: int
    mismatches_max: int
    pair_s: float
    dead_man_s: float


class AuditSettings(Record, frozen=True):
    """Where signed heads are published: a path, ``syslog`` or "" for nowhere; and how often."""

    heads: str
    every: int


class Appearance(Record, frozen=True):
    """How the terminal draws; `theme` names a file in ``themes/`` without its ending."""

    theme: str
    low_bandwidth: bool
    glyphs: Glyphs


class Settings(Record, frozen=True):
    """Everything that config.toml can say; `strategy` and `venues` by name."""

    desk: DeskSettings
    venues: dict[str, VenueSettings]
    simulator: SimulatorSettings
    polling: PollingSettings
    confirmation: ConfirmationSettings
    strategy: dict[str, StrategyParameters]
    limits: Limits
    approval: ApprovalSettings
    roles: Roles
    stops: StopSettings
    watchdog: WatchdogSettings
    audit: AuditSettings
    stress: Stress
    ui: Appearance
    keymap: dict[str, str]
    paper: PaperSettings = PaperSettings()

    @property
    def market_words(self) -> str:
        """What the venues are: LIVE, TESTNET, SIMULATED, or REHEARSAL; the most serious of them."""
        found = {_place(venue) for venue in self.venues.values()}
        return next(place for place in PLACES if place in found)

    @property
    def mode_words(self) -> str:
        """The mode and what it acts on, as every screen and every ticket says it."""
        mode, place = self.desk.mode, self.market_words
        if mode == "live":
            return {"LIVE": "LIVE", "REHEARSAL": "LIVE REHEARSAL"}.get(place, f"LIVE on {place}")
        if mode == "paper":
            return place if place == "SIMULATED" else f"PAPER on {place} DATA"
        return f"{mode.upper()} of {place}"

    def words_of(self, purpose: str) -> str:
        """Return `mode_words` for a ticket of `purpose`: "send", or "export"."""
        return f"EXPORT of {self.market_words}" if purpose == "export" else self.mode_words

    @property
    def sends(self) -> bool:
        """Whether confirmed orders are sent anywhere, to a simulated account too."""
        return self.desk.mode in {"live", "paper"}

    @property
    def chosen_strategy(self) -> StrategyParameters:
        """The strategy in force at start."""
        return self.strategy[self.desk.strategy]

    @property
    def instrument_ids(self) -> tuple[str, ...]:
        """Ids of all configured contracts, ``venue:SYMBOL``, in the file's order."""
        return tuple(
            instrument_id(venue, symbol)
            for venue, venue_settings in self.venues.items()
            for symbol in venue_settings.symbols
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of all that a decision depends on.

        Appearance and keys are left out: another theme voids no confirmation.
        """
        decisive = msgspec.structs.asdict(self)
        del decisive["ui"], decisive["keymap"]
        return digest_of(decisive)


def _place(venue: VenueSettings) -> str:
    if venue.socket and venue.endpoint != "simulated":
        return "REHEARSAL"
    return venue.endpoint.upper()
