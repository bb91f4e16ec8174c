"""Parquet market history: read, append, check, clean."""
