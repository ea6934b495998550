"""A server that answers from made-up sessions."""

from collections.abc import Callable
from dataclasses import replace

from verify_mcp.settings import IN_MEMORY, Credentials, Rate, Settings


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
