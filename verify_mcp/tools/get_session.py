"""The tool `get_verify_session`: its argument, its handler and its answer."""

import re
from collections.abc import Mapping
from typing import Any

from verify_mcp.context import AppContext
from verify_mcp.domain.api_limits import is_uuid
from verify_mcp.domain.sessions import Session
from verify_mcp.errors import InvalidArgument, QuotaExhausted
from verify_mcp.plivo.call import CallContext
from verify_mcp.tools.arguments import Argument, ParseContext, parse, parse_text
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
)


def parse_get(arguments: Mapping[str, object] | None, context: ParseContext) -> str:
    """The UUID, or its beginning, in a call of `get_verify_session`. Raises InvalidArgument."""
    return str(parse(GET_ARGUMENTS, arguments, context)["session_uuid"])


def session_pending_answer(reference: str, eta_s: float, meta: AnswerMeta) -> dict[str, Any]:
    """The answer of `get_verify_session` when no request could leave in time."""
    return {
        **pending_fields(eta_s),
        "session": reference,
        **meta.fields(),
    }


def session_answer(
    session: Session, meta: AnswerMeta, format_recipient: RecipientFormatter
) -> dict[str, Any]:
    """The answer of `get_verify_session`."""
    return {
        "complete": True,
        "summary": session_sentence(session),
        **session_fields(session, format_recipient),
        **meta.fields(),
    }


async def get_verify_session(
    app: AppContext, arguments: RawArguments, call: CallContext
) -> dict[str, Any]:
    """One session with every attempt."""
    reference = parse_get(arguments, parse_context(app))
    try:
        session = await app.mirror.get_session(reference, call=call)
    except QuotaExhausted as error:
        meta = await answer_meta(app, app.gateway.get_limiter, call)
        return session_pending_answer(reference, error.eta_s, meta)
    meta = await answer_meta(app, app.gateway.get_limiter, call)
    return session_answer(session, meta, app.recipients.format)


GET_SESSION = ToolDefinition(
    "get_verify_session",
    "Get one Plivo Verify session",
    "One Plivo Verify (OTP) session: status, every delivery attempt with channel, status, "
    "time (UTC) and charge, costs, and a one-sentence summary. `updated` is the time of the "
    "last attempt, not of verification. Delivered does not prove that the code was read. "
    "`channel` is the last attempt's; statuses other than the usual, such as rejected, may "
    "occur. `quota_left` counts get requests, which have a quota of their own.",
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
)
