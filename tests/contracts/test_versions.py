from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from verify_mcp import __version__

ROOT = Path(__file__).parents[2]
PLUGIN_MANIFESTS = (
    ".claude-plugin/plugin.json",
    ".codex-plugin/plugin.json",
    "gemini-extension.json",
)


def read_json(path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / path).read_text(encoding="utf-8"))
    return found


def test_every_file_that_names_the_version_names_the_same() -> None:
    registered = read_json("server.json")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert {
        "server.json": registered["version"],
        "server.json, packages": [
            package["version"] for package in registered["packages"] if "version" in package
        ],
        "the bundle": read_json("packaging/mcpb/manifest.json")["version"],
        **{name: read_json(f"packaging/plugin/{name}")["version"] for name in PLUGIN_MANIFESTS},
        "the changelog": re.findall(r"^## \[(\d[^]]*)\]", changelog, re.MULTILINE)[0],
    } == {
        "server.json": __version__,
        "server.json, packages": [__version__],
        "the bundle": __version__,
        **dict.fromkeys(PLUGIN_MANIFESTS, __version__),
        "the changelog": __version__,
    }


def test_the_readme_names_the_server_as_the_registry_does() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"<!-- mcp-name: {read_json('server.json')['name']} -->" in readme.splitlines()


def test_the_bundles_privacy_policy_is_a_section_of_the_readme() -> None:
    (policy,) = read_json("packaging/mcpb/manifest.json")["privacy_policies"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert policy.endswith("#privacy")
    assert "## Privacy" in readme.splitlines()


def test_the_bundle_and_the_registry_call_the_server_the_same() -> None:
    bundle, registered = read_json("packaging/mcpb/manifest.json"), read_json("server.json")
    assert (bundle["display_name"], bundle["description"]) == (
        registered["title"],
        registered["description"],
    )


def test_the_bundles_icon_is_a_png_of_512_pixels() -> None:
    content = (ROOT / "packaging" / "mcpb" / "icon.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert (content[16:20], content[20:24]) == ((512).to_bytes(4), (512).to_bytes(4))
