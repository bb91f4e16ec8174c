"""Rules of the whole tree."""
