"""The tool `get_verify_session`: its argument, its handler and its answer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from verify_mcp.context import AppContext
from verify_mcp.domain.api_limits import is_uuid
from verify_mcp.domain.sessions import Session
from verify_mcp.errors import InvalidArgument, QuotaExhausted
from verify_mcp.mirror.deliveries import DeliveryLookup
from verify_mcp.plivo.call import MAX_CALL_SECONDS, CallContext, max_queue_wait
from verify_mcp.tools import chart_page
from verify_mcp.tools.arguments import (
    Argument,
    ParseContext,
    parse,
    parse_boolean,
    parse_text,
)
from verify_mcp.tools.attempt_records import record_fields, unavailable_fields
from verify_mcp.tools.definition import RawArguments, ToolDefinition
from verify_mcp.tools.envelope import AnswerMeta, answer_meta, parse_context, pending_fields
from verify_mcp.tools.formatting import RecipientFormatter, session_fields, session_sentence


def _session_id(value: object, context: ParseContext) -> str:
    text = parse_text(value, context).lower()
    if re.fullmatch(r"[0-9a-f]{32}", text, re.ASCII):  # written without its dashes
        text = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    if not re.fullmatch(r"[0-9a-f]{8}[0-9a-f-]{0,28}", text, re.ASCII) or (
        len(text) == len("60ea68db-b123-46d9-9eb2-1201d516dbbd") and not is_uuid(text)
    ):
        raise InvalidArgument(
            "is no session id: give the UUID, such as 60ea68db-b123-46d9-9eb2-1201d516dbbd, or "
            "its first 8 or more characters."
        )
    return text


GET_ARGUMENTS = (
    Argument(
        "session_uuid",
        "UUID, or its first 8 or more characters if an earlier answer showed the session.",
        _session_id,
        required=True,
    ),
    Argument(
        "delivery",
        "true: each attempt's own record, with error, network, delay, hangup cause.",
        parse_boolean,
        "boolean",
    ),
)


@dataclass(frozen=True, slots=True)
class GetRequest:
    """A call of `get_verify_session`: a UUID or its beginning, and whether to look up records."""

    reference: str
    delivery: bool = False


def parse_get(arguments: Mapping[str, object] | None, context: ParseContext) -> GetRequest:
    """A call of `get_verify_session` from its raw arguments. Raises InvalidArgument."""
    values = parse(GET_ARGUMENTS, arguments, context)
    return GetRequest(str(values["session_uuid"]), bool(values.get("delivery", False)))


def session_pending_answer(reference: str, eta_s: float, meta: AnswerMeta) -> dict[str, Any]:
    """The answer of `get_verify_session` when no request could leave in time."""
    return {
        **pending_fields(eta_s),
        "session": reference,
        **meta.fields(),
    }


def session_answer(
    session: Session,
    lookups: Sequence[DeliveryLookup] | None,
    meta: AnswerMeta,
    format_recipient: RecipientFormatter,
) -> dict[str, Any]:
    """The answer of `get_verify_session`; `lookups` are None unless records were asked for."""
    fields = session_fields(session, format_recipient)
    if lookups is not None:
        fields["attempts"] = [
            {**attempt, "record": record_fields(lookup)}
            for attempt, lookup in zip(fields["attempts"], lookups, strict=True)
        ]
    return {
        "complete": True,
        **unavailable_fields(lookups or ()),
        "summary": session_sentence(session),
        **fields,
        **meta.fields(),
    }


async def get_verify_session(
    app: AppContext, arguments: RawArguments, call: CallContext
) -> dict[str, Any]:
    """One session with every attempt."""
    request = parse_get(arguments, parse_context(app))
    started = app.clock.monotonic()
    try:
        session = await app.mirror.get_session(request.reference, call=call)
    except QuotaExhausted as error:
        meta = await answer_meta(app, app.gateway.get_limiter, call)
        return session_pending_answer(request.reference, error.eta_s, meta)
    lookups = await _look_up_records(app, session, call, started) if request.delivery else None
    meta = await answer_meta(app, app.gateway.get_limiter, call)
    return session_answer(session, lookups, meta, app.recipients.format)


async def _look_up_records(
    app: AppContext, session: Session, call: CallContext, started: float
) -> Sequence[DeliveryLookup]:
    """The records of a session's attempts, within what the time of the call leaves."""
    # The last request may begin at the deadline, and its reply has to come in time, too.
    latest = started + MAX_CALL_SECONDS - app.settings.request_timeout
    call.deadline = min(latest, app.clock.monotonic() + max_queue_wait(app.settings))
    return await app.deliveries.look_up(session, call=call)


GET_SESSION = ToolDefinition(
    "get_verify_session",
    "Get one Plivo Verify session",
    "One Plivo Verify (OTP) session: status, costs, every attempt with channel, status, time (UTC) "
    "and charge, and a one-sentence summary; with delivery also why an attempt failed. `updated` "
    "is the time of the last attempt, not of verification. Delivered does not prove that "
    "the code was read. `channel` is the last attempt's; others, such as rejected, occur. "
    "`quota_left` counts get requests, which have a quota of their own.",
    GET_ARGUMENTS,
    {
        "complete": "boolean",
        "why": "string",
        "summary": "string",
        "session": "string",
        "status": "string",
        "attempts": "array",
        "cost": "string",
        "as_of": "string",
    },
    get_verify_session,
    chart_page.URI,
)
