"""A pretend Plivo Verify Session API with seeded data and faults on demand.

It serves tests, the demo and the sandbox. It imports nothing of this package, so that it cannot
share the package's mistakes.
"""

from .account import AccountData, AttemptRecord, SessionRecord
from .app import Emulator, ReceivedRequest
from .auth import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, SANDBOX_TOKENS
from .documented_sessions import (
    ASHA_SESSION,
    DOCUMENTED_NOW,
    OTHER_DOCUMENTED_SESSION,
    documented_payload,
)
from .generate import generate
from .options import Fault, Options
from .scenarios import (
    ASHA,
    ASHA_VERIFIED_SESSION,
    BEN,
    BEN_SESSION,
    BURST_COUNTRY,
    BURST_NETWORK,
    BURST_PREFIX,
    HOSTILE_SESSION,
    INCIDENT_COUNTRY,
    INCIDENT_NETWORK,
    burst_span,
    incident_span,
)
from .serve import run, serve
from .session_simulation import APPS, BRANDS, SUBACCOUNTS

__all__ = [
    "APPS",
    "ASHA",
    "ASHA_SESSION",
    "ASHA_VERIFIED_SESSION",
    "BEN",
    "BEN_SESSION",
    "BRANDS",
    "BURST_COUNTRY",
    "BURST_NETWORK",
    "BURST_PREFIX",
    "DOCUMENTED_NOW",
    "HOSTILE_SESSION",
    "INCIDENT_COUNTRY",
    "INCIDENT_NETWORK",
    "OTHER_DOCUMENTED_SESSION",
    "SANDBOX_AUTH_ID",
    "SANDBOX_AUTH_TOKEN",
    "SANDBOX_TOKENS",
    "SUBACCOUNTS",
    "AccountData",
    "AttemptRecord",
    "Emulator",
    "Fault",
    "Options",
    "ReceivedRequest",
    "SessionRecord",
    "burst_span",
    "documented_payload",
    "generate",
    "incident_span",
    "run",
    "serve",
]
