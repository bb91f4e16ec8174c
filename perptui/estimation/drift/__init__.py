"""Expected price drift: lookbacks, their blend, and what it is worth."""
