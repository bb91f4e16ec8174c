"""Tests of perptui.risk."""
