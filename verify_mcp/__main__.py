"""`python -m verify_mcp` is `verify-mcp`."""

from verify_mcp.cli.main import main

if __name__ == "__main__":
    main()
