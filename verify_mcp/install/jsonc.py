"""JSON with comments, edited one member at a time: every byte outside the change stays.

A text is read into nodes that know where they stand in it. `put` and `append` only insert, or
replace one value; `without` only deletes. The libraries we found either write the whole text anew
or are looked after by nobody, and a person's configuration deserves better than both.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 100
"""Levels of nesting that are read; a configuration has five."""

_BLANK = re.compile(r"[ \t\r\n]+")
_INDENT = re.compile(r"[ \t]*")
_COMMENT = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_PLAIN = re.compile(r"(?:true|false|null|-?[0-9][0-9.eE+-]*)(?![\w.])", re.ASCII)

Step = str | int
Path = Sequence[Step]


class NotJson(ValueError):
    """The text is not what it should be; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object (with its key) or an item of an array, where it stands."""

    key: str | None
    leading_end: int
    """Where the text before it ends, comments included and white space not."""
    start: int
    node: "Node"
    comma: int | None
    """Where the comma after it stands, if there is one."""
    after_line_comment: bool = False
    """Whether a line comment ends at `lead`, so that a new line must follow."""

    @property
    def end(self) -> int:
        """Where it ends, its comma not included."""
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
        found = [each for each in self.members if each.key == step]
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
    """Whether there is nothing in it, or nothing but comments."""
    reader = _Reader(text, comments=True)
    reader.skip()
    return reader.at == len(text)


def find(text: str, path: Path) -> Node | None:
    """The node at a path, or None."""
    node = read(text)
    for step in path:
        part = node.member(step)
        if part is None:
            return None
        node = part.node
    return node


def set_value(text: str, path: Path, value: object) -> str:
    """The text with this value at this path: objects are merged, anything else is replaced.

    Raises NotJson where something on the way is no object.
    """
    if is_blank(text):
        return _new_document(text, _nested(path, value))
    node = read(text)
    for depth, step in enumerate(path):
        if not isinstance(node.value, dict):
            raise NotJson(f"{_path_text(path[:depth])} is not an object")
        part = node.member(step)
        if part is None:
            return _insert(text, node, step, _nested(path[depth + 1 :], value))
        node = part.node
    if isinstance(value, dict) and isinstance(node.value, dict):
        for name, each in value.items():
            text = set_value(text, [*path, name], each)
        return text
    return text if _is_same(node.value, value) else _replace(text, node, value)


def append(text: str, path: Path, item: object) -> str:
    """The text with this item at the end of the array at this path, which is made if need be."""
    node = None if is_blank(text) else find(text, path)
    if node is None:
        return set_value(text, path, [item])
    if not isinstance(node.value, list):
        raise NotJson(f"{_path_text(path)} is not an array")
    return _insert(text, node, None, item)


def remove(text: str, path: Path) -> str:
    """The text without what stands at this path; comments around it stay."""
    parent = find(text, path[:-1])
    part = parent.member(path[-1]) if parent else None
    if parent is None or part is None:
        return text
    if part.comma is None:
        rest = text[part.end :]
    else:
        rest = text[part.end : part.comma] + text[part.comma + 1 :]
    ends_line = not part.after_line_comment or rest.lstrip(" \t").startswith(("\n", "\r"))
    cut = text[: part.leading_end if ends_line else part.start] + rest
    before = [each.comma for each in parent.members if each.start < part.start]
    # The last one takes the comma before it along, as it brought it.
    if part.comma is None and before and before[-1] is not None:
        return cut[: before[-1]] + cut[before[-1] + 1 :]
    return cut


def _is_same(one: object, other: object) -> bool:
    # As JSON: 1 is not true, and the order of members means nothing.
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _path_text(path: Path) -> str:
    return f'"{".".join(map(str, path))}"' if path else "the whole"


def _nested(path: Path, value: object) -> object:
    for step in reversed(path):
        value = {step: value}
    return value


def _new_document(text: str, value: object) -> str:
    newline = _newline(text)
    start = text if not text or text.endswith("\n") else text + newline
    return start + json.dumps(value, indent=2, ensure_ascii=False).replace("\n", newline) + newline


def _replace(text: str, node: Node, value: object) -> str:
    inline = bool(node.members) and "\n" not in text[node.start : node.end]
    shown = _Style.of(text).format(value, None if inline else _line_indent(text, node.start))
    return text[: node.start] + shown + text[node.end :]


def _insert(text: str, node: Node, key: Step | None, value: object) -> str:
    style = _Style.of(text)
    if not node.members:
        return _insert_first(text, node, key, value, style)
    last = node.members[-1]
    if "\n" in text[node.start : node.members[0].start]:
        indent = _line_indent(text, node.members[0].start)
        at = node.tail
        member = style.newline + indent + style.member(key, value, indent)
    else:
        at = last.end if last.comma is None else last.comma + 1
        member = style.gap + style.member(key, value, None)
    if last.comma is None:
        return f"{text[: last.end]},{text[last.end : at]}{member}{text[at:]}"
    return f"{text[:at]}{member},{text[at:]}"


def _insert_first(text: str, node: Node, key: Step | None, value: object, style: "_Style") -> str:
    if style.on_one_line:
        return text[: node.tail] + style.member(key, value, None) + text[node.tail :]
    base = _line_indent(text, node.start)
    indent = base + style.unit
    rest = text[node.tail : node.end - 1]
    closing = "" if "\n" in rest else style.newline + base
    member = style.newline + indent + style.member(key, value, indent) + closing
    return text[: node.tail] + member + text[node.tail :]


@dataclass(frozen=True, slots=True)
class _Style:
    newline: str
    unit: str
    on_one_line: bool
    gap: str

    @classmethod
    def of(cls, text: str) -> "_Style":
        body = text.strip()
        tight = re.search(r'":\s', body) is None and re.search(r'":', body) is not None
        return cls(
            newline=_newline(text),
            unit=next(_units(text, read(text)), "  "),
            on_one_line="\n" not in body and '"' in body,
            gap="" if tight else " ",
        )

    def member(self, key: Step | None, value: object, indent: str | None) -> str:
        colon = ":" + self.gap if indent is None else ": "
        name = "" if key is None else json.dumps(key, ensure_ascii=False) + colon
        return name + self.format(value, indent)

    def format(self, value: object, indent: str | None) -> str:
        if indent is None or self.on_one_line:
            separators = ("," + self.gap, ":" + self.gap)
            return json.dumps(value, ensure_ascii=False, separators=separators)
        lines = json.dumps(value, ensure_ascii=False, indent=self.unit).split("\n")
        return (self.newline + indent).join(lines)


def _units(text: str, node: Node) -> Iterator[str]:
    for part in node.members:
        indent = _own_line_indent(text, part.start)
        if indent:
            base = _line_indent(text, node.start)
            if indent.startswith(base) and indent != base:
                yield indent.removeprefix(base)
        yield from _units(text, part.node)


def _own_line_indent(text: str, at: int) -> str | None:
    """The white space before the first text of a line; None when other text precedes `at`."""
    start = at
    # Character by character: a slice or a search would cost the length of the line.
    while start and text[start - 1] in " \t":
        start -= 1
    return text[start:at] if start and text[start - 1] == "\n" else None


def _line_indent(text: str, at: int) -> str:
    match = _INDENT.match(text, text.rfind("\n", 0, at) + 1, at)
    return match[0] if match else ""


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


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
        """Go past white space and comments; `lead` is then where the last comment ended."""
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
        start, parts, tail = self._members("}", depth)
        value = {part.key: part.node.value for part in parts}
        return Node(start, self.at, value, parts, tail)

    def _array(self, depth: int) -> Node:
        start, parts, tail = self._members("]", depth)
        return Node(start, self.at, [part.node.value for part in parts], parts, tail)

    def _members(self, closing: str, depth: int) -> tuple[int, tuple[Member, ...], int]:
        start = self.at
        self.at += 1
        parts: list[Member] = []
        self.skip()
        while self.text[self.at : self.at + 1] != closing:
            if parts and parts[-1].comma is None:
                raise self.problem(f"a comma or {closing} was expected")
            parts.append(self._member(closing, depth))
            self.skip()
        if parts and parts[-1].comma is not None and not self.comments:
            raise self.problem(f"a comma before {closing}, which this client does not read")
        tail = self.leading_end
        self.at += 1
        return start, tuple(parts), tail

    def _member(self, closing: str, depth: int) -> Member:
        leading_end, after_line_comment, start = self.leading_end, self.after_line_comment, self.at
        key = self._key() if closing == "}" else None
        node = self.value(depth + 1)
        self.skip()
        comma = self.at if self.text[self.at : self.at + 1] == "," else None
        # Without a comma the next look must see the white space and comments again.
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


def expected_value(old: Mapping[str, Any], path: Path, value: object) -> dict[str, Any]:
    """What `put` must come to, as values: the oracle for every edit."""
    first, *rest = path
    inner = old.get(str(first))
    if rest:
        new: object = expected_value(inner if isinstance(inner, dict) else {}, rest, value)
    elif isinstance(value, dict) and isinstance(inner, dict):
        new = dict(inner)
        for name, each in value.items():
            new = expected_value(new, [name], each)
    else:
        new = value
    return {**old, str(first): new}
