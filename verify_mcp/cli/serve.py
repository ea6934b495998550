"""The command `serve`."""

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from verify_mcp.cli.sandbox import sandbox
from verify_mcp.cli.terminal import print_err
from verify_mcp.settings import Settings, read_settings


def add_serve_command(subparsers: Any) -> None:
    """Add the command `serve`."""
    serve = subparsers.add_parser("serve", help="serve MCP over stdin and stdout (the default)")
    serve.add_argument(
        "--sandbox",
        action="store_true",
        help="answer from made-up sessions, without credentials or network",
    )
    _add_http_options(serve)
    serve.set_defaults(command=run_serve)


def _add_http_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--http", action="store_true", help="serve a team over HTTP instead")
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default %(default)s)"
    )
    serve.add_argument("--port", type=int, default=8000, help="port (default %(default)s)")
    serve.add_argument("--tls-cert", type=Path, help="file of the certificate and its chain (PEM)")
    serve.add_argument("--tls-key", type=Path, help="file of the certificate's key (PEM)")


def run_serve(options: argparse.Namespace) -> int:
    """Run the command `serve`; the exit code. Raises InvalidSetting."""
    from verify_mcp import logs
    from verify_mcp.context import open_serving_context
    from verify_mcp.mirror.masking import load_or_create_key
    from verify_mcp.server import stdio
    from verify_mcp.server.server import build_server

    app, settings = None, Settings()
    if options.http or not options.sandbox:
        settings = read_settings(os.environ)
    if options.sandbox:
        settings, app = sandbox(settings)
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
    return stdio.run(build_server(open_context, settings.rate_limit))


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
