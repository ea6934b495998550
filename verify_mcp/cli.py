"""The command line: serve (the default), demo, emulator, doctor."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from io import TextIOWrapper
from typing import NoReturn

from verify_mcp import __version__
from verify_mcp.errors import InvalidSetting
from verify_mcp.settings import Credentials, Settings, read_settings

PROBLEM, USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    options = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        sys.exit(command(options))
    except InvalidSetting as error:
        _tell(f"verify-mcp: {error}")
        sys.exit(USAGE)
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    from verify_mcp.emulator.command import add_arguments

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
    emulator = commands.add_parser("emulator", help="run the pretend Verify API on this machine")
    add_arguments(emulator)
    emulator.set_defaults(command=_emulator)
    return parser


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
