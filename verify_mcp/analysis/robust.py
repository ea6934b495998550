"""The usual value of a series and its spread, which a few odd values do not move."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from verify_mcp.analysis.distributions import normal_quantile

_NORMAL_SCALE = 1 / normal_quantile(0.75)
"""The standard deviation of a normal variable as a multiple of its absolute deviation's median."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, and their scale: what a standard deviation is to normal values."""

    median: float
    scale: float

    def deviations(self, value: float) -> float:
        """How many scales a value lies above the median; infinite where the values do not vary."""
        if value == self.median:
            return 0.0
        if not self.scale:
            return float("inf") if value > self.median else float("-inf")
        return (value - self.median) / self.scale


def spread(values: Sequence[float]) -> Spread:
    """The median and 1.4826 times the median absolute deviation from it (Hampel 1974).

    Half of the values may be arbitrary before either becomes so. Raises StatisticsError if there
    are no values.
    """
    middle = median(values)
    return Spread(middle, _NORMAL_SCALE * median(abs(value - middle) for value in values))
