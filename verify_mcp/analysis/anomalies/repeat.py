"""A recipient who asks for codes far more often than the others."""

from collections.abc import Mapping, Sequence

from verify_mcp.analysis.anomalies.finding import Finding, Search
from verify_mcp.domain.windows import Window

MIN_SESSIONS = 10
"""The fewest sessions of a recipient that stands out."""
MIN_RATIO = 3
"""How many times as often as all but the most frequent thousandth of the others."""
RARE = 0.001
MIN_OTHERS = 20
"""The fewest other recipients that say what is usual."""


def find_repeats(
    window: Window, histogram: Mapping[int, int], top: Sequence[tuple[str, str, int]]
) -> Search:
    """The recipients of `top` (number, country, sessions) that stand out.

    `histogram` has how many recipients had so many sessions. The chance is that of a geometric
    distribution of the others' mean: after each session another one follows with the same chance.
    """
    limit = max(MIN_SESSIONS, MIN_RATIO * _usual_most(histogram) + 1)
    others = {count: many for count, many in histogram.items() if count < limit}
    sessions = sum(count * many for count, many in others.items())
    recipients = sum(histogram.values())
    if sum(others.values()) < MIN_OTHERS:
        return Search("repeat", max(1, recipients), ())
    again = (sessions - sum(others.values()) + 1) / (sessions + 2)
    findings = tuple(
        Finding(
            "repeat",
            {"country": country, "recipient": number},
            window,
            "sessions",
            sessions / max(1, sum(others.values())),
            count,
            again ** (count - 1),
        )
        for number, country, count in top
        if count >= limit
    )
    return Search("repeat", max(1, recipients), findings)


def _usual_most(histogram: Mapping[int, int]) -> int:
    """The most sessions of a recipient, without a thousandth of them, and without the top five."""
    left_out = max(5.0, RARE * sum(histogram.values()))
    for count in sorted(histogram, reverse=True):
        left_out -= histogram[count]
        if left_out < 0:
            return count
    return 1
