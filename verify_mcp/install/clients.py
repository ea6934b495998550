"""The MCP clients that `install` knows: where each keeps its servers, and in which form.

Facts only; `config_file` edits the text and `installer` writes it.
"""

from verify_mcp.install import entry_forms
from verify_mcp.install.client import Client, UserDirs
from verify_mcp.install.entry_forms import url_entry

_CODE = ("Code", "User")
_CLINE = ("settings", "cline_mcp_settings.json")
_STORE_CLAUDE = ("Packages", "Claude_pzs8sxrjxfjjc", "LocalCache", "Roaming", "Claude")
_SHELL, _ENV = "${NAME}", "${env:NAME}"
_SESSION = "Start a new session; /mcp shows the server."


def _claude_desktop(home: UserDirs) -> tuple[str, ...]:
    file = "claude_desktop_config.json"
    usual = home.config("Claude", file)
    # From Windows' store it sees its own copy of the folder and never reads the usual one.
    local = home.environ.get("LOCALAPPDATA")
    store = (home.join(local, *_STORE_CLAUDE, file),) if local else ()
    return (*store, usual) if home.platform == "win32" else (usual,)


def _zed(home: UserDirs) -> tuple[str, ...]:
    if home.platform == "win32":
        return (home.config("Zed", "settings.json"),)
    return (home.xdg("zed", "settings.json"),)


def _cline(home: UserDirs) -> tuple[str, ...]:
    # Since it shares its settings with a command line it keeps them in its own folder.
    shared = home.home(".cline", "data", *_CLINE)
    return shared, home.config(*_CODE, "globalStorage", "saoudrizwan.claude-dev", *_CLINE), shared


def _opencode(home: UserDirs) -> tuple[str, ...]:
    # Its own `mcp add` makes the first one.
    return tuple(home.xdg("opencode", f"opencode.{end}") for end in ("jsonc", "json", "jsonc"))


def _goose(home: UserDirs) -> tuple[str, ...]:
    if home.platform == "win32":
        return (home.config("Block", "goose", "config", "config.yaml"),)
    return (home.xdg("goose", "config.yaml"),)


VSCODE_INPUTS = (
    {"type": "promptString", "id": "plivo-id", "description": "Plivo auth id (MA… or SA…)"},
    {
        "type": "promptString",
        "id": "plivo-token",
        "description": "Plivo auth token",
        "password": True,
    },
)
"""The prompts that an entry of VS Code refers to."""

_SERVERS = "mcpServers"
CLIENTS = (
    Client(
        "claude-desktop",
        "Claude Desktop",
        "json",
        _SERVERS,
        _claude_desktop,
        "Quit Claude Desktop (closing its window is not enough) and open it again.",
    ),
    Client(
        "claude-code",
        "Claude Code",
        "json",
        _SERVERS,
        lambda home: (home.from_env("CLAUDE_CONFIG_DIR", home.home(), ".claude.json"),),
        _SESSION,
        entry_forms.stdio_entry,
        url_entry(type="http"),
        _SHELL,
    ),
    Client(
        "cursor",
        "Cursor",
        "jsonc",
        _SERVERS,
        lambda home: (home.home(".cursor", "mcp.json"),),
        "Cursor's settings, under MCP, show the server; switch it on if it is off.",
        remote=url_entry(),
        variable_form=_ENV,
    ),
    Client(
        "vscode",
        "VS Code",
        "jsonc",
        "servers",
        lambda home: (home.config(*_CODE, "mcp.json"),),
        "Run `MCP: List Servers` and start it.",
        entry_forms.stdio_entry,
        url_entry(type="http"),
        _ENV,
        prompts=True,
    ),
    Client(
        "codex",
        "Codex",
        "toml",
        "mcp_servers",
        lambda home: (home.from_env("CODEX_HOME", home.home(".codex"), "config.toml"),),
        _SESSION,
        remote=entry_forms.codex_url_entry,
        variable_form="NAME",
    ),
    Client(
        "gemini",
        "Gemini CLI",
        "jsonc",
        _SERVERS,
        lambda home: (home.home(".gemini", "settings.json"),),
        "Start a new session and trust its folder when asked: in others, servers stay disabled. "
        "/mcp shows the server.",
        remote=url_entry(type="http"),
        variable_form="$NAME",
    ),
    Client(
        "windsurf",
        "Windsurf",
        "jsonc",
        _SERVERS,
        lambda home: (home.home(".codeium", "windsurf", "mcp_config.json"),),
        "Press Refresh in Cascade's MCP panel.",
        remote=url_entry("serverUrl"),
        variable_form=_ENV,
    ),
    Client(
        "zed",
        "Zed",
        "jsonc",
        "context_servers",
        _zed,
        "The Agent panel shows it.",
        remote=url_entry(),
    ),
    Client(
        "cline",
        "Cline",
        "json",
        _SERVERS,
        _cline,
        "Its list of MCP servers shows it.",
        remote=url_entry(type="streamableHttp"),
    ),
    Client(
        "opencode",
        "OpenCode",
        "jsonc",
        "mcp",
        _opencode,
        "`opencode mcp list` shows the server.",
        entry_forms.opencode_entry,
        url_entry(type="remote"),
        "{env:NAME}",
        env_key="environment",
        any_file=True,
    ),
    Client(
        "copilot-cli",
        "Copilot CLI",
        "json",
        _SERVERS,
        lambda home: (home.from_env("COPILOT_HOME", home.home(".copilot"), "mcp-config.json"),),
        _SESSION,
        entry_forms.copilot_entry,
        url_entry(tools=["*"], type="http"),
        _SHELL,
    ),
    Client(
        "qwen",
        "Qwen Code",
        "jsonc",
        _SERVERS,
        lambda home: (home.home(".qwen", "settings.json"),),
        _SESSION,
        remote=url_entry("httpUrl"),
        variable_form="$NAME",
    ),
    Client(
        "continue",
        "Continue",
        "yaml",
        _SERVERS,
        lambda home: (home.home(".continue", "config.yaml"),),
        "Reload the editor's window, or start `cn` anew; use agent mode.",
        entry_forms.continue_entry,
        entry_forms.continue_url_entry,
        "${{ secrets.NAME }}",
        new_file="name: Local Config\nversion: 1.0.0\nschema: v1\n",
    ),
    Client(
        "goose",
        "goose",
        "yaml",
        "extensions",
        _goose,
        "Start a new session.",
        entry_forms.goose_entry,
        entry_forms.goose_url_entry,
        _SHELL,
        env_key="envs",
    ),
    Client(
        "kiro",
        "Kiro",
        "json",
        _SERVERS,
        lambda home: (home.home(".kiro", "settings", "mcp.json"),),
        "Kiro's MCP panel shows the server; approve the variable when Kiro asks.",
        remote=url_entry(),
        variable_form=_SHELL,
    ),
    Client(
        "lm-studio",
        "LM Studio",
        "json",
        _SERVERS,
        lambda home: (home.home(".lmstudio", "mcp.json"),),
        "Switch the server on in the Program tab.",
        remote=url_entry(),
    ),
)
BY_NAME = {client.name: client for client in CLIENTS}
