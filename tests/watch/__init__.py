"""Tests of verify_mcp/watch."""
