"""What tools return: the envelope, the rows and the one-sentence summary, all as plain JSON values.

Times are UTC without fractions, money is the exact decimal as a string, ids in tables are their
first 8 characters. A text that came from the API appears only where it is data, never in `why`,
`note` or `summary`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from verify_mcp.arguments import ListCall, SummarizeCall
from verify_mcp.census import Census
from verify_mcp.estimates import Estimate
from verify_mcp.filters import DEFAULT_WINDOW, REACH, SAFE_REACH, SessionFilter, written
from verify_mcp.sessions import Attempt, Page, Session
from verify_mcp.summary import UNKNOWN, Key, Tally, amount, outcomes, percent, total
from verify_mcp.survey import Finding

SHORT_ID = 8
COLUMNS = ["session", "created", "recipient", "country", "channel", "status", "attempts", "cost"]

_SPOKEN_CHANNELS = {"sms": "SMS", "whatsapp": "WhatsApp", "rcs": "RCS"}
_SPOKEN_STATUSES = {"answer": "answered", "no answer": "not answered", "cancel": "cancelled"}
_KNOWN_CHANNELS = {"sms", "voice", "whatsapp", "rcs", "email"}
_KNOWN_STATUSES = {
    "answer", "early media", "delivered", "undelivered", "failed", "queued", "sent", "read",
    "busy", "no answer", "cancel", "timeout", "in progress", "completed", "ringing",
}  # fmt: skip
_MOST_SPOKEN = 4

Shown = Callable[[str], str]
"""How a recipient's digits are written."""


@dataclass(frozen=True, slots=True)
class Footing:
    """What an answer rests on: when it was true, what it cost, what is left."""

    now: datetime
    api_requests: int
    quota_left: int

    def said(self) -> dict[str, Any]:
        """The last fields of every answer."""
        return {
            "as_of": _instant(self.now).replace(" ", "T") + "Z",
            "api_requests": self.api_requests,
            "quota_left": self.quota_left,
        }


def compact(answer: Mapping[str, Any]) -> str:
    """An answer as the JSON text of its content block."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def listing(
    call: ListCall, asked: SessionFilter, page: Page, footing: Footing, shown: Shown
) -> dict[str, Any]:
    """The answer of `list_verify_sessions`; `asked` is the filter as the API got it."""
    gaps = _gaps(call.wanted, footing.now)
    why = [gap["why"] for gap in gaps]
    if page.skipped:
        why.append(f"{page.skipped} of the API's rows could not be read and are left out.")
    return {
        "complete": not why,
        **({"why": " ".join(why)} if why else {}),
        **({"missing": [gap["missing"] for gap in gaps]} if gaps else {}),
        "applied": applied(asked, footing.now, call, shown),
        **_table(page, call, shown),
        **({"skipped": page.skipped} if page.skipped else {}),
        **_note(page, call),
        **following(call, asked, page, footing.now),
        **footing.said(),
    }


def unreached(call: ListCall, footing: Footing, shown: Shown) -> dict[str, Any]:
    """The answer when the whole window lies before what the API can tell."""
    return listing(call, call.wanted, Page(()), footing, shown)


def unasked(
    call: ListCall, asked: SessionFilter, eta_s: float, footing: Footing, shown: Shown
) -> dict[str, Any]:
    """The answer when no request could leave within the time a call may wait."""
    return {
        "complete": False,
        "why": quota_why(eta_s),
        "eta_s": _up(eta_s),
        "applied": applied(asked, footing.now, call, shown),
        **_table(Page(()), call, shown),
        **footing.said(),
    }


def untold(reference: str, eta_s: float, footing: Footing) -> dict[str, Any]:
    """The answer of `get_verify_session` when no request could leave in time."""
    return {
        "complete": False,
        "why": quota_why(eta_s),
        "eta_s": _up(eta_s),
        "session": reference,
        **footing.said(),
    }


def quota_why(eta_s: float) -> str:
    """Why nothing could be asked, and when it can."""
    return (
        "Not asked yet: the account's quota of API requests is in use. The same call can be "
        f"answered in about {_up(eta_s)} s."
    )


def single(session: Session, footing: Footing, shown: Shown) -> dict[str, Any]:
    """The answer of `get_verify_session`."""
    return {
        "complete": True,
        "summary": sentence(session),
        **story(session, shown),
        **footing.said(),
    }


def story(session: Session, shown: Shown) -> dict[str, Any]:
    """One session whole; what the API does not tell is left out."""
    doubts = session.doubts()
    told = {
        "session": session.uuid,
        "app": session.app_uuid,
        "app_name": session.alias,
        "brand": session.brand_name,
        "recipient": shown(session.recipient),
        "country": session.country,
        "network": session.network,
        "status": session.status,
        "channel": session.channel,
        "attempts": [_attempt(session, each) for each in session.attempts],
        "cost": money(session.cost),
        "validation_cost": money(session.validation_cost),
        "created": _instant(session.created),
        "updated": _instant(session.updated) if session.updated else None,
        "note": _sentence("; ".join(doubts)) if doubts else None,
    }
    return {name: value for name, value in told.items() if value not in (None, "")}


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


def _attempt(session: Session, attempt: Attempt) -> dict[str, Any]:
    told = {
        "channel": attempt.channel,
        "status": attempt.status,
        "time": _short(attempt.time) if attempt.time else None,
        "charge": money(session.charge(attempt)),
    }
    return {name: value for name, value in told.items() if value is not None}


def sentence(session: Session) -> str:
    """One session in plain words, from its fields only."""
    parts = [_counted(session.attempts)]
    parts += [_spoken(each) for each in session.attempts[:_MOST_SPOKEN]]
    if len(session.attempts) > _MOST_SPOKEN:
        parts.append(f"and {len(session.attempts) - _MOST_SPOKEN} more")
    charged = ("charge not told" if session.cost is None else f"{money(session.cost)} charged") + (
        "" if session.settled else " so far"
    )
    return f"{_spoken_status(session.status)}: {', '.join(parts)}; {charged}."


def _counted(attempts: tuple[Attempt, ...]) -> str:
    if not attempts:
        return "no attempt yet"
    times = [each.time for each in attempts if each.time]
    if len(attempts) == 1 or not times:
        return "1 attempt" if len(attempts) == 1 else f"{len(attempts)} attempts"
    return f"{len(attempts)} attempts in {(max(times) - min(times)).total_seconds():.0f} s"


def _spoken(attempt: Attempt) -> str:
    # Only words we know become prose: an unknown one is the API's text.
    channel = attempt.channel if attempt.channel in _KNOWN_CHANNELS else "another channel"
    status = attempt.status if attempt.status in _KNOWN_STATUSES else "in an unknown state"
    return f"{_SPOKEN_CHANNELS.get(channel, channel)} {_SPOKEN_STATUSES.get(status, status)}"


def _spoken_status(status: str) -> str:
    known = {"in-progress": "In progress", "verified": "Verified", "expired": "Expired"}
    return known.get(status, "Unknown status")


def applied(asked: SessionFilter, now: datetime, call: ListCall, shown: Shown) -> dict[str, Any]:
    """What was really asked of the API, its default window made explicit, in UTC."""
    said = {
        name: written(value) if isinstance(value, datetime) else value
        for name, value in asked.asked().items()
    }
    if not asked.has_time():
        said |= {
            "session_time__gte": _instant(now - DEFAULT_WINDOW),
            "session_time__lte": _instant(now),
        }
    if asked.recipient:
        said["recipient"] = shown(asked.recipient)
    return {**said, "limit": call.limit, "offset": call.offset}


def following(
    call: ListCall, asked: SessionFilter, page: Page, now: datetime
) -> dict[str, dict[str, Any]]:
    """What to add to the same call for the next page, its window pinned; empty at the end.

    Without an upper bound of its own the window ends at this page's newest session, so that
    arrivals neither repeat a row nor push one out of sight; the offset then counts from there.
    """
    more = page.received == call.limit if page.more is None else page.more
    if not more or not page.received:
        return {}
    pins = {
        name: written(value)
        for name, value in asked.asked().items()
        if name in call.sliding and isinstance(value, datetime)
    }
    if asked.upper() is not None:
        return {"next": {"offset": call.offset + call.limit, **pins}}
    if not asked.has_time():
        pins = {"session_time__gte": _instant(now - DEFAULT_WINDOW)}
    if not page.sessions:
        pins |= {"session_time__lte": written(now)}
        return {"next": {"offset": call.offset + call.limit, **pins}}
    # A row that could not be read may be newer than the newest that could, and so lie outside.
    offset = call.limit - page.skipped
    newest = max(each.created for each in page.sessions)
    return {"next": {"offset": offset, **pins, "session_time__lte": written(newest)}}


def summarized(
    call: SummarizeCall, finding: Finding, footing: Footing, shown: Shown
) -> dict[str, Any]:
    """The answer of `summarize_verify_sessions`."""
    whole = total(finding.tallies.values()) if "attempt_status" not in call.by else None
    why = " ".join(filter(None, (finding.why, *(gap["why"] for gap in _reach(call, finding)))))
    missing = [str(each) for each in finding.missing]
    missing += [gap["missing"] for gap in _reach(call, finding)]
    return {
        "complete": not missing and not finding.skipped and finding.census is None,
        "basis": finding.basis,
        **({"why": why} if why else {}),
        **({"missing": missing} if missing else {}),
        **({"eta_s": _up(finding.eta_s)} if finding.eta_s is not None else {}),
        **({"skipped": finding.skipped} if finding.skipped else {}),
        "applied": _summary_applied(call, finding, shown),
        **_told(whole, finding.census),
        **_groups(call, finding, shown),
        **replace(footing, now=finding.as_of).said(),
    }


def _totals(whole: Tally) -> dict[str, Any]:
    """A tally as an answer's own fields; what cannot be told is left out."""
    told = {
        "sessions": whole.sessions,
        "verified": whole.verified,
        "expired": whole.expired,
        "in_progress": whole.unfinished,
        "conversion_pct": plain(whole.conversion_pct),
        "attempts": whole.attempts,
        "cost": money(amount(whole.cost)),
        "cost_per_verified": money(whole.cost_per_verified),
        "expired_cost": money(amount(whole.expired_cost)),
        "rescued": whole.rescued,
        "uncosted": whole.uncosted or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _told(whole: Tally | None, census: Census | None) -> dict[str, Any]:
    """The totals: exact where they were counted, with intervals where they are estimated."""
    if census is None:
        return _totals(whole) if whole else {}
    held = whole or Tally()
    counts = {status: census.counts.get(status) for status in ("", "verified", "expired")}
    sessions, verified, expired = (
        None if count is None else count + own
        for count, own in zip(
            counts.values(), (held.sessions, held.verified, held.expired), strict=True
        )
    )
    told: dict[str, Any] = {
        "sessions": sessions,
        "sessions_at_least": held.sessions + census.at_least if sessions is None else None,
        "verified": verified,
        "expired": expired,
    }
    if sessions is not None and verified is not None and expired is not None:
        told["in_progress"] = sessions - verified - expired
        if verified + expired:
            told["conversion_pct"] = plain(percent(verified, verified + expired))
    estimates = _estimated(held, census)
    told |= {name: _figure(name, each.value) for name, each in estimates.items()}
    told["estimated"] = {
        name: [_figure(name, each.low), _figure(name, each.high)]
        for name, each in estimates.items()
        if not each.exact
    }
    return {name: value for name, value in told.items() if value not in (None, {})}


def _figure(name: str, value: Decimal) -> int | str | None:
    return int(value) if name in ("attempts", "rescued") else money(value)


def _estimated(held: Tally, census: Census) -> dict[str, Estimate]:
    """Estimates of the whole: of what was counted, and what is held around it."""
    own = {
        "attempts": Decimal(held.attempts),
        "cost": amount(held.cost),
        "expired_cost": amount(held.expired_cost),
        "rescued": Decimal(held.rescued),
    }
    found = {name: each.plus(own[name]) for name, each in census.estimates.items() if name in own}
    verified = census.counts.get("verified", 0) + held.verified
    if verified and "verified" in census.counts and "cost" in found:
        found["cost_per_verified"] = found["cost"].per(verified)
    return found


ESTIMATE_COLUMNS = [
    "sessions", "sessions_low", "sessions_high", "conversion_pct", "conversion_low",
    "conversion_high", "cost", "cost_low", "cost_high",
]  # fmt: skip
MOST_ESTIMATED = 8
"""Estimated groups in a table; the smaller ones are hardly known."""


def _estimated_groups(call: SummarizeCall, census: Census, shown: Shown) -> dict[str, Any]:
    ranked = sorted(census.groups.items(), key=lambda item: (-item[1].sessions.value, item[0]))
    kept = ranked[:MOST_ESTIMATED]
    if any(each in ("day", "hour") for each in call.by):
        kept.sort(key=lambda item: item[0])
    rows = [
        [
            *_names(call, key, shown),
            *(money(each) or "" for each in own.sessions.bounds()),
            *_conversion(own.conversion),
            *(money(each) or "" for each in own.cost.bounds()),
        ]
        for key, own in kept
    ]
    note = "Groups are of the part that was counted, estimated from a sample."
    if len(ranked) > len(kept):
        note += f" {len(ranked) - len(kept)} smaller ones are left out."
    return {"columns": [*call.by, *ESTIMATE_COLUMNS], "rows": rows, "note": note}


def _conversion(share: Estimate | None) -> list[str]:
    if share is None:
        return ["", "", ""]
    return [f"{percent(each, 1)}" for each in share.bounds()]


GROUP_COLUMNS = ["sessions", "verified", "expired", "conversion_pct", "cost", "cost_per_verified"]
ATTEMPT_COLUMNS = ["attempts", "sessions", "verified", "expired", "conversion_pct"]
MOST_GROUPS = 50
"""Groups in a table; the smallest beyond them are added up as `other`."""


def _groups(call: SummarizeCall, finding: Finding, shown: Shown) -> dict[str, Any]:
    if not call.by:
        return {}
    if finding.census is not None:
        return _estimated_groups(call, finding.census, shown) if finding.census.groups else {}
    columns = ATTEMPT_COLUMNS if "attempt_status" in call.by else GROUP_COLUMNS
    ranked = sorted(finding.tallies.items(), key=lambda item: (-item[1].sessions, item[0]))
    kept, rest = ranked[:MOST_GROUPS], ranked[MOST_GROUPS:]
    if any(each in ("day", "hour") for each in call.by):
        kept.sort(key=lambda item: item[0])
    rows = [_group_row(call, key, own, columns, shown) for key, own in kept]
    if rest:
        names = (f"other ({len(rest)})", *("" for _ in call.by[1:]))
        rows.append([*names, *_figures(total(own for _, own in rest), columns)])
    return {"columns": [*call.by, *columns], "rows": rows, **_group_note(call, finding)}


def _group_row(
    call: SummarizeCall, key: Key, own: Tally, columns: list[str], shown: Shown
) -> list[str]:
    return [*_names(call, key, shown), *_figures(own, columns)]


def _names(call: SummarizeCall, key: Key, shown: Shown) -> list[str]:
    return [
        shown(name) if by == "recipient" else name for by, name in zip(call.by, key, strict=True)
    ]


def _figures(own: Tally, columns: list[str]) -> list[str]:
    told = _totals(own)
    return [str(told.get(column, "")) for column in columns]


def _group_note(call: SummarizeCall, finding: Finding) -> dict[str, str]:
    if "attempt_status" in call.by:
        return {"note": "A session counts in each group that an attempt of it belongs to."}
    if "brand" in call.by and any(UNKNOWN in key for key in finding.tallies):
        return {"note": "The API tells a brand only with attempts that carry one; ? is the rest."}
    return {}


def _summary_applied(call: SummarizeCall, finding: Finding, shown: Shown) -> dict[str, Any]:
    said: dict[str, Any] = dict(call.wanted.asked())
    if call.wanted.recipient:
        said["recipient"] = shown(call.wanted.recipient)
    said |= {
        "session_time__gte": _instant(finding.window.start),
        "session_time__lt": _instant(finding.window.end),
    }
    if call.by:
        said["group_by"] = list(call.by)
    if any(each in ("day", "hour") for each in call.by):
        said["time_zone"] = str(call.zone)
    return said


def _reach(call: SummarizeCall, finding: Finding) -> list[dict[str, str]]:
    """What lies before the API's reach; the minutes that a question of `90d` loses do not."""
    edge = finding.window.start
    if edge - call.start <= REACH - SAFE_REACH:
        return []
    return [
        {
            "why": f"The API reaches back 90 days, to {_instant(edge)} UTC.",
            "missing": f"{_instant(call.start)} to {_instant(edge)}",
        }
    ]


def plain(number: Decimal | None) -> str | None:
    """A number without an exponent, None for None."""
    return None if number is None else f"{number:f}"


def money(value: Decimal | None) -> str | None:
    """An amount to its last digit, without zeros that say nothing."""
    return None if value is None else f"{value.normalize():f}"


def _table(page: Page, call: ListCall, shown: Shown) -> dict[str, Any]:
    if call.full:
        return {"sessions": [story(each, shown) for each in page.sessions]}
    return {"columns": COLUMNS, "rows": [_row(each, shown) for each in page.sessions]}


def _row(session: Session, shown: Shown) -> list[str]:
    return [
        session.uuid[:SHORT_ID],
        _short(session.created),
        shown(session.recipient),
        session.country or "",
        session.channel,
        session.status,
        outcomes(session),
        money(session.cost) or "",
    ]


def _gaps(wanted: SessionFilter, now: datetime) -> list[dict[str, str]]:
    """The part of the window that lies before what the API can tell."""
    if not (wanted.beyond_reach(now=now) or wanted.unreachable(now=now)):
        return []
    edge = now - REACH
    start = f"{_instant(lower)} to " if (lower := wanted.lower()) else "until "
    return [
        {
            "why": f"The API reaches back 90 days, to {_instant(edge)} UTC.",
            "missing": start + _instant(min(edge, wanted.upper() or edge)),
        }
    ]


def _note(page: Page, call: ListCall) -> dict[str, str]:
    if page.received:
        return {}
    if call.offset:
        return {"note": f"No session at offset {call.offset} or beyond in this window."}
    if call.wanted.has_time():
        return {"note": "No session matches in this window."}
    return {
        "note": "No session matches in the last 24 hours, the default window. "
        "session_time__gte=7d looks further back."
    }


def _instant(moment: datetime) -> str:
    return written(moment.astimezone(UTC).replace(microsecond=0))


def _short(moment: datetime) -> str:
    """An instant without its year, which `applied` or `created` tells."""
    return _instant(moment)[len("2026-") :]


def _up(seconds: float) -> int:
    return max(1, -int(-seconds // 1))
