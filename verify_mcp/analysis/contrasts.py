"""Which of several groups changed otherwise than the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from verify_mcp.analysis.distributions import normal_two_sided
from verify_mcp.analysis.proportions import Proportion, chance_of_difference

MAX_CHANCE = 0.05
"""A group whose change is no likelier than that is left out of what others are compared with."""


@dataclass(frozen=True, slots=True)
class RateChange:
    """One group's success rate before and after."""

    before: Proportion
    after: Proportion


@dataclass(frozen=True, slots=True)
class _Contribution:
    """A group's change of rate, its variance, and its weight among the groups."""

    change: float
    variance: float
    weight: float


@dataclass(frozen=True, slots=True)
class _Reference:
    """The weighted sum of some groups' changes."""

    weight: float = 0.0
    change: float = 0.0
    variance: float = 0.0

    def without(self, group: _Contribution) -> "_Reference":
        """The same without one of its groups."""
        return _Reference(
            self.weight - group.weight,
            self.change - group.weight * group.change,
            self.variance - group.weight**2 * group.variance,
        )

    def chance_of(self, group: _Contribution) -> float:
        """The two-sided chance that a group differs so much from the others in this sum."""
        others = self.without(group)
        if others.weight < 1:
            return 1.0  # there are no others
        difference = group.change - others.change / others.weight
        variance = group.variance + max(0.0, others.variance) / others.weight**2
        return normal_two_sided(difference / sqrt(variance))


def chances_of_changes(changes: Sequence[RateChange | None]) -> list[float]:
    """For each group, the chance of its change, and of its difference from the others' change.

    Both have to be unlikely, so the larger of the two counts. It is 1 for a group without a change,
    and where there are no others. The others' change is the mean of their changes of rate,
    weighted by their trials before, so that a new group does not move it. The clearest group first,
    those that changed by themselves are taken out of the others, so that two of them do not hide
    each other. Rates are (k+1)/(n+2) and their variance p(1-p)/(n+2) here: the adjustment of
    Agresti and Caffo 2000 (The American Statistician 54, 280-288).
    """
    alone = [
        chance_of_difference(change.before, change.after) if change else 1.0 for change in changes
    ]
    groups = {index: _contribution(change) for index, change in enumerate(changes) if change}
    reference = _sum(list(groups.values()))
    found: dict[int, float] = {}
    while True:
        left = [index for index in groups if index not in found and alone[index] <= MAX_CHANCE]
        chances = {index: reference.chance_of(groups[index]) for index in left}
        clearest = min(chances, key=chances.__getitem__, default=None)
        if clearest is None or chances[clearest] > MAX_CHANCE:
            break
        found[clearest] = chances[clearest]
        reference = reference.without(groups[clearest])
    return [max(chance, found.get(index, 1.0)) for index, chance in enumerate(alone)]


def _contribution(change: RateChange) -> _Contribution:
    before, after = _adjusted(change.before), _adjusted(change.after)
    variance = before * (1 - before) / (change.before.trials + 2)
    variance += after * (1 - after) / (change.after.trials + 2)
    return _Contribution(after - before, variance, change.before.trials)


def _adjusted(proportion: Proportion) -> float:
    return (proportion.successes + 1) / (proportion.trials + 2)


def _sum(groups: Sequence[_Contribution]) -> _Reference:
    return _Reference(
        sum(group.weight for group in groups),
        sum(group.weight * group.change for group in groups),
        sum(group.weight**2 * group.variance for group in groups),
    )
