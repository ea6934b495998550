"""A hook of MkDocs: links to files outside docs/ lead to the repository."""

import re
from typing import Any

_OUTSIDE = re.compile(r"\]\(\.\./(?!docs/)([^)]+)\)")
_FROM_THE_ROOT = re.compile(r"\]\((?=(?:benchmarks|deploy|evals|examples|tests)/)([^)]+)\)")


def on_page_markdown(markdown: str, *, config: Any, **_unused: Any) -> str:
    """The page's text with such links as addresses in the repository."""
    base = f"{config['repo_url']}/blob/main/"
    with_outside = _OUTSIDE.sub(rf"]({base}\1)", markdown)
    return _FROM_THE_ROOT.sub(rf"]({base}\1)", with_outside)
