"""Variance of single contracts: models, their combination, measures of what was realised."""
