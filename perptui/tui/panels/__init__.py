"""The five panels of the Desk view."""
