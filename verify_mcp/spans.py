"""Spans without text from callers: only known names and codes reach the collector.

The protocol's library names a span after the method and the tool of a message, and adds the
message's id and the error's text to it. A caller chooses all of these freely.
"""

import re
from collections.abc import Collection, Mapping, Sequence

from mcp_types.methods import SPEC_CLIENT_METHODS, SPEC_CLIENT_NOTIFICATION_METHODS
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, Status
from opentelemetry.util.types import Attributes, AttributeValue

UNKNOWN = "?"
_METHOD = "mcp.method.name"
_NAMES = ("gen_ai.tool.name", "gen_ai.prompt.name")
_METHODS = SPEC_CLIENT_METHODS | SPEC_CLIENT_NOTIFICATION_METHODS
_CODES = {
    "error.type": re.compile(r"-?[0-9]{1,5}|[A-Za-z_]{1,64}", re.ASCII),
    "rpc.response.status_code": re.compile(r"-?[0-9]{1,5}", re.ASCII),
    "mcp.protocol.version": re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]", re.ASCII),
    "gen_ai.operation.name": re.compile(r"execute_tool"),
}


class RedactingExporter(SpanExporter):
    """Passes spans to another exporter; `names` are the tools and prompts that exist."""

    def __init__(self, exporter: SpanExporter, names: Collection[str]) -> None:
        self._exporter = exporter
        self._names = frozenset(names)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export the spans without text from callers."""
        return self._exporter.export([redact(span, self._names) for span in spans])

    def shutdown(self) -> None:
        """Shut the other exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the other exporter; False when that took longer than the milliseconds given."""
        return self._exporter.force_flush(timeout_millis)


def redact(span: ReadableSpan, names: frozenset[str]) -> ReadableSpan:
    """A copy of a span with known names and codes, without events and status text."""
    attributes = _known_attributes(span.attributes, names)
    parts = [attributes.get(_METHOD, UNKNOWN), *(attributes.get(name) for name in _NAMES)]
    return ReadableSpan(
        name=" ".join(str(part) for part in parts if part),
        context=_without_state(span.context),
        parent=_without_state(span.parent),
        resource=span.resource,
        attributes=attributes,
        links=[Link(context) for link in span.links if (context := _without_state(link.context))],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _known_attributes(
    attributes: Attributes, names: frozenset[str]
) -> Mapping[str, AttributeValue]:
    known: dict[str, AttributeValue] = {}
    for name, value in (attributes or {}).items():
        if name == _METHOD:
            known[name] = value if value in _METHODS else UNKNOWN
        elif name in _NAMES:
            known[name] = value if value in names else UNKNOWN
        elif name in _CODES and _CODES[name].fullmatch(str(value)):
            known[name] = value
    return known


def _without_state(context: SpanContext | None) -> SpanContext | None:
    """A span's ids without `tracestate`, which is free text from the sender."""
    if context is None:
        return None
    return SpanContext(
        context.trace_id, context.span_id, context.is_remote, trace_flags=context.trace_flags
    )
