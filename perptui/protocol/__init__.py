"""Records between terminal and desk, and their frames."""
