"""JSON with comments, read into nodes that know where they stand in the text."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 100
"""Levels of nesting that are read; a configuration has five."""

_BLANK = re.compile(r"[ \t\r\n]+")
_COMMENT = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_PLAIN = re.compile(r"(?:true|false|null|-?[0-9][0-9.eE+-]*)(?![\w.])", re.ASCII)

Step = str | int
Path = Sequence[Step]


class NotJson(ValueError):
    """The text is not JSON, or not of the expected shape; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object (with its key) or an item of an array, where it stands."""

    key: str | None
    leading_end: int
    """Where the text before the member ends, comments included and white space not."""
    start: int
    node: "Node"
    comma: int | None
    """Where the comma after the member stands, None when there is none."""
    after_line_comment: bool = False
    """Whether a line comment ends at `leading_end`, so that a new line must follow."""

    @property
    def end(self) -> int:
        """Where the member ends, its comma not included."""
        return self.node.end


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands."""

    start: int
    end: int
    value: Any
    members: tuple[Member, ...] = ()
    tail: int = 0
    """In an object or array: where the text before the closing bracket ends."""

    def member(self, step: Step) -> Member | None:
        """The member or item of that name or number. Raises NotJson for a name given twice."""
        if isinstance(step, int):
            inside = isinstance(self.value, list) and step < len(self.members)
            return self.members[step] if inside else None
        found = [member for member in self.members if member.key == step]
        if len(found) > 1:
            raise NotJson(f'"{step}" is there twice')
        return found[0] if found else None


def read(text: str, *, comments: bool = True) -> Node:
    """The text as nodes. Raises NotJson, with line and column.

    `comments=False` refuses comments and trailing commas, as plain JSON does.
    """
    reader = _Reader(text, comments=comments)
    node = reader.value(0)
    reader.skip()
    if reader.at < len(text):
        raise reader.problem("something follows the end")
    return node


def is_blank(text: str) -> bool:
    """Whether the text holds nothing but white space and comments."""
    reader = _Reader(text, comments=True)
    reader.skip()
    return reader.at == len(text)


def find(text: str, path: Path) -> Node | None:
    """The node at a path, None when there is none. Raises NotJson."""
    node = read(text)
    for step in path:
        member = node.member(step)
        if member is None:
            return None
        node = member.node
    return node


class _Reader:
    def __init__(self, text: str, *, comments: bool) -> None:
        self.text = text
        self.at = 0
        self.leading_end = 0
        self.after_line_comment = False
        self.comments = comments

    def problem(self, what: str) -> NotJson:
        line = self.text.count("\n", 0, self.at) + 1
        column = self.at - self.text.rfind("\n", 0, self.at)
        return NotJson(f"line {line}, column {column}: {what}")

    def skip(self) -> None:
        """Go past white space and comments; `leading_end` is then where the last comment ended."""
        self.leading_end, self.after_line_comment = self.at, False
        while True:
            if match := _BLANK.match(self.text, self.at):
                self.at = match.end()
            elif match := _COMMENT.match(self.text, self.at):
                if not self.comments:
                    raise self.problem("a comment, which this client does not read")
                self.at = self.leading_end = match.end()
                self.after_line_comment = match[0].startswith("//")
            else:
                return

    def value(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.problem("nested too deeply")
        self.skip()
        match self.text[self.at : self.at + 1]:
            case "{":
                return self._object(depth)
            case "[":
                return self._array(depth)
            case _:
                return self._scalar()

    def _scalar(self) -> Node:
        match = _STRING.match(self.text, self.at) or _PLAIN.match(self.text, self.at)
        try:
            value = json.loads(match[0]) if match else None
        except ValueError:
            match = None
        if match is None:
            raise self.problem("a value was expected")
        self.at = match.end()
        return Node(match.start(), match.end(), value)

    def _object(self, depth: int) -> Node:
        start, members, tail = self._members("}", depth)
        value = {member.key: member.node.value for member in members}
        return Node(start, self.at, value, members, tail)

    def _array(self, depth: int) -> Node:
        start, members, tail = self._members("]", depth)
        return Node(start, self.at, [member.node.value for member in members], members, tail)

    def _members(self, closing: str, depth: int) -> tuple[int, tuple[Member, ...], int]:
        start = self.at
        self.at += 1
        members: list[Member] = []
        self.skip()
        while self.text[self.at : self.at + 1] != closing:
            if members and members[-1].comma is None:
                raise self.problem(f"a comma or {closing} was expected")
            members.append(self._member(closing, depth))
            self.skip()
        if members and members[-1].comma is not None and not self.comments:
            raise self.problem(f"a comma before {closing}, which this client does not read")
        tail = self.leading_end
        self.at += 1
        return start, tuple(members), tail

    def _member(self, closing: str, depth: int) -> Member:
        leading_end, after_line_comment, start = self.leading_end, self.after_line_comment, self.at
        key = self._key() if closing == "}" else None
        node = self.value(depth + 1)
        self.skip()
        comma = self.at if self.text[self.at : self.at + 1] == "," else None
        # Without a comma, the white space and comments are read again before the next member.
        self.at = node.end if comma is None else comma + 1
        return Member(key, leading_end, start, node, comma, after_line_comment)

    def _key(self) -> str:
        match = _STRING.match(self.text, self.at)
        if match is None:
            raise self.problem('a name in "quotes" was expected')
        self.at = match.end()
        self.skip()
        if self.text[self.at : self.at + 1] != ":":
            raise self.problem("a colon was expected")
        self.at += 1
        return str(_read_string(match[0], self))


def _read_string(text: str, reader: _Reader) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise reader.problem("a wrong escape in a name") from None
