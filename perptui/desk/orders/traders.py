"""Who acts: the uid that the kernel vouches for, with its name."""

from __future__ import annotations

import pwd

from perptui.journal.events import Actor


def trader_of(uid: int, ssh: str = "") -> Actor:
    """Return the actor of a uid that the kernel vouched for."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    return Actor(uid=uid, name=name, ssh=ssh)
