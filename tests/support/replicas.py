"""Helpers of several tests."""

from __future__ import annotations

import time

LIMIT, WINDOW = 20, 4.0


def _ago(hours: int) -> str:
    return time.strftime("%Y-%m-%d %H:00:00", time.gmtime(time.time() - hours * 3600))


MORNING = {"session_time__gte": _ago(6), "session_time__lt": _ago(3)}
"""A window that has settled."""
