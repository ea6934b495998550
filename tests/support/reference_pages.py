"""docs/tools.md, docs/settings.md and server.json's settings, made from the code.

`python -m tests.support.reference_pages` brings them up to date, and docs/commands.md.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support import commands_page
from verify_mcp.server.prompts import load_prompts
from verify_mcp.settings_table import SETTINGS, Setting
from verify_mcp.tools.arguments import Argument
from verify_mcp.tools.definition import ToolDefinition
from verify_mcp.tools.registry import TOOLS

ROOT = Path(__file__).parents[2]
TOOLS_PAGE, SETTINGS_PAGE = ROOT / "docs" / "tools.md", ROOT / "docs" / "settings.md"
REGISTRY_ENTRY = ROOT / "server.json"
_TOOLS_INTRODUCTION = """# Tools

All tools read; none changes anything. Both protocol generations are served, 2025-11-25 and
2026-07-28, over stdio and, for teams, over HTTP. The resource `verify://guide` explains the
fields, and `verify://sessions/{session_uuid}` is one session as JSON. [asking.md](asking.md) has
questions and their calls, [answers.md](answers.md) says how to read an answer. This page is made
from the definitions.

"""
_SETTINGS_INTRODUCTION = """# Settings

Environment variables, all optional except the first two. A variable that is empty, or still a
placeholder such as `${PLIVO_AUTH_ID}`, counts as not set. A placeholder in a setting that
restricts (who may ask, what they see, what is kept, how much is requested) stops the start.
`verify-mcp doctor` checks all of them. `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` and `SSL_CERT_FILE`
are honoured. This page is made from the table of settings.

"""


def tools_page() -> str:
    """The tools with their arguments, and the prompts."""
    return _TOOLS_INTRODUCTION + "\n".join([*map(_tool, TOOLS), _prompts()])


def _tool(definition: ToolDefinition) -> str:
    rows = "".join(_row(argument) for argument in definition.arguments)
    head = f"## `{definition.name}`\n\n{definition.description}\n\n"
    return f"{head}| argument | type | |\n|---|---|---|\n{rows}"


def _row(argument: Argument) -> str:
    required = " (required)" if argument.required else ""
    items = argument.extra_schema.get("items", argument.extra_schema)
    choices = _choices(items.get("enum") if isinstance(items, dict) else None)
    text = " ".join([argument.description, *choices])
    return f"| `{argument.name}`{required} | {argument.type} | {text} |\n"


def _choices(words: object) -> list[str]:
    return [f"One of {_quoted(words)}."] if isinstance(words, list) else []


def _prompts() -> str:
    rows = "".join(
        f"| `{prompt.name}` | {prompt.title} | "
        f"{_quoted(argument.name for argument in prompt.arguments)} |\n"
        for prompt in load_prompts().values()
    )
    return f"## Prompts\n\n| prompt | | arguments |\n|---|---|---|\n{rows}"


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def settings_page() -> str:
    """The table of environment variables."""
    rows = "".join(_setting(setting) for setting in SETTINGS)
    return f"{_SETTINGS_INTRODUCTION}| variable | default | meaning |\n|---|---|---|\n{rows}"


def _setting(setting: Setting) -> str:
    default = f" `{setting.default}` " if setting.default else " "
    return f"| `{setting.name}` |{default}| {setting.help} |\n"


def updated_registry_entry(text: str) -> str:
    """The text of server.json with its settings as they should be.

    Which settings are listed there, and what is secret or required, stays as it is.
    """
    entry = json.loads(text)
    by_name = {setting.name: setting for setting in SETTINGS}
    for package in entry["packages"]:
        for variable in package.get("environmentVariables", ()):
            variable.update(_registry_fields(by_name[variable["name"]]))
    return json.dumps(entry, indent=2, ensure_ascii=False) + "\n"


def _registry_fields(setting: Setting) -> dict[str, Any]:
    fields = {
        "description": setting.help.replace("`", ""),
        "default": setting.default,
        "choices": list(setting.choices),
    }
    return {name: value for name, value in fields.items() if value}


def pages() -> dict[Path, str]:
    """Each generated file with its text as it should be."""
    return {
        TOOLS_PAGE: tools_page(),
        SETTINGS_PAGE: settings_page(),
        commands_page.PAGE: commands_page.page(),
        REGISTRY_ENTRY: updated_registry_entry(REGISTRY_ENTRY.read_text(encoding="utf-8")),
    }


if __name__ == "__main__":
    for file, text in pages().items():
        file.write_text(text, encoding="utf-8")
