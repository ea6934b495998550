"""The reference of all commands, made from their parsers: as Markdown and as a man page."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from verify_mcp.cli.exit_codes import MEANINGS


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """One command as the reference shows it; options are pairs of their names and their help."""

    name: str
    description: str
    usage: str
    options: tuple[tuple[str, str], ...]
    examples: tuple[str, ...]


def command_entries(parser: argparse.ArgumentParser) -> Iterator[CommandEntry]:
    """Every command of a parser, its commands' commands included, in the order of the help."""
    for command in _commands(parser):
        options = tuple(
            (_names(action, command), _help(action, command))
            for action in command._actions  # noqa: SLF001 - argparse shows them nowhere else
            if not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)  # noqa: SLF001
        )
        usage = " ".join(command.format_usage().removeprefix("usage: ").split())
        lines = (command.epilog or "").splitlines()[1:]
        examples = tuple(line.strip() for line in lines)
        description = " ".join((command.description or "").split())
        yield CommandEntry(command.prog, description, usage, options, examples)


def markdown(parser: argparse.ArgumentParser) -> str:
    """The reference as a Markdown page."""
    sections = "\n".join(_section(entry) for entry in command_entries(parser))
    rows = "".join(f"| {code} | {meaning} |\n" for code, meaning in MEANINGS.items())
    return (
        "# Commands\n\n"
        "`verify-mcp man` prints this as a man page, and `verify-mcp completion SHELL` a script "
        "that completes commands and options. This page is made from the parsers of the commands: "
        "`python -m tests.support.commands_page`.\n\n"
        f"{sections}\n## Exit codes\n\n| code | meaning |\n|---|---|\n{rows}"
    )


def man_page(parser: argparse.ArgumentParser, version: str) -> str:
    """The reference as a page for `man`."""
    lines = [
        f'.TH VERIFY-MCP 1 "" "verify-mcp {version}"',
        ".SH NAME",
        "verify-mcp \\- answers about Plivo Verify (OTP) sessions for AI assistants, over MCP",
    ]
    for entry in command_entries(parser):
        lines += [f".SH {entry.name.upper()}", _roff(entry.description), ".PP", _roff(entry.usage)]
        for names, text in entry.options:
            lines += [".TP", f"\\fB{_roff(names)}\\fR", _roff(text)]
        for example in entry.examples:
            lines += [".PP", ".RS", _roff(example), ".RE"]
    lines.append(".SH EXIT STATUS")
    for code, meaning in MEANINGS.items():
        lines += [".TP", f"\\fB{code:d}\\fR", _roff(meaning)]
    return "\n".join(lines) + "\n"


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 - as above
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield command
                yield from _commands(command)


def _names(action: argparse.Action, command: argparse.ArgumentParser) -> str:
    value = command._get_formatter()._format_args(action, _metavar(action))  # noqa: SLF001
    if not action.option_strings:
        return value
    names = ", ".join(action.option_strings)
    return f"{names} {value}" if value and action.nargs != 0 else names


def _metavar(action: argparse.Action) -> str:
    return action.dest.upper() if action.option_strings else action.dest


def _help(action: argparse.Action, command: argparse.ArgumentParser) -> str:
    return (action.help or "") % {**vars(action), "prog": command.prog}


def _section(entry: CommandEntry) -> str:
    rows = "".join(f"| `{_cell(names)}` | {_cell(text)} |\n" for names, text in entry.options)
    table = f"| option | |\n|---|---|\n{rows}\n" if rows else ""
    examples = "\n".join(entry.examples)
    return f"## `{entry.name}`\n\n{entry.description}\n\n{table}```console\n{examples}\n```\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
