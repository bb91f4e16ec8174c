"""What went with a desk that was lost, in words: what-ifs live as long as their desk."""

from __future__ import annotations

from perptui.protocol.views_rebalance import RebalanceView
from perptui.tui.panels.rebalance_book import named


def gone_with_desk(before: RebalanceView, after: RebalanceView) -> str:
    """Return what stood before the desk was lost and stands no more; "" when all does.

    What was only tried is not counted: a line that is still open asks for it again.
    """
    stands = {*after.assignments, *before.tried}
    edits = [named(text) for text in before.assignments if text not in stands]
    kept = {one.slot for one in before.kept} - {one.slot for one in after.kept}
    gone = []
    if edits:
        gone.append(f"what was bent ({' · '.join(edits)})")
    if kept:
        gone.append(f"what was kept as {' and '.join(sorted(kept))}")
    return f"gone with the desk that was lost: {', '.join(gone)}" if gone else ""
