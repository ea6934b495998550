"""The paths of the endpoints, matched strictly."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .options import Endpoint

_LIST = re.compile(r"/v1/Account/([^/]+)/Verify/Session(/?)", re.ASCII)
_GET = re.compile(r"/v1/Account/([^/]+)/Verify/Session/([^/]+)(/?)", re.ASCII)


_RECORD = re.compile(r"/v1/Account/([^/]+)/(Message|Call)/([^/]+)(/?)", re.ASCII)
_RECORD_ENDPOINTS: dict[str, Endpoint] = {"Message": "message", "Call": "call"}


@dataclass(frozen=True)
class Route:
    """The endpoint, the account and the UUID of a path, and whether it ends in a slash."""

    endpoint: Endpoint
    account: str = ""
    uuid: str = ""
    slash: bool = True


def route(path: str) -> Route:
    """The route of a path, whose percent-escapes stay as they are."""
    if match := _LIST.fullmatch(path):
        return Route("list", match[1], slash=bool(match[2]))
    if match := _GET.fullmatch(path):
        return Route("get", match[1], uuid=match[2], slash=bool(match[3]))
    if match := _RECORD.fullmatch(path):
        return Route(_RECORD_ENDPOINTS[match[2]], match[1], uuid=match[3], slash=bool(match[4]))
    return Route("other")
