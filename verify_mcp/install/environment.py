"""What an installation depends on: the command's options, a terminal and this machine."""

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from verify_mcp.install.client import Client, UserDirs

NAME, SANDBOX_NAME = "verify", "verify-sandbox"


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where messages go and answers come from; without a person nothing can be asked (None)."""

    write: Callable[[str], object]
    ask: Callable[[str], str] | None = None
    ask_secret: Callable[[str], str] | None = None
    write_err: Callable[[str], object] = field(default=lambda _text: None)
    """Where notes go beside a snippet that may be piped; nowhere unless given."""


@dataclass(frozen=True, slots=True)
class InstallOptions:
    """The options of `install` and `uninstall`."""

    client: Client
    name: str | None = None
    config: Path | None = None
    yes: bool = False
    sandbox: bool = False
    uvx: bool = False
    source: str | None = None
    """What uvx installs the package from: a folder, a wheel or a requirement."""
    only_print: bool = False
    auth_id: str | None = None
    url: str | None = None
    """The address of a team's server, which the client does not start."""
    token_env: str | None = None
    """The variable of the environment that has the token for that address."""

    @property
    def entry_name(self) -> str:
        """The name that our entry gets."""
        return self.name or (SANDBOX_NAME if self.sandbox else NAME)


OPTION_NAMES = tuple(option.name for option in fields(InstallOptions))


@dataclass(frozen=True, slots=True)
class Environment:
    """What an installation depends on beside its options."""

    environ: Mapping[str, str]
    platform: str
    now: datetime
    secrets: Path
    """The folder for files that hold a token."""
    program: tuple[str, ...] = ()
    """The command that starts this installation, by absolute path."""
    ephemeral: bool = False
    """Whether that path may be gone tomorrow, as under uvx."""
    source: str = ""
    """The folder or wheel that this installation was made from, "" for a package index."""


def detect_environment(environ: Mapping[str, str], now: datetime) -> Environment:
    """The machine that runs this, and the command that starts this installation on it."""
    from platformdirs import user_config_path

    python = Path(sys.executable)
    script = shutil.which("verify-mcp", path=str(python.parent))
    program = (str(Path(script).absolute()),) if script else (str(python), "-m", "verify_mcp")
    ephemeral = any(part.startswith(("archive-v", "environments-v")) for part in python.parts)
    folder = user_config_path("verify-mcp", appauthor=False)
    return Environment(
        environ, sys.platform, now, folder, program, ephemeral, installation_source()
    )


def installation_source() -> str:
    """The folder, wheel or address that this package was installed from; "" for an index."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        # Written by pip and uv (PEP 610), unless the package came from an index.
        text = distribution("verify-mcp").read_text("direct_url.json") or "{}"
    except PackageNotFoundError:
        return ""
    url = str(json.loads(text).get("url", ""))
    return url2pathname(urlsplit(url).path) if url.startswith("file:") else url


def config_path(options: InstallOptions, environment: Environment) -> Path:
    """The client's configuration file: the one that --config names, or the client's usual one."""
    if options.config:
        return options.config.expanduser().absolute()
    dirs = UserDirs(environment.environ, environment.platform)
    candidates = [Path(path) for path in options.client.config_paths(dirs)]
    if options.client.any_file and (there := [path for path in candidates if path.is_file()]):
        return there[0]
    usual = next((path for path in candidates if path.parent.is_dir()), candidates[-1])
    return usual.expanduser()
