"""The command line: serve (the default) and the other commands that `--help` lists."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

from verify_mcp import __version__
from verify_mcp.errors import InvalidSetting
from verify_mcp.settings import IN_MEMORY, Credentials, Rate, Settings, read_settings

EXIT_PROBLEM, EXIT_USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    said = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(said).parse_args(said)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        sys.exit(command(options))
    except InvalidSetting as error:
        print_err(f"verify-mcp: {error}")
        sys.exit(EXIT_USAGE)
    except KeyboardInterrupt:
        sys.exit(130)


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; what other commands import is left out where it would slow a server's start."""
    parser = argparse.ArgumentParser(
        prog="verify-mcp",
        description="Answers about Plivo Verify (OTP) sessions for AI assistants, over MCP.",
        epilog="Settings are environment variables: PLIVO_AUTH_ID, PLIVO_AUTH_TOKEN and the "
        "VERIFY_MCP_… variables in the README.",
    )
    parser.add_argument("--version", action="version", version=f"verify-mcp {__version__}")
    parser.set_defaults(command=run_serve, sandbox=False, http=False)
    commands = parser.add_subparsers(title="commands", metavar="")
    serve = commands.add_parser("serve", help="serve MCP over stdin and stdout (the default)")
    serve.add_argument(
        "--sandbox",
        action="store_true",
        help="answer from made-up sessions, without credentials or network",
    )
    add_http_options(serve)
    serve.set_defaults(command=run_serve)
    demo = commands.add_parser("demo", help="show four questions and their answers")
    demo.set_defaults(command=_demo)
    doctor = commands.add_parser("doctor", help="check credentials, network and settings")
    doctor.add_argument("--offline", action="store_true", help="check without asking the API")
    doctor.set_defaults(command=_doctor)
    _add_report(commands)
    _add_mirror(commands)
    add_token_commands(commands)
    if not arguments or arguments[0] != "serve":
        _add_install(commands)
    emulator = commands.add_parser("emulator", help="run the pretend Verify API on this machine")
    if "emulator" in arguments:
        from verify_mcp.emulator.command import add_arguments

        add_arguments(emulator)
    emulator.set_defaults(command=_emulator)
    return parser


def add_http_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--http", action="store_true", help="serve a team over HTTP instead")
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default %(default)s)"
    )
    serve.add_argument("--port", type=int, default=8000, help="port (default %(default)s)")
    serve.add_argument("--tls-cert", type=Path, help="file of the certificate and its chain (PEM)")
    serve.add_argument("--tls-key", type=Path, help="file of the certificate's key (PEM)")


def add_token_commands(commands: Any) -> None:
    token = commands.add_parser("token", help="who may ask over HTTP")
    deeds = token.add_subparsers(title="commands", metavar="", required=True)
    add = deeds.add_parser("add", help="make a token and show it, this once")
    add.add_argument("name", help="whom it is for, e.g. support")
    add.add_argument("--budget", type=int, default=120, help="calls a minute (default %(default)s)")
    add.add_argument("--subaccount", default="", help="auth id (SA…) that is all it may see")
    add.set_defaults(command=_token_add)
    listing = deeds.add_parser("list", help="show the tokens' names, never the tokens")
    listing.set_defaults(command=_token_list)
    revoke = deeds.add_parser("revoke", help="make a token worthless, at once")
    revoke.add_argument("name")
    revoke.set_defaults(command=_token_revoke)


def _token_add(options: argparse.Namespace) -> int:
    from verify_mcp import tokens

    path, now = _tokens_path(), datetime.now(UTC)
    token = tokens.add(path, options.name, options.budget, options.subaccount.upper(), now)
    print_err(f"Token of {options.name}, kept in {path} as a digest only. Copy it now:")
    sys.stdout.write(token + "\n")
    return 0


def _token_list(_options: argparse.Namespace) -> int:
    from verify_mcp import tokens

    for each in tokens.list_tokens(_tokens_path()):
        sees = each.subaccount or "everything"
        line = f"{each.name}  {each.budget}/minute  sees {sees}  made {each.created}\n"
        sys.stdout.write(line)
    return 0


def _token_revoke(options: argparse.Namespace) -> int:
    from verify_mcp import tokens

    tokens.revoke(_tokens_path(), options.name)
    print_err(
        f"The token of {options.name} is worthless now, on every server that reads this file."
    )
    return 0


def _tokens_path() -> Path:
    from verify_mcp.tokens import default_path

    return read_settings(os.environ).tokens_file or default_path()


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


def _add_report(commands: Any) -> None:
    report = commands.add_parser("report", help="write a period's figures as a page with charts")
    report.add_argument("--since", default="7d", help="start: 24h, 7d, 2026-11-01 (default 7d)")
    report.add_argument("--until", help="end (default now)")
    report.add_argument(
        "--group-by",
        action="append",
        default=[],
        metavar="FIELD[,FIELD]",
        help="a chart by these; may be given again (default: day or hour; country; attempt_status)",
    )
    report.add_argument(
        "-o", "--output", type=Path, default=Path("verify-report.html"), help="default %(default)s"
    )
    report.add_argument("--force", action="store_true", help="replace the file if it is there")
    report.add_argument(
        "--within", type=float, default=30.0, metavar="MINUTES", help="default %(default)g"
    )
    report.add_argument("--sandbox", action="store_true", help="of made-up sessions")
    report.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> int:
    from verify_mcp import report

    charts = tuple(tuple(each.split(",")) for each in options.group_by)
    order = report.ReportOptions(
        options.since,
        options.until,
        charts,
        options.output,
        force=options.force,
        within=60 * options.within,
    )
    if not options.sandbox:
        return report.run(order, read_settings(os.environ))
    settings, app = unlimited_sandbox()
    return report.run(order, settings, app=app)


def _sync(options: argparse.Namespace) -> int:
    from verify_mcp import sync

    work = (
        sync.status_command(options.subaccount)
        if options.status
        else sync.sync_command(options.since, options.until, options.subaccount)
    )
    return sync.run(os.environ, work)


def _purge(options: argparse.Namespace) -> int:
    from verify_mcp import sync

    return sync.run(os.environ, sync.purge_command(options.older_than))


def _add_install(commands: Any) -> None:
    from verify_mcp.clients import BY_NAME

    install = commands.add_parser("install", help="add this server to an MCP client")
    uninstall = commands.add_parser("uninstall", help="take it out of the client again")
    for each in (install, uninstall):
        each.add_argument("client", choices=BY_NAME, metavar="CLIENT", help=", ".join(BY_NAME))
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


def _install(action: str, options: argparse.Namespace) -> int:
    from getpass import getpass

    from verify_mcp import install
    from verify_mcp.clients import BY_NAME

    replace_unencodable()
    given = {**vars(options), "client": BY_NAME[options.client]}
    order = install.InstallOptions(
        **{name: given[name] for name in install.OPTION_NAMES if name in given}
    )
    asking = (input, getpass) if sys.stdin.isatty() else (None, None)
    person = install.Terminal(sys.stdout.write, *asking)
    machine = install.detect_environment(os.environ, datetime.now(UTC))
    return (
        install.run(order, machine, person)
        if action == "run"
        else install.uninstall(order, machine, person)
    )


def run_serve(options: argparse.Namespace) -> int:
    from verify_mcp import logs, stdio
    from verify_mcp.masks import load_or_create_key
    from verify_mcp.mirror import open_mirror
    from verify_mcp.server import build_server

    app, settings = None, Settings()
    if options.http or not options.sandbox:
        settings = read_settings(os.environ)
    if options.sandbox:
        settings, app = sandbox(settings)
    logs.configure(settings)
    if settings.masked:
        load_or_create_key(settings)  # one that cannot be used ends the start here, in a sentence
    if options.http:
        return _serve_http(options, settings, partial(open_mirror, settings, app=app))
    if sys.stdin.isatty():
        print_err(
            "verify-mcp serves MCP on stdin and stdout: an MCP client starts it, not a person. "
            "Try `verify-mcp demo`. Ctrl-C ends it."
        )
    return stdio.run(build_server(partial(open_mirror, settings, app=app), settings.rate_limit))


def _serve_http(options: argparse.Namespace, settings: Settings, open_mirror: Any) -> int:
    from verify_mcp import http, prompts, telemetry, tools

    names = {*(offer.name for offer in tools.TOOLS), *prompts.load_prompts()}
    if message := telemetry.configure(os.environ, names):
        print_err(message)
    place = http.ListenAddress(options.host, options.port, options.tls_cert, options.tls_key)
    return http.run(settings, place, open_mirror)


def sandbox(settings: Settings | None = None) -> tuple[Settings, Callable[..., object]]:
    """Settings and application of a server that answers from made-up sessions."""
    from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, Emulator

    made_up = replace(
        settings or Settings(),
        credentials=Credentials(SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN),
        api_url="http://localhost",
        database_url=IN_MEMORY,
        sandbox=True,
    )
    return made_up, Emulator()


def unlimited_sandbox() -> tuple[Settings, Callable[..., object]]:
    """The sandbox without its quota, for what would only make a person wait."""
    from verify_mcp.emulator import Emulator, Options

    settings, _ = sandbox()
    return replace(settings, rate_limit=Rate(1_000_000, 1.0)), Emulator(
        behaviour=Options(list_limit=None)
    )


def _demo(_options: argparse.Namespace) -> int:
    from verify_mcp.demo import run

    replace_unencodable()
    return run()


def _doctor(options: argparse.Namespace) -> int:
    from verify_mcp.doctor import run

    replace_unencodable()
    return run(os.environ, offline=options.offline)


def _emulator(options: argparse.Namespace) -> int:
    from verify_mcp.emulator.command import from_arguments
    from verify_mcp.emulator.serve import run

    run(from_arguments(options), options.host, options.port)
    return 0


def replace_unencodable() -> None:
    """Let a terminal without Unicode show a `?` rather than stop the command."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def print_err(text: str) -> None:
    sys.stderr.write(text + "\n")
