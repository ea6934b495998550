"""Figures about many sessions with the fewest requests."""
