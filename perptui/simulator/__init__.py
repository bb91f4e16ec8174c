"""The simulated venue: one exchange core behind real wire protocols."""
