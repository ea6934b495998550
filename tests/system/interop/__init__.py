"""Peers of other authors, tried against the server."""
