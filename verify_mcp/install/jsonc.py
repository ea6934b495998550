"""JSON with comments, edited one member at a time: every byte outside the change stays.

`set_value` and `append` only insert, or replace one value; `remove` only deletes. The libraries
that we found either write the whole text anew or have no maintainer.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from verify_mcp.install.json_nodes import Node, NotJson, Path, Step, find, is_blank, read

_INDENT = re.compile(r"[ \t]*")


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
        member = node.member(step)
        if member is None:
            return _insert(text, node, step, _nested(path[depth + 1 :], value))
        node = member.node
    if isinstance(value, dict) and isinstance(node.value, dict):
        for name, item in value.items():
            text = set_value(text, [*path, name], item)
        return text
    return text if _is_same(node.value, value) else _replace(text, node, value)


def append(text: str, path: Path, item: object) -> str:
    """The text with this item at the end of the array at this path, created when missing.

    Raises NotJson where something else stands at the path.
    """
    node = None if is_blank(text) else find(text, path)
    if node is None:
        return set_value(text, path, [item])
    if not isinstance(node.value, list):
        raise NotJson(f"{_path_text(path)} is not an array")
    return _insert(text, node, None, item)


def remove(text: str, path: Path) -> str:
    """The text without what stands at this path; comments around it stay."""
    parent = find(text, path[:-1])
    member = parent.member(path[-1]) if parent else None
    if parent is None or member is None:
        return text
    if member.comma is None:
        rest = text[member.end :]
    else:
        rest = text[member.end : member.comma] + text[member.comma + 1 :]
    ends_line = not member.after_line_comment or rest.lstrip(" \t").startswith(("\n", "\r"))
    cut = text[: member.leading_end if ends_line else member.start] + rest
    before = [other.comma for other in parent.members if other.start < member.start]
    # The comma before the last member separates nothing any more.
    if member.comma is None and before and before[-1] is not None:
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
    formatted = _Style.of(text).format(value, None if inline else _line_indent(text, node.start))
    return text[: node.start] + formatted + text[node.end :]


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
    for member in node.members:
        indent = _own_line_indent(text, member.start)
        if indent:
            base = _line_indent(text, node.start)
            if indent.startswith(base) and indent != base:
                yield indent.removeprefix(base)
        yield from _units(text, member.node)


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


def expected_value(old: Mapping[str, Any], path: Path, value: object) -> dict[str, Any]:
    """The values that `set_value` must lead to: the oracle for every edit."""
    first, *rest = path
    inner = old.get(str(first))
    if rest:
        new: object = expected_value(inner if isinstance(inner, dict) else {}, rest, value)
    elif isinstance(value, dict) and isinstance(inner, dict):
        new = dict(inner)
        for name, item in value.items():
            new = expected_value(new, [name], item)
    else:
        new = value
    return {**old, str(first): new}
