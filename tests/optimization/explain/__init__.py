"""Tests of perptui.optimization.explain."""
