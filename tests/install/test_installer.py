from __future__ import annotations

import errno
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import keyring
import pytest
import yaml

from tests.support.keyrings import Keyring
from verify_mcp.install import installer, preview
from verify_mcp.install.client import Client, UserDirs
from verify_mcp.install.clients import BY_NAME, CLIENTS
from verify_mcp.install.environment import Environment, InstallOptions, Terminal

FILES = Path(__file__).parent / "clients"
SOUND = sorted(each for each in FILES.glob("*/*.*") if each.parent.name != "broken")
BROKEN = sorted((FILES / "broken").iterdir())
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ACCOUNT = "MAXXXXXXXXXXXXXXXXXX"
TOKEN = "bmV2ZXIgYSByZWFsIHRva2Vu"
PROGRAM = ("/opt/verify/bin/verify-mcp",)
COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


@dataclass
class Somebody:
    """A person at a terminal, or, without answers, nobody."""

    answers: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    heard: str = ""

    def person(self) -> Terminal:
        def tell(text: str) -> None:
            self.heard += text

        there = bool(self.answers or self.secrets)
        return Terminal(
            tell,
            (lambda _question: self.answers.pop(0)) if there else None,
            (lambda _question: self.secrets.pop(0)) if there else None,
        )


@pytest.fixture
def kept_in_memory() -> Iterator[Keyring]:
    before, ours = keyring.get_keyring(), Keyring()
    keyring.set_keyring(ours)
    yield ours
    keyring.set_keyring(before)


def machine(home: Path, **changes: Any) -> Environment:
    environ = {"HOME": str(home), "USERPROFILE": str(home), **changes.pop("environ", {})}
    usual = Environment(environ, "linux", NOW, home / "secrets", PROGRAM)
    return replace(usual, **changes)


def sandboxed(client: Client, file: Path) -> InstallOptions:
    return InstallOptions(client, config=file, yes=True, sandbox=True)


def parsed(client: Client, text: str) -> dict[str, Any]:
    """The text as values, by another parser than ours."""
    bare = text.removeprefix("\ufeff")
    if client.format == "toml":
        return tomllib.loads(bare)
    if client.format == "yaml":
        return by_name(yaml.safe_load(bare) or {}, client.key)
    bare = COMMENT.sub(lambda match: match[1] or "", bare)
    bare = re.sub(r",(\s*[}\]])", r"\1", bare)
    found: dict[str, Any] = json.loads(bare or "{}") if bare.strip() else {}
    return found


def by_name(values: dict[str, Any], key: str) -> dict[str, Any]:
    """The values with a list of named servers as a mapping, so that all clients compare alike."""
    servers = values.get(key)
    if isinstance(servers, list):
        return {**values, key: {server["name"]: server for server in servers}}
    return values


def copied(source: Path, folder: Path) -> tuple[Client, Path]:
    usual = {".toml": "codex", ".yaml": "goose"}.get(source.suffix, "cline")
    client = BY_NAME.get(source.parent.name) or BY_NAME[usual]
    file = folder / source.name
    file.write_bytes(source.read_bytes())
    return client, file


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("source", SOUND, ids=named)
def test_our_entry_joins_what_is_there_and_nothing_is_lost(source: Path, tmp_path: Path) -> None:
    client, file = copied(source, tmp_path)
    assert installer.run(sandboxed(client, file), machine(tmp_path), Somebody().person()) == 0
    before, after = source.read_bytes().decode(), file.read_bytes().decode()
    entry = client.entry("verify-sandbox", PROGRAM[0], ["serve", "--sandbox"], {})
    old = parsed(client, before)
    servers = {**old.get(client.key, {}), "verify-sandbox": entry}
    assert parsed(client, after) == {**old, client.key: servers}
    rest = iter(after)
    assert all(each in rest for each in before)
    if "\r\n" in before:
        assert "\n" not in after.replace("\r\n", "")
    assert next(tmp_path.glob("*.bak")).read_bytes() == source.read_bytes()


@pytest.mark.parametrize("source", SOUND, ids=named)
def test_uninstall_gives_back_the_original_bytes(source: Path, tmp_path: Path) -> None:
    client, file = copied(source, tmp_path)
    order = sandboxed(client, file)
    installer.run(order, machine(tmp_path), Somebody().person())
    later = machine(tmp_path, now=NOW + timedelta(days=1))
    assert installer.uninstall(order, later, Somebody().person()) == 0
    assert file.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("source", SOUND, ids=named)
def test_uninstall_takes_out_only_our_entry_when_the_file_changed_since(
    source: Path, tmp_path: Path
) -> None:
    client, file = copied(source, tmp_path)
    order = sandboxed(client, file)
    installer.run(order, machine(tmp_path), Somebody().person())
    others = replace(order, name="other")
    installer.run(others, machine(tmp_path), Somebody().person())
    assert installer.uninstall(order, machine(tmp_path), Somebody().person()) == 0
    old = parsed(client, source.read_bytes().decode())
    entry = client.entry("verify-sandbox", PROGRAM[0], ["serve", "--sandbox"], {})
    if "name" in entry:
        entry = {**entry, "name": "other"}
    servers = {**old.get(client.key, {}), "other": entry}
    assert parsed(client, file.read_bytes().decode()) == {**old, client.key: servers}


@pytest.mark.parametrize("source", SOUND, ids=named)
def test_installing_twice_changes_nothing_more(source: Path, tmp_path: Path) -> None:
    client, file = copied(source, tmp_path)
    installer.run(sandboxed(client, file), machine(tmp_path), Somebody().person())
    once, somebody = file.read_bytes(), Somebody()
    assert installer.run(sandboxed(client, file), machine(tmp_path), somebody.person()) == 0
    assert file.read_bytes() == once
    assert somebody.heard == f"{file} already says so; nothing to change.\n"
    assert len(list(tmp_path.glob("*.bak"))) == 1


@pytest.mark.parametrize("source", BROKEN, ids=named)
def test_a_file_that_cannot_be_understood_is_left_alone(source: Path, tmp_path: Path) -> None:
    client, file = copied(source, tmp_path)
    order = replace(sandboxed(client, file), name="verify")
    somebody = Somebody()
    assert installer.run(order, machine(tmp_path), somebody.person()) == 1
    assert somebody.heard.startswith(f"{file} was left as it is: it")
    assert somebody.heard.endswith(".\n")
    installer.uninstall(replace(order, name="nobody"), machine(tmp_path), somebody.person())
    assert file.read_bytes() == source.read_bytes()
    assert [each.name for each in tmp_path.iterdir()] == [file.name]


def test_an_entry_in_one_of_two_like_named_objects_is_not_taken_out(tmp_path: Path) -> None:
    file, somebody = tmp_path / "mcp.json", Somebody()
    file.write_text('{"mcpServers": {}, "mcpServers": {"verify": {"env": ["a"]}}}')
    order = InstallOptions(BY_NAME["cursor"], config=file, yes=True)
    assert installer.uninstall(order, machine(tmp_path), somebody.person()) == 1
    assert somebody.heard == f'{file} was left as it is: its "mcpServers" is there twice.\n'


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_without_a_file_one_is_made_and_taken_away_again(client: Client, tmp_path: Path) -> None:
    order, here = InstallOptions(client, yes=True, sandbox=True), machine(tmp_path)
    assert installer.run(order, here, Somebody().person()) == 0
    (file,) = files_in(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    entry = client.entry("verify-sandbox", PROGRAM[0], ["serve", "--sandbox"], {})
    head = parsed(client, client.new_file)
    assert parsed(client, file.read_text()) == {**head, client.key: {"verify-sandbox": entry}}
    assert installer.uninstall(order, here, Somebody().person()) == 0
    assert not file.exists()


def places(client: str, platform: str, **environ: str) -> tuple[str, ...]:
    return BY_NAME[client].config_paths(UserDirs(environ, platform))


def test_each_client_is_looked_for_where_its_system_keeps_it() -> None:
    linux = {"HOME": "/home/asha"}
    mac = {"HOME": "/Users/asha"}
    windows = {
        "USERPROFILE": r"C:\Users\asha",
        "APPDATA": r"C:\Users\asha\AppData\Roaming",
        "LOCALAPPDATA": r"C:\Users\asha\AppData\Local",
    }
    claude = "claude_desktop_config.json"
    support = "/Users/asha/Library/Application Support"
    roaming = r"C:\Users\asha\AppData\Roaming"
    store = r"C:\Users\asha\AppData\Local\Packages\Claude_pzs8sxrjxfjjc\LocalCache\Roaming\Claude"
    assert places("claude-desktop", "linux", **linux) == (f"/home/asha/.config/Claude/{claude}",)
    assert places("claude-desktop", "darwin", **mac) == (f"{support}/Claude/{claude}",)
    assert places("claude-desktop", "win32", **windows) == (
        rf"{store}\{claude}",
        rf"{roaming}\Claude\{claude}",
    )
    assert places("vscode", "linux", **linux) == ("/home/asha/.config/Code/User/mcp.json",)
    assert places("vscode", "darwin", **mac) == (f"{support}/Code/User/mcp.json",)
    assert places("vscode", "win32", **windows) == (rf"{roaming}\Code\User\mcp.json",)
    assert places("zed", "darwin", **mac) == ("/Users/asha/.config/zed/settings.json",)
    assert places("zed", "win32", **windows) == (rf"{roaming}\Zed\settings.json",)
    assert places("cursor", "win32", **windows) == (r"C:\Users\asha\.cursor\mcp.json",)
    assert places("gemini", "linux", **linux) == ("/home/asha/.gemini/settings.json",)
    assert places("windsurf", "linux", **linux) == ("/home/asha/.codeium/windsurf/mcp_config.json",)
    assert places("codex", "linux", **linux) == ("/home/asha/.codex/config.toml",)
    assert places("codex", "linux", CODEX_HOME="/x", **linux) == ("/x/config.toml",)
    assert places("claude-code", "linux", **linux) == ("/home/asha/.claude.json",)
    assert places("claude-code", "linux", CLAUDE_CONFIG_DIR="/x") == ("/x/.claude.json",)
    assert places("zed", "linux", XDG_CONFIG_HOME="/x") == ("/x/zed/settings.json",)


def test_the_clients_of_terminals_are_looked_for_on_each_system() -> None:
    systems = {
        "linux": {"HOME": "/home/asha"},
        "darwin": {"HOME": "/Users/asha"},
        "win32": {"USERPROFILE": r"C:\Users\asha", "APPDATA": r"C:\Users\asha\AppData\Roaming"},
    }
    found = {
        client: [places(client, system, **environ)[-1] for system, environ in systems.items()]
        for client in ("opencode", "copilot-cli", "qwen", "continue", "goose", "kiro", "lm-studio")
    }
    usual = {
        "opencode": ".config/opencode/opencode.jsonc",
        "copilot-cli": ".copilot/mcp-config.json",
        "qwen": ".qwen/settings.json",
        "continue": ".continue/config.yaml",
        "goose": ".config/goose/config.yaml",
        "kiro": ".kiro/settings/mcp.json",
        "lm-studio": ".lmstudio/mcp.json",
    }
    windows = {
        client: "C:\\Users\\asha\\" + path.replace("/", "\\") for client, path in usual.items()
    }
    windows["goose"] = r"C:\Users\asha\AppData\Roaming\Block\goose\config\config.yaml"
    assert found == {
        client: [f"/home/asha/{path}", f"/Users/asha/{path}", windows[client]]
        for client, path in usual.items()
    }
    assert places("copilot-cli", "linux", COPILOT_HOME="/x") == ("/x/mcp-config.json",)


def test_of_two_places_the_one_in_use_is_taken(tmp_path: Path) -> None:
    order, here = InstallOptions(BY_NAME["cline"], yes=True, sandbox=True), machine(tmp_path)
    extension = tmp_path / ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings"
    extension.mkdir(parents=True)
    installer.run(order, here, Somebody().person())
    assert [each.name for each in extension.iterdir()] == ["cline_mcp_settings.json"]
    shared = tmp_path / ".cline/data/settings"
    shared.mkdir(parents=True)
    installer.run(order, here, Somebody().person())
    assert [each.name for each in shared.iterdir()] == ["cline_mcp_settings.json"]


def test_the_change_is_shown_and_a_no_leaves_everything(tmp_path: Path) -> None:
    client, file = copied(FILES / "cline/one.json", tmp_path)
    somebody = Somebody(["n"])
    order = InstallOptions(client, config=file, sandbox=True)
    assert installer.run(order, machine(tmp_path), somebody.person()) == 1
    assert file.read_bytes() == (FILES / "cline/one.json").read_bytes()
    assert somebody.heard == (
        f"--- {file}\n+++ {file}\n"
        '@@ -8,4 +8,11 @@\n       "command": "••••",\n'
        '       "args": ["••••"]\n+    },\n'
        '+    "verify-sandbox": {\n'
        '+      "command": "/opt/verify/bin/verify-mcp",\n'
        '+      "args": [\n+        "serve",\n+        "--sandbox"\n+      ]\n     }\n   }\n'
        "Nothing was changed.\n"
    )


def test_a_yes_makes_the_change(tmp_path: Path) -> None:
    client, file = copied(FILES / "cline/one.json", tmp_path)
    order = InstallOptions(client, config=file, sandbox=True)
    assert installer.run(order, machine(tmp_path), Somebody(["Y"]).person()) == 0
    assert "verify-sandbox" in file.read_text()


@pytest.mark.parametrize(
    "source",
    [
        "windsurf/two.json",
        "claude-desktop/two-servers.json",
        "codex/several.toml",
        "goose/config.yaml",
        "continue/config.yaml",
    ],
)
def test_secrets_of_other_servers_are_not_shown(source: str, tmp_path: Path) -> None:
    client, file = copied(FILES / source, tmp_path)
    one_line = json.dumps(parsed(client, file.read_text()))
    assert "not-a-real-one" in one_line or "not_a_real_one" in one_line or "not-real" in one_line
    shown = preview.change_text(file, one_line, one_line + " ")
    shown += preview.change_text(file, file.read_text(), "")
    for secret in ("not-a-real-one", "not_a_real_one", "not-real"):
        assert secret not in shown
    assert "••••" in shown


def test_the_token_goes_into_its_own_closed_file_and_not_into_the_clients(tmp_path: Path) -> None:
    client, file = copied(FILES / "cursor/comments.json", tmp_path)
    somebody = Somebody([ACCOUNT, "y"], [TOKEN])
    assert (
        installer.run(InstallOptions(client, config=file), machine(tmp_path), somebody.person())
        == 0
    )
    token = tmp_path / "secrets" / f"{ACCOUNT}.token"
    assert token.read_text() == TOKEN + "\n"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert stat.S_IMODE(token.parent.stat().st_mode) == 0o700
    assert parsed(client, file.read_text())["mcpServers"]["verify"] == {
        "command": PROGRAM[0],
        "args": ["serve"],
        "env": {"PLIVO_AUTH_ID": ACCOUNT, "PLIVO_AUTH_TOKEN_FILE": str(token)},
    }
    assert TOKEN not in file.read_text() + somebody.heard


def test_a_token_in_the_environment_is_not_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    environ = {"PLIVO_AUTH_ID": ACCOUNT, "PLIVO_AUTH_TOKEN": TOKEN}
    here = machine(tmp_path, environ=environ)
    order = InstallOptions(BY_NAME["cursor"], config=file, yes=True)
    assert installer.run(order, here, Somebody().person()) == 0
    assert (tmp_path / "secrets" / f"{ACCOUNT}.token").read_text() == TOKEN + "\n"
    assert TOKEN not in file.read_text()


def test_a_token_file_of_ones_own_is_used_as_it_is(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text(TOKEN)
    here = machine(tmp_path, environ={"PLIVO_AUTH_TOKEN_FILE": str(mine)})
    file = tmp_path / "mcp.json"
    order = InstallOptions(BY_NAME["cursor"], config=file, auth_id=ACCOUNT, yes=True)
    assert installer.run(order, here, Somebody().person()) == 0
    entry = parsed(order.client, file.read_text())["mcpServers"]["verify"]
    assert entry["env"] == {"PLIVO_AUTH_ID": ACCOUNT, "PLIVO_AUTH_TOKEN_FILE": str(mine)}
    assert not (tmp_path / "secrets").exists()


def test_the_keyring_keeps_the_token_where_there_is_one(
    tmp_path: Path, kept_in_memory: Keyring
) -> None:
    here = machine(tmp_path, platform="darwin", environ={"PLIVO_AUTH_TOKEN": TOKEN})
    file = tmp_path / "mcp.json"
    order = InstallOptions(BY_NAME["cursor"], config=file, auth_id=ACCOUNT, uvx=True, yes=True)
    assert installer.run(order, here, Somebody().person()) == 0
    assert kept_in_memory.held == {("verify-mcp", ACCOUNT): TOKEN}
    assert parsed(order.client, file.read_text())["mcpServers"]["verify"] == {
        "command": "uvx",
        "args": ["--with", "keyring>=25,<26", "verify-mcp", "serve"],
        "env": {"PLIVO_AUTH_ID": ACCOUNT, "PLIVO_AUTH_TOKEN_KEYRING": "verify-mcp"},
    }
    assert not (tmp_path / "secrets").exists()
    somebody = Somebody()
    assert installer.uninstall(order, here, somebody.person()) == 0
    assert f"still in the system's keyring (verify-mcp, {ACCOUNT})" in somebody.heard


def test_a_token_that_nobody_gives_is_said_to_be_missing(tmp_path: Path) -> None:
    somebody = Somebody()
    file = tmp_path / "mcp.json"
    order = InstallOptions(BY_NAME["cursor"], config=file, auth_id=ACCOUNT, yes=True)
    assert installer.run(order, machine(tmp_path), somebody.person()) == 0
    place = tmp_path / "secrets" / f"{ACCOUNT}.token"
    assert "The token is still missing. Run this again with PLIVO_AUTH_TOKEN" in somebody.heard
    assert f"put it into {place} yourself." in somebody.heard
    assert not place.exists()


@pytest.mark.parametrize(
    ("auth_id", "problem"),
    [
        (None, "PLIVO_AUTH_ID not set. Give --auth-id"),
        ("asha@example.com", "PLIVO_AUTH_ID is not an auth id"),
    ],
)
def test_without_a_right_auth_id_nothing_is_changed(
    auth_id: str | None, problem: str, tmp_path: Path
) -> None:
    somebody, file = Somebody(), tmp_path / "mcp.json"
    order = InstallOptions(BY_NAME["cursor"], config=file, auth_id=auth_id)
    assert installer.run(order, machine(tmp_path), somebody.person()) == 1
    assert somebody.heard.startswith(f"Nothing was changed. {problem}")
    assert not file.exists()


def test_a_wrong_token_is_refused_before_the_file_is_touched(tmp_path: Path) -> None:
    somebody, file = Somebody(["y"], ["no"]), tmp_path / "mcp.json"
    order = InstallOptions(BY_NAME["cursor"], config=file, auth_id=ACCOUNT)
    assert installer.run(order, machine(tmp_path), somebody.person()) == 1
    assert "Nothing was changed. PLIVO_AUTH_TOKEN is not a token" in somebody.heard
    assert list(tmp_path.iterdir()) == []


def test_vs_code_is_made_to_ask_and_keeps_the_prompts_of_others(tmp_path: Path) -> None:
    client, file = copied(FILES / "vscode/inputs.json", tmp_path)
    order = InstallOptions(client, config=file, yes=True)
    assert installer.run(order, machine(tmp_path), Somebody().person()) == 0
    after = parsed(client, file.read_text())
    assert after["servers"]["verify"] == {
        "type": "stdio",
        "command": PROGRAM[0],
        "args": ["serve"],
        "env": {
            "PLIVO_AUTH_ID": "${input:plivo-id}",
            "PLIVO_AUTH_TOKEN": "${input:plivo-token}",
        },
    }
    assert [(each["id"], each.get("password", False)) for each in after["inputs"]] == [
        ("perplexity-key", True),
        ("plivo-id", False),
        ("plivo-token", True),
    ]
    assert installer.uninstall(order, machine(tmp_path), Somebody().person()) == 0
    assert file.read_bytes() == (FILES / "vscode/inputs.json").read_bytes()


def test_vs_codes_prompts_go_with_the_last_entry_that_uses_them(tmp_path: Path) -> None:
    client, file = copied(FILES / "vscode/inputs.json", tmp_path)
    here, one = machine(tmp_path), InstallOptions(client, config=file, yes=True)
    two = replace(one, name="second")
    installer.run(one, here, Somebody().person())
    installer.run(two, here, Somebody().person())
    installer.uninstall(one, here, Somebody().person())
    assert len(parsed(client, file.read_text())["inputs"]) == 3
    for backup in tmp_path.glob("*.bak"):
        backup.unlink()
    installer.uninstall(two, here, Somebody().person())
    assert parsed(client, file.read_text()) == parsed(
        client, (FILES / "vscode/inputs.json").read_text()
    )


def test_an_entry_pasted_by_hand_is_brought_up_to_date_and_its_token_taken_out(
    tmp_path: Path,
) -> None:
    client, file = copied(FILES / "cursor/pasted-before.json", tmp_path)
    somebody = Somebody()
    here = machine(tmp_path, environ={"PLIVO_AUTH_TOKEN": TOKEN})
    order = InstallOptions(client, config=file, auth_id=ACCOUNT, yes=True)
    assert installer.run(order, here, somebody.person()) == 0
    assert parsed(client, file.read_text())["mcpServers"] == {
        "verify": {
            "command": PROGRAM[0],
            "env": {
                "PLIVO_AUTH_ID": ACCOUNT,
                "VERIFY_MCP_MAX_WAIT": "40",
                "PLIVO_AUTH_TOKEN_FILE": str(tmp_path / "secrets" / f"{ACCOUNT}.token"),
            },
            "autoApprove": ["get_verify_session"],
            "args": ["serve"],
        },
        "other": {"command": "x", "args": []},
    }
    assert "// pasted from the README" in file.read_text()
    assert "// slow account" in file.read_text()
    assert TOKEN not in file.read_text() + somebody.heard
    assert "That copy holds an auth token in clear." in somebody.heard


def test_a_codex_entry_is_brought_up_to_date_with_its_comments_kept(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[mcp_servers.verify]\ncommand = "old" # mine\nstartup_timeout_sec = 20\n\n'
        f'[mcp_servers.verify.env]\nPLIVO_AUTH_TOKEN = "{TOKEN}"\n\n[tui]\ntheme = "dark"\n'
    )
    here = machine(tmp_path, environ={"PLIVO_AUTH_TOKEN": TOKEN})
    order = InstallOptions(BY_NAME["codex"], config=file, auth_id=ACCOUNT, yes=True)
    assert installer.run(order, here, Somebody().person()) == 0
    token = tmp_path / "secrets" / f"{ACCOUNT}.token"
    assert file.read_text() == (
        f'[mcp_servers.verify]\ncommand = "{PROGRAM[0]}" # mine\nstartup_timeout_sec = 20\n'
        'args = ["serve"]\n\n'
        f'[mcp_servers.verify.env]\nPLIVO_AUTH_ID = "{ACCOUNT}"\n'
        f'PLIVO_AUTH_TOKEN_FILE = "{token}"\n\n[tui]\ntheme = "dark"\n'
    )


def test_a_link_stays_a_link_and_the_mode_stays_the_mode(tmp_path: Path) -> None:
    client, real = copied(FILES / "cline/one.json", tmp_path)
    real.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(real)
    installer.run(sandboxed(client, link), machine(tmp_path), Somebody().person())
    assert link.is_symlink()
    assert "verify-sandbox" in real.read_text()
    (backup,) = tmp_path.glob("one.json.*.bak")
    assert backup.name.startswith("one.json.20261121T093000Z-")
    assert [stat.S_IMODE(each.stat().st_mode) for each in (real, backup)] == [0o640, 0o600]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_read_only_file_is_left_alone(tmp_path: Path) -> None:
    client, file = copied(FILES / "cline/one.json", tmp_path)
    file.chmod(0o444)
    somebody = Somebody()
    assert installer.run(sandboxed(client, file), machine(tmp_path), somebody.person()) == 1
    assert somebody.heard == f"{file} was left as it is: it is read-only.\n"
    assert file.read_bytes() == (FILES / "cline/one.json").read_bytes()


def test_a_folder_in_place_of_the_file_is_left_alone(tmp_path: Path) -> None:
    somebody, folder = Somebody(), tmp_path / "mcp.json"
    folder.mkdir()
    order = sandboxed(BY_NAME["cursor"], folder)
    assert installer.run(order, machine(tmp_path), somebody.person()) == 1
    assert "was left as it is: it cannot be read (Is a directory)" in somebody.heard
    below = sandboxed(BY_NAME["cursor"], tmp_path / "text" / "mcp.json")
    (tmp_path / "text").write_text("")
    assert installer.run(below, machine(tmp_path), somebody.person()) == 1
    assert "(Not a directory)" in somebody.heard


def test_a_file_that_changes_during_the_question_is_left_as_it_became(tmp_path: Path) -> None:
    client, file = copied(FILES / "cline/one.json", tmp_path)
    somebody = Somebody(["y"])

    def meanwhile(_question: str) -> str:
        file.write_text("{}")
        return "y"

    person = replace(somebody.person(), ask=meanwhile)
    order = InstallOptions(client, config=file, sandbox=True)
    assert installer.run(order, machine(tmp_path), person) == 1
    assert file.read_text() == "{}"
    assert "it changed meanwhile; run this again" in somebody.heard


def test_a_no_to_the_removal_leaves_everything(tmp_path: Path) -> None:
    client, file = copied(FILES / "cline/one.json", tmp_path)
    order = sandboxed(client, file)
    installer.run(order, machine(tmp_path), Somebody().person())
    installed, somebody = file.read_bytes(), Somebody(["no"])
    assert installer.uninstall(replace(order, yes=False), machine(tmp_path), somebody.person()) == 1
    assert file.read_bytes() == installed
    assert somebody.heard.endswith("Nothing was changed.\n")


def test_backups_of_other_makers_are_passed_over(tmp_path: Path) -> None:
    client, file = copied(FILES / "cline/one.json", tmp_path)
    order = sandboxed(client, file)
    installer.run(order, machine(tmp_path), Somebody().person())
    (tmp_path / "one.json.zz.bak").write_bytes(b"\xff not a backup of ours")
    (tmp_path / "one.json.zzz.bak").write_text("nor this")
    assert installer.uninstall(order, machine(tmp_path), Somebody().person()) == 0
    assert file.read_bytes() == (FILES / "cline/one.json").read_bytes()


def test_changes_within_a_second_each_keep_their_copy(tmp_path: Path) -> None:
    client, file = copied(FILES / "cline/one.json", tmp_path)
    order, heard = sandboxed(client, file), Somebody()
    codes = [
        installer.run(replace(order, name=name), machine(tmp_path), heard.person())
        for name in ("a", "b", "c", "d", "e")
    ]
    assert codes == [0, 0, 0, 0, 0]
    assert len(list(tmp_path.glob("*.bak"))) == 5
    assert "e" in parsed(client, file.read_text())["mcpServers"]


@pytest.mark.parametrize(
    "lines",
    [
        ['"args": ["--pin", "hunter-2"]'],
        ['"env": { "DSN": "postgres://me:hunter-2@host/x" }'],
        ['"headers": { "X-Any": "Bearer hunter-2" } // was hunter-2 before'],
        ['"url": "https://host/?k=hunter-2",', "/* hunter-2", " hunter-2 */", '"port": 1'],
    ],
    ids=["args", "address", "header", "comment"],
)
def test_r79_no_value_of_another_server_is_shown_whatever_its_name(
    lines: list[str], tmp_path: Path
) -> None:
    client, file = copied(FILES / "cursor/comments.json", tmp_path)
    file.write_text('{\n"mcpServers": {\n"other": {\n' + "\n".join(lines) + "\n}\n}\n}\n")
    somebody = Somebody(["y"])
    order = InstallOptions(client, config=file, sandbox=True)
    assert installer.run(order, machine(tmp_path), somebody.person()) == 0
    assert installer.uninstall(order, machine(tmp_path), Somebody(["y"]).person()) == 0
    assert "hunter" not in somebody.heard
    assert '"--sandbox"' in somebody.heard


def test_r79_a_backup_follows_no_link_that_was_laid_for_it(tmp_path: Path) -> None:
    client, file = copied(FILES / "cline/one.json", tmp_path)
    laid = tmp_path / "one.json.20261121T093000Z.bak"
    laid.symlink_to(tmp_path / "elsewhere")
    assert installer.run(sandboxed(client, file), machine(tmp_path), Somebody().person()) == 0
    (backup,) = (each for each in tmp_path.glob("*.bak") if each != laid)
    assert not (tmp_path / "elsewhere").exists()
    assert backup.read_bytes() == (FILES / "cline/one.json").read_bytes()
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_a_token_that_cannot_be_kept_stops_the_installation(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("a file, no folder")
    here = machine(tmp_path, environ={"PLIVO_AUTH_TOKEN": TOKEN})
    somebody, file = Somebody(), tmp_path / "mcp.json"
    order = InstallOptions(BY_NAME["cursor"], config=file, auth_id=ACCOUNT, yes=True)
    assert installer.run(order, here, somebody.person()) == 1
    assert "could not be written (File exists)." in somebody.heard
    assert not file.exists()


def test_a_token_that_is_there_already_is_kept(tmp_path: Path) -> None:
    here, file = machine(tmp_path), tmp_path / "mcp.json"
    order = InstallOptions(BY_NAME["cursor"], config=file, auth_id=ACCOUNT, yes=True)
    assert installer.run(order, here, Somebody(secrets=[TOKEN]).person()) == 0
    again = Somebody(secrets=["another-token"])
    assert installer.run(replace(order, name="second"), here, again.person()) == 0
    assert (tmp_path / "secrets" / f"{ACCOUNT}.token").read_text() == TOKEN + "\n"
    assert again.secrets == ["another-token"]


def test_uninstall_of_what_is_not_there_says_so(tmp_path: Path) -> None:
    client, file = copied(FILES / "cline/one.json", tmp_path)
    somebody = Somebody()
    assert installer.uninstall(sandboxed(client, file), machine(tmp_path), somebody.person()) == 0
    assert somebody.heard == f"{file} has no `verify-sandbox`; nothing to remove.\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_from_a_throwaway_environment_uvx_is_what_the_client_starts(tmp_path: Path) -> None:
    uvx = tmp_path / "bin" / "uvx"
    uvx.parent.mkdir()
    uvx.write_text("#!/bin/sh\n")
    uvx.chmod(0o755)
    here = machine(tmp_path, ephemeral=True, environ={"PATH": str(uvx.parent)})
    somebody = Somebody()
    order = InstallOptions(BY_NAME["cursor"], only_print=True, sandbox=True)
    assert installer.run(order, here, somebody.person()) == 0
    assert json.loads(somebody.heard) == {
        "mcpServers": {
            "verify-sandbox": {
                "command": str(uvx),
                "args": ["verify-mcp", "serve", "--sandbox"],
            }
        }
    }


def test_uvx_is_told_what_it_fetches_and_from_where(tmp_path: Path) -> None:
    somebody = Somebody()
    order = InstallOptions(
        BY_NAME["cursor"], config=tmp_path / "mcp.json", yes=True, sandbox=True, uvx=True
    )
    assert installer.run(order, machine(tmp_path), somebody.person()) == 0
    assert "uvx fetches the package `verify-mcp`, with those it needs, from the" in somebody.heard
    assert "If it is not published there, name a clone or a wheel: --from PATH." in somebody.heard


def test_from_a_clone_uvx_builds_the_clone(tmp_path: Path) -> None:
    somebody = Somebody()
    order = InstallOptions(BY_NAME["cursor"], config=tmp_path / "mcp.json", yes=True, sandbox=True)
    here = machine(tmp_path, ephemeral=True, source=str(tmp_path))
    assert installer.run(order, here, somebody.person()) == 0
    entry = parsed(order.client, (tmp_path / "mcp.json").read_text())["mcpServers"]
    args = entry["verify-sandbox"]["args"]
    assert args == ["--from", str(tmp_path), "verify-mcp", "serve", "--sandbox"]
    assert f"uvx builds {tmp_path} and fetches the packages it needs from the" in somebody.heard


def files_in(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


def test_a_file_that_cannot_be_written_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, file = copied(FILES / "cline/one.json", tmp_path)
    somebody = Somebody()

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert installer.run(sandboxed(client, file), machine(tmp_path), somebody.person()) == 1
    assert "it cannot be written (No space left on device)" in somebody.heard
    assert file.read_bytes() == (FILES / "cline/one.json").read_bytes()
    assert list(tmp_path.iterdir()) == [file]


def test_vs_codes_prompts_that_are_no_list_are_left_alone(tmp_path: Path) -> None:
    file, somebody = tmp_path / "mcp.json", Somebody()
    file.write_text('{"servers": {}, "inputs": {}}')
    order = InstallOptions(BY_NAME["vscode"], config=file)
    assert installer.run(order, machine(tmp_path), somebody.person()) == 1
    assert somebody.heard == f'{file} was left as it is: its "inputs" is not an array.\n'


def test_a_printed_snippet_has_the_id_that_is_known(tmp_path: Path) -> None:
    somebody = Somebody()
    order = InstallOptions(BY_NAME["codex"], only_print=True, auth_id=ACCOUNT)
    assert installer.run(order, machine(tmp_path), somebody.person()) == 0
    assert tomllib.loads(somebody.heard)["mcp_servers"]["verify"]["env"] == {
        "PLIVO_AUTH_ID": ACCOUNT,
        "PLIVO_AUTH_TOKEN_FILE": str(tmp_path / "secrets" / f"{ACCOUNT}.token"),
    }


def test_printed_steps_name_the_keyring_where_there_is_one(
    tmp_path: Path, kept_in_memory: Keyring
) -> None:
    notes: list[str] = []
    order = InstallOptions(BY_NAME["cursor"], only_print=True, auth_id=ACCOUNT)
    here = machine(tmp_path, platform="darwin")
    terminal = Terminal(lambda _text: None, write_err=notes.append)
    assert installer.run(order, here, terminal) == 0
    assert kept_in_memory.held == {}
    assert (
        f"2. Put the auth token into the system's keyring: keyring set verify-mcp {ACCOUNT}\n"
        in ("".join(notes))
    )


def test_a_codex_entry_made_by_hand_is_taken_out_alone(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '# mine\nmodel = "x"\n\n[mcp_servers.verify]\ncommand = "v"\n\n'
        '[mcp_servers.verify.env]\nA = "b"\n\n[tui]\ntheme = "d" # dark\n'
    )
    order = InstallOptions(BY_NAME["codex"], config=file, yes=True)
    assert installer.uninstall(order, machine(tmp_path), Somebody().person()) == 0
    assert file.read_text() == '# mine\nmodel = "x"\n\n[tui]\ntheme = "d" # dark\n'


def test_vs_code_is_said_to_ask_only_for_an_account(tmp_path: Path) -> None:
    for sandbox in (False, True):
        somebody = Somebody()
        order = InstallOptions(
            BY_NAME["vscode"], config=tmp_path / "mcp.json", sandbox=sandbox, yes=True
        )
        assert installer.run(order, machine(tmp_path), somebody.person()) == 0
        assert ("VS Code asks for the auth id and token" in somebody.heard) is not sandbox
        assert "asks for what" not in somebody.heard
