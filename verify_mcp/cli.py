"""The command line: serve (the default), demo, doctor, install, sync, purge, emulator."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

from verify_mcp import __version__
from verify_mcp.errors import InvalidSetting
from verify_mcp.settings import Credentials, Settings, read_settings

PROBLEM, USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    said = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(said).parse_args(said)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        sys.exit(command(options))
    except InvalidSetting as error:
        _tell(f"verify-mcp: {error}")
        sys.exit(USAGE)
    except KeyboardInterrupt:
        sys.exit(130)


def _parser(said: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; what other commands import is left out where it would slow a server's start."""
    parser = argparse.ArgumentParser(
        prog="verify-mcp",
        description="Answers about Plivo Verify (OTP) sessions for AI assistants, over MCP.",
        epilog="Settings are environment variables: PLIVO_AUTH_ID, PLIVO_AUTH_TOKEN and the "
        "VERIFY_MCP_… variables in the README.",
    )
    parser.add_argument("--version", action="version", version=f"verify-mcp {__version__}")
    parser.set_defaults(command=_serve, sandbox=False)
    commands = parser.add_subparsers(title="commands", metavar="")
    serve = commands.add_parser("serve", help="serve MCP over stdin and stdout (the default)")
    serve.add_argument(
        "--sandbox",
        action="store_true",
        help="answer from made-up sessions, without credentials or network",
    )
    serve.set_defaults(command=_serve)
    demo = commands.add_parser("demo", help="show four questions and their answers")
    demo.set_defaults(command=_demo)
    doctor = commands.add_parser("doctor", help="check credentials, network and settings")
    doctor.add_argument("--offline", action="store_true", help="check without asking the API")
    doctor.set_defaults(command=_doctor)
    _add_mirror(commands)
    if not said or said[0] != "serve":
        _add_install(commands)
    emulator = commands.add_parser("emulator", help="run the pretend Verify API on this machine")
    if "emulator" in said:
        from verify_mcp.emulator.command import add_arguments

        add_arguments(emulator)
    emulator.set_defaults(command=_emulator)
    return parser


def _add_mirror(commands: Any) -> None:
    sync = commands.add_parser("sync", help="fetch what the mirror lacks of a period")
    sync.add_argument("--since", default="24h", help="start: 24h, 7d, 2026-11-01 (default 24h)")
    sync.add_argument("--until", help="end (default now)")
    sync.add_argument("--subaccount", default="", help="auth id (SA…) of a subaccount")
    sync.add_argument("--status", action="store_true", help="only show what is held")
    sync.set_defaults(command=_sync)
    purge = commands.add_parser("purge", help="empty the mirror, by age or entirely")
    age = purge.add_mutually_exclusive_group(required=True)
    age.add_argument("--older-than", help="forget what is older: 30d, 2026-11-01")
    age.add_argument("--all", action="store_true", help="forget everything")
    purge.set_defaults(command=_purge)


def _sync(options: argparse.Namespace) -> int:
    from verify_mcp import sync

    work = (
        sync.holdings(options.subaccount)
        if options.status
        else sync.syncing(options.since, options.until, options.subaccount)
    )
    return sync.run(os.environ, work)


def _purge(options: argparse.Namespace) -> int:
    from verify_mcp import sync

    return sync.run(os.environ, sync.purging(options.older_than))


def _add_install(commands: Any) -> None:
    from verify_mcp.clients import NAMED

    install = commands.add_parser("install", help="add this server to an MCP client")
    uninstall = commands.add_parser("uninstall", help="take it out of the client again")
    for each in (install, uninstall):
        each.add_argument("client", choices=NAMED, metavar="CLIENT", help=", ".join(NAMED))
        each.add_argument("--config", type=Path, help="another file than the client's usual one")
        each.add_argument("--name", help="name of the entry (verify, or verify-sandbox)")
        each.add_argument("--yes", action="store_true", help="do it without asking")
        each.add_argument(
            "--sandbox", action="store_true", help="made-up sessions, without credentials"
        )
    install.add_argument("--uvx", action="store_true", help="start it with `uvx verify-mcp`")
    install.add_argument("--auth-id", help="the account (else PLIVO_AUTH_ID, or a question)")
    install.add_argument(
        "--print", action="store_true", dest="only_print", help="only show what to paste"
    )
    install.set_defaults(command=partial(_install, "run"))
    uninstall.set_defaults(command=partial(_install, "undo"))


def _install(deed: str, options: argparse.Namespace) -> int:
    from getpass import getpass

    from verify_mcp import install
    from verify_mcp.clients import NAMED

    _forgive_stdout()
    asked = {key: value for key, value in vars(options).items() if key not in ("client", "command")}
    order = install.Order(NAMED[options.client], **asked)
    asking = (input, getpass) if sys.stdin.isatty() else (None, None)
    person = install.Person(sys.stdout.write, *asking)
    machine = install.here(os.environ, datetime.now(UTC))
    return (
        install.run(order, machine, person)
        if deed == "run"
        else install.undo(order, machine, person)
    )


def _serve(options: argparse.Namespace) -> int:
    from verify_mcp import logs, stdio
    from verify_mcp.mirror import open_mirror
    from verify_mcp.server import build_server

    app = None
    if options.sandbox:
        settings, app = sandbox()
    else:
        settings = read_settings(os.environ)
    logs.configure(settings)
    if sys.stdin.isatty():
        _tell(
            "verify-mcp serves MCP on stdin and stdout: an MCP client starts it, not a person. "
            "Try `verify-mcp demo`. Ctrl-C ends it."
        )
    return stdio.run(build_server(partial(open_mirror, settings, app=app)))


def sandbox() -> tuple[Settings, Callable[..., object]]:
    """Settings and application of a server that answers from made-up sessions."""
    from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, Emulator

    settings = Settings(
        credentials=Credentials(SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN),
        api_url="http://localhost",
        sandbox=True,
    )
    return settings, Emulator()


def _demo(_options: argparse.Namespace) -> int:
    from verify_mcp.demo import run

    _forgive_stdout()
    return run()


def _doctor(options: argparse.Namespace) -> int:
    from verify_mcp.doctor import run

    _forgive_stdout()
    return run(os.environ, offline=options.offline)


def _emulator(options: argparse.Namespace) -> int:
    from verify_mcp.emulator.command import from_arguments
    from verify_mcp.emulator.serve import run

    run(from_arguments(options), options.host, options.port)
    return 0


def _forgive_stdout() -> None:
    """Let a terminal without Unicode show a `?` rather than stop the command."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
