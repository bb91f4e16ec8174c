"""Tests of perptui.settings."""
