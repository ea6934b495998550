"""Sentences for people at a terminal: they can run a command, and restart no server."""

from math import ceil
from pathlib import Path

from verify_mcp.errors import CredentialsMissing, CredentialsRejected, QuotaExhausted, VerifyError
from verify_mcp.settings import PUT_INTO_FILE, SET_VARIABLES

COMMAND_REMEDIES = {
    SET_VARIABLES: "Set PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN in this shell (both are on the "
    "overview page of the Plivo console), then run this again.",
    PUT_INTO_FILE: "Put the auth token into that file (only you should be able to read it), then "
    "run this again.",
}
"""What helps a command, by what helps a server."""


def explain_error(error: VerifyError) -> str:
    """An error in a sentence that names what a person can do in this terminal."""
    text = str(error)
    if isinstance(error, CredentialsMissing):
        for server_remedy, remedy in COMMAND_REMEDIES.items():
            text = text.replace(server_remedy, remedy)
        return f"{text} `verify-mcp doctor` checks the credentials."
    if isinstance(error, CredentialsRejected):
        return (
            "The Verify API refused the credentials (401). Compare PLIVO_AUTH_ID and "
            "PLIVO_AUTH_TOKEN with the Plivo console; `verify-mcp doctor` tests them."
        )
    if isinstance(error, QuotaExhausted):
        return (
            "The account's quota of API requests is in use. Run this again in "
            f"{about(error.eta_s)}."
        )
    return text


def about(seconds: float) -> str:
    """A time to wait as people say it: `about 40 seconds`, `about 2.5 hours`."""
    if seconds <= 90:
        return f"about {max(10, 10 * ceil(seconds / 10))} seconds"
    minutes = ceil(seconds / 60)
    if minutes <= 90:
        return f"about {minutes} minutes"
    return f"about {ceil(seconds / 360) / 10:g} hours"


def quoted_command(*words: str) -> str:
    """A command of this program as a person types it."""
    return f"`verify-mcp {' '.join(word if ' ' not in word else repr(word) for word in words)}`"


def explain_unwritable(path: Path | None, error: OSError) -> str:
    """Why a command's output cannot be written; a path of None is stdout."""
    if isinstance(error, FileExistsError):
        return f"{path} is there already. Give another file with -o, or --force to replace it."
    return f"{path or 'Standard output'} cannot be written: {error.strerror or error}."
