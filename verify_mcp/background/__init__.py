"""Work of the server between two calls: completes windows, and keeps the newest days covered."""
