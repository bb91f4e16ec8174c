"""Value at risk and expected shortfall: samples, closed forms, filtered simulation."""
