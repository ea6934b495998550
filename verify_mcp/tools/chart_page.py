"""The page that shows answers as a picture: in hosts of MCP Apps, or as a report's file.

It is one self-contained HTML document, built from `app/` in the repository. Its policy allows its
own script and style, by their digests, and nothing from elsewhere.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

URI = "ui://verify/summary"
MIME_TYPE = "text/html;profile=mcp-app"
CSP_DOMAINS: dict[str, list[str]] = {
    "connectDomains": [],
    "resourceDomains": [],
    "frameDomains": [],
    "baseUriDomains": [],
}
"""What a host's content security policy must open for the page: nothing."""
_DATA_MARKER = "<!--data-->"


@cache
def html() -> str:
    """The page without data."""
    return files("verify_mcp").joinpath("app.html").read_text(encoding="utf-8")


def html_with_data(report: Mapping[str, object]) -> str:
    """The page with a report inside, so that the file needs nothing else."""
    data = f'<script type="application/json" id="report">{json_for_html(report)}</script>'
    before, _, after = html().partition(_DATA_MARKER)
    return before + data + after


def json_for_html(report: Mapping[str, object]) -> str:
    """JSON that no HTML parser takes for anything but text."""
    written = json.dumps(report, separators=(",", ":"))
    for character in "<>&":
        written = written.replace(character, f"\\u{ord(character):04x}")
    return written
