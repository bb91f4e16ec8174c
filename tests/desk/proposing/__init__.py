"""Tests of what stands as a proposal."""
