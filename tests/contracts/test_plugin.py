"""The plugin for Claude Code, Codex and Gemini names what exists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from verify_mcp.settings_table import setting_names
from verify_mcp.tools.definition import ToolDefinition
from verify_mcp.tools.registry import TOOLS

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "packaging" / "plugin"
SKILL = PLUGIN / "skills" / "otp-sessions" / "SKILL.md"
CALL = re.compile(r"`([a-z_]+)\((.*?)\)`")


def read_json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def servers() -> dict[str, dict[str, Any]]:
    """The server as each client's manifest registers it."""
    files = {
        "Claude Code": PLUGIN / ".mcp.json",
        "Codex": PLUGIN / ".codex-plugin" / "plugin.json",
        "Gemini": PLUGIN / "gemini-extension.json",
    }
    return {client: read_json(file)["mcpServers"]["verify"] for client, file in files.items()}


def tools() -> dict[str, ToolDefinition]:
    return {tool.name: tool for tool in TOOLS}


@pytest.mark.parametrize("client", ["Claude Code", "Codex", "Gemini"])
def test_each_client_starts_the_command_with_settings_that_exist(client: str) -> None:
    server = servers()[client]
    assert [server["command"], *server["args"]] == ["verify-mcp", "serve"]
    named = {*server.get("env", {}), *server.get("env_vars", ())}
    assert {"PLIVO_AUTH_ID", "PLIVO_AUTH_TOKEN"} <= named <= set(setting_names())


def test_gemini_asks_for_the_credentials_and_hides_the_token() -> None:
    settings = read_json(PLUGIN / "gemini-extension.json")["settings"]
    assert {setting["envVar"]: setting.get("sensitive", False) for setting in settings} == {
        "PLIVO_AUTH_ID": False,
        "PLIVO_AUTH_TOKEN": True,
    }


def test_the_marketplace_offers_the_folder_by_the_name_in_its_manifests() -> None:
    (offered,) = read_json(ROOT / ".claude-plugin" / "marketplace.json")["plugins"]
    assert (ROOT / offered["source"]).resolve() == PLUGIN
    manifests = (".claude-plugin/plugin.json", ".codex-plugin/plugin.json", "gemini-extension.json")
    for manifest in manifests:
        named = read_json(PLUGIN / manifest)
        assert (named["name"], named["description"]) == (offered["name"], offered["description"])
    skills = PLUGIN / read_json(PLUGIN / ".codex-plugin/plugin.json")["skills"]
    assert SKILL.is_relative_to(skills)


def test_the_skill_has_its_front_matter_and_at_most_120_lines() -> None:
    lines = SKILL.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    head = dict(line.split(": ", 1) for line in lines[1 : lines.index("---", 1)])
    assert set(head) == {"name", "description"}
    assert head["name"] == SKILL.parent.name
    assert len(head["description"]) <= 1024


def test_every_tool_and_argument_in_the_skill_exists() -> None:
    text = SKILL.read_text(encoding="utf-8")
    calls = CALL.findall(text)
    assert {name for name, _ in calls} == set(tools())
    assert set(re.findall(r"\b[a-z]+_verify_[a-z]+\b", text)) <= set(tools())
    for name, arguments in calls:
        known = {argument.name for argument in tools()[name].arguments}
        assert set(re.findall(r"([a-z_]+)=", arguments)) <= known


def test_the_plugins_icon_is_the_bundles() -> None:
    bundle = ROOT / "packaging" / "mcpb" / "icon.png"
    assert (PLUGIN / ".claude-plugin" / "icon.png").read_bytes() == bundle.read_bytes()
