"""Verify sessions as values: what one is, which are asked for, how they add up; no I/O."""
