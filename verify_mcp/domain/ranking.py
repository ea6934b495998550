"""Which groups of a summary are shown, and in what order; the rest is added up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from verify_mcp.domain.groups import GroupKey
from verify_mcp.domain.tallies import Tallies, Tally, total

ORDERS = {
    "sessions": "most first",
    "cost": "most first",
    "expired": "most first",
    "conversion_pct": "lowest first",
    "cost_per_verified": "dearest first",
}
"""What groups can be ordered by, and the direction in which the order is useful."""
DEFAULT_TOP, MAX_TOP = 20, 200
"""Groups shown unless the call says otherwise, and at most."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The order of groups; those after `top` and those of too few sessions are the rest."""

    order_by: str = "sessions"
    top: int = DEFAULT_TOP
    min_sessions: int = 0

    def apply(self, tallies: Mapping[GroupKey, Tally]) -> "RankedGroups":
        """The groups in order, and the rest in one tally."""
        large = {key: item for key, item in tallies.items() if item.sessions >= self.min_sessions}
        ranked = sorted(large, key=lambda key: (self._place(large[key]), key))
        shown = {key: large[key] for key in ranked[: self.top]}
        rest = [item for key, item in tallies.items() if key not in shown]
        return RankedGroups(shown, len(rest), total(rest))

    def _place(self, tally: Tally) -> Fraction | int:
        """A number that is smaller for what comes first."""
        match self.order_by:
            case "conversion_pct":
                return Fraction(tally.verified, tally.ended) if tally.ended else Fraction(2)
            case "cost_per_verified" if tally.verified:
                return -Fraction(tally.cost, tally.verified)
            case "cost_per_verified":
                return -Fraction(10**30 + tally.cost) if tally.cost else Fraction(1)
            case order:
                return -int(getattr(tally, order))


@dataclass(frozen=True, slots=True)
class RankedGroups:
    """Groups in the order of a ranking, how many others there are, and their tally."""

    tallies: Tallies = field(default_factory=dict)
    others: int = 0
    rest: Tally = field(default_factory=Tally)
