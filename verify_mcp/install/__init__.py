"""Writing the server into an MCP client's configuration, and taking it out again."""
