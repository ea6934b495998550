"""The prompts: one Markdown file each, in prompts/, with its arguments as TOML in front."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from mcp import MCPError
from mcp_types import (
    INVALID_PARAMS,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)

from verify_mcp.arguments import (
    GET_ARGUMENTS,
    LIST_ARGUMENTS,
    SUMMARIZE_ARGUMENTS,
    Argument,
    Reading,
    read,
)
from verify_mcp.errors import InvalidArgument
from verify_mcp.tools import Context, reading_for

_FENCE = "+++\n"
_RULES = {each.name: each for each in (*SUMMARIZE_ARGUMENTS, *LIST_ARGUMENTS, *GET_ARGUMENTS)}


@dataclass(frozen=True, slots=True)
class Blank:
    """A blank in a prompt's text: filled by an argument, or by its default."""

    name: str
    description: str
    like: str
    required: bool = False
    default: str = ""

    def rule(self) -> Argument:
        """How its value is read: like the tool argument it will become."""
        return Argument(self.name, self.description, _RULES[self.like].read, required=self.required)


@dataclass(frozen=True, slots=True)
class Page:
    """One prompt file."""

    name: str
    title: str
    description: str
    blanks: tuple[Blank, ...]
    text: str

    def prompt(self) -> Prompt:
        """The prompt's definition on the wire."""
        return Prompt(
            name=self.name,
            title=self.title,
            description=self.description,
            arguments=[
                PromptArgument(name=each.name, description=each.description, required=each.required)
                for each in self.blanks
            ],
        )

    def filled(self, said: Mapping[str, str] | None, reading: Reading) -> str:
        """The text with its blanks filled. Raises InvalidArgument."""
        read([each.rule() for each in self.blanks], said, reading)
        given = {name: value.strip() for name, value in (said or {}).items() if value.strip()}
        zone = str(reading.zone)
        defaults = {
            each.name: each.default or (zone if each.like == "time_zone" else "")
            for each in self.blanks
        }
        return Template(self.text).substitute({**defaults, **given})


def parsed(name: str, source: str) -> Page:
    """A prompt file's content as a value."""
    _, head, text = source.split(_FENCE, 2)
    front: dict[str, Any] = tomllib.loads(head)
    blanks = tuple(Blank(**each) for each in front.get("arguments", ()))
    return Page(name, front["title"], front["description"], blanks, text.strip() + "\n")


@cache
def pages() -> dict[str, Page]:
    """Every prompt by name, in order of name."""
    files = sorted(_folder().glob("*.md"))
    return {each.stem: parsed(each.stem, each.read_text(encoding="utf-8")) for each in files}


def _folder() -> Path:
    """prompts/ inside the installed package, or beside it in a checkout."""
    here = Path(__file__).parent
    installed = here / "prompt_files"
    return installed if installed.is_dir() else here.parent / "prompts"


async def on_list_prompts(
    _context: Context, _params: PaginatedRequestParams | None
) -> ListPromptsResult:
    """Every prompt, on one page."""
    return ListPromptsResult(prompts=[page.prompt() for page in pages().values()])


async def on_get_prompt(context: Context, params: GetPromptRequestParams) -> GetPromptResult:
    """A prompt's text with its blanks filled; mistakes come back as invalid params."""
    page = pages().get(params.name)
    if page is None:
        raise MCPError(INVALID_PARAMS, f"No such prompt. Prompts: {', '.join(pages())}.")
    try:
        text = page.filled(params.arguments, reading_for(context.lifespan_context))
    except InvalidArgument as error:
        raise MCPError(INVALID_PARAMS, str(error)) from None
    message = PromptMessage(role="user", content=TextContent(text=text))
    return GetPromptResult(description=page.description, messages=[message])
