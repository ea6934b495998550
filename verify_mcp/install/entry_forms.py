"""The forms in which clients write a server: one that they start, and one at an address.

Each is what the client's own `mcp add` writes, or its documentation shows.
"""

from collections.abc import Callable, Mapping
from typing import Any

Environ = Mapping[str, str]
LocalForm = Callable[[str, str, list[str], Environ], dict[str, Any]]
"""An entry from its name, the command, its arguments and variables."""
RemoteForm = Callable[[str, str, str], dict[str, Any]]
"""An entry from its name, the address, and a reference to the token's variable ("" without)."""


def command_entry(_name: str, command: str, args: list[str], env: Environ) -> dict[str, Any]:
    """The form of most clients."""
    return {"command": command, "args": args} | _set(env=env)


def stdio_entry(name: str, command: str, args: list[str], env: Environ) -> dict[str, Any]:
    """The same with its transport: Claude Code and VS Code."""
    return {"type": "stdio", **command_entry(name, command, args, env)}


def opencode_entry(_name: str, command: str, args: list[str], env: Environ) -> dict[str, Any]:
    """OpenCode's: command and arguments are one list."""
    return {"type": "local", "command": [command, *args]} | _set(environment=env)


def copilot_entry(name: str, command: str, args: list[str], env: Environ) -> dict[str, Any]:
    """Copilot CLI's: an entry without `tools` has none."""
    return {"tools": ["*"], "type": "local", **command_entry(name, command, args, env)}


def continue_entry(name: str, command: str, args: list[str], env: Environ) -> dict[str, Any]:
    """An item of Continue's list."""
    return {"name": name, **command_entry(name, command, args, env)}


def goose_entry(name: str, command: str, args: list[str], env: Environ) -> dict[str, Any]:
    """An extension of goose."""
    return {
        "enabled": True,
        "type": "stdio",
        "name": name,
        "description": "Plivo Verify (OTP) sessions",
        "cmd": command,
        "args": args,
        "envs": dict(env),
        "timeout": 300,
    }


def url_entry(key: str = "url", **more: Any) -> RemoteForm:
    """The form with the address under a key, and the token in a header."""

    def form(_name: str, url: str, token: str) -> dict[str, Any]:
        return {**more, key: url} | _set(headers=_headers(token))

    return form


def codex_url_entry(_name: str, url: str, token: str) -> dict[str, Any]:
    """Codex names the variable itself."""
    return {"url": url} | _set(bearer_token_env_var=token)


def continue_url_entry(name: str, url: str, token: str) -> dict[str, Any]:
    """An item of Continue's list."""
    options = {"headers": _headers(token)} if token else {}
    return {"name": name, "type": "streamable-http", "url": url} | _set(requestOptions=options)


def goose_url_entry(name: str, url: str, token: str) -> dict[str, Any]:
    """An extension of goose; `env_keys` lets it read the variable."""
    variable = token.removeprefix("${").removesuffix("}")
    return {
        "enabled": True,
        "type": "streamable_http",
        "name": name,
        "description": "Plivo Verify (OTP) sessions",
        "uri": url,
        "envs": {},
        "env_keys": [variable] if token else [],
        "headers": _headers(token),
        "timeout": 300,
    }


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _set(**fields: Any) -> dict[str, Any]:
    """The fields that are not empty, copied."""
    return {name: dict(v) if isinstance(v, Mapping) else v for name, v in fields.items() if v}
