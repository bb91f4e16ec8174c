"""The court: tests that judge forecasts of variance, risk and tails, and their verdicts."""
