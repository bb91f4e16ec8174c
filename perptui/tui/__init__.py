"""The terminal: draws views that the desk computed and posts intents."""
