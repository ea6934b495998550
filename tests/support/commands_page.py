"""docs/commands.md, made from the parsers of the commands.

`python -m tests.support.commands_page` brings it up to date.
"""

from pathlib import Path

from verify_mcp.cli.command_reference import markdown
from verify_mcp.cli.main import full_parser

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def page() -> str:
    """The page as it should be."""
    return markdown(full_parser())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
