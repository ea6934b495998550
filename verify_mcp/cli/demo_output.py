"""The demo's output: each question, its calls with their answers, and what they took."""

import json
from collections.abc import Sequence

from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.rule import Rule
from rich.text import Text

from verify_mcp.cli.demo_steps import Calls, DemoStep, ToolCall, count_of


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


def opening() -> Text:
    """The paragraph before the first question."""
    return Text.assemble(
        "\n",
        ("verify-mcp", "bold"),
        " answers questions about Plivo Verify (OTP) sessions. Below, a real MCP client asks the "
        "real server over stdio; the sessions are made up and served by a pretend Verify API on "
        "this machine. No account, no network.\n",
    )


def print_step(console: Console, place: str, step: DemoStep, calls: Calls) -> None:
    """Print a question with its calls; `place` is e.g. `1 of 4`."""
    console.print(Rule(Text(place, "dim"), align="left", style="dim"))
    console.print(Text(step.question, "bold"), end="\n\n")
    for call in calls:
        console.print(Text(str(call.call), "cyan"))
        body = call.text if call.is_error else format_json(call.answer, console.width - 2)
        answer = Text(body, "yellow") if call.is_error else JSONHighlighter()(Text(body))
        for line in answer.wrap(console, console.width - 2):
            console.print(Text("  ") + line)
        console.print(Text(_cost(call), "dim"), end="\n\n")
    console.print(Text.assemble(("In words: ", "bold green"), step.conclude(calls)), end="\n\n")


def _cost(call: ToolCall) -> str:
    if not call.requests:
        cached = "" if call.is_error else " (held already)"
        return f"no API request{cached}; {call.size:,} bytes for the model"
    return (
        f"{count_of(call.requests, 'API request')}; {call.size:,} bytes for the model, "
        f"{call.raw_bytes:,} bytes in the API's own reply ({call.size / call.raw_bytes:.0%})"
    )


def closing(calls: Calls, questions: int, seconds: float) -> Text:
    """The paragraph after the last question: what all calls took, and where to go on."""
    requests = sum(call.requests for call in calls)
    size = sum(call.size for call in calls)
    raw = sum(call.raw_bytes for call in calls)
    return Text.assemble(
        (
            f"{questions} questions, {count_of(requests, 'API request')}, {seconds:.1f} s",
            "bold",
        ),
        f": {size:,} bytes for the model where the API's own replies take {raw:,}.\n\n",
        "Next: ",
        ("verify-mcp doctor", "cyan"),
        " checks your own account's settings, and the README shows how to connect a client. ",
        ("verify-mcp serve --sandbox", "cyan"),
        " lets a client ask these made-up sessions.\n",
    )
