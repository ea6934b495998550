"""Sends a notice to a web address: only https or this machine, without redirects, with retries.

The address may itself be a secret, so no message of this module names more of it than the host.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from verify_mcp.clock import Clock
from verify_mcp.errors import InvalidSetting
from verify_mcp.plivo.retry import retry_after
from verify_mcp.plivo.transport import client_options, quiet_http_logs
from verify_mcp.settings_parsers import InvalidValue, parse_web_address

TIMEOUT_SECONDS = 10.0
MAX_TRIES = 3
PAUSES = (1.0, 5.0)
MAX_PAUSE = 30.0
"""The longest wait that a receiver may ask for."""


class NoticeFailed(Exception):
    """A notice could not be handed over; the message says why, and the next look tries again."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A web address that takes JSON."""

    url: str

    @property
    def host(self) -> str:
        """The host of the address."""
        return urlsplit(self.url).hostname or ""

    async def send(self, body: Mapping[str, Any], clock: Clock) -> None:
        """Post a notice. Raises NoticeFailed after the last try."""
        import httpx  # deferred: a tenth of the time to start

        quiet_http_logs()
        options = client_options(is_https=self.url.startswith("https:"), accept="application/json")
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, **options) as client:
            for number in range(MAX_TRIES):
                try:
                    reply = await client.post(self.url, json=body)
                except httpx.HTTPError as error:
                    problem, pause = type(error).__name__, None
                else:
                    if reply.is_success:
                        return
                    problem = f"HTTP {reply.status_code}"
                    pause = retry_after(reply.headers.get("retry-after"), clock.now())
                    if reply.status_code < 500 and reply.status_code not in (408, 429):
                        break
                if number < len(PAUSES):
                    await clock.sleep(min(MAX_PAUSE, max(PAUSES[number], pause or 0.0)))
        raise NoticeFailed(f"The webhook at {self.host} did not take a notice: {problem}.")


def parse_webhook(text: str) -> Webhook:
    """The webhook at an address, or at the one that a file holds (`@path`).

    Raises InvalidSetting unless it is https, or http on this machine.
    """
    url = text
    if text.startswith("@"):
        try:
            url = Path(text[1:]).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise InvalidSetting(f"--webhook: {text[1:]} cannot be read.") from None
    try:
        parse_web_address(url or "-")
    except InvalidValue:
        raise InvalidSetting(
            "--webhook takes an https:// address, http:// on this machine, or @FILE with one."
        ) from None
    return Webhook(url)
