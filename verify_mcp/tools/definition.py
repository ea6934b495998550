"""The definition of a tool: what a client sees of it, and its handler."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcp_types import Tool, ToolAnnotations

from verify_mcp.context import AppContext
from verify_mcp.domain.filters import TIME_FILTERS
from verify_mcp.domain.times import is_relative_time
from verify_mcp.plivo.call import CallContext
from verify_mcp.tools.arguments import Argument, ParseContext, input_schema, parse_instant

ENDS = ("session_time", "session_time__lt", "session_time__lte")
"""The arguments that end a window before now."""
RawArguments = Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool as a client sees it, and the function that answers its calls.

    `output_fields` has the JSON type of each field of an answer.
    """

    name: str
    title: str
    description: str
    arguments: Sequence[Argument]
    output_fields: Mapping[str, str]
    handler: Callable[[AppContext, RawArguments, CallContext], Awaitable[dict[str, Any]]]
    chart_uri: str = ""
    """The URI of the page that shows its answers as a chart, "" when there is none."""

    def depends_on_clock(self, arguments: RawArguments, context: ParseContext) -> bool:
        """Whether a call is about a window that begins or ends at an instant relative to now.

        One that ends later than now ends now. The arguments are ones that the handler took.
        """
        names = {argument.name for argument in self.arguments} & {*TIME_FILTERS, "against"}
        times = {name: str((arguments or {}).get(name) or "") for name in names}
        ends = [parse_instant(times[name], context) for name in ENDS if times.get(name)]
        is_relative = any(map(is_relative_time, times.values()))
        return bool(names) and (is_relative or not ends or min(ends) > context.now)

    def tool(self) -> Tool:
        """The tool's definition on the wire."""
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=input_schema(self.arguments),
            output_schema=_output_schema(self.output_fields),
            annotations=ToolAnnotations(
                title=self.title,
                read_only_hint=True,
                destructive_hint=False,
                idempotent_hint=True,
                open_world_hint=True,
            ),
            _meta={"ui": {"resourceUri": self.chart_uri}} if self.chart_uri else None,
        )


def _output_schema(fields: Mapping[str, str]) -> dict[str, Any]:
    more: dict[str, dict[str, Any]] = {
        "columns": {"items": {"type": "string"}},
        "rows": {"items": {"type": "array", "items": {"type": "string"}}},
        "sessions": {"items": {"type": "object"}},
        "missing": {"items": {"type": "string"}},
        "problems": {"items": {"type": "string"}},
        "attempts": {"items": {"type": "object"}},
    }
    return {
        "type": "object",
        "properties": {
            name: {"type": kind, **(more[name] if kind == "array" else {})}
            for name, kind in fields.items()
        },
        "required": ["complete"],
    }
