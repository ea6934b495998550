"""What stands out among sessions: one pure detector for each kind, and the correction over all."""
