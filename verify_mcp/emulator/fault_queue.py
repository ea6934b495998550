"""The faults of the next replies: those queued by a test first, then random ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from .options import Endpoint, Fault


@dataclass(frozen=True)
class QueuedFault:
    """A fault for one reply, of `endpoint` if it is given."""

    fault: Fault
    endpoint: Endpoint | None = None
    retry_after: str | None = None


class FaultQueue:
    """Chooses the fault of each reply; `random` decides about the random ones."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._queued: list[QueuedFault] = []

    def add(self, fault: QueuedFault, times: int) -> None:
        """Queue a fault for this number of replies."""
        self._queued += [fault] * times

    def pop(
        self, endpoint: Endpoint, chances: tuple[tuple[Fault, float], ...]
    ) -> QueuedFault | None:
        """The fault of the next reply of this endpoint, None for a good reply.

        `chances` are the random faults with their probabilities.
        """
        for index, queued in enumerate(self._queued):
            if queued.endpoint in {None, endpoint}:
                return self._queued.pop(index)
        draw = self._random.random() if chances else 1.0
        for fault, probability in chances:
            draw -= probability
            if draw < 0:
                return QueuedFault(fault)
        return None
