"""Looks for what stands out again and again, and reports each event's begin and end once."""
