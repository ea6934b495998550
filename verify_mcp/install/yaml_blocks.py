"""A line-wise edit of YAML: one entry under a key at the top, and nothing else changed.

Our entry is one line of JSON, which YAML reads as it is. Only block collections are edited, the
form in which clients write these files; anything else is refused.
"""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from verify_mcp.errors import ConfigUnusable

_KEY = re.compile(r"(?P<key>[A-Za-z_][\w-]*|\"[^\"]*\"|'[^']*')\s*:(?P<rest>\s.*|)$")
_ITEM_NAME = re.compile(
    r"""(?:^-?\s+|[{,]\s*)["']?name["']?\s*:\s*(?P<name>"[^"]*"|'[^']*'|[^\s,}#]+)"""
)
_SCALAR = re.compile(r"""(?P<name>\w+)["']?[ \t]*:[ \t]*(?P<value>"[^"]*"|'[^']*'|[^\s,}#]+)""")
_UNSAFE = "it is written in a way that we cannot change safely"


class Block:
    """The lines of a text, and where the children of one key at the top are."""

    def __init__(self, text: str, key: str, *, is_list: bool) -> None:
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.lines = text.splitlines(keepends=True)
        self._is_list = is_list
        self.header = self._find_header(key)
        self.end = self._find_end()
        self.indent = self._child_indent()

    def _find_header(self, key: str) -> int | None:
        """The line of the key. Raises ConfigUnusable when it is there twice, or not a block."""
        found = [
            index
            for index, line in enumerate(self.lines)
            if (match := _KEY.match(line.rstrip())) and _plain(match["key"]) == key
        ]
        if len(found) > 1:
            raise ConfigUnusable(f'its "{key}" is there twice')
        if not found:
            return None
        match = _KEY.match(self.lines[found[0]].rstrip())
        rest = match["rest"].partition("#")[0].strip() if match else ""
        if rest not in ("", "{}", "[]", "null", "~"):
            raise ConfigUnusable(_UNSAFE)
        return found[0]

    def _find_end(self) -> int:
        """The line behind the last child."""
        end = start = len(self.lines) if self.header is None else self.header + 1
        for index in range(start, len(self.lines)):
            line = self.lines[index]
            is_item = self._is_list and line.startswith("-") and not line.startswith("---")
            if line.strip() and not line.startswith((" ", "\t", "#")) and not is_item:
                break
            if line.strip() and not line.startswith("#"):
                end = index + 1
        return end

    def _child_indent(self) -> str:
        for line in self.children():
            if line.strip() and not line.lstrip().startswith("#"):
                if line.startswith("\t"):
                    raise ConfigUnusable(_UNSAFE)
                return line[: len(line) - len(line.lstrip(" "))]
        return "  "

    def children(self) -> Sequence[str]:
        """The lines below the key."""
        return [] if self.header is None else self.lines[self.header + 1 : self.end]

    def span(self, name: str) -> tuple[int, int] | None:
        """The lines of the child of this name. Raises ConfigUnusable when it is there twice."""
        if self.header is None:
            return None
        starts = [index for index in range(self.header + 1, self.end) if self._begins(index)]
        spans = pairwise([*starts, self.end])
        found = [span for span in spans if self._name(*span) == name]
        if len(found) > 1:
            raise ConfigUnusable(f'its entry "{name}" is there twice')
        return (found[0][0], self._last_line(*found[0])) if found else None

    def _begins(self, index: int) -> bool:
        """Whether a child begins in a line."""
        line = self.lines[index].rstrip()
        bare = line.removeprefix(self.indent)
        if not bare or bare[0] in " #" or (self.indent and bare == line):
            return False
        return bare.startswith("-") if self._is_list else True

    def _name(self, start: int, end: int) -> str:
        first = self.lines[start].removeprefix(self.indent)
        if not self._is_list:
            key = _KEY.match(first.rstrip())
            return _plain(key["key"]) if key else ""
        rest = [line.removeprefix(self.indent) for line in self.lines[start + 1 : end]]
        own = [first, *(line for line in rest if re.match(r" +name\s*:", line))]
        names = [match for line in own if (match := _ITEM_NAME.search(line))]
        return _plain(names[0]["name"]) if names else ""

    def _last_line(self, start: int, end: int) -> int:
        """The end of a child without the blank lines and comments behind it."""
        while end > start + 1 and re.match(r"\s*(#.*)?$", self.lines[end - 1]):
            end -= 1
        return end


def find(text: str, key: str, name: str, *, is_list: bool) -> dict[str, Any] | None:
    """The entry of this name: whole if it is our line, else its scalars as variables."""
    block = Block(text, key, is_list=is_list)
    span = block.span(name)
    if span is None:
        return None
    lines = block.lines[span[0] : span[1]]
    if len(lines) == 1 and (value := _our_value(lines[0])) is not None:
        return value
    scalars = {match["name"]: _plain(match["value"]) for match in _SCALAR.finditer("".join(lines))}
    return {"env": scalars, "envs": scalars}


def with_entry(
    text: str, key: str, name: str, value: Mapping[str, Any], *, is_list: bool, head: str = ""
) -> str:
    """The text with the entry, in the place of an earlier one; `head` begins a new file."""
    if not text.strip():
        text = head
    block = Block(text, key, is_list=is_list)
    ours = json.dumps(value, ensure_ascii=False)
    line = f"{block.indent}{'- ' if is_list else f'{name}: '}{ours}{block.newline}"
    if block.header is None:
        ended = text if not text or text.endswith("\n") else text + block.newline
        return f"{ended}{key}:{block.newline}{line}"
    span = block.span(name)
    if span is not None:
        block.lines[span[0] : span[1]] = [line]
        return "".join(block.lines)
    _end_line(block, block.end - 1)
    block.lines[block.header] = re.sub(
        r":\s*(\{\}|\[\]|null|~)", ":", block.lines[block.header], count=1
    )
    block.lines.insert(block.end, line)
    return "".join(block.lines)


def without_entry(text: str, key: str, name: str, *, is_list: bool) -> str:
    """The text without the entry."""
    block = Block(text, key, is_list=is_list)
    span = block.span(name)
    if span is None or block.header is None:
        return text
    del block.lines[span[0] : span[1]]
    rest = block.lines[block.header + 1 : block.end - (span[1] - span[0])]
    if not any(line.strip() and not line.lstrip().startswith("#") for line in rest):
        empty = "[]" if is_list else "{}"
        header = block.lines[block.header]
        block.lines[block.header] = re.sub(r":", f": {empty}", header, count=1)
    return "".join(block.lines)


def _end_line(block: Block, index: int) -> None:
    if not block.lines[index].endswith("\n"):
        block.lines[index] += block.newline


def _our_value(line: str) -> dict[str, Any] | None:
    start = line.find("{")
    try:
        value = json.loads(line[start:]) if start >= 0 else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _plain(text: str) -> str:
    return text.strip("\"'")
