"""What each venue's answers to a write mean, as tables: which words are a definite no."""
