"""OpenTelemetry metrics: counts, durations and kinds, but no phone number and no token.

This module needs only OpenTelemetry's API, which does nothing until an SDK is set up. The operator
sets it up with the extra `otel` and the usual OTEL_… variables; see `configure`.
"""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

CALLS = "verify_mcp.calls"
DURATION = "verify_mcp.call.duration"
API_REQUESTS = "verify_mcp.answer.api_requests"
CACHED = "verify_mcp.answers.held"
PARTIAL = "verify_mcp.answers.partial"
ERRORS = "verify_mcp.errors"
QUOTA_LEFT = "verify_mcp.quota.left"
QUOTA_WAIT = "verify_mcp.quota.wait"
REFUSED = "verify_mcp.http.refused"
FOLLOW_BEHIND = "verify_mcp.follow.behind"
_DESCRIPTIONS = {
    CALLS: "Tool calls, by tool and outcome",
    DURATION: "How long tool calls took",
    API_REQUESTS: "API requests that an answer cost",
    CACHED: "Answers without a request",
    PARTIAL: "Answers that say complete: false",
    ERRORS: "Failed calls, by kind",
    QUOTA_LEFT: "Requests that may leave now",
    QUOTA_WAIT: "How long requests waited for their turn",
    REFUSED: "HTTP requests that were refused, by reason",
    FOLLOW_BEHIND: "Seconds since the newest session that following has fetched could be created",
}
_GAUGES = {QUOTA_LEFT: "", FOLLOW_BEHIND: "s"}
_HISTOGRAMS = {DURATION: "s", API_REQUESTS: "", QUOTA_WAIT: "s"}


@cache
def instrument(name: str) -> Any:
    """The instrument of this name, built at its first use, after `configure` set up an SDK."""
    from opentelemetry import metrics

    meter = metrics.get_meter("verify_mcp")
    if name in _GAUGES:
        return meter.create_gauge(name, _GAUGES[name], _DESCRIPTIONS[name])
    if name in _HISTOGRAMS:
        return meter.create_histogram(name, _HISTOGRAMS[name], _DESCRIPTIONS[name])
    return meter.create_counter(name, description=_DESCRIPTIONS[name])


def record_call(tool: str, outcome: str, seconds: float, answer: Mapping[str, Any]) -> None:
    """Record a call of a tool; `answer` is empty when the call failed."""
    instrument(CALLS).add(1, {"tool": tool, "outcome": outcome})
    instrument(DURATION).record(seconds, {"tool": tool})
    if isinstance(requests := answer.get("api_requests"), int):
        instrument(API_REQUESTS).record(requests, {"tool": tool})
        if not requests:
            instrument(CACHED).add(1, {"tool": tool})
    if answer.get("complete") is False:
        instrument(PARTIAL).add(1, {"tool": tool})
    if isinstance(left := answer.get("quota_left"), int):
        instrument(QUOTA_LEFT).set(left)


def record_error(kind: str) -> None:
    """Record a failed call; `kind` is the name of a class in `errors`."""
    instrument(ERRORS).add(1, {"kind": kind})


def record_wait(seconds: float) -> None:
    """Record the seconds that a request to the API waited for its slot."""
    instrument(QUOTA_WAIT).record(seconds)


def record_follow(seconds: float) -> None:
    """Record how far the newest session that following has fetched may lie back."""
    instrument(FOLLOW_BEHIND).set(seconds)


def record_refusal(reason: str) -> None:
    """Record a refused HTTP request; `reason` is one of a fixed set of words."""
    instrument(REFUSED).add(1, {"reason": reason})


def configure(environ: Mapping[str, str], names: Collection[str]) -> str:
    """Send metrics and traces to OTEL_EXPORTER_OTLP_ENDPOINT. Returns the outcome as a sentence.

    `names` are the tools and prompts that a span may name. Without an endpoint nothing is set up,
    and the text is empty.
    """
    if not environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip():
        return ""
    try:
        from opentelemetry import metrics, trace
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from verify_mcp.spans import RedactingExporter
    except ImportError:
        return (
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but its exporter is not installed. "
            "Install verify-mcp[otel]."
        )
    resource = Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME", "verify-mcp")})
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    metrics.set_meter_provider(MeterProvider([reader], resource=resource))
    traces = TracerProvider(resource=resource)
    traces.add_span_processor(BatchSpanProcessor(RedactingExporter(OTLPSpanExporter(), names)))
    trace.set_tracer_provider(traces)
    return "Metrics and traces go to OTEL_EXPORTER_OTLP_ENDPOINT."


def flush() -> None:
    """Send the metrics and spans that were not sent yet; without an SDK do nothing."""
    from opentelemetry import metrics, trace

    for provider in (metrics.get_meter_provider(), trace.get_tracer_provider()):
        if hasattr(provider, "force_flush"):
            provider.force_flush()
