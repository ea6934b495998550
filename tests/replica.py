"""One replica as a process whose clock is off: `python -m tests.replica SECONDS PORT`."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from functools import partial

from verify_mcp import http
from verify_mcp.exchange import Clock
from verify_mcp.mirror import open_mirror
from verify_mcp.settings import read_settings


def main(seconds: str, port: str) -> int:
    """Serve until a signal comes, so many seconds ahead of everybody else."""
    ahead = timedelta(seconds=float(seconds))
    settings = read_settings(os.environ)
    world = Clock(now=lambda: datetime.now(UTC) + ahead)
    return http.run(
        settings, http.ListenAddress(port=int(port)), partial(open_mirror, settings, world=world)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
