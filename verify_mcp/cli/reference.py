"""The commands `completion` and `man`, made from the parsers of all commands."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from verify_mcp import __version__
from verify_mcp.cli.parsers import add_command

_SHELLS = ("bash", "zsh", "fish")

BuildParser = Callable[[], argparse.ArgumentParser]


def add_reference_commands(subparsers: Any, build_parser: BuildParser) -> None:
    """Add the commands `completion` and `man`; `build_parser` makes the parser of all commands."""
    completion = add_command(
        subparsers,
        "completion",
        "print a script that completes commands and options",
        "Prints a completion script for a shell on stdout.",
        (
            'eval "$(verify-mcp completion bash)"   # in ~/.bashrc',
            "verify-mcp completion zsh > ~/.zfunc/_verify-mcp   # a folder of $fpath",
            "verify-mcp completion fish > ~/.config/fish/completions/verify-mcp.fish",
        ),
    )
    completion.add_argument("shell", choices=_SHELLS, metavar="SHELL", help=", ".join(_SHELLS))
    completion.set_defaults(command=partial(_completion, build_parser))
    man = add_command(
        subparsers,
        "man",
        "print the man page",
        "Prints a man page of all commands, with their exit codes, on stdout.",
        (
            "verify-mcp man | man -l -",
            "verify-mcp man > ~/.local/share/man/man1/verify-mcp.1",
        ),
    )
    man.set_defaults(command=partial(_man, build_parser))


def _completion(build_parser: BuildParser, options: argparse.Namespace) -> int:
    import shtab

    sys.stdout.write(shtab.complete(build_parser(), options.shell) + "\n")
    return 0


def _man(build_parser: BuildParser, _options: argparse.Namespace) -> int:
    from verify_mcp.cli.command_reference import man_page

    sys.stdout.write(man_page(build_parser(), __version__))
    return 0
