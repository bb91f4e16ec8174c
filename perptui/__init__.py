"""perptui: the rebalance desk for perpetual futures in a terminal."""
