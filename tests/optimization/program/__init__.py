"""Tests of perptui.optimization.program."""
