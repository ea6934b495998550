"""Unfinished work that a later call of the same question continues."""

from collections import OrderedDict
from collections.abc import Hashable

MAX_RESUMABLE_JOBS = 20
"""Questions whose unfinished work is remembered."""


class ResumableJobs(OrderedDict[Hashable, object]):
    """Unfinished work by question; beyond `MAX_RESUMABLE_JOBS` the oldest is forgotten."""

    def __setitem__(self, key: Hashable, work: object) -> None:
        super().__setitem__(key, work)
        self.move_to_end(key)
        if len(self) > MAX_RESUMABLE_JOBS:
            self.popitem(last=False)
