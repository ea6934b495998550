"""The demo's output: each question, its calls with their answers, and what they took."""

import json
from collections.abc import Sequence

from verify_mcp.cli.demo_steps import Calls, DemoStep, ToolCall, count_of
from verify_mcp.cli.layout import paint, paint_json, paint_phrases, wrap


def format_json(value: object, width: int, indent: str = "") -> str:
    """A JSON value over lines of about `width`, broken only between items: it stays JSON."""
    line = _compact(value)
    if len(indent + line) <= width and not (indent == "" and isinstance(value, dict)):
        return line
    deeper = indent + " "
    if isinstance(value, dict):
        items = [
            f"{_compact(name)}:{format_json(item, width - len(name) - 3, deeper)}"
            for name, item in value.items()
        ]
        return "{" + _fill(items, width, deeper, one_a_line=indent == "") + "}"
    if isinstance(value, list):
        items = [format_json(item, width, deeper) for item in value]
        rows = any(isinstance(item, (dict, list)) for item in value)
        return "[" + _fill(items, width, deeper, one_a_line=rows) + "]"
    return line


def _fill(items: Sequence[str], width: int, indent: str, *, one_a_line: bool) -> str:
    lines: list[str] = []
    for item in items:
        if lines and not one_a_line and len(f"{indent}{lines[-1]},{item}") < width:
            lines[-1] += f",{item}"
        else:
            lines.append(item)
    return f",\n{indent}".join(lines)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def opening(width: int) -> str:
    """The paragraph before the first question."""
    text = (
        "verify-mcp answers questions about Plivo Verify (OTP) sessions. Below, a real MCP client "
        "asks the real server over stdio; the sessions are made up and served by a pretend Verify "
        "API on this machine. No account, no network."
    )
    return f"\n{paint_phrases(wrap(text, width), {'verify-mcp': 'bold'})}\n\n"


def step_text(place: str, step: DemoStep, calls: Calls, width: int) -> str:
    """A question with its calls; `place` is e.g. `1 of 4`."""
    rule = f"{place} ".ljust(width, "-")
    parts = [paint(rule, "dim"), paint(wrap(step.question, width), "bold"), ""]
    for call in calls:
        parts += [paint(wrap(str(call.call), width), "call"), _answer_text(call, width)]
        parts += [paint(wrap(_cost(call), width), "dim"), ""]
    conclusion = wrap(f"In words: {step.conclude(calls)}", width)
    parts += [paint_phrases(conclusion, {"In words:": "conclusion"}), "", ""]
    return "\n".join(parts)


def _answer_text(call: ToolCall, width: int) -> str:
    if call.is_error:
        return paint(wrap(call.text, width, "  "), "warning")
    lines = format_json(call.answer, width - 2).splitlines()
    return paint_json("\n".join(_wrapped_json(line, width) for line in lines))


def _wrapped_json(line: str, width: int) -> str:
    """A line of JSON that may hold a text longer than the width."""
    content = line.lstrip(" ")
    return wrap(content, width, "  ", first="  " + line[: len(line) - len(content)])


def _cost(call: ToolCall) -> str:
    if not call.requests:
        cached = "" if call.is_error else " (held already)"
        return f"no API request{cached}; {call.size:,} bytes for the model"
    return (
        f"{count_of(call.requests, 'API request')}; {call.size:,} bytes for the model, "
        f"{call.raw_bytes:,} bytes in the API's own reply ({call.size / call.raw_bytes:.0%})"
    )


def closing(calls: Calls, questions: int, seconds: float, width: int) -> str:
    """The paragraphs after the last question: what all calls took, and where to go on."""
    requests = sum(call.requests for call in calls)
    size = sum(call.size for call in calls)
    raw = sum(call.raw_bytes for call in calls)
    total = f"{questions} questions, {count_of(requests, 'API request')}, {seconds:.1f} s"
    taken = f"{total}: {size:,} bytes for the model where the API's own replies take {raw:,}."
    hints = (
        "Next: verify-mcp doctor checks your own account's settings, and the README shows how to "
        "connect a client. verify-mcp serve --sandbox lets a client ask these made-up sessions."
    )
    commands = {"verify-mcp doctor": "call", "verify-mcp serve --sandbox": "call"}
    paragraphs = (
        paint_phrases(wrap(taken, width), {total: "bold"}),
        paint_phrases(wrap(hints, width), commands),
    )
    return "\n\n".join(paragraphs) + "\n\n"
