"""A pretend Plivo Verify Session API, seeded and steerable, for tests, demos and rehearsals.

It imports nothing of this project, so that it cannot share its mistakes.
"""

from .accounts import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, SANDBOX_TOKENS
from .app import Emulator, ReceivedRequest
from .behaviour import Fault, Options
from .documented import ASHA_SESSION, DOCUMENTED_NOW, OTHER_DOCUMENTED_SESSION, documented_payload
from .journeys import APPS, BRANDS, SUBACCOUNTS
from .records import AccountData, AttemptRecord, SessionRecord
from .serve import run, serve
from .stories import (
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
from .world import generate

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
    "AttemptRecord",
    "Options",
    "Emulator",
    "Fault",
    "ReceivedRequest",
    "SessionRecord",
    "AccountData",
    "burst_span",
    "generate",
    "documented_payload",
    "incident_span",
    "run",
    "serve",
]
