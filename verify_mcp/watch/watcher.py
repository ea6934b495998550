"""One look after another: searches, compares with what was reported, and reports the changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify_mcp.analysis.anomalies.levels import MIN_DAYS
from verify_mcp.context import AppContext
from verify_mcp.plivo.call import CallContext
from verify_mcp.plivo.rate_limit_store import Priority
from verify_mcp.summaries.anomaly_query import AnomalyResult
from verify_mcp.tools.anomaly_request import AnomalyRequest, parse_anomalies
from verify_mcp.tools.envelope import parse_context
from verify_mcp.tools.find_anomalies import search
from verify_mcp.tools.summary_request import MAX_REQUESTS
from verify_mcp.watch.command import ExecCommand
from verify_mcp.watch.events import Transition, WatchedEvent, transitions
from verify_mcp.watch.notices import body_for, notice
from verify_mcp.watch.state import read_events, write_events
from verify_mcp.watch.webhook import NoticeFailed, Webhook

RULES = ("conversion", "delivery", "pumping", "spend", "volume")
"""The kinds of findings that can be watched for."""
MIN_PAUSE = 5.0
Print = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What is watched, where events are remembered, and who is notified."""

    rules: tuple[str, ...]
    window: str
    baseline: str
    subaccount: str
    state: Path
    webhook: Webhook | None = None
    command: ExecCommand | None = None
    within: float = 300.0
    """Seconds that one look may go on fetching."""


@dataclass(frozen=True, slots=True)
class LookOutcome:
    """How a look ended: what goes on, whether all was looked at, and which notices failed."""

    open_events: int
    is_complete: bool
    failures: tuple[str, ...] = ()


class Watcher:
    """Looks once at a time; `report` prints a line for people."""

    def __init__(self, app: AppContext, options: WatchOptions, report: Print) -> None:
        self._app = app
        self._options = options
        self._report = report

    async def look(self) -> LookOutcome:
        """Search, report what changed, and remember it.

        Raises InvalidArgument, InvalidSetting, and ApiError when nothing can be looked at.
        """
        options = self._options
        known = read_events(options.state)
        request = self._request()
        result = await self._search(request)
        if result.findings is None:
            self._report(f"Nothing could be looked at. {result.why}")
            return LookOutcome(_count_open(known), is_complete=False)
        is_whole = not result.now.missing and not result.skipped
        changes = transitions(
            known,
            result.findings,
            now=result.now.window.end,
            start=result.now.window.start,
            is_complete=is_whole,
        )
        events, failures = await self._report_changes(changes)
        write_events(options.state, events)
        if not is_whole:
            self._report(f"Only a part of the window could be looked at. {result.why}")
        elif result.unjudged:
            kinds = ", ".join(result.unjudged)
            self._report(f"Not judged for want of {MIN_DAYS} days to compare with: {kinds}.")
        return LookOutcome(_count_open(events), result.is_complete, tuple(failures))

    def _request(self) -> AnomalyRequest:
        options = self._options
        arguments: dict[str, object] = {
            "session_time__gte": options.window,
            "baseline": options.baseline,
            "kinds": list(options.rules),
            "subaccount": options.subaccount,
            "max_requests": MAX_REQUESTS,
        }
        return parse_anomalies(arguments, parse_context(self._app))

    async def _search(self, request: AnomalyRequest) -> AnomalyResult:
        """The result of a look, complete if that is possible in time."""
        clock = self._app.clock
        deadline = clock.monotonic() + self._options.within
        while True:
            call = CallContext(priority=Priority.BACKGROUND)
            result = await search(self._app, request, call)
            is_known = result.findings is not None and not result.now.missing
            pause = max(MIN_PAUSE, result.eta_s or 0.0)
            if is_known or result.eta_s is None or clock.monotonic() + pause > deadline:
                return result
            await clock.sleep(pause)
            request = self._request()

    async def _report_changes(
        self, changes: Sequence[Transition]
    ) -> tuple[list[WatchedEvent], list[str]]:
        """Report each change; an event whose notice failed stays as it was, and is tried again."""
        events: list[WatchedEvent] = []
        failures: list[str] = []
        with_prefix = not self._app.recipients.are_masked
        for change in changes:
            event: WatchedEvent | None = change.after
            if change.change is not None:
                message = notice(change, with_prefix=with_prefix)
                self._report(str(message["text"]))
                try:
                    await self._send(message)
                except NoticeFailed as error:
                    failures.append(str(error))
                    self._report(str(error))
                    event = change.before
            events += [event] if event else []
        return events, failures

    async def _send(self, message: dict[str, Any]) -> None:
        options = self._options
        if options.webhook is not None:
            body = body_for(options.webhook.url, message)
            await options.webhook.send(body, self._app.clock)
        if options.command is not None:
            await options.command.send(message)


def _count_open(events: Sequence[WatchedEvent]) -> int:
    return sum(not event.is_over for event in events)
