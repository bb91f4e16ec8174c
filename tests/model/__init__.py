"""Tests of perptui.model."""
