"""The convex program of one rebalance: stated, compiled once per shape, solved and verified."""
