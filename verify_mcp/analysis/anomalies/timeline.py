"""A window cut into steps of one length."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from verify_mcp.domain.windows import Window

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MAX_STEPS = 128
STEPS = (HOUR / 4, HOUR / 2, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY)
"""The lengths that steps may have."""
BLOCKS_OF_DAY = 4
BLOCK = DAY / BLOCKS_OF_DAY
"""The parts of a day (UTC) whose usual rates are known apart: nights differ from days."""
_EPOCH = datetime.fromisoformat("1970-01-01T00:00+00:00")


@dataclass(frozen=True, slots=True)
class Timeline:
    """So many steps of one length; the first begins at `start`."""

    start: datetime
    step: timedelta
    steps: int

    def moment(self, index: int) -> datetime:
        """When the step of this index begins; that of `steps` is the end."""
        return self.start + index * self.step

    def window(self, first: int, end: int) -> Window:
        """The window from one step up to, but not including, another."""
        return Window(self.moment(first), self.moment(end))

    def block(self, index: int) -> int:
        """The block of the day in which the middle of a step lies."""
        return block_of_day(self.moment(index) + self.step / 2)


def timeline(window: Window) -> Timeline:
    """A window in the shortest steps of which it takes at most MAX_STEPS.

    Steps begin at multiples of their length since 1970, so the first and the last may reach beyond
    the window.
    """
    step = next((step for step in STEPS if window.length <= MAX_STEPS * step), STEPS[-1])
    first = (window.start - _EPOCH) // step
    last = -(-(window.end - _EPOCH) // step)
    return Timeline(_EPOCH + first * step, step, last - first)


def block_of_day(moment: datetime) -> int:
    """The index of the block of the day (UTC) in which an instant lies."""
    return (moment - _EPOCH) // BLOCK % BLOCKS_OF_DAY
