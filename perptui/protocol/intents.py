"""What a terminal asks of the desk. An intent is a wish: the desk answers each with a `Reply`."""

from __future__ import annotations

from perptui.model.record import Record


class Solve(Record, frozen=True, tag=True):
    """Make the proposal again on the newest market; `strategy` "" keeps the present one.

    What is bent stays: `Unbend` drops it, as a step.
    """

    strategy: str = ""


class Reestimate(Record, frozen=True, tag=True):
    """Estimate again from the newest bars and snapshot."""


class Bend(Record, frozen=True, tag=True):
    """Ask what would be if `text` held, beside all that is bent already; a step of the what-if.

    Attributes
    ----------
    text : str
        Assignments with blanks between them, as ``gross_max=2`` (see `perptui.model.whatif`).
    preview : bool
        Still being typed: it takes the place of the preview before it, and all of them become one
        step with the `Bend` that is none.
    """

    text: str
    preview: bool = False


class Unbend(Record, frozen=True, tag=True):
    """Drop the assignment of `key`, what stands before its ``=``, or all when it is ""."""

    key: str = ""


class Withdraw(Record, frozen=True, tag=True):
    """Take back what this terminal is typing; nothing, where nothing of it is there."""


class Relax(Record, frozen=True, tag=True):
    """Take the relaxation that the clash names for its member `name`; a step of the what-if."""

    name: str


class Reduce(Record, frozen=True, tag=True):
    """Fix every position's target at 1 - `share` of what it is now; a step of the what-if."""

    share: float


class Keep(Record, frozen=True, tag=True):
    """Keep what stands under `slot`, A or B, to be compared with what stands later."""

    slot: str


class Forget(Record, frozen=True, tag=True):
    """Drop what is kept under `slot`."""

    slot: str


class Recall(Record, frozen=True, tag=True):
    """Make the what-if kept under `slot` the next step."""

    slot: str


class Compare(Record, frozen=True, tag=True):
    """Solve what is kept again on the market of what stands, so that the columns compare."""


class AskFrontier(Record, frozen=True, tag=True):
    """Solve for the efficient frontier around what stands, in the background; or stop doing so."""

    on: bool = True


class Undo(Record, frozen=True, tag=True):
    """Step back to the previous what-if."""


class Redo(Record, frozen=True, tag=True):
    """Step forward again."""


class OpenTicket(Record, frozen=True, tag=True):
    """Turn the fresh proposal `digest` into a ticket to be confirmed; `purpose`: send or export.

    With "protect", "drawdown" or "flatten 25", "flatten 50", "flatten 100" the ticket is of the
    desk's own making and `digest` is "": stops for positions that have none, or what closes a share
    of every position, past the drawdown limit or on a person's word.
    `columns`, `rows` is the terminal's size: refused below 80x24. `override`: why breached limits
    are to be passed over, which takes a second person; "" passes over none.
    """

    digest: str
    purpose: str
    columns: int
    rows: int
    override: str = ""


class TypedAnswer(Record, frozen=True):
    """What a person typed under a ticket: the last four characters of its token.

    `seen_end`: the last leg was scrolled into view. `key_gaps_ms`: time between the typed keys.
    """

    id: str
    typed: str
    seen_end: bool
    key_gaps_ms: tuple[float, ...]
    columns: int
    rows: int


class ConfirmTicket(TypedAnswer, frozen=True, tag=True):
    """The trader's confirmation."""


class ApproveTicket(TypedAnswer, frozen=True, tag=True):
    """The second person's approval, typed as a confirmation is.

    `token`: the whole token as the approver's own process made it from the content it was shown.
    """

    token: str = ""


class DeclineTicket(Record, frozen=True, tag=True):
    """The second person's no, with the reason."""

    id: str
    reason: str


class RejectTicket(Record, frozen=True, tag=True):
    """Close the ticket without sending, also one that waits for an approval; it is journalled."""

    id: str
    reason: str = ""


class CloseTicket(Record, frozen=True, tag=True):
    """Leave the progress screen; the ticket itself goes on."""

    id: str


class ExportOrders(Record, frozen=True, tag=True):
    """Write orders to CSV and JSON instead of sending them.

    Those of the fresh proposal `digest` as proposed; with `ticket` those of that open ticket, as
    priced there, which ends it.
    """

    digest: str
    ticket: str = ""


class CancelWorking(Record, frozen=True, tag=True):
    """Cancel all our working orders; with `protective` also the stops that protect positions."""

    protective: bool = False


class Kill(Record, frozen=True, tag=True):
    """Go to HALTED (or `state` "REDUCING"); journalled with the reason."""

    reason: str
    state: str = "HALTED"


class Settle(Record, frozen=True, tag=True):
    """A person's word on a leg that no answer settles; journalled with the reason.

    `leg`: ``T3.1``, or how its client id begins. The second person says the same.
    """

    leg: str
    reason: str


class Quit(Record, frozen=True, tag=True):
    """Leave with this terminal; `leave_desk` asks a private desk to go on without it."""

    leave_desk: bool = False


Intent = (
    Solve
    | Reestimate
    | Bend
    | Unbend
    | Withdraw
    | Relax
    | Reduce
    | Keep
    | Forget
    | Recall
    | Compare
    | AskFrontier
    | Undo
    | Redo
    | OpenTicket
    | ConfirmTicket
    | ApproveTicket
    | DeclineTicket
    | RejectTicket
    | CloseTicket
    | ExportOrders
    | CancelWorking
    | Kill
    | Settle
    | Quit
)
