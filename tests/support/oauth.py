"""Helpers of several tests."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from tests.support.issuer import Authority
from verify_mcp.settings import OAuth

PUBLIC = "https://verify.example.com/mcp"


def trusting(issuer: Authority, claim: str = "") -> OAuth:
    return OAuth(issuer.url, issuer.url + "/jwks", PUBLIC, subaccount_claim=claim)


def claims(issuer: Authority, **changes: Any) -> dict[str, Any]:
    """What a good token says, with changes; None leaves a claim out."""
    now = int(time.time())
    payload = {
        "iss": issuer.url, "aud": PUBLIC, "sub": "agent-7", "client_id": "agent-7",
        "scope": "openid verify:read", "iat": now - 10, "exp": now + 600, "jti": uuid4().hex,
        **changes,
    }  # fmt: skip
    return {name: value for name, value in payload.items() if value is not None}
