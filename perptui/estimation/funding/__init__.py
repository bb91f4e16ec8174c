"""Expected funding: fits, forecasts, the rules behind the clamp, regimes, what follows price."""
