"""The audit log: who asked what."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext

from verify_mcp.context import AppContext
from verify_mcp.domain import phones
from verify_mcp.http.callers import Caller
from verify_mcp.mirror import masking
from verify_mcp.tools.registry import TOOLS

audit_logger = logging.getLogger("verify_mcp.audit")
_AUDITED = ("tools/call", "resources/read", "completion/complete", "prompts/get")
_LISTINGS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
_TOOLS = {offer.name: {each.name for each in offer.arguments} for offer in TOOLS}
_HIDDEN = "?"

Context = ServerRequestContext[AppContext, Any]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What one message asks for, in words that hold no value of anybody's."""

    caller: Caller
    method: str
    arguments: tuple[str, ...] = ()
    recipient: str = ""


def _audit_entry(caller: Caller, context: Context) -> AuditEntry:
    """What is asked; names are only told when they are ours, because others may hold anything."""
    params = context.params or {}
    if context.method != "tools/call":
        known = context.method in (*_AUDITED, *_LISTINGS)
        return AuditEntry(caller, context.method if known else _HIDDEN)
    tool, arguments = params.get("name"), params.get("arguments")
    if not isinstance(tool, str) or tool not in _TOOLS:
        return AuditEntry(caller, _HIDDEN)
    given = arguments if isinstance(arguments, Mapping) else {}
    names = sorted({name if name in _TOOLS[tool] else _HIDDEN for name in given})
    return AuditEntry(caller, tool, tuple(names), _recipient(given.get("recipient")))


def _recipient(arguments: object) -> str:
    """A recipient asked about: a pseudonym as it was given, a number masked.

    Never a number's pseudonym: both together would tell whose it is.
    """
    if not isinstance(arguments, str | int) or len(str(arguments)) > 40:
        return ""
    if masking.parse_pseudonym(str(arguments)):
        return str(arguments).strip()
    number = phones.normalize(str(arguments))
    return phones.mask_for_logs(number) if number else ""
