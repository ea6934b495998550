"""A team's server at an address: in each client's own form, without its token in any file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.install.test_installer import Somebody, machine, parsed
from verify_mcp.install import installer
from verify_mcp.install.client import Client
from verify_mcp.install.clients import BY_NAME, CLIENTS
from verify_mcp.install.environment import InstallOptions

URL = "https://verify.example.com/mcp"
GOOSE: dict[str, Any] = {
    "enabled": True, "type": "streamable_http", "name": "verify", "uri": URL, "envs": {},
    "description": "Plivo Verify (OTP) sessions", "timeout": 300,
}  # fmt: skip
WITH_TOKEN: dict[str, dict[str, Any]] = {
    "claude-code": {"type": "http", "url": URL, "headers": {"Authorization": "Bearer ${TEAM}"}},
    "cursor": {"url": URL, "headers": {"Authorization": "Bearer ${env:TEAM}"}},
    "vscode": {"type": "http", "url": URL, "headers": {"Authorization": "Bearer ${env:TEAM}"}},
    "codex": {"url": URL, "bearer_token_env_var": "TEAM"},
    "gemini": {"type": "http", "url": URL, "headers": {"Authorization": "Bearer $TEAM"}},
    "windsurf": {"serverUrl": URL, "headers": {"Authorization": "Bearer ${env:TEAM}"}},
    "opencode": {"type": "remote", "url": URL, "headers": {"Authorization": "Bearer {env:TEAM}"}},
    "copilot-cli": {
        "tools": ["*"], "type": "http", "url": URL, "headers": {"Authorization": "Bearer ${TEAM}"},
    },
    "qwen": {"httpUrl": URL, "headers": {"Authorization": "Bearer $TEAM"}},
    "continue": {
        "name": "verify", "type": "streamable-http", "url": URL,
        "requestOptions": {"headers": {"Authorization": "Bearer ${{ secrets.TEAM }}"}},
    },
    "goose": {**GOOSE, "env_keys": ["TEAM"], "headers": {"Authorization": "Bearer ${TEAM}"}},
    "kiro": {"url": URL, "headers": {"Authorization": "Bearer ${TEAM}"}},
}  # fmt: skip
WITHOUT_TOKEN: dict[str, dict[str, Any]] = {
    "zed": {"url": URL},
    "cline": {"type": "streamableHttp", "url": URL},
    "lm-studio": {"url": URL},
}


def install(client: Client, file: Path, **options: Any) -> tuple[int, str]:
    somebody = Somebody()
    order = InstallOptions(client, config=file, yes=True, **options)
    return installer.run(order, machine(file.parent), somebody.person()), somebody.heard


def servers(client: Client, file: Path) -> Any:
    return parsed(client, file.read_text())[client.key]


def test_every_client_has_a_remote_form_or_says_where_to_add_it() -> None:
    named = {*WITH_TOKEN, *WITHOUT_TOKEN, "claude-desktop"}
    assert named == {client.name for client in CLIENTS}


@pytest.mark.parametrize("name", WITH_TOKEN)
def test_the_token_is_taken_from_a_variable_in_the_clients_own_form(
    name: str, tmp_path: Path
) -> None:
    client, file = BY_NAME[name], tmp_path / "config"
    code, heard = install(client, file, url=URL, token_env="TEAM")
    assert code == 0
    assert servers(client, file) == {"verify": WITH_TOKEN[name]}
    assert f"Set TEAM to your token in the environment that starts {client.title}." in heard
    assert client.next_step in heard
    assert (client.variable_form or "").replace("NAME", "TEAM") in heard  # no secret, so shown


@pytest.mark.parametrize("name", WITHOUT_TOKEN)
def test_a_client_without_variables_gets_the_address_alone(name: str, tmp_path: Path) -> None:
    client, file = BY_NAME[name], tmp_path / "config"
    code, heard = install(client, file, url=URL, token_env="TEAM")
    assert (code, file.exists()) == (1, False)
    assert "takes no token from a variable" in heard
    assert install(client, file, url=URL)[0] == 0
    assert servers(client, file) == {"verify": WITHOUT_TOKEN[name]}


@pytest.mark.parametrize("name", ["claude-code", "codex", "opencode", "goose", "continue"])
def test_an_address_takes_the_place_of_a_command_and_the_other_way(
    name: str, tmp_path: Path
) -> None:
    client, file = BY_NAME[name], tmp_path / "config"
    install(client, file, sandbox=True)
    by_command = servers(client, file)
    assert install(client, file, url=URL, token_env="TEAM", name="verify-sandbox")[0] == 0
    expected = WITH_TOKEN[name]
    if "name" in expected:
        expected = {**expected, "name": "verify-sandbox"}
    assert servers(client, file) == {"verify-sandbox": expected}
    install(client, file, sandbox=True)
    assert servers(client, file) == by_command


@pytest.mark.parametrize(
    ("client", "options", "told"),
    [
        ("cursor", {"token_env": "TEAM"}, "--token-env belongs to --url"),
        ("cursor", {"url": URL, "sandbox": True}, "--sandbox does not go with --url"),
        ("cursor", {"url": URL, "uvx": True}, "--uvx does not go with --url"),
        ("cursor", {"url": "http://verify.example.com/mcp"}, "--url is not an https address"),
        ("cursor", {"url": "https://verify.example.com"}, "such as https://verify.example.com/mcp"),
        ("cursor", {"url": "https://a:b@verify.example.com/mcp"}, "--url is not an https address"),
        ("cursor", {"url": URL, "token_env": "vmcp_abc"}, "never the token itself"),
        ("cursor", {"url": URL, "token_env": "Bearer x"}, "never the token itself"),
        ("claude-desktop", {"url": URL}, "Settings, Connectors, Add custom connector"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_name(
    client: str, options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    code, heard = install(BY_NAME[client], tmp_path / "config", **options)
    assert code == 1
    assert heard.startswith("Nothing was changed. ")
    assert told in heard
    assert "vmcp_abc" not in heard
    assert list(tmp_path.iterdir()) == []


def test_a_projects_file_of_claude_code_waits_for_approval_and_that_is_said(tmp_path: Path) -> None:
    code, heard = install(BY_NAME["claude-code"], tmp_path / ".mcp.json", sandbox=True)
    assert code == 0
    assert "Start `claude` in that project and approve the server" in heard


def test_of_opencodes_two_files_the_one_that_is_there_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "opencode"
    folder.mkdir(parents=True)
    file = folder / "opencode.json"
    file.write_text("{}")
    order = InstallOptions(BY_NAME["opencode"], yes=True, sandbox=True)
    assert installer.run(order, machine(tmp_path), Somebody().person()) == 0
    assert [path.name for path in folder.iterdir() if path.suffix != ".bak"] == ["opencode.json"]
    assert "verify-sandbox" in file.read_text()


def test_an_extension_that_goose_wrote_anew_is_found_and_taken_out(tmp_path: Path) -> None:
    file, somebody = tmp_path / "config.yaml", Somebody()
    file.write_text(
        "extensions:\n  verify:\n    type: stdio\n    envs:\n"
        "      PLIVO_AUTH_TOKEN_FILE: /home/asha/token\n"
        "  memory:\n    type: builtin\nGOOSE_MODE: auto\n"
    )
    order = InstallOptions(BY_NAME["goose"], config=file, yes=True)
    assert installer.uninstall(order, machine(tmp_path), somebody.person()) == 0
    assert file.read_text() == "extensions:\n  memory:\n    type: builtin\nGOOSE_MODE: auto\n"
    assert "The token is still in /home/asha/token" in somebody.heard


def test_an_empty_collection_takes_the_entry(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("extensions: {} # none yet\nGOOSE_MODE: auto\n")
    assert install(BY_NAME["goose"], file, sandbox=True)[0] == 0
    text = file.read_text()
    assert text.startswith("extensions: # none yet\n  verify-sandbox: {")
    assert text.endswith("\nGOOSE_MODE: auto\n")
