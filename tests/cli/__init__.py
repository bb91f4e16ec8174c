"""Tests of perptui.cli."""
