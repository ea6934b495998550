"""The README's section on tools, written from the tools themselves.

`python -m tests.support.readme_tools` brings the README up to date.
"""

from collections.abc import Iterable
from pathlib import Path

from verify_mcp.server.prompts import load_prompts
from verify_mcp.tools.arguments import Argument
from verify_mcp.tools.definition import ToolDefinition
from verify_mcp.tools.registry import TOOLS

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- tools: begin -->\n", "<!-- tools: end -->\n"


def section() -> str:
    """The tools with their arguments, and the prompts."""
    return "\n".join([*(_tool(each) for each in TOOLS), _prompts()])


def _tool(offer: ToolDefinition) -> str:
    rows = "".join(_row(each) for each in offer.arguments)
    head = f"### `{offer.name}`\n\n{offer.description}\n\n"
    return f"{head}| argument | type | |\n|---|---|---|\n{rows}"


def _row(argument: Argument) -> str:
    required = " (required)" if argument.required else ""
    items = argument.extra_schema.get("items", argument.extra_schema)
    told = [argument.description, *_choices(items.get("enum") if isinstance(items, dict) else None)]
    return f"| `{argument.name}`{required} | {argument.type} | {' '.join(told)} |\n"


def _choices(words: object) -> list[str]:
    return [f"One of {_quoted(words)}."] if isinstance(words, list) else []


def _prompts() -> str:
    rows = "".join(
        f"| `{page.name}` | {page.title} | {_quoted(each.name for each in page.arguments)} |\n"
        for page in load_prompts().values()
    )
    return f"### Prompts\n\n| prompt | | arguments |\n|---|---|---|\n{rows}"


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def updated(readme: str) -> str:
    """The README's text with its section on tools as it should be."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{section()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
