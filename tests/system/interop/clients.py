"""Real clients after our `install`, each in a home of its own: the form, and the connection.

For each client the entries are those that the client's own `mcp add` writes, and the client's
`mcp list` reaches the server that it starts and the team's server at an address, whose token it
takes from a variable. Usage: python -m tests.system.interop.clients VERIFY_MCP NODE_MODULES
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

TOKEN_VARIABLE = "TEAM_TOKEN"
ATTEMPTS = 3
"""Lists until both servers are reached: clients wait a few seconds, and machines are busy."""
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class RealClient:
    """A client's program, its own file, and how its own command adds an address."""

    name: str
    program: tuple[str, ...]
    file: str
    key: str
    add_local: tuple[str, ...] = ()
    add_remote: tuple[str, ...] = ()
    connects: bool = True
    """Whether its list connects to the servers, not only names them."""


def clients(modules: Path) -> list[RealClient]:
    scope = ("-s", "user")
    return [
        RealClient(
            "claude-code",
            (str(modules / "@anthropic-ai/claude-code-linux-x64/claude"),),
            ".claude.json",
            "mcpServers",
            (*scope, "verify", "--", "{command}", "serve", "--sandbox"),
            (*scope, "-t", "http", "team", "{url}", "-H", "Authorization: Bearer ${{{variable}}}"),
        ),
        RealClient(
            "codex",
            (str(modules / ".bin/codex"),),
            ".codex/config.toml",
            "mcp_servers",
            ("verify", "--", "{command}", "serve", "--sandbox"),
            ("team", "--url", "{url}", "--bearer-token-env-var", "{variable}"),
            connects=False,
        ),
        RealClient(
            "gemini",
            (str(modules / ".bin/gemini"),),
            ".gemini/settings.json",
            "mcpServers",
            (*scope, "verify", "{command}", "serve", "--", "--sandbox"),
            (*scope, "-t", "http", "team", "{url}", "-H", "Authorization: Bearer ${variable}"),
        ),
        RealClient(
            "qwen",
            (str(modules / ".bin/qwen"),),
            ".qwen/settings.json",
            "mcpServers",
            (*scope, "verify", "{command}", "serve", "--", "--sandbox"),
            (*scope, "-t", "http", "team", "{url}", "-H", "Authorization: Bearer ${variable}"),
        ),
        RealClient(
            "opencode",
            (str(modules / "opencode-linux-x64/bin/opencode"),),
            ".config/opencode/opencode.jsonc",
            "mcp",
            ("verify", "--", "{command}", "serve", "--sandbox"),
            ("team", "--url", "{url}", "--header", "Authorization=Bearer {{env:{variable}}}"),
        ),
    ]


def run(command: Sequence[str], home: Path, **environ: str) -> str:
    home.mkdir(parents=True, exist_ok=True)
    (home / "work").mkdir(exist_ok=True)
    usual = {"HOME": str(home), "PATH": os.environ["PATH"], "GEMINI_CLI_TRUST_WORKSPACE": "true"}
    done = subprocess.run(
        command,
        env={**usual, **environ},
        cwd=home / "work",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    text = COLOURS.sub("", done.stdout)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{text}")
    return text


def servers(client: RealClient, home: Path) -> dict[str, Any]:
    """The servers in a client's file, without fields that are empty."""
    text = (home / client.file).read_text()
    values = tomllib.loads(text) if client.file.endswith(".toml") else json.loads(text)
    return {
        name: {field: value for field, value in server.items() if value not in ({}, [])}
        for name, server in values[client.key].items()
    }


def check(client: RealClient, verify_mcp: str, url: str, token: str, work: Path) -> str:
    began = monotonic()
    ours, theirs = work / client.name / "ours", work / client.name / "theirs"
    run([verify_mcp, "install", client.name, "--sandbox", "--name", "verify", "--yes"], ours)
    remote = ("--url", url, "--token-env", TOKEN_VARIABLE, "--name", "team", "--yes")
    run([verify_mcp, "install", client.name, *remote], ours)
    installed = servers(client, ours)
    filled = {"command": verify_mcp, "url": url, "variable": TOKEN_VARIABLE}
    for words in (client.add_local, client.add_remote):
        added = [
            word.replace("${variable}", "$" + TOKEN_VARIABLE).format(**filled) for word in words
        ]
        run([*client.program, "mcp", "add", *added], theirs)
    if servers(client, theirs) != installed:
        sys.exit(f"{client.name} writes {servers(client, theirs)}, and we write {installed}")
    listed = ""
    for _ in range(ATTEMPTS):
        listed = run([*client.program, "mcp", "list"], ours, **{TOKEN_VARIABLE: token})
        if reaches_both(client, listed):
            break
    else:
        sys.exit(f"{client.name} does not reach both servers:\n{listed}")
    what = "reaches both servers" if client.connects else "lists both servers"
    return f"{client.name}: as its own `mcp add` writes, {what} ({monotonic() - began:.0f} s)"


def reaches_both(client: RealClient, listed: str) -> bool:
    lines = [line for line in listed.splitlines() if re.search(r"\b(verify|team)\b", line)]
    connected = [line for line in lines if re.search(r"\bconnected\b", line, re.IGNORECASE)]
    return len(connected if client.connects else lines) >= 2


@contextmanager
def team_server(verify_mcp: str, work: Path) -> Iterator[tuple[str, str]]:
    """A server over HTTP on this machine that asks for a token; its address and a token."""
    environ = {**os.environ, "VERIFY_MCP_TOKENS_FILE": str(work / "tokens.json")}
    token = subprocess.check_output(
        [verify_mcp, "token", "add", "team"], env=environ, stderr=subprocess.DEVNULL, text=True
    ).strip()
    command = [verify_mcp, "serve", "--http", "--sandbox", "--port", "0"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            found = next(filter(None, (re.search(r"http://\S+", line) for line in server.stderr)))
            yield found[0], token
        finally:
            server.terminate()


def main(verify_mcp: str, modules: str) -> None:
    """Try every client, two at once: each waits for itself half of the time."""
    with TemporaryDirectory() as folder:
        work = Path(folder)
        with team_server(verify_mcp, work) as (url, token), ThreadPoolExecutor(2) as pool:
            tried = [
                pool.submit(check, client, verify_mcp, url, token, work)
                for client in clients(Path(modules))
            ]
            for result in tried:
                sys.stdout.write(f"{result.result()}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
