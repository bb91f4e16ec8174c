"""Tests of perptui.optimization."""
