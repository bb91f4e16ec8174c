"""What tells a hand on the keys from pasted text and from what was typed on for something else.

One rule for the terminal, which takes the keys of a ticket, and the desk, which checks them again.
"""

from __future__ import annotations

TYPED = 4
"""Characters of the token's end that the trader types."""
DEAD_S = 1.0
"""Keys are dead for this long after the ticket was shown, or turned void."""
KEY_GAP_MS = 30.0
"""Keys that come faster than this were not typed by a hand."""
