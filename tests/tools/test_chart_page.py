"""The page that hosts show: named by its tool, served whole, closed to everything elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.support.client import Era, call_tool, connect, emulator_with, make_record
from verify_mcp.tools import chart_page

pytestmark = pytest.mark.anyio

APP = Path(__file__).parents[2] / "app"


def policy(html: str) -> dict[str, str]:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert found is not None
    rules = [rule.strip().partition(" ") for rule in found[1].split(";")]
    return {name: value for name, _, value in rules}


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


async def test_four_tools_share_one_picture_and_no_words_name_it(era: Era) -> None:
    async with connect(emulator_with(), era=era) as client:
        tools = (await client.list_tools()).tools
    assert {tool.name: tool.meta for tool in tools if tool.meta} == {
        name: {"ui": {"resourceUri": "ui://verify/summary"}}
        for name in (
            "summarize_verify_sessions",
            "compare_verify_sessions",
            "find_verify_anomalies",
            "get_verify_session",
        )
    }
    words = [(each.name, each.description, each.input_schema) for each in tools]
    assert "ui://" not in json.dumps(words)


async def test_the_picture_is_served_as_an_app_that_needs_no_origin(era: Era) -> None:
    async with connect(emulator_with(), era=era) as client:
        (page,) = (await client.read_resource("ui://verify/summary")).contents
        (entry,) = [
            each
            for each in (await client.list_resources()).resources
            if str(each.uri) == "ui://verify/summary"
        ]
    meta = {"ui": {"csp": chart_page.CSP_DOMAINS, "prefersBorder": True}}
    assert (page.mime_type, page.meta) == ("text/html;profile=mcp-app", meta)
    assert (entry.mime_type, entry.meta) == ("text/html;profile=mcp-app", meta)
    assert getattr(page, "text", "") == chart_page.html()
    assert not any(chart_page.CSP_DOMAINS.values())


async def test_a_host_without_pictures_gets_the_same_answer_as_ever() -> None:
    async with connect(emulator_with(make_record(1))) as client:
        answer = await call_tool(client, "summarize_verify_sessions", {})
    assert (answer["sessions"], answer["cost"]) == (1, "0.08")


def test_the_policy_allows_the_pages_own_script_and_style_and_nothing_else() -> None:
    html = chart_page.html()
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert policy(html) == {
        "default-src": "'none'",
        "script-src": digest(script),
        "style-src": digest(style),
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_page_names_no_address_but_that_of_svg() -> None:
    html = chart_page.html()
    assert set(re.findall(r"[a-z]+://[^\"'`\s)]*", html)) == {"http://www.w3.org/2000/svg"}
    for danger in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
        assert danger not in html


def test_the_page_is_small() -> None:
    assert len(chart_page.html().encode()) < 107_000


def test_a_report_cannot_end_its_own_element() -> None:
    hostile = {"answers": ["</script><script>alert(1)</script><!-- & \u2028"]}
    html = chart_page.html_with_data(hostile)
    (data,) = re.findall(
        r'<script type="application/json" id="report">(.*?)</script>', html, re.DOTALL
    )
    assert json.loads(data) == hostile
    assert not set("<>&\u2028") & set(data)
    assert html.count("<script") == chart_page.html().count("<script") + 1


def test_the_page_was_made_of_the_sources_beside_it() -> None:
    names = [each.relative_to(APP).as_posix() for each in (APP / "src").rglob("*.ts")]
    names += ["build.mjs", "index.html", "package.json", "style.css"]
    hashed = hashlib.sha256()
    for name in sorted(names):
        hashed.update(f"{name}\n{(APP / name).read_text(encoding='utf-8')}\n".encode())
    built = re.search(r'<meta name="sources" content="([0-9a-f]+)">', chart_page.html())
    assert built is not None
    assert built[1] == hashed.hexdigest(), "run `npm install && npm run build` in app/"
