"""The parts of the application that a summary uses."""

from typing import Protocol

from verify_mcp.clock import Clock
from verify_mcp.database.status import DatabaseStatus
from verify_mcp.mirror.mirror import Mirror
from verify_mcp.mirror.resumable_jobs import ResumableJobs
from verify_mcp.mirror.session_source import SessionSource
from verify_mcp.settings import Settings


class SummaryContext(Protocol):
    """What `AppContext` has of these; this folder is below the one that composes it."""

    @property
    def clock(self) -> Clock:
        """Time, sleep and randomness."""

    @property
    def settings(self) -> Settings:
        """The settings of the caller."""

    @property
    def gateway(self) -> SessionSource:
        """The API's endpoints, their rate limits and the API's clock."""

    @property
    def database(self) -> DatabaseStatus:
        """Whether the database works."""

    @property
    def mirror(self) -> Mirror:
        """The local copy of the sessions."""

    @property
    def resumable_jobs(self) -> ResumableJobs:
        """Counts that earlier calls began."""
