"""Tests of what terminals are shown."""
