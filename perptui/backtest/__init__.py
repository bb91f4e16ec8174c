"""Walk-forward backtests with exact accounting."""
