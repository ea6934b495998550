"""What a detector found: a place, a time, what was usual there, and how likely chance made it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from verify_mcp.domain.windows import Window

MAX_CHANCE = 0.05
"""The greatest chance, after correction, of what is reported."""
SHARES = {
    "pumping": 0.2,
    "delivery": 0.4,
    "conversion": 0.2,
    "spend": 0.05,
    "volume": 0.05,
    "repeat": 0.05,
    "stuck": 0.05,
}
"""Each kind's share of MAX_CHANCE. Kinds that look at the most places have the largest ones."""
KINDS = tuple(SHARES)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that stands out in `window`, at the place that `where` names by dimension.

    `expected` and `seen` are figures of `measure`: shares from 0 to 1, numbers or amounts. `chance`
    is corrected for everything that was looked at.
    """

    kind: str
    where: Mapping[str, str]
    window: Window
    measure: str
    expected: float
    seen: float
    chance: float
    begin: Window | None = None
    """The first and the last instant at which it may have begun, where that was estimated."""
    trials: int = 0
    """The attempts or sessions of which a share is told; 0 where it is no share."""
    also: tuple[Mapping[str, str], ...] = ()
    """Other places that stand out at the same time, wider or less clearly."""

    @property
    def lost(self) -> float:
        """How many more trials would have succeeded at the expected share."""
        return (self.expected - self.seen) * self.trials


@dataclass(frozen=True, slots=True)
class Search:
    """What a detector looked at: the findings, their chances before correction, and the tests."""

    kind: str
    tests: int
    findings: tuple[Finding, ...] = field(default=())


def corrected(search: Search, kinds: tuple[str, ...]) -> tuple[Finding, ...]:
    """The findings whose chance after correction is at most MAX_CHANCE.

    A weighted Bonferroni correction over all kinds looked at: the chance of any false finding is at
    most the sum over all tests, each kind having its share of it.
    """
    share = SHARES[search.kind] / sum(SHARES[kind] for kind in kinds)
    factor = search.tests / share
    findings = [
        replace(finding, chance=min(1.0, finding.chance * factor)) for finding in search.findings
    ]
    return tuple(finding for finding in findings if finding.chance <= MAX_CHANCE)
