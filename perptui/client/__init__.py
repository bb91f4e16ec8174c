"""Attach to a desk: start, reconnect, frames to messages."""
