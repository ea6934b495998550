"""The MCP clients that `install` knows: where each keeps its servers, and in which form.

Facts only; `config_file` edits the text and `installer` writes it.
"""

import ntpath
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Environ = Mapping[str, str]
Format = Literal["json", "jsonc", "toml"]
ConfigPaths = Callable[["UserDirs"], tuple[str, ...]]

_CODE = ("Code", "User")
_CLINE = ("settings", "cline_mcp_settings.json")
_STORE_CLAUDE = ("Packages", "Claude_pzs8sxrjxfjjc", "LocalCache", "Roaming", "Claude")


@dataclass(frozen=True, slots=True)
class UserDirs:
    """The user's folders on a platform (`sys.platform`), taken from the environment."""

    environ: Environ
    platform: str

    def join(self, *parts: str) -> str:
        """A path as this platform writes it, also on another one."""
        return ntpath.join(*parts) if self.platform == "win32" else posixpath.join(*parts)

    def home(self, *parts: str) -> str:
        """Inside the home directory."""
        name = "USERPROFILE" if self.platform == "win32" else "HOME"
        return self.join(self.environ.get(name) or "~", *parts)

    def config(self, *parts: str) -> str:
        """Inside the place where desktop programs keep their configuration."""
        if self.platform == "win32":
            return self.join(self.environ.get("APPDATA") or self.home("AppData", "Roaming"), *parts)
        if self.platform == "darwin":
            return self.home("Library", "Application Support", *parts)
        return self.xdg(*parts)

    def xdg(self, *parts: str) -> str:
        """Inside ~/.config, or the folder that XDG_CONFIG_HOME names."""
        return self.join(self.environ.get("XDG_CONFIG_HOME") or self.home(".config"), *parts)

    def from_env(self, variable: str, usual: str, *parts: str) -> str:
        """Inside a folder that a variable can move."""
        return self.join(self.environ.get(variable) or usual, *parts)


@dataclass(frozen=True, slots=True)
class Client:
    """One client: the candidates for its file, the key of its servers, and what is special to it.

    The file is the first candidate whose folder exists, else the last one.
    """

    name: str
    title: str
    format: Format
    key: str
    config_paths: ConfigPaths
    writes_type: bool = False
    """Whether an entry says `"type": "stdio"`."""
    prompts: bool = False
    """Whether it prompts for secrets and stores them safely (VS Code's `inputs`)."""
    restart: str = "Restart it, and ask it something."

    def entry(self, command: str, args: list[str], env: Mapping[str, str]) -> dict[str, Any]:
        """The value of our entry in its file."""
        entry: dict[str, Any] = {"type": "stdio"} if self.writes_type else {}
        entry |= {"command": command, "args": args}
        return entry | ({"env": dict(env)} if env else {})


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
        restart="Quit Claude Desktop (closing its window is not enough) and open it again.",
    ),
    Client(
        "claude-code",
        "Claude Code",
        "json",
        _SERVERS,
        lambda home: (home.from_env("CLAUDE_CONFIG_DIR", home.home(), ".claude.json"),),
        writes_type=True,
        restart="Start a new session; /mcp shows the server.",
    ),
    Client(
        "cursor",
        "Cursor",
        "jsonc",
        _SERVERS,
        lambda home: (home.home(".cursor", "mcp.json"),),
        restart="Cursor's settings, under MCP, show the server; switch it on if it is off.",
    ),
    Client(
        "vscode",
        "VS Code",
        "jsonc",
        "servers",
        lambda home: (home.config(*_CODE, "mcp.json"),),
        writes_type=True,
        prompts=True,
        restart="Run `MCP: List Servers` and start it; VS Code asks for what it needs, once.",
    ),
    Client(
        "codex",
        "Codex",
        "toml",
        "mcp_servers",
        lambda home: (home.from_env("CODEX_HOME", home.home(".codex"), "config.toml"),),
        restart="Start a new session; /mcp shows the server.",
    ),
    Client(
        "gemini",
        "Gemini CLI",
        "jsonc",
        _SERVERS,
        lambda home: (home.home(".gemini", "settings.json"),),
        restart="Start a new session; /mcp shows the server.",
    ),
    Client(
        "windsurf",
        "Windsurf",
        "jsonc",
        _SERVERS,
        lambda home: (home.home(".codeium", "windsurf", "mcp_config.json"),),
        restart="Press Refresh in Cascade's MCP panel.",
    ),
    Client("zed", "Zed", "jsonc", "context_servers", _zed, restart="The Agent panel shows it."),
    Client("cline", "Cline", "json", _SERVERS, _cline, restart="Its list of MCP servers shows it."),
)
BY_NAME = {client.name: client for client in CLIENTS}
