"""Tests of tickets, the gate, sending and reconciling."""
