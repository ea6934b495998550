"""The names of the code: the rules of CONTRIBUTING.md that a machine can check."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("verify_mcp", "tests", "benchmarks", "evals", "examples")
VAGUE = {"asked", "deed", "held", "kept", "own", "said", "shown", "told", "wanted", "whole"}
"""Words that say nothing of what a function returns or a field holds."""
IRREGULAR = {
    "begun", "drawn", "found", "given", "gone", "got", "known", "left", "lost", "made", "put",
    "ran", "read", "seen", "sent", "spent", "taken", "written",
}  # fmt: skip
FIELD_VERBS = {"read"}
"""Participles that are the verb as well."""


def definitions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The names of functions, classes and fields, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    yield field.target.id, field.lineno


def is_participle(name: str) -> bool:
    """Whether a function is named by one participle alone: `fetched`, `running`, `made`."""
    word = name.strip("_")
    if "_" in word or word in FIELD_VERBS:
        return False
    return word in IRREGULAR or re.search(r"(?<!e)ed$|ing$", word) is not None


def problems(source: str) -> list[str]:
    """What the rules forbid in a module."""
    tree = ast.parse(source)
    vague = [
        f"line {line}: {name} names nothing"
        for name, line in definitions(tree)
        if name.strip("_") in VAGUE
    ]
    participles = [
        f"line {node.lineno}: async def {node.name} is no verb"
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef) and is_participle(node.name)
    ]
    return vague + participles


@pytest.mark.parametrize("folder", FOLDERS)
def test_functions_classes_and_fields_have_names_that_say_something(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)} {problem}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for problem in problems(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_no_two_classes_of_the_package_have_one_name() -> None:
    names = Counter(
        node.name
        for path in (ROOT / "verify_mcp").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize(
    "source",
    [
        "def told(): ...",
        "class Own: pass\ndef _whole(): ...",
        "class Page:\n    held: int",
        "async def fetched(): ...",
        "async def _running(): ...",
        "class Mirror:\n    async def seen(self): ...",
    ],
)
def test_a_name_that_says_nothing_is_found(source: str) -> None:
    assert problems(source)


@pytest.mark.parametrize(
    "source",
    [
        "def gaps(): ...",
        "async def read_page(): ...",
        "class Page:\n    is_held: int",
        "def covered(): ...",
        "async def feed(): ...",
        "async def proceed(): ...",
    ],
)
def test_a_name_that_says_something_passes(source: str) -> None:
    assert problems(source) == []
