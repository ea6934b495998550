"""What is sent about an event: a sentence, and its figures as JSON. No number is in it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from verify_mcp.tools.anomaly_rows import COLUMNS, PLACES, finding_row, format_minute
from verify_mcp.watch.events import Change, Transition, WatchedEvent

_TEAMS_HOSTS = (".webhook.office.com", ".logic.azure.com", ".powerplatform.com")
_SLACK_HOST = "hooks.slack.com"
_CHANGES: Mapping[Change, str] = {
    "began": "since {start}",
    "ended": "is over: {start} to {end}",
    "passed": "was from {start} to {end}",
}


def notice(transition: Transition, *, with_prefix: bool) -> dict[str, Any]:
    """The text and the figures of a change; `with_prefix` allows prefixes of numbers in them."""
    event, change = transition.after, transition.change or "began"
    place = _place(event, with_prefix=with_prefix)
    times = {"start": format_minute(event.start), "end": format_minute(event.end, up=True)}
    text = f"Verify: {event.kind} in {place} {_CHANGES[change].format(**times)} UTC."
    details: dict[str, Any] = {
        "event": change,
        "kind": event.kind,
        "where": place,
        "from": event.start.isoformat(timespec="minutes"),
        "to": event.end.isoformat(timespec="minutes"),
    }
    if transition.reported is not None:
        row = dict(zip(COLUMNS, finding_row(transition.reported, None), strict=True))
        figures = {name: row[name] for name in COLUMNS[4:-2]}
        details |= figures
        text += (
            f" {row['sessions']} sessions of {row['recipients']} recipients, expected "
            f"{row['expected']}, seen {row['seen']}, cost {row['cost']}. {row['summary']}"
        )
    return {"text": text, "details": details}


def body_for(url: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON that a webhook at this address takes: Slack's, Teams', or all of the message."""
    host = (urlsplit(url).hostname or "").lower()
    if host == _SLACK_HOST:
        return {"text": message["text"]}
    if host.endswith(_TEAMS_HOSTS):
        return _adaptive_card(str(message["text"]))
    return dict(message)


def _adaptive_card(text: str) -> dict[str, Any]:
    """A message with a card, which Teams takes in workflows and in the older connectors."""
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [{"type": "TextBlock", "text": text, "wrap": True}],
    }
    content_type = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": content_type, "content": card}]}


def _place(event: WatchedEvent, *, with_prefix: bool) -> str:
    where = dict(event.where)
    names = [where[name] for name in PLACES if name in where]
    if with_prefix:
        names += [f"{prefix}*" for prefix in where.get("prefix", "").split()]
    return " ".join(names) or "all sessions"
