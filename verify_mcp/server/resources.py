"""Read-only documents by URI, and completion of what can be named."""

import re
from importlib.resources import files
from typing import Any

from mcp import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from verify_mcp.context import AppContext
from verify_mcp.domain.api_limits import STATUSES
from verify_mcp.errors import InvalidArgument, SessionNotFound, VerifyError
from verify_mcp.plivo.call import CallContext
from verify_mcp.tools import chart_page, envelope, formatting, status
from verify_mcp.tools.envelope import RequestContext, parse_context
from verify_mcp.tools.get_session import parse_get

GUIDE = "verify://guide"
STATUS = "verify://status"
SESSION = "verify://sessions/"
MAX_COMPLETIONS = 20
_PICTURE_META = {"ui": {"csp": chart_page.CSP_DOMAINS, "prefersBorder": True}}


async def on_list_resources(
    _context: RequestContext, _params: PaginatedRequestParams | None
) -> ListResourcesResult:
    """The documents that always exist."""
    guide = Resource(
        uri=GUIDE,
        name="guide",
        title="How to read the answers",
        description="Fields, statuses, limits, and what complete, next and applied mean.",
        mime_type="text/markdown",
    )
    status_resource = Resource(
        uri=STATUS,
        name="status",
        title="How the server stands",
        description="Quota, what is held locally, settings and problems, as get_verify_status.",
        mime_type="application/json",
    )
    summary = Resource(
        uri=chart_page.URI,
        name="summary",
        title="Picture of an answer",
        description="The page in which hosts of MCP Apps show answers.",
        mime_type=chart_page.MIME_TYPE,
        _meta=_PICTURE_META,
    )
    return ListResourcesResult(resources=[guide, status_resource, summary])


async def on_list_resource_templates(
    _context: RequestContext, _params: PaginatedRequestParams | None
) -> ListResourceTemplatesResult:
    """The documents that exist for each session."""
    session = ResourceTemplate(
        uri_template=SESSION + "{session_uuid}",
        name="session",
        title="Verify session",
        description="One session's normalised JSON, as get_verify_session gives it.",
        mime_type="application/json",
    )
    return ListResourceTemplatesResult(resource_templates=[session])


async def on_read_resource(
    context: RequestContext, params: ReadResourceRequestParams
) -> ReadResourceResult:
    """A document's text; an unknown URI is invalid params, with the URI."""
    uri = str(params.uri)
    if uri == GUIDE:
        text = files("verify_mcp").joinpath("guide.md").read_text(encoding="utf-8")
        return _document(uri, "text/markdown", text)
    if uri == STATUS:
        app = context.lifespan_context
        answer = envelope.mark_made_up(await status.server_status(app, "all"), app.settings)
        return _document(uri, "application/json", envelope.to_json(answer))
    if uri == chart_page.URI:
        return _document(uri, chart_page.MIME_TYPE, chart_page.html(), _PICTURE_META)
    if uri.startswith(SESSION):
        text = await _session(context.lifespan_context, uri)
        return _document(uri, "application/json", text)
    raise MCPError(INVALID_PARAMS, f"Unknown resource. Try {GUIDE}.", {"uri": uri})


async def _session(app: AppContext, uri: str) -> str:
    try:
        request = parse_get({"session_uuid": uri.removeprefix(SESSION)}, parse_context(app))
        session = await app.mirror.get_session(request.reference, call=CallContext())
    except (InvalidArgument, SessionNotFound) as error:
        raise MCPError(INVALID_PARAMS, str(error), {"uri": uri}) from None
    except VerifyError as error:
        raise MCPError(INTERNAL_ERROR, str(error), {"uri": uri}) from None
    fields = formatting.session_fields(session, app.recipients.format)
    return envelope.to_json(envelope.mark_made_up(fields, app.settings))


def _document(
    uri: str, mime_type: str, text: str, meta: dict[str, Any] | None = None
) -> ReadResourceResult:
    return ReadResourceResult(
        contents=[TextResourceContents(uri=uri, mime_type=mime_type, text=text, _meta=meta)]
    )


async def on_completion(context: RequestContext, params: CompleteRequestParams) -> CompleteResult:
    """Values of an argument: statuses, and ids and countries of sessions seen lately."""
    typed, recent = params.argument.value.strip().lower(), context.lifespan_context.recent
    match params.argument.name:
        case "session_uuid":
            is_start = re.fullmatch(r"[0-9a-f-]{0,36}", typed, re.ASCII)
            values = await recent.ids_starting_with(typed) if is_start else []
        case "status":
            values = [each for each in STATUSES if each.startswith(typed)]
        case "country":
            values = recent.countries_starting_with(typed.upper())
        case _:
            values = []
    first = values[:MAX_COMPLETIONS]
    return CompleteResult(
        completion=Completion(values=first, total=len(values), has_more=len(values) > len(first))
    )
