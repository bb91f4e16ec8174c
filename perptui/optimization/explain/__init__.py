"""Why the optimiser proposes what it does: ledgers, prices, break-evens, drift, clashes."""
