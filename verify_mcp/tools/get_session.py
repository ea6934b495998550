"""The tool `get_verify_session`: its argument, its handler and its answer."""

import re
from collections.abc import Mapping
from typing import Any

from verify_mcp.domain.api_limits import is_uuid
from verify_mcp.domain.sessions import Session
from verify_mcp.errors import InvalidArgument, QuotaExhausted
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.plivo.call import CallContext
from verify_mcp.tools.arguments import Argument, ParseContext, _text, parse
from verify_mcp.tools.definition import RawArguments
from verify_mcp.tools.envelope import AnswerMeta, _pending_fields, answer_meta, parse_context
from verify_mcp.tools.formatting import (
    RecipientFormatter,
    session_fields,
    session_sentence,
)


def _session_id(value: object, reading: ParseContext) -> str:
    text = _text(value, reading).lower()
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


def parse_get(arguments: Mapping[str, object] | None, reading: ParseContext) -> str:
    """A call of `get_verify_session`: the UUID or its beginning. Raises InvalidArgument."""
    return str(parse(GET_ARGUMENTS, arguments, reading)["session_uuid"])


def session_pending_answer(reference: str, eta_s: float, footing: AnswerMeta) -> dict[str, Any]:
    """The answer of `get_verify_session` when no request could leave in time."""
    return {
        **_pending_fields(eta_s),
        "session": reference,
        **footing.fields(),
    }


def session_answer(
    session: Session, footing: AnswerMeta, format_recipient: RecipientFormatter
) -> dict[str, Any]:
    """The answer of `get_verify_session`."""
    return {
        "complete": True,
        "summary": session_sentence(session),
        **session_fields(session, format_recipient),
        **footing.fields(),
    }


async def get_verify_session(
    mirror: Mirror, arguments: RawArguments, effort: CallContext
) -> dict[str, Any]:
    """One session, every attempt of it."""
    reference = parse_get(arguments, parse_context(mirror))
    try:
        session = await mirror.get_session(reference, effort=effort)
    except QuotaExhausted as busy:
        footing = await answer_meta(mirror, mirror.gateway.get_limiter, effort)
        return session_pending_answer(reference, busy.eta_s, footing)
    footing = await answer_meta(mirror, mirror.gateway.get_limiter, effort)
    return session_answer(session, footing, mirror.format_recipient)
