"""Whose a step of the what-if is: this terminal's, or another's that is to be named."""

from __future__ import annotations

import os

from perptui.protocol.views_rebalance import Author


def another(author: Author | None) -> str:
    """Return the trader and terminal of a step; "" where it is this terminal's, or nobody's."""
    if author is None or author.terminal == (os.getuid(), os.getpid()):
        return ""
    return f"{author.name}, terminal {author.pid},"
