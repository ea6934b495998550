"""The MCP server: tools, prompts and resources, served over stdio."""
