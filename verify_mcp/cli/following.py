"""What `sync --follow` does: keeps the newest days in the mirror until it is ended."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import anyio

from verify_mcp.background.follower import Follower, follow_lease, read_view
from verify_mcp.background.leased_loop import LeasedLoop
from verify_mcp.cli.terminal import print_err
from verify_mcp.context import AppContext
from verify_mcp.domain.times import format_time
from verify_mcp.errors import (
    AccessDenied,
    ApiError,
    CredentialsRejected,
    DatabaseUnavailable,
    InvalidArgument,
    InvalidSetting,
)
from verify_mcp.settings_parsers import InvalidValue, parse_follow

REPORT_SECONDS = 600.0
"""Seconds between two lines about how far it has come."""


def follow_command(
    since: str, until: str | None, subaccount: str
) -> Callable[[AppContext], Awaitable[int]]:
    """Keep the last so many days covered, at background priority, until the process is ended."""

    async def run_command(app: AppContext) -> int:
        if until:
            raise InvalidArgument(
                "--until has no meaning with --follow, which goes on. Leave it out."
            )
        span = _span(since)
        app.settings.account()
        store = app.mirror.store
        if store is None:
            raise InvalidSetting("VERIFY_MCP_MIRROR is off, so nothing is kept. Set it to on.")
        follower = Follower(app.mirror, store, app.clock, span, subaccount)
        lease = follow_lease(store, subaccount)
        fatal = (CredentialsRejected, AccessDenied)
        loop = LeasedLoop(lease, follower.step, app.clock, start=0.0, fatal=fatal)
        if await lease.is_taken():
            print_err("Another process follows already; this one goes on when that one ends.")
        print_err(f"The last {since} are kept in the mirror from now on. Ctrl-C ends it.")
        failure = ApiError()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_report, app, span, subaccount)
            try:
                await loop.run()
            except ApiError as error:
                failure = error  # raised below, as it is and not in a group
                tasks.cancel_scope.cancel()
        raise failure

    return run_command


def _span(since: str) -> timedelta:
    try:
        span = parse_follow(since)
    except InvalidValue as problem:
        raise InvalidArgument(f"--since {problem}") from None
    if span is None:
        raise InvalidArgument("--since is empty. Give e.g. 7d.")
    return span


async def _report(app: AppContext, span: timedelta, subaccount: str) -> None:
    """Print now and then how far it has come."""
    while True:
        await app.clock.sleep(REPORT_SECONDS)
        try:
            store = app.mirror.store
            assert store is not None  # noqa: S101 - the command looked
            view = await read_view(app.mirror, store, span, subaccount)
        except DatabaseUnavailable as problem:
            print_err(str(problem))
            continue
        behind, share = round(view.behind.total_seconds()), int(100 * view.stored_share)
        print_err(
            f"{format_time(app.now())} UTC: {share} % of the period is stored, {behind} s behind."
        )
