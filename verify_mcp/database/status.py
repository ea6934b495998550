"""The state of the database, as far as answers show it."""

from typing import Protocol


class DatabaseStatus(Protocol):
    """Whether the database works, where it is and how big it is."""

    @property
    def problem(self) -> str:
        """What is wrong now, in a sentence; empty when nothing is."""

    @property
    def location(self) -> str:
        """Where it is, without secrets."""

    async def size(self) -> int | None:
        """Bytes it takes; None when that is not known."""

    async def check(self) -> None:
        """Read from it. Raises DatabaseUnavailable."""
