"""Faults inside a payload: pages and rows with one mistake in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from .options import Fault
from .responses import dump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Payload = dict[str, Any]

FOREIGN_HOST = "attacker.example"
_ROWS_AT_ONCE = 500
_ROW_START = b'{"session_uuid":"%08x-0000-4000-8000-000000000000",'


def fault_payload(body: bytes, fault: Fault, path: str) -> bytes:
    """The body with the fault, unchanged where the fault does not apply."""
    payload = json.loads(body)
    if fault in PAGE_FAULTS:
        PAGE_FAULTS[fault](payload, path)
        return dump(payload)
    for row in _rows(payload)[:1]:
        ROW_FAULTS[fault](row)
    # A lone surrogate has no UTF-8 form: JSON can only escape it.
    return json.dumps(payload).encode() if fault is Fault.LONE_SURROGATE else dump(payload)


def many_rows(body: bytes, size: int) -> Iterator[bytes]:
    """The page's first row `size` times under new UUIDs, as chunks of one body."""
    payload = json.loads(body)
    row = dict((_rows(payload) or [{"status": "expired"}])[0])
    rest = dump({key: value for key, value in row.items() if key != "session_uuid"})[1:]
    yield b'{"sessions":['
    for start in range(0, size, _ROWS_AT_ONCE):
        numbers = range(start, min(size, start + _ROWS_AT_ONCE))
        rows = b",".join(_ROW_START % number + rest for number in numbers)
        yield b"," + rows if start else rows
    yield b"]," + dump({"meta": payload.get("meta")})[1:]


def _rows(payload: Payload) -> list[Payload]:
    return [payload] if "session_uuid" in payload else payload.get("sessions") or []


def _sessions_missing(payload: Payload, _path: str) -> None:
    payload.pop("sessions", None)


def _sessions_not_a_list(payload: Payload, _path: str) -> None:
    payload["sessions"] = {"rows": payload.get("sessions")}


def _duplicate_rows(payload: Payload, _path: str) -> None:
    if payload.get("sessions"):
        payload["sessions"] = [row for row in payload["sessions"] for _ in range(2)]


def _next(origin: str, step: int) -> Callable[[Payload, str], None]:
    def set_next(payload: Payload, path: str) -> None:
        meta = payload.get("meta")
        if meta is not None:
            limit, offset = meta["limit"], meta.get("offset", 0)
            query = urlencode({"limit": limit, "offset": offset + step * limit})
            meta["next"] = f"{origin}{path}?{query}"

    return set_next


PAGE_FAULTS: dict[Fault, Callable[[Payload, str], None]] = {
    Fault.SESSIONS_MISSING: _sessions_missing,
    Fault.SESSIONS_NOT_A_LIST: _sessions_not_a_list,
    Fault.DUPLICATE_ROWS: _duplicate_rows,
    Fault.NEXT_OTHER_HOST: _next(f"https://{FOREIGN_HOST}", 1),
    Fault.NEXT_LOOP: _next("", 0),
}


def _without(key: str) -> Callable[[Payload], None]:
    def remove(row: Payload) -> None:
        row.pop(key, None)

    return remove


def _with(key: str, value: object) -> Callable[[Payload], None]:
    def set_value(row: Payload) -> None:
        row[key] = value

    return set_value


def _charge(text: str) -> Callable[[Payload], None]:
    def set_value(row: Payload) -> None:
        row["charges"]["total_charge"] = text

    return set_value


def _garbage_time(row: Payload) -> None:
    row["created_at"] = "yesterday-ish"


def _attempts(row: Payload) -> list[Payload]:
    return row["attempt_details"] or []


def _unknown_status(row: Payload) -> None:
    for attempt in _attempts(row)[-1:]:
        attempt["status"] = "teleported"


def _unknown_channel(row: Payload) -> None:
    row["channel"] = "pigeon"
    for attempt in _attempts(row)[-1:]:
        attempt["channel"] = "pigeon"


def _without_country(row: Payload) -> None:
    row["recipient"] = "8097480999"
    if "destination_country_iso2" in row:
        row |= {"destination_country_iso2": "", "destination_network": None}


ROW_FAULTS: dict[Fault, Callable[[Payload], None]] = {
    Fault.ROW_WITHOUT_UUID: _without("session_uuid"),
    Fault.ROW_CHARGE_NAN: _charge("NaN"),
    Fault.ROW_CHARGE_INFINITE: _charge("1e999"),
    Fault.ROW_CHARGE_NEGATIVE: _charge("-0.08"),
    Fault.ROW_GARBAGE_TIME: _garbage_time,
    Fault.ROW_UNKNOWN_STATUS: _unknown_status,
    Fault.ROW_UNKNOWN_CHANNEL: _unknown_channel,
    Fault.ROW_WITHOUT_CHARGES: _without("charges"),
    Fault.ROW_WITHOUT_COUNTRY: _without_country,
    Fault.ROW_LONG_RECIPIENT: _with("recipient", "9199988877766"),
    Fault.LONE_SURROGATE: _with("alias", "half a smile: \ud83d"),
}
