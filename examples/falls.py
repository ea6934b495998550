"""Where conversion fell: the decision of conversion_watch.py, which asks and waits itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma

LEAST = 10
"""Finished sessions that a country needs, now and before; fewer mean nothing."""
POINTS = 10
"""A fall by fewer percentage points is no news."""
CHANCE = 0.01
"""How likely a report may be when nothing has changed in any country."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Sessions that are over."""

    verified: int = 0
    expired: int = 0

    @property
    def finished(self) -> int:
        """All of them."""
        return self.verified + self.expired

    @property
    def conversion(self) -> float:
        """Percent verified, of at least one."""
        return 100 * self.verified / self.finished

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.verified + other.verified, self.expired + other.expired)

    def __str__(self) -> str:
        return f"{self.conversion:.0f} % of {self.finished:,}"


Tallies = Mapping[str, Tally]
"""By country."""


def added(every: Sequence[Tallies]) -> dict[str, Tally]:
    """The tallies of several times as one."""
    countries = {country for tallies in every for country in tallies}
    return {
        country: sum((tallies.get(country, Tally()) for tallies in every), Tally())
        for country in countries
    }


def chance(now: Tally, before: Tally) -> float:
    """How likely so few of `now` would be verified if nothing had changed (Fisher's exact test)."""
    verified = now.verified + before.verified
    possible = _ways(now.finished + before.finished, verified)
    fewest = max(0, verified - before.finished)
    return sum(
        exp(_ways(now.finished, few) + _ways(before.finished, verified - few) - possible)
        for few in range(fewest, now.verified + 1)
    )


def _ways(whole: int, chosen: int) -> float:
    """The logarithm of the ways to choose so many: the number itself would not fit a float."""
    return lgamma(whole + 1) - lgamma(chosen + 1) - lgamma(whole - chosen + 1)


def compared(now: Tallies, before: Tallies) -> list[str]:
    """The countries with enough sessions at both times, in alphabetical order."""
    both = sorted(now.keys() & before.keys())
    return [each for each in both if min(now[each].finished, before[each].finished) >= LEAST]


def fallen(now: Tallies, before: Tallies) -> list[str]:
    """The countries where conversion fell, and not by chance, the deepest fall first."""
    judged = compared(now, before)
    depth = {each: before[each].conversion - now[each].conversion for each in judged}
    # Who looks at more countries meets more chance: each gets its share of what is allowed.
    allowed = CHANCE / max(1, len(judged))
    return sorted(
        (
            each
            for each in judged
            if depth[each] >= POINTS and chance(now[each], before[each]) <= allowed
        ),
        key=lambda each: (-depth[each], each),
    )


def report(when: str, now: Tallies, before: Tallies) -> str:
    """What a person reads: each country that fell, and what was looked at."""
    fell, judged = fallen(now, before), compared(now, before)
    lines = [f"{'Conversion fell' if fell else 'No fall of conversion'}, {when}."]
    lines += [f"  {each}: {now[each]} sessions, before {before[each]}" for each in fell]
    small = len((now.keys() | before.keys()) - set(judged))
    lines.append(f"Compared: {', '.join(judged) or 'none'}; too few sessions in {small} more.")
    return "\n".join(lines)
