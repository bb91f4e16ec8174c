"""What the key in use may do, as the venue says it, and why that forbids sending."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from perptui.model.record import Record
from perptui.venues.transport import WriteLock

UNCHECKED = "what the venue key may do is not known yet"


class KeyPermissions(Record, frozen=True):
    """What a venue says of a key; None where it does not say.

    Attributes
    ----------
    trade : bool | None
        Futures may be traded.
    withdraw : bool | None
        Money may leave for another address.
    bound_to_address : bool | None
        The key works from named network addresses alone.
    text : str
        The same in words, with what else it may do.
    """

    trade: bool | None
    withdraw: bool | None
    bound_to_address: bool | None
    text: str = ""


class ApiRestrictions(msgspec.Struct, frozen=True):
    """Answer of Binance's ``GET /sapi/v1/account/apiRestrictions``: rights of the asking key.

    The futures account's own ``canTrade`` and ``canWithdraw`` are of the account, not of the key.
    """

    ipRestrict: bool | None = None  # noqa: N815 - the venue's name
    enableFutures: bool | None = None  # noqa: N815
    enableWithdrawals: bool | None = None  # noqa: N815
    enableInternalTransfer: bool | None = None  # noqa: N815
    permitsUniversalTransfer: bool | None = None  # noqa: N815


class AccountRights(msgspec.Struct, frozen=True):
    """What a test network's futures account says of itself."""

    canTrade: bool | None = None  # noqa: N815 - the venue's name


@runtime_checkable
class KeyHolder(Protocol):
    """A venue that sends with a key whose rights can be asked."""

    @property
    def name(self) -> str:
        """Id of the venue in ccxt."""
        ...

    @property
    def write_lock(self) -> WriteLock:
        """What keeps everything but reads from leaving."""
        ...

    async def permissions(self) -> KeyPermissions:
        """Ask what the key may do; raises `VenueError` as every read."""
        ...


def of_key(answer: ApiRestrictions) -> KeyPermissions:
    """Return the permissions that the venue states of the key."""
    words = [
        _word(answer.enableFutures, "trades futures", "may not trade futures", "trading"),
        _word(answer.enableWithdrawals, "may WITHDRAW", "no withdrawals", "withdrawals"),
        _word(answer.ipRestrict, "bound to addresses", "NOT bound to an address", "addresses"),
    ]
    if answer.permitsUniversalTransfer or answer.enableInternalTransfer:
        words.append("may transfer between accounts of its owner")
    return KeyPermissions(
        trade=answer.enableFutures,
        withdraw=answer.enableWithdrawals,
        bound_to_address=answer.ipRestrict,
        text=", ".join(words),
    )


def of_test_network(answer: AccountRights) -> KeyPermissions:
    """Return the permissions of a key of a test network: there is nothing to withdraw."""
    trades = _word(answer.canTrade, "trades futures", "may not trade futures", "trading")
    return KeyPermissions(answer.canTrade, False, None, f"{trades}, test network")


def _word(value: bool | None, yes: str, no: str, what: str) -> str:
    if value is None:
        return f"{what} not told"
    return yes if value else no


def why_not(found: KeyPermissions) -> str:
    """Return why nothing may be sent with a key that may do this; "" when it may.

    What the venue does not tell forbids as a no does, but for the binding to an address, which not
    every venue has.
    """
    if found.withdraw is not False:
        said = "may withdraw" if found.withdraw else "may withdraw or not, the venue does not say"
        return f"the key {said}: make one without withdrawals"
    if found.trade is not True:
        said = "may not trade futures" if found.trade is False else "is not said to trade futures"
        return f"the key {said}: allow it at the venue, or use another key"
    if found.bound_to_address is False:
        return "the key is not bound to an address: restrict it to this machine's at the venue"
    return ""
