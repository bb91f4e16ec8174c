"""Tests of perptui.simulator."""
