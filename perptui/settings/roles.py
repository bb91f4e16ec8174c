"""Roles: which users of a shared desk may view, trade and approve.

Only the uid counts that the kernel vouches for. Names and groups are looked up in the system's own
databases and kept for a few seconds, so that a change of them needs no new start of the desk.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Sequence
from contextlib import suppress

from perptui.model.clock import Clock
from perptui.settings.schema import Roles

ROLES = ("view", "trade", "approve")
EVERYBODY = "*"
UID = "uid:"
GROUP = "@"
KEPT_S = 10.0
"""How long a user's name and groups are kept."""


class RoleBook:
    """Who may do what.

    Parameters
    ----------
    roles : Roles
        As config.toml says.
    owner : int
        The desk's own uid: it always may view and trade, and approves only where it is named.
    shared : bool
        Whether anybody but the owner can reach the desk's socket.
    """

    def __init__(self, roles: Roles, clock: Clock, owner: int, *, shared: bool) -> None:
        self._roles = roles
        self._clock = clock
        self._owner = owner
        self._shared = shared
        self._names: dict[int, tuple[float, frozenset[str]]] = {}

    def roles_of(self, uid: int) -> tuple[str, ...]:
        """Return the roles of a user, in the order of `ROLES`."""
        return tuple(role for role in ROLES if self.may(uid, role))

    def may(self, uid: int, role: str) -> bool:
        """Return whether the user of that uid has the role: view, trade or approve.

        Whoever has another role may look as well: nobody decides about what they cannot see.
        """
        if uid == self._owner and role != "approve":
            return True
        giving = ROLES if role == "view" else (role,)
        named = frozenset(entry for one in giving for entry in _of(self._roles, one))
        return bool(named & self._entries(uid))

    def somebody_besides(self, uid: int, role: str) -> bool:
        """Return whether anybody else may have the role; a name that is no user counts for none."""
        if not self._shared:
            return False
        return any(_reaches_past(entry, uid) for entry in _of(self._roles, role))

    def _entries(self, uid: int) -> frozenset[str]:
        """Return every entry that stands for the user."""
        now = self._clock.monotonic()
        kept = self._names.get(uid)
        if kept is None or now - kept[0] > KEPT_S:
            kept = self._names[uid] = (now, _entries_of(uid))
        return kept[1]


def _of(roles: Roles, role: str) -> tuple[str, ...]:
    entries: tuple[str, ...] = getattr(roles, role)
    return entries


def _entries_of(uid: int) -> frozenset[str]:
    found = {EVERYBODY, f"{UID}{uid}"}
    with suppress(KeyError):
        user = pwd.getpwuid(uid)
        if user.pw_name != EVERYBODY and not user.pw_name.startswith((UID, GROUP)):
            # A directory may hold a name that reads like another's entry.
            found.add(user.pw_name)
        for gid in os.getgrouplist(user.pw_name, user.pw_gid):
            with suppress(KeyError):
                found.add(f"{GROUP}{grp.getgrgid(gid).gr_name}")
    return frozenset(found)


def _reaches_past(entry: str, uid: int) -> bool:
    """Return whether an entry of a role stands for anybody but the user of `uid`."""
    if entry == EVERYBODY:
        return True
    if entry.startswith(UID):
        return entry != f"{UID}{uid}"
    if entry.startswith(GROUP):
        return any(other != uid for other in _members(entry.removeprefix(GROUP)))
    try:
        return pwd.getpwnam(entry).pw_uid != uid
    except KeyError:
        return False


def _members(group: str) -> Sequence[int]:
    try:
        found = grp.getgrnam(group)
    except KeyError:
        return ()
    members = [user.pw_uid for user in pwd.getpwall() if user.pw_gid == found.gr_gid]
    for name in found.gr_mem:
        with suppress(KeyError):
            members.append(pwd.getpwnam(name).pw_uid)
    return members
