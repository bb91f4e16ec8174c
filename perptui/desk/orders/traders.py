"""Who acts: the uid that the kernel vouches for, with its name."""

from __future__ import annotations

import pwd

from perptui.journal.events import Actor
from perptui.model.text import safe_text

NAME_LENGTH = 32
"""Of a user's name, which a directory service may have let anybody choose."""


def trader_of(uid: int, ssh: str = "") -> Actor:
    """Return the actor of a uid that the kernel vouched for."""
    try:
        name = safe_text(pwd.getpwuid(uid).pw_name, NAME_LENGTH)
    except KeyError:
        name = f"uid {uid}"
    return Actor(uid=uid, name=name, ssh=ssh)
