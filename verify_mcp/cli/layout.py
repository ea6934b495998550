"""Text laid out for people: wrapped to the terminal's width, in colour where it shows colours."""

import re
import shutil
import sys
from collections.abc import Mapping
from textwrap import TextWrapper

STYLES: Mapping[str, tuple[str | None, tuple[str, ...]]] = {
    "bold": (None, ("bold",)),
    "dim": (None, ("dark",)),
    "call": ("cyan", ()),
    "conclusion": ("green", ("bold",)),
    "key": ("blue", ("bold",)),
    "text": ("green", ()),
    "number": ("cyan", ("bold",)),
    "constant": (None, ("italic",)),
    "ok": ("green", ()),
    "unchecked": ("cyan", ()),
    "warning": ("yellow", ()),
    "problem": ("red", ("bold",)),
}
"""The colour and the attributes of each style, in termcolor's words."""
_JSON = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*"(?=:))|(?P<text>"(?:[^"\\]|\\.)*")'
    r"|(?P<number>-?\b\d[\d.eE+-]*)|(?P<constant>\b(?:true|false|null)\b)",
    re.DOTALL,
)


def terminal_width(maximum: int = 1000) -> int:
    """The columns of the terminal, or COLUMNS where that is set; 80 where there is neither."""
    return min(maximum, shutil.get_terminal_size().columns)


def paint(text: str, style: str) -> str:
    """A text in one of the styles, as it is where stdout shows no colours (NO_COLOR, a pipe)."""
    from termcolor import colored

    if sys.platform == "win32":
        from colorama import just_fix_windows_console

        just_fix_windows_console()
    colour, attributes = STYLES[style]
    return colored(text, colour, attrs=attributes)


def paint_json(text: str) -> str:
    """JSON, wrapped or not, with its keys and values in colours."""
    return _JSON.sub(lambda found: paint(found[0], str(found.lastgroup)), text)


def wrap(text: str, width: int, indent: str = "", first: str | None = None) -> str:
    """Each line of a text over lines of `width`, the first one after `first`, others `indent`.

    A word that is longer than a line is broken.
    """
    wrapper = TextWrapper(
        max(width, len(indent) + 10),
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
    lines: list[str] = []
    for line in text.splitlines() or [""]:
        lines += wrapper.wrap(line) or [wrapper.initial_indent]
        wrapper.initial_indent = indent
    return "\n".join(lines)


def paint_phrases(text: str, styles: Mapping[str, str]) -> str:
    """A wrapped text whose phrases are painted in their styles, over line breaks too."""
    for phrase, style in styles.items():
        pattern = r"\s+".join(map(re.escape, phrase.split()))
        if found := re.search(pattern, text):
            text = text[: found.start()] + paint(found[0], style) + text[found.end() :]
    return text
