"""Team mode: the server over Streamable HTTP."""
