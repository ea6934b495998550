"""What a newcomer reads before anything runs agrees with what runs."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from jsonschema import Draft7Validator

from tests.support import reference_pages
from verify_mcp import __version__
from verify_mcp.settings import read_settings
from verify_mcp.settings_table import setting_names

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
SCHEMA = ROOT.parent / "shared" / "reference" / "server.schema.json"


@cache
def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(language: str, page: str = "README.md") -> list[str]:
    """A page's fenced blocks in this language."""
    found = re.findall(rf"^```{language}\n(.*?)\n```$", read(page), re.MULTILINE | re.DOTALL)
    return [str(each) for each in found]


def registered() -> dict[str, Any]:
    """server.json as the registry of MCP servers reads it."""
    described: dict[str, Any] = json.loads(read("server.json"))
    return described


def test_two_commands_set_everything_up_each_alone_on_its_line() -> None:
    endings = [re.sub(r".*/", "", command) for command in blocks("sh")]
    assert endings == ["verify-mcp demo", "pytest"]
    assert not any("\n" in command for command in blocks("sh"))


def test_the_readme_has_at_most_900_words() -> None:
    assert len(read("README.md").split()) <= 900


@pytest.mark.parametrize("page", list(reference_pages.pages()), ids=lambda page: page.name)
def test_the_pages_made_from_the_code_are_up_to_date(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == reference_pages.pages()[page]


def settings_table() -> dict[str, str]:
    """Each variable of the table of settings with its default."""
    row = re.compile(r"^\| `([A-Z_]+)` \| (?:`(.+?)` )?\| .+ \|$", re.MULTILINE)
    return dict(row.findall(read("docs/settings.md")))


def test_the_defaults_in_the_table_are_the_defaults() -> None:
    assert list(settings_table()) == setting_names()
    assert read_settings(settings_table()) == read_settings({})


def test_every_client_configuration_is_json() -> None:
    configured = [json.loads(each) for each in blocks("json") + blocks("json", "docs/install.md")]
    servers = [
        next(iter((each.get("mcpServers") or each["servers"]).values())) for each in configured
    ]
    assert len(servers) == 6
    assert {each["command"] for each in servers} == {"/absolute/path/to/.venv/bin/verify-mcp"}
    named = {name for each in servers for name in each.get("env", {})}
    assert named <= set(setting_names())


def test_the_links_that_install_add_the_sandbox_without_a_secret() -> None:
    links = re.findall(
        r"\]\((https://\S+?[?]name=verify-sandbox&config=\S+)\)", read("docs/install.md")
    )
    configs = [parse_qs(urlsplit(link).query)["config"][0] for link in links]
    cursor, vscode = base64.b64decode(configs[0]), configs[1]
    expected = {"command": "uvx", "args": ["verify-mcp", "serve", "--sandbox"]}
    assert [json.loads(cursor), json.loads(vscode)] == [expected, expected]


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{each.name}" for each in PAGES)])
def test_files_that_a_page_points_to_are_there(page: str) -> None:
    linked = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(page))
    folder = (ROOT / page).parent
    assert [each for each in linked if not (folder / each).is_file()] == []


def test_the_site_has_every_page() -> None:
    site = read("mkdocs.yml")
    assert [each.name for each in PAGES if f": {each.name}" not in site] == []


def test_the_registry_entry_is_this_package_in_this_version() -> None:
    described = registered()
    name = tomllib.loads(read("pyproject.toml"))["project"]["name"]
    repository = described["repository"]["url"]
    assert described["version"] == __version__
    assert {
        package["registryType"]: package["identifier"] for package in described["packages"]
    } == {
        "pypi": name,
        "oci": f"ghcr.io/{name}/{name}:{__version__}",
        "mcpb": f"{repository}/releases/download/v{__version__}/{name}-{__version__}.mcpb",
    }
    assert f"\n<!-- mcp-name: {described['name']} -->\n" in read("README.md")
    assert f"## [{__version__}]" in read("CHANGELOG.md")


def test_the_registry_entry_keeps_to_the_registrys_rules() -> None:
    described = registered()
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", described["name"])
    assert 1 <= len(described["description"]) <= 100
    assert 1 <= len(described["title"]) <= 100
    variables = [
        variable
        for package in described["packages"]
        for variable in package.get("environmentVariables", ())
    ]
    secret = {variable["name"] for variable in variables if variable.get("isSecret")}
    assert secret == {"PLIVO_AUTH_TOKEN", "VERIFY_MCP_DATABASE_URL"}
    if SCHEMA.exists():
        validator = Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
        assert list(validator.iter_errors(described)) == []


def test_an_image_and_a_bundle_have_their_version_in_the_identifier_only() -> None:
    packages = {package["registryType"]: package for package in registered()["packages"]}
    assert "version" not in packages["oci"].keys() | packages["mcpb"].keys()
    # The bundle's digest is known once the release has built it.
    assert "fileSha256" not in packages["mcpb"]


def test_a_release_writes_the_bundles_digest_into_the_registry_entry(tmp_path: Path) -> None:
    entry, bundle = tmp_path / "server.json", tmp_path / f"verify-mcp-{__version__}.mcpb"
    entry.write_text(read("server.json"), encoding="utf-8")
    bundle.write_bytes(b"bundle")
    script = ROOT / "packaging" / "registry_entry.py"
    subprocess.run([sys.executable, str(script), str(entry), str(bundle)], check=True)
    written = json.loads(entry.read_text(encoding="utf-8"))
    assert written["packages"].pop()["fileSha256"] == hashlib.sha256(b"bundle").hexdigest()
    assert written["packages"] == registered()["packages"][:-1]


def test_the_image_names_the_server_as_the_registry_does() -> None:
    assert f'LABEL io.modelcontextprotocol.server.name="{registered()["name"]}"' in read(
        "Dockerfile"
    )


def test_the_registrys_icon_is_a_file_of_this_version() -> None:
    (icon,) = registered()["icons"]
    root = registered()["repository"]["url"].replace("github.com", "raw.githubusercontent.com")
    assert icon["src"].startswith(f"{root}/v{__version__}/")
    assert (ROOT / icon["src"].removeprefix(f"{root}/v{__version__}/")).is_file()
