"""Hands a notice to a command of this machine, as JSON on its standard input."""

import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import anyio.to_thread

from verify_mcp.errors import InvalidSetting
from verify_mcp.watch.webhook import NoticeFailed

TIMEOUT_SECONDS = 60.0
_SECRET_PREFIXES = ("PLIVO_", "VERIFY_MCP_")


class ExecCommand:
    """A program with its arguments, which no shell interprets."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = list(words)

    async def send(self, body: Mapping[str, Any]) -> None:
        """Run the command once. Raises NoticeFailed unless it ends with 0 in time."""
        await anyio.to_thread.run_sync(self._run, json.dumps(body, ensure_ascii=False))

    def _run(self, text: str) -> None:
        try:
            subprocess.run(  # noqa: S603 - the operator's own command, without a shell
                self._words,
                input=text.encode(),
                env=_environment(os.environ),
                timeout=TIMEOUT_SECONDS,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        except subprocess.CalledProcessError as error:
            raise NoticeFailed(f"--exec ended with code {error.returncode}.") from None
        except subprocess.TimeoutExpired:
            raise NoticeFailed(f"--exec took more than {TIMEOUT_SECONDS:.0f} s.") from None
        except OSError as error:
            raise NoticeFailed(f"--exec cannot be run: {error.strerror or error}.") from None


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without this program's settings, which hold the account's token."""
    return {name: value for name, value in environ.items() if not name.startswith(_SECRET_PREFIXES)}


def parse_command(text: str) -> ExecCommand:
    """The command in a text, with its words as a shell splits them. Raises InvalidSetting."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    if not words:
        raise InvalidSetting("--exec takes a command, e.g. --exec 'notify-send Verify'.")
    return ExecCommand(words)
