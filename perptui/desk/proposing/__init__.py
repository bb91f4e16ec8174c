"""What stands as a proposal, what is bent of it, and what is prepared around it."""
