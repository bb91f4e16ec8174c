"""Covariance of contracts: correlation, shrinkage, basis, repair, stress, and r - F."""
