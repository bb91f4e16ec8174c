"""Tests of perptui.venues."""
