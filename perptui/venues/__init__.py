"""Exchanges reached through ccxt, every reply validated before it is believed."""
