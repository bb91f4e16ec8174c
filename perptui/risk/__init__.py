"""Margin, liquidation and limits, in the standard library; arrays beside them."""
