from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify_mcp.install import json_nodes, jsonc

NAMES = st.sampled_from(["a", "b", "mcpServers", "", "é", 'q"', "x//y"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "/* no */", "// no", "é\n"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
GAPS = st.sampled_from(["", " ", "\n", "\n  ", "\n\t", "\r\n    ", " // c, }\n", " /* c: { */ "])


@st.composite
def documents(draw: st.DrawFn) -> str:
    """An object written in any way that JSON with comments allows."""
    value: dict[str, Any] = draw(st.dictionaries(NAMES, VALUES, max_size=3))
    return written(draw, value)


def written(draw: st.DrawFn, value: Any) -> str:
    if isinstance(value, dict):
        parts = [
            f"{draw(GAPS)}{json.dumps(key)}{draw(GAPS)}:{draw(GAPS)}{written(draw, each)}"
            for key, each in value.items()
        ]
        return "{" + joined(draw, parts) + "}"
    if isinstance(value, list):
        return "[" + joined(draw, [draw(GAPS) + written(draw, each) for each in value]) + "]"
    return json.dumps(value)


def joined(draw: st.DrawFn, parts: list[str]) -> str:
    trailing = draw(st.sampled_from(["", ","])) if parts else ""
    return f"{draw(GAPS)},".join(parts) + draw(GAPS) + trailing + draw(GAPS)


def keeps(before: str, after: str) -> bool:
    """Whether nothing of `before` is missing in `after`, in the same order."""
    rest = iter(after)
    return all(each in rest for each in before)


@given(documents(), VALUES)
def test_a_new_member_leaves_every_other_character_as_it_was(text: str, value: Any) -> None:
    after = jsonc.set_value(text, ["new"], value)
    old = json_nodes.read(text).value
    assert json_nodes.read(after).value == {**old, "new": value}
    assert keeps(text, after)
    if old:
        assert jsonc.remove(after, ["new"]) == text


@given(documents(), st.dictionaries(NAMES, VALUES, max_size=2))
def test_a_nested_value_comes_to_what_merging_the_values_comes_to(
    text: str, value: dict[str, Any]
) -> None:
    path = ["mcpServers", "b"]
    old = json_nodes.read(text).value
    if not isinstance(old.get("mcpServers", {}), dict):
        with pytest.raises(json_nodes.NotJson, match='"mcpServers" is not an object'):
            jsonc.set_value(text, path, value)
        return
    after = jsonc.set_value(text, path, value)
    assert json_nodes.read(after).value == jsonc.expected_value(old, path, value)
    assert jsonc.set_value(after, path, value) == after


@given(documents())
def test_taking_a_member_out_leaves_the_others_and_every_comment(text: str) -> None:
    old = json_nodes.read(text).value
    for key in old:
        after = jsonc.remove(text, [key])
        rest = {name: each for name, each in old.items() if name != key}
        assert json_nodes.read(after).value == rest
        assert keeps(after, text)


@given(documents(), VALUES)
def test_an_item_is_appended_to_a_list_and_taken_out_again(text: str, item: Any) -> None:
    start = jsonc.set_value(text, ["list"], [1])
    after = jsonc.append(start, ["list"], item)
    assert json_nodes.read(after).value["list"] == [1, item]
    assert jsonc.remove(after, ["list", 1]) == start


@given(VALUES)
def test_plain_json_reads_as_the_standard_library_reads_it(value: Any) -> None:
    text = json.dumps(value, indent=2)
    assert json_nodes.read(text, comments=False).value == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1, column 1: a value was expected"),
        ('{"a": 1', "line 1, column 8: a comma or } was expected"),
        ('{"a": 1 "b": 2}', "line 1, column 9: a comma or } was expected"),
        ("{\n  'a': 1}", 'line 2, column 3: a name in "quotes" was expected'),
        ('{"a" 1}', "line 1, column 6: a colon was expected"),
        ('{"a": 01}', "line 1, column 7: a value was expected"),
        ('{"a": 1.}', "line 1, column 7: a value was expected"),
        ('{"a": truely}', "line 1, column 7: a value was expected"),
        ('{"a": "\t"}', "line 1, column 7: a value was expected"),
        ('{"\\x": 1}', "a wrong escape in a name"),
        ("{,}", 'a name in "quotes" was expected'),
        ("[1,,2]", "a value was expected"),
        ("{} {}", "line 1, column 4: something follows the end"),
        ("/* open {}", "a value was expected"),
        ("[" * 102 + "]" * 102, "nested too deeply"),
    ],
)
def test_what_is_not_json_is_refused_where_it_goes_wrong(text: str, problem: str) -> None:
    with pytest.raises(json_nodes.NotJson) as refused:
        json_nodes.read(text)
    assert problem in str(refused.value)


@pytest.mark.parametrize("text", ['{"a": 1} // x', '{"a": 1,}', "[/**/]"])
def test_plain_json_has_no_comments_and_no_comma_before_the_end(text: str) -> None:
    json_nodes.read(text)
    with pytest.raises(json_nodes.NotJson, match="which this client does not read"):
        json_nodes.read(text, comments=False)


def test_a_new_member_is_written_as_its_neighbours_are() -> None:
    text = '{\n    "a": {\n        "b": 1 // one\n    }\n}\n'
    after = (
        '{\n    "a": {\n        "b": 1, // one\n'
        '        "c": {\n            "d": 2\n        }\n    }\n}\n'
    )
    assert jsonc.set_value(text, ["a", "c"], {"d": 2}) == after
    assert jsonc.set_value('{"a":{"b":1}}', ["a", "c"], [1, 2]) == '{"a":{"b":1,"c":[1,2]}}'
    assert jsonc.set_value("{}", ["a"], 1) == '{\n  "a": 1\n}'
    assert jsonc.set_value('{"a": {}}', ["a", "b"], 1) == '{"a": {"b": 1}}'
    assert jsonc.set_value("// mine", ["a"], 1) == '// mine\n{\n  "a": 1\n}\n'


def test_a_list_that_is_none_takes_no_item() -> None:
    with pytest.raises(json_nodes.NotJson, match='"a" is not an array'):
        jsonc.append('{"a": 1}', ["a"], 2)
    assert jsonc.remove('{"a": 1}', ["b", "c"]) == '{"a": 1}'


def test_r79_the_work_on_one_long_line_grows_as_its_length_does() -> None:
    def work(servers: int) -> int:
        text = json.dumps({"mcpServers": {f"s{each}": {"command": "x"} for each in range(servers)}})
        return characters_copied(
            text, lambda counted: jsonc.set_value(counted, ["mcpServers", "v"], 1)
        )

    assert work(800) < 2.5 * work(400)


class Counted(str):
    """A text that counts the characters of each slice taken of it and of each search in it."""

    copied: list[int]
    __slots__ = ("copied",)

    def __getitem__(self, key: Any) -> str:
        found = super().__getitem__(key)
        self.copied[0] += len(found)
        return found

    def rfind(self, *place: Any) -> int:
        self.copied[0] += place[-1]
        return super().rfind(*place)


def characters_copied(text: str, edit: Callable[[str], str]) -> int:
    counted = Counted(text)
    counted.copied = [0]
    edit(counted)
    return int(counted.copied[0])
