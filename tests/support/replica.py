"""One replica as a process whose clock is off: `python -m tests.support.replica SECONDS PORT`."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from functools import partial

from verify_mcp.clock import Clock
from verify_mcp.context import open_context
from verify_mcp.http import listen, serve
from verify_mcp.settings import read_settings


def main(seconds: str, port: str) -> int:
    """Serve until a signal comes, so many seconds ahead of everybody else."""
    ahead = timedelta(seconds=float(seconds))
    settings = read_settings(os.environ)
    world = Clock(now=lambda: datetime.now(UTC) + ahead)
    return serve.run(
        settings, listen.ListenAddress(port=int(port)), partial(open_context, settings, clock=world)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
