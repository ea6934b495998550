"""The events that were reported, in a file that only this user can read."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from verify_mcp import private_files
from verify_mcp.errors import InvalidSetting
from verify_mcp.settings import data_directory
from verify_mcp.watch.events import WatchedEvent

VERSION = 1


def default_state_path(account: str, subaccount: str) -> Path:
    """The path of the state when none is given: one for each account and subaccount."""
    name = "-".join(filter(None, ("watch", account, subaccount)))
    return data_directory() / f"{name}.json"


def read_events(path: Path) -> list[WatchedEvent]:
    """The events in a file, none if there is no file. Raises InvalidSetting for another file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [_event(row) for row in content["events"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidSetting(
            f"{path} cannot be read as the state of `watch`. Remove it, or name another with "
            "--state."
        ) from error


def write_events(path: Path, events: Sequence[WatchedEvent]) -> None:
    """Replace the file in one step. Raises OSError."""
    content = {"version": VERSION, "events": [_row(event) for event in events]}
    private_files.make_directory(path.parent)
    private_files.replace(path, json.dumps(content, indent=1).encode())


def _row(event: WatchedEvent) -> dict[str, object]:
    return {
        "kind": event.kind,
        "where": dict(event.where),
        "start": event.start.isoformat(),
        "end": event.end.isoformat(),
        "is_over": event.is_over,
    }


def _event(row: dict[str, object]) -> WatchedEvent:
    where = row["where"]
    if not isinstance(where, dict):
        raise TypeError("where is an object")
    start, end = (datetime.fromisoformat(str(row[name])) for name in ("start", "end"))
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("times have an offset")
    places = tuple(sorted((str(name), str(value)) for name, value in where.items()))
    return WatchedEvent(str(row["kind"]), places, start, end, is_over=row["is_over"] is True)
