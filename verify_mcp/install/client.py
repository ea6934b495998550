"""What a client is to an installation: where its configuration is, and the forms of an entry."""

import ntpath
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from verify_mcp.install.entry_forms import LocalForm, RemoteForm, command_entry

Environ = Mapping[str, str]
Format = Literal["json", "jsonc", "toml", "yaml"]
ConfigPaths = Callable[["UserDirs"], tuple[str, ...]]


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

    The file is the first candidate whose folder exists, else the last one. `remote` is None where
    the client's file can hold no remote server, `variable_form` where it can name no variable.
    """

    name: str
    title: str
    format: Format
    key: str
    config_paths: ConfigPaths
    next_step: str
    """What a person does after the installation."""
    local: LocalForm = command_entry
    remote: RemoteForm | None = None
    variable_form: str | None = None
    """How an entry refers to a variable of the environment, with NAME for the variable's."""
    env_key: str = "env"
    """The key of the variables in an entry."""
    prompts: bool = False
    """Whether it prompts for secrets and stores them safely (VS Code's `inputs`)."""
    new_file: str = ""
    """What a new file begins with."""
    any_file: bool = False
    """Whether it reads any of the candidates, so that one which is there is taken."""

    def entry(self, name: str, command: str, args: list[str], env: Environ) -> dict[str, Any]:
        """The value of our entry in its file, when the client starts the server."""
        return self.local(name, command, args, env)
