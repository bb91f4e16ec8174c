"""Tests mirror the packages; architecture/ holds rules of the whole tree."""
