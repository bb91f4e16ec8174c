r"""Events: what is written, once and for ever, and the hash that chains each to the one before.

An event's line is RFC 8785 JSON of ``{v, seq, ts, host, actor, kind, body, prev, hash}`` with
``hash = sha256("perptui-audit-v1\n" || prev || line without hash)``. The first one, GENESIS, binds
the chain to a desk and an account.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

import msgspec

from perptui.model.canonical import canonical_json
from perptui.model.errors import JournalError
from perptui.model.order import Fill, LegState, Ticket
from perptui.model.record import Record

VERSION = 1
PREFIX = b"perptui-audit-v1\n"
GENESIS_PREV = "0" * 64
SETTLED_KEY = "settled:"
"""How the key of the notice begins that a person settled a leg; its client id follows."""
OWN_PREFIX = "pt"
"""How our client ids begin; such an order at the venue without a journal entry is an alarm."""


class Actor(Record, frozen=True):
    """Who did it: the uid the kernel vouches for, its name, and the address of its SSH client."""

    uid: int
    name: str
    ssh: str = ""


class Genesis(Record, frozen=True):
    """The first event: which desk and account the chain is of."""

    desk: str
    account: str
    version: str


class Started(Record, frozen=True):
    """A desk process became the sender, with lease number `fence`."""

    version: str
    pid: int
    fence: int


class TicketProposed(Record, frozen=True):
    """A confirmation screen was shown; token = SHA-256 of `shown` with the ticket's text in it."""

    ticket: Ticket
    shown: dict[str, Any]


class TicketConfirmed(Record, frozen=True):
    """The trader typed the token's end; every leg may be attempted once. Uses the token up."""

    ticket: str
    token: str
    columns: int
    rows: int


class ApprovalAsked(Record, frozen=True):
    """A confirmed ticket waits for a second person until venue time `expires_ms`.

    Committed with the confirmation. `reasons`: why it takes one, in words.
    """

    ticket: str
    reasons: tuple[str, ...]
    expires_ms: int


class TicketApproved(Record, frozen=True):
    """Another uid than the trader's typed the end of the same token."""

    ticket: str
    token: str
    columns: int
    rows: int


class ApprovalDeclined(Record, frozen=True):
    """The second person said no (`state` REJECTED, with a reason), or none came (EXPIRED, VOID)."""

    ticket: str
    state: str
    reason: str


class WrittenFile(Record, frozen=True):
    """An exported file and the SHA-256 of its bytes."""

    path: str
    sha256: str


class TicketEnded(Record, frozen=True):
    """The ticket reached `state`: REJECTED, VOID, DONE or EXPORTED; legs never sent say so."""

    ticket: str
    state: str
    reason: str = ""
    files: tuple[WrittenFile, ...] = ()


class GateSaidNo(Record, frozen=True):
    """The gate refused a ticket, or a leg (`client_id`), for these reason codes."""

    ticket: str
    client_id: str
    reasons: tuple[str, ...]
    text: str


class LegSending(Record, frozen=True):
    """Committed before the first byte of the order leaves. `fence`: the sender's lease."""

    client_id: str
    fence: int
    notional_usd: Decimal
    trader: str


class LegOutcome(Record, frozen=True):
    """How the one attempt ended, or that none was made (NOT_SENT)."""

    client_id: str
    state: LegState
    code: str = ""
    text: str = ""
    venue_order_id: str = ""


class LegMoved(Record, frozen=True):
    """What the venue says became of the order; `evidence` says how it was learned."""

    client_id: str
    state: LegState
    filled: Decimal
    average_price: Decimal | None
    venue_order_id: str
    evidence: str


class SettleAsked(Record, frozen=True):
    """A person asks a second one, until venue time `expires_ms`, to settle a leg as `state`."""

    client_id: str
    state: LegState
    filled: Decimal
    reason: str
    expires_ms: int


class LegSettled(Record, frozen=True):
    """A person's word on an order that no answer settles: nothing more of it is waited for.

    Attributes
    ----------
    state : LegState
        NEVER_ACCEPTED, CANCELED, or the final one that the leg already had.
    filled : Decimal
        Contracts that are known to be filled; fills beyond those that are here may be missing.
    evidence : tuple[str, ...]
        What was seen: the alarms before, the venue's last answers, the position here and there.
    asked_by : str
        Who asked for it with which reason; "" of one person's decision alone.
    """

    client_id: str
    state: LegState
    filled: Decimal
    reason: str
    evidence: tuple[str, ...]
    asked_by: str = ""


class FillSeen(Record, frozen=True):
    """One own execution at the venue."""

    fill: Fill


class Baseline(Record, frozen=True):
    """First sight of a venue's account: positions that were there before this journal."""

    venue: str
    positions: dict[str, Decimal]


class External(Record, frozen=True):
    """Something this journal did not do. `what`: position or order; `key` notes it once."""

    what: str
    id: str
    text: str
    key: str = ""
    before: Decimal | None = None
    after: Decimal | None = None


class Alarm(Record, frozen=True):
    """What must not happen happened; a person has to look. `key` keeps it from being repeated."""

    what: str
    key: str
    text: str


class KillChanged(Record, frozen=True):
    """The kill switch moved to ACTIVE, REDUCING or HALTED."""

    state: str
    reason: str


class CancelSending(Record, frozen=True):
    """Committed before a cancel leaves. `ticket`: the one that covers it, "" of none."""

    client_id: str
    ticket: str = ""


class CancelOutcome(Record, frozen=True):
    """How the cancel ended."""

    client_id: str
    state: LegState
    text: str = ""


class DeadManSet(Record, frozen=True):
    """The venue was asked to cancel the account's orders of a contract after `countdown_ms`.

    0 disarms it. `state`: how the request ended, a `LegState` in words.
    """

    instrument: str
    countdown_ms: int
    state: str
    text: str = ""


class PermissionsSeen(Record, frozen=True):
    """What the venue says a key may do; None where it does not say."""

    venue: str
    trade: bool | None
    withdraw: bool | None
    bound_to_address: bool | None
    text: str = ""


class VenueHeld(Record, frozen=True):
    """Orders to a venue are held back: HALTED until a person says FREE, RESTING until `until_ms`.

    `until_ms` is venue time; `text`: what the venue said, or why a person let orders go again.
    """

    venue: str
    state: str
    text: str
    until_ms: int | None = None


class Migrated(Record, frozen=True):
    """The journal's tables were brought from version `before` to `after`; `backup` was verified."""

    before: int
    after: int
    backup: str


class Reconciled(Record, frozen=True):
    """Journal and venues were compared and the verdict changed."""

    clean: bool
    reasons: tuple[str, ...] = ()


Body = (
    Genesis
    | Started
    | TicketProposed
    | TicketConfirmed
    | ApprovalAsked
    | TicketApproved
    | ApprovalDeclined
    | TicketEnded
    | GateSaidNo
    | LegSending
    | LegOutcome
    | LegMoved
    | SettleAsked
    | LegSettled
    | FillSeen
    | Baseline
    | External
    | Alarm
    | KillChanged
    | CancelSending
    | CancelOutcome
    | DeadManSet
    | PermissionsSeen
    | VenueHeld
    | Migrated
    | Reconciled
)

KINDS: dict[str, type[Body]] = {
    "GENESIS": Genesis,
    "STARTED": Started,
    "PROPOSED": TicketProposed,
    "CONFIRMED": TicketConfirmed,
    "APPROVAL": ApprovalAsked,
    "APPROVED": TicketApproved,
    "DECLINED": ApprovalDeclined,
    "ENDED": TicketEnded,
    "REFUSED": GateSaidNo,
    "SENDING": LegSending,
    "OUTCOME": LegOutcome,
    "MOVED": LegMoved,
    "FILL": FillSeen,
    "BASELINE": Baseline,
    "EXTERNAL": External,
    "ALARM": Alarm,
    "KILL": KillChanged,
    "CANCEL": CancelSending,
    "CANCELED": CancelOutcome,
    "DEADMAN": DeadManSet,
    "PERMISSIONS": PermissionsSeen,
    "HELD": VenueHeld,
    "MIGRATED": Migrated,
    "RECONCILED": Reconciled,
    "SETTLING": SettleAsked,
    "SETTLED": LegSettled,
}
"""Event kinds by their stable names; a kind may be added, none is ever renamed."""

NAMES = {kind: name for name, kind in KINDS.items()}
"""The name of each kind of body."""


class Event(Record, frozen=True):
    """One event as it is hashed and exported; `body` is plain JSON, `ts` venue time in ms."""

    v: int
    seq: int
    ts: int
    host: str
    actor: Actor
    kind: str
    body: dict[str, Any]
    prev: str
    hash: str

    def record(self) -> Body:
        """Return the body as its record.

        Raises
        ------
        JournalError
            When the kind is unknown or the body does not have its form.
        """
        kind = KINDS.get(self.kind)
        if kind is None:
            raise JournalError(
                f"expected a known kind of event, was {self.kind!r} at {self.seq}; update perptui"
            )
        try:
            return msgspec.convert(self.body, kind)
        except msgspec.ValidationError as error:
            raise JournalError(
                f"expected a {self.kind} event at {self.seq}, was malformed: {error}; verify it"
            ) from None


def client_id(desk: str, account: str, ticket: str, leg: int, token: str) -> str:
    """Return the client id of a leg: ``pt`` and 30 hex digits, the same for ever.

    Trying again is another ticket with another token, so no id is ever used for two attempts.
    """
    named = canonical_json([desk, account, ticket, leg, token])
    return OWN_PREFIX + hashlib.sha256(named).hexdigest()[:30]
