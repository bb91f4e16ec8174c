"""The desk's memory: append-only hash-chained events and their projections."""
