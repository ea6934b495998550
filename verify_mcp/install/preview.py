"""A change of a configuration as a person reads it: a diff without other programs' secrets."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_CONTEXT_LINES = 2
_SECRET = re.compile(
    r"""((?:token|secret|password|passwd|api[_-]?key|_key|authorization)["']?\s*[:=]\s*)"""
    r"""(["'])(?!(?:Bearer )?(?:\$\{?\w|\$\{\{|\{env:))(?:(?!\2)[^\\]|\\.)+\2""",
    re.IGNORECASE,
)
_TABLE = re.compile(r"[ +-]?\s*\[+[A-Za-z_][\w.-]*(?:\.\"[^\"]*\")?\]+\s*", re.ASCII)
_PLAIN_WORD = re.compile(
    r"""(?P<name>(?:"(?:[^"\\]|\\.)*+"|'[^']*+'|[\w.-]++)(?=\s*[:=]))"""
    r"""|(?P<value>"(?:[^"\\]|\\.)*+"|'[^']*+'|["'].*|(?:\#|//|/\*).*|[^\s{}\[\],:="'#/]++|[\#/])"""
)
_HIDDEN = "••••"


def change_text(
    file: Path, before: str, after: str, *, visible: frozenset[str] = frozenset()
) -> str:
    """The change as a unified diff; of values, only those in `visible` are shown.

    No name tells a secret for certain, so every other value is hidden.
    """
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), n=_CONTEXT_LINES, lineterm=""
    )
    changes = [_redact(line, visible) for line in list(lines)[2:]]
    head = [f"--- {file}", f"+++ {file}"]
    return "".join(f"{line}\n" for line in [*head, *changes] if changes)


def scalars(value: object) -> Iterator[str]:
    """The values in an entry, as `change_text` compares them."""
    if isinstance(value, Mapping):
        yield from scalars(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from scalars(item)
    else:
        yield value if isinstance(value, str) else json.dumps(value)


def _redact(line: str, visible: frozenset[str]) -> str:
    if line.startswith("@@") or _TABLE.fullmatch(line):
        return line
    bare = _PLAIN_WORD.sub(lambda word: _display_word(word, visible), line[1:])
    return line[:1] + _SECRET.sub(rf"\1\2{_HIDDEN}\2", bare)


def _display_word(word: re.Match[str], visible: frozenset[str]) -> str:
    value = word["value"]
    if not value or value in ("true", "false", "null") or _plain_text(value) in visible:
        return word[0]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{quote}{_HIDDEN}{quote}"


def _plain_text(value: str) -> str:
    try:
        return str(json.loads(value)) if value.startswith('"') else value.strip("'")
    except ValueError:
        return ""
