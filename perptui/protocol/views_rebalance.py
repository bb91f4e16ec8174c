"""What the desk shows of the proposal or what-if that stands, and of those kept beside it."""

from __future__ import annotations

from decimal import Decimal

from perptui.model.explanation import (
    AccountRisk,
    BreakEven,
    Clash,
    Drift,
    FrontierPoint,
    LedgerRow,
)
from perptui.model.proposal import HedgeRow
from perptui.model.record import Record


class Author(Record, frozen=True):
    """Whose terminal made a step of the what-if, as the kernel says: `pid` tells two of one trader.

    `name` is the trader's. `connection` is the line it came over: what is typed goes with that.
    """

    uid: int
    pid: int
    name: str
    connection: int = 0

    @property
    def terminal(self) -> tuple[int, int]:
        """The terminal, whichever line it is attached by."""
        return self.uid, self.pid


class RebalanceRow(Record, frozen=True):
    """One line of the proposal. `carry_usd_day` is the change the trade makes.

    `effect`, `contracts` and `limit_price` are of all legs of the contract together: one that
    closes and one that opens are a FLIP of their sum, at the limit price furthest from the mark.
    `weight_target` of one that is edited is what was asked, also where no book meets it.
    """

    id: str
    coin: str
    venue: str
    weight_now: float
    weight_target: float
    weight_rounded: float
    trade_usd: Decimal
    cost_usd: Decimal
    carry_usd_day: Decimal
    why: str
    side: str = ""
    effect: str = ""
    contracts: Decimal | None = None
    limit_price: Decimal | None = None
    edited: bool = False


class Comparison(Record, frozen=True):
    """One figure of the book now and after; `unit`: x, fraction, usd, usd_day, annual.

    "volatility" is without, "robust volatility" with the covariance's own uncertainty: the limit
    `volatility` is on the latter. "carry" is at the newest rates, "expected carry" a forecast.
    `leg_now`, `leg_after` name the position that breaks first, of a liquidation distance.
    """

    name: str
    unit: str
    now: float | None
    after: float | None
    leg_now: str = ""
    leg_after: str = ""


class KeptProposal(Record, frozen=True):
    """A what-if that was kept under a name, to be compared with the one that stands.

    Attributes
    ----------
    slot : str
        "A" or "B".
    assignments : tuple of str
        Its what-if as it would be typed; empty: the desk as it is.
    figures : tuple of Comparison
        In the order of `RebalanceView.comparisons`.
    weights : dict of str to float
        Its weights in lots by instrument id.
    status : str
        In words, as `Proposal.headline`.
    same_market : bool
        Whether it rests on the snapshot of the one that stands; `Compare` solves it anew on that.
    own_measure : bool
        Its figures are by its own strategy and parameters, on the market that it supposes: by those
        of the one that stands, where they compare, they are not known yet.
    """

    slot: str
    strategy: str
    status: str
    digest: str
    assignments: tuple[str, ...]
    figures: tuple[Comparison, ...]
    weights: dict[str, float]
    turnover: float
    cost_usd: Decimal
    objective_usd_day: float | None = None
    same_market: bool = True
    own_measure: bool = False


class Offer(Record, frozen=True):
    """A way out that relaxes nothing: `hold`, `reduce_only`, `reduce`.

    `assignment` is what `Bend` takes for it, which solving has proven to lead to what `text` says;
    "" where nothing need be done, no one proposal does it, or it is not known yet.
    """

    name: str
    text: str
    assignment: str = ""


class FrontierPlace(Record, frozen=True):
    """Where one book stands in the frontier's plot: `now`, `desk`, `target`, a kept slot's name.

    `target` is what stands; `desk` is the desk's own target beside it, where something is bent.

    Annualised fractions; the return is robust, trading costs not taken off.
    """

    name: str
    volatility_annual: float
    return_annual: float


class FrontierView(Record, frozen=True):
    """The efficient frontier under the limits of the proposal that stands.

    `points` by rising volatility; `wanted` is how many there will be, 0 where none was asked for.
    `none` is why there is none at all, in words; "": there is, or it is not known yet.
    """

    points: tuple[FrontierPoint, ...] = ()
    places: tuple[FrontierPlace, ...] = ()
    wanted: int = 0
    none: str = ""


class RebalanceView(Record, frozen=True):
    """The proposal, or the what-if, that stands. `state`: none, solving, ready, failed.

    Attributes
    ----------
    assignments : tuple of str
        The what-if that stands as it would be typed, one assignment each; empty: the desk as it is.
    asked : tuple of str or None
        The what-if that is being solved, where it is another: no figure here is of it yet.
    edits : int
        How many there are.
    preview : bool
        One that is still being typed: Enter (`Bend` without preview) keeps it, `Withdraw` takes it
        back, and no ticket is opened from it.
    tried : tuple of str
        Those of `assignments` that it alone makes; empty where it only drops some.
    typist : Author or None
        Who is typing it.
    undoes : Author or None
        Whose step `Undo` takes back; None where it was no terminal's, or there is none.
    shown_only : tuple of str
        Why what stands can be looked at but never sent, in words.
    ledger, clash, break_even, drift, objective_usd_day
        The proposal's `Explanation`; what its prices say of limits is in their own rows.
    setting_keys : dict of str to str
        By limit of the proposal: the key of config.toml that sets it, "" where no one key does.
    headline : str
        The status in words, as `Proposal.headline`: what stays broken after a reduction is in it.
    breached : tuple of str
        Limits that the proposal in lots leaves broken, as `LimitCheck.name`.
    offers : tuple of Offer
        Ways out where limits clash or a limit is breached.
    kept : tuple of KeptProposal
        A before B.
    accounts_now, accounts : tuple of AccountRisk
        Every margin account before and after, sorted by name.
    blend : float or None
        Of a hybrid: the tactical share.
    settings : dict of str to float
        Limits as they are set, by their key of config.toml, a what-if's in their place: what a
        limit's row is held to may be lower, or be another figure.
    """

    state: str = "none"
    strategy: str = ""
    status: str = ""
    headline: str = ""
    digest: str = ""
    solve_ms: float | None = None
    regime: str = ""
    exposure: float | None = None
    rows: tuple[RebalanceRow, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    turnover: float | None = None
    cost_usd: Decimal | None = None
    exportable: bool = False
    reasons: tuple[str, ...] = ()
    what_if: bool = False
    edits: int = 0
    can_undo: bool = False
    can_redo: bool = False
    observed_mono: float | None = None
    expires_mono: float | None = None
    """When the proposal grows too old to be confirmed."""
    waiting: str | None = "r solves: waiting for estimates"
    assignments: tuple[str, ...] = ()
    asked: tuple[str, ...] | None = None
    preview: bool = False
    tried: tuple[str, ...] = ()
    typist: Author | None = None
    undoes: Author | None = None
    shown_only: tuple[str, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    setting_keys: dict[str, str] = {}
    clash: tuple[Clash, ...] = ()
    clash_shown: tuple[str, ...] = ()
    """Those of them whose relaxation is looser than the desk allows: shown, never sent."""
    clash_pending: bool = False
    """Limits clash, and which of them, or where only reducing leads, is being looked for."""
    break_even: tuple[BreakEven, ...] = ()
    drift: Drift | None = None
    objective_usd_day: float | None = None
    breached: tuple[str, ...] = ()
    offers: tuple[Offer, ...] = ()
    kept: tuple[KeptProposal, ...] = ()
    frontier: FrontierView = FrontierView()
    hedges: tuple[HedgeRow, ...] = ()
    accounts_now: tuple[AccountRisk, ...] = ()
    accounts: tuple[AccountRisk, ...] = ()
    blend: float | None = None
    robust: str = ""
    """Shape of the robust mean in force: box, ellipsoid or off."""
    equity_usd: Decimal | None = None
    """What the proposal rests on, the what-if's where it bends it."""
    settings: dict[str, float] = {}
    market: str = ""
    """What the what-if supposes of prices and equity: now and after are both there; "": nothing."""
