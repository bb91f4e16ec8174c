"""Frozen records, decimal arithmetic, clocks and errors: what every other floor speaks in."""
