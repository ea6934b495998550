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

from verify_mcp.errors import InvalidArgument
from verify_mcp.tools.arguments import Argument, ParseContext, parse
from verify_mcp.tools.compare_request import COMPARE_ARGUMENTS
from verify_mcp.tools.envelope import RequestContext, parse_context
from verify_mcp.tools.get_session import GET_ARGUMENTS
from verify_mcp.tools.list_request import LIST_ARGUMENTS
from verify_mcp.tools.summary_request import SUMMARIZE_ARGUMENTS

_FENCE = "+++\n"
_FIELDS = {"like": "same_as"}
_RULES = {
    each.name: each
    for each in (*COMPARE_ARGUMENTS, *SUMMARIZE_ARGUMENTS, *LIST_ARGUMENTS, *GET_ARGUMENTS)
}


@dataclass(frozen=True, slots=True)
class TemplateArgument:
    """A placeholder in a prompt's text, filled by an argument or by its default."""

    name: str
    description: str
    same_as: str
    required: bool = False
    default: str = ""

    def rule(self) -> Argument:
        """The rule by which its value is parsed: that of the tool argument `same_as`."""
        return Argument(
            self.name, self.description, _RULES[self.same_as].parse, required=self.required
        )


@dataclass(frozen=True, slots=True)
class PromptFile:
    """One prompt file."""

    name: str
    title: str
    description: str
    arguments: tuple[TemplateArgument, ...]
    text: str

    def prompt(self) -> Prompt:
        """The prompt's definition on the wire."""
        return Prompt(
            name=self.name,
            title=self.title,
            description=self.description,
            arguments=[
                PromptArgument(
                    name=argument.name,
                    description=argument.description,
                    required=argument.required,
                )
                for argument in self.arguments
            ],
        )

    def render(self, arguments: Mapping[str, str] | None, context: ParseContext) -> str:
        """The text with its placeholders filled. Raises InvalidArgument."""
        parse([each.rule() for each in self.arguments], arguments, context)
        given = {name: value.strip() for name, value in (arguments or {}).items() if value.strip()}
        zone = str(context.zone)
        defaults = {
            argument.name: argument.default or (zone if argument.same_as == "time_zone" else "")
            for argument in self.arguments
        }
        return Template(self.text).substitute({**defaults, **given})


def parse_prompt(name: str, source: str) -> PromptFile:
    """A prompt file's content as a value."""
    _, head, text = source.split(_FENCE, 2)
    front: dict[str, Any] = tomllib.loads(head)
    arguments = tuple(map(_template_argument, front.get("arguments", ())))
    return PromptFile(name, front["title"], front["description"], arguments, text.strip() + "\n")


def _template_argument(table: dict[str, Any]) -> TemplateArgument:
    """An argument of a prompt file, whose key for `same_as` is `like`."""
    return TemplateArgument(**{_FIELDS.get(key, key): value for key, value in table.items()})


@cache
def load_prompts() -> dict[str, PromptFile]:
    """Every prompt by name, in order of name."""
    files = sorted(_folder().glob("*.md"))
    return {each.stem: parse_prompt(each.stem, each.read_text(encoding="utf-8")) for each in files}


def _folder() -> Path:
    """prompts/ inside the installed package, or beside it in a checkout."""
    here = Path(__file__).parents[1]
    installed = here / "prompt_files"
    return installed if installed.is_dir() else here.parent / "prompts"


async def on_list_prompts(
    _context: RequestContext, _params: PaginatedRequestParams | None
) -> ListPromptsResult:
    """Every prompt, on one page."""
    return ListPromptsResult(prompts=[file.prompt() for file in load_prompts().values()])


async def on_get_prompt(context: RequestContext, params: GetPromptRequestParams) -> GetPromptResult:
    """A prompt's text with its placeholders filled; a wrong argument is an invalid-params error."""
    file = load_prompts().get(params.name)
    if file is None:
        raise MCPError(INVALID_PARAMS, f"No such prompt. Prompts: {', '.join(load_prompts())}.")
    try:
        text = file.render(params.arguments, parse_context(context.lifespan_context))
    except InvalidArgument as error:
        raise MCPError(INVALID_PARAMS, str(error)) from None
    message = PromptMessage(role="user", content=TextContent(text=text))
    return GetPromptResult(description=file.description, messages=[message])
