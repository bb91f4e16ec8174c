"""The key that no test may print: use it wherever a test needs a venue's key or secret."""

CANARY = "canary-5f2b9c"
