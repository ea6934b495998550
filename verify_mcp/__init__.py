"""verify-mcp: answers about Plivo Verify (OTP) sessions for AI assistants."""

__version__ = "0.1.0"
