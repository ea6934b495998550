"""The README's sections on tools and settings, and server.json's settings, made from the code.

`python -m tests.support.readme_tools` brings both files up to date.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from verify_mcp.server.prompts import load_prompts
from verify_mcp.settings_table import SETTINGS, Setting
from verify_mcp.tools.arguments import Argument
from verify_mcp.tools.definition import ToolDefinition
from verify_mcp.tools.registry import TOOLS

ROOT = Path(__file__).parents[2]
README, REGISTRY_ENTRY = ROOT / "README.md", ROOT / "server.json"


def tools_section() -> str:
    """The tools with their arguments, and the prompts."""
    return "\n".join([*(_tool(definition) for definition in TOOLS), _prompts()])


def _tool(definition: ToolDefinition) -> str:
    rows = "".join(_row(argument) for argument in definition.arguments)
    head = f"### `{definition.name}`\n\n{definition.description}\n\n"
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
    return f"### Prompts\n\n| prompt | | arguments |\n|---|---|---|\n{rows}"


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def settings_section() -> str:
    """The table of environment variables."""
    rows = "".join(_setting(setting) for setting in SETTINGS)
    return f"| variable | default | meaning |\n|---|---|---|\n{rows}"


def _setting(setting: Setting) -> str:
    default = f" `{setting.default}` " if setting.default else " "
    return f"| `{setting.name}` |{default}| {setting.help} |\n"


def updated(readme: str) -> str:
    """The README's text with both sections as they should be."""
    with_tools = _with_section(readme, "tools", tools_section())
    return _with_section(with_tools, "settings", settings_section())


def _with_section(readme: str, name: str, text: str) -> str:
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, rest = readme.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}\n{end}{after}"


def updated_registry_entry(text: str) -> str:
    """The text of server.json with its settings as they should be.

    Which settings are listed there, and what is secret or required, stays as it is.
    """
    entry = json.loads(text)
    by_name = {setting.name: setting for setting in SETTINGS}
    for package in entry["packages"]:
        for variable in package["environmentVariables"]:
            variable.update(_registry_fields(by_name[variable["name"]]))
    return json.dumps(entry, indent=2, ensure_ascii=False) + "\n"


def _registry_fields(setting: Setting) -> dict[str, Any]:
    fields = {
        "description": setting.help.replace("`", ""),
        "default": setting.default,
        "choices": list(setting.choices),
    }
    return {name: value for name, value in fields.items() if value}


if __name__ == "__main__":
    for file, update in ((README, updated), (REGISTRY_ENTRY, updated_registry_entry)):
        file.write_text(update(file.read_text(encoding="utf-8")), encoding="utf-8")
