"""Estimates of returns, funding, volatility, covariance and regime."""
