"""Tests of perptui.quant."""
