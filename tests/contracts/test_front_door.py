"""What a newcomer reads before anything runs agrees with what runs."""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from tests.support import readme_tools
from verify_mcp import __version__
from verify_mcp.settings import read_settings
from verify_mcp.settings_table import setting_names

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT.parent / "shared" / "reference" / "server.schema.json"


@cache
def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The README's fenced blocks in this language."""
    found = re.findall(rf"^```{language}\n(.*?)\n```$", read("README.md"), re.MULTILINE | re.DOTALL)
    return [str(each) for each in found]


def registered() -> dict[str, Any]:
    """server.json as the registry of MCP servers reads it."""
    described: dict[str, Any] = json.loads(read("server.json"))
    return described


def test_two_commands_set_everything_up_each_alone_on_its_line() -> None:
    endings = [re.sub(r".*/", "", command) for command in blocks("sh")]
    assert endings == ["verify-mcp demo", "pytest"]
    assert not any("\n" in command for command in blocks("sh"))


def test_the_readme_describes_the_tools_and_settings_as_they_are() -> None:
    readme = read("README.md")
    assert readme_tools.updated(readme) == readme


def settings_table() -> dict[str, str]:
    """Each variable of the README's table with its default."""
    row = re.compile(r"^\| `([A-Z_]+)` \| (?:`(.+?)` )?\| .+ \|$", re.MULTILINE)
    return dict(row.findall(read("README.md")))


def test_the_readme_lists_every_setting_and_no_other() -> None:
    assert list(settings_table()) == setting_names()


def test_the_defaults_in_the_readme_are_the_defaults() -> None:
    assert read_settings(settings_table()) == read_settings({})


def test_every_client_configuration_in_the_readme_is_json() -> None:
    configured = [json.loads(block) for block in blocks("json")]
    servers = [
        next(iter((each.get("mcpServers") or each["servers"]).values())) for each in configured
    ]
    assert len(servers) == 5
    assert {each["command"] for each in servers} == {"/absolute/path/to/.venv/bin/verify-mcp"}
    named = {name for each in servers for name in each.get("env", {})}
    assert named <= set(setting_names())


def test_files_that_the_readme_points_to_are_there() -> None:
    linked = re.findall(r"\]\(([^)#:]+)\)", read("README.md"))
    assert [each for each in linked if not (ROOT / each).is_file()] == []
    assert len(linked) >= 4


def test_the_registry_entry_is_this_package_in_this_version() -> None:
    described = registered()
    (package,) = described["packages"]
    assert (described["version"], package["version"]) == (__version__, __version__)
    assert package["identifier"] == tomllib.loads(read("pyproject.toml"))["project"]["name"]
    assert f"\n<!-- mcp-name: {described['name']} -->\n" in read("README.md")
    assert f"## [{__version__}]" in read("CHANGELOG.md")


def test_the_registry_entry_describes_the_settings_as_they_are() -> None:
    entry = read("server.json")
    assert readme_tools.updated_registry_entry(entry) == entry


def test_the_registry_entry_keeps_to_the_registrys_rules() -> None:
    described = registered()
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", described["name"])
    assert 1 <= len(described["description"]) <= 100
    assert 1 <= len(described["title"]) <= 100
    (package,) = described["packages"]
    variables = package["environmentVariables"]
    secret = {variable["name"] for variable in variables if variable.get("isSecret")}
    assert secret == {"PLIVO_AUTH_TOKEN", "VERIFY_MCP_DATABASE_URL"}
    if SCHEMA.exists():
        validator = Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
        assert list(validator.iter_errors(described)) == []
