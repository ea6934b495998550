"""The command `serve`."""

import argparse
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from verify_mcp.cli.parsers import add_command, whole_number
from verify_mcp.cli.sandbox import sandbox
from verify_mcp.cli.terminal import print_err
from verify_mcp.errors import InvalidSetting
from verify_mcp.settings import Settings, read_settings


def add_serve_command(subparsers: Any) -> None:
    """Add the command `serve`."""
    serve = add_command(
        subparsers,
        "serve",
        "serve MCP over stdin and stdout (the default)",
        "Answers an MCP client about the account's Verify sessions. A client starts it and speaks "
        "to it over stdin and stdout; with --http it serves a team over Streamable HTTP at /mcp.",
        (
            "verify-mcp serve",
            "verify-mcp serve --sandbox",
            "verify-mcp serve --http --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem",
        ),
    )
    serve.add_argument(
        "--sandbox",
        nargs="?",
        const=True,
        default=False,
        type=_is_on,
        metavar="true|false",
        help="answer from made-up sessions, at once, without credentials or network",
    )
    serve.add_argument(
        "--real-pace",
        action="store_true",
        help="in the sandbox: keep the real API's quota of 20 list requests a minute",
    )
    _add_http_options(serve)
    serve.set_defaults(command=run_serve)


def _is_on(text: str) -> bool:
    """Whether a switch is on: a bundle's configuration can only write `--sandbox=true`."""
    word = text.strip().lower()
    if word.startswith("${"):  # a placeholder that the client did not replace
        return False
    if word not in ("true", "false", ""):
        raise argparse.ArgumentTypeError(f"{text!r} is not true or false")
    return word == "true"


def _add_http_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--http", action="store_true", help="serve a team over HTTP instead")
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default %(default)s)"
    )
    serve.add_argument(
        "--port", type=whole_number(0, 65535), default=8000, help="port (default %(default)s)"
    )
    serve.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="the certificate and its chain (PEM)"
    )
    serve.add_argument("--tls-key", type=Path, metavar="FILE", help="the certificate's key (PEM)")


def run_serve(options: argparse.Namespace) -> int:
    """Run the command `serve`; the exit code. Raises InvalidSetting."""
    with _without_garbage_collection():
        from verify_mcp import logs
        from verify_mcp.context import open_serving_context
        from verify_mcp.mirror.masking import load_or_create_key
        from verify_mcp.server import stdio
        from verify_mcp.server.server import build_server

    if options.real_pace and not options.sandbox:
        raise InvalidSetting("--real-pace belongs to --sandbox: give both, or neither.")
    app, settings = None, read_settings(os.environ)
    if options.sandbox:
        settings, app = sandbox(settings, real_pace=options.real_pace)
    logs.configure(settings)
    if settings.masked:
        load_or_create_key(settings)  # one that cannot be used ends the start here, in a sentence
    open_context = partial(open_serving_context, settings, app=app)
    if options.http:
        return _serve_http(options, settings, open_context)
    if sys.stdin.isatty():
        print_err(
            "verify-mcp serves MCP on stdin and stdout: an MCP client starts it, not a person. "
            "Try `verify-mcp demo`. Ctrl-C ends it."
        )
    return stdio.run(build_server(open_context, settings.rate_limit, sandbox=settings.sandbox))


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Import without collections, and keep what was imported out of every later one.

    Imports make many objects that stay; visiting them again and again is a tenth of the start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _serve_http(options: argparse.Namespace, settings: Settings, open_context: Any) -> int:
    from verify_mcp import metrics
    from verify_mcp.http import listen
    from verify_mcp.http import serve as serve_module
    from verify_mcp.server import prompts
    from verify_mcp.tools import registry

    names = {*(offer.name for offer in registry.TOOLS), *prompts.load_prompts()}
    if message := metrics.configure(os.environ, names):
        print_err(message)
    place = listen.ListenAddress(options.host, options.port, options.tls_cert, options.tls_key)
    return serve_module.run(settings, place, open_context)
