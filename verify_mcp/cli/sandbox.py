"""A server that answers from made-up sessions."""

from collections.abc import Callable
from dataclasses import replace

from verify_mcp.settings import IN_MEMORY, Credentials, Rate, Settings

_NO_LIMIT = Rate(1000, 1.0)
"""A rate limit that no caller meets."""
_ALL_PAGES = 1000
"""Enough requests for every made-up session, so that each answer is exact at once."""


def sandbox(
    settings: Settings | None = None, *, real_pace: bool = False
) -> tuple[Settings, Callable[..., object]]:
    """Settings and application of a server that answers from made-up sessions.

    They have the fields of the richer of the two shapes in Plivo's SDKs, so that brands, networks
    and aliases can be asked for. The server answers at once; with `real_pace` it keeps the rate
    limits of the settings, and the pretend API refuses what is beyond its documented ones.
    """
    from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, Emulator, Options

    made_up = replace(
        settings or Settings(),
        credentials=Credentials(SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN),
        credentials_problem="",
        api_url="http://localhost",
        database_url=IN_MEMORY,
        sandbox=True,
    )
    if real_pace:
        return made_up, Emulator(behaviour=Options(shape="rich"))
    at_once = replace(
        made_up,
        rate_limit=_NO_LIMIT,
        retrieve_rate_limit=_NO_LIMIT,
        default_max_requests=_ALL_PAGES,
    )
    return at_once, Emulator(behaviour=Options(shape="rich", list_limit=None, get_limit=None))
