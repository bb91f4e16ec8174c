"""The table of order outcomes, measured through both clients of ccxt, printed."""

from __future__ import annotations

import sys

from tests.venues.measured import measure, table


def main() -> int:
    """Measure every row and print it; return 1 when one is not what safety asks for."""
    found = measure()
    sys.stdout.write(table(found) + "\n")
    wrong = [row for row in found if row.outcome.state is not row.expected]
    for row in wrong:
        sys.stdout.write(f"{row.name} ({row.mode}): expected {row.expected}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
