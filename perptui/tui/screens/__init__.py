"""Full screens: confirmation, journal, help."""
