"""The campaign: seeded sessions with faults, and a checker that believes nobody but the venue."""
