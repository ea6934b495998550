"""The audit log: one line for each call, with its caller, without anybody's values."""

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
AUDITED_METHODS = ("tools/call", "resources/read", "completion/complete", "prompts/get")
_LISTINGS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
ARGUMENT_NAMES = {
    definition.name: {argument.name for argument in definition.arguments} for definition in TOOLS
}
"""The names of each tool's arguments, by the tool's name."""
_HIDDEN = "?"

Context = ServerRequestContext[AppContext, Any]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What one message asks for.

    `method` is a tool's name or a method of the protocol, `arguments` are names. `recipient` is a
    pseudonym or a masked number, "" when none was given.
    """

    caller: Caller
    method: str
    arguments: tuple[str, ...] = ()
    recipient: str = ""


def audit_entry(caller: Caller, context: Context) -> AuditEntry:
    """The entry for a message. A name that is not one of this package's is replaced by `?`.

    Such a name may hold anything, a phone number too.
    """
    params = context.params or {}
    if context.method != "tools/call":
        known = context.method in (*AUDITED_METHODS, *_LISTINGS)
        return AuditEntry(caller, context.method if known else _HIDDEN)
    tool, arguments = params.get("name"), params.get("arguments")
    if not isinstance(tool, str) or tool not in ARGUMENT_NAMES:
        return AuditEntry(caller, _HIDDEN)
    given = arguments if isinstance(arguments, Mapping) else {}
    names = sorted({name if name in ARGUMENT_NAMES[tool] else _HIDDEN for name in given})
    return AuditEntry(caller, tool, tuple(names), _recipient(given.get("recipient")))


def _recipient(argument: object) -> str:
    """The recipient of a filter: a pseudonym as it was given, a number masked.

    A number's pseudonym is not written: with the masked number it would reveal whose it is.
    """
    if not isinstance(argument, str | int) or len(str(argument)) > 40:
        return ""
    if masking.parse_pseudonym(str(argument)):
        return str(argument).strip()
    number = phones.normalize(str(argument))
    return phones.mask_for_logs(number) if number else ""
