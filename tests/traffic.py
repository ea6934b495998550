"""Made-up traffic to count and estimate, with a daily rhythm, a burst of fraud and an incident."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from math import pi, sin
from random import Random
from typing import NamedTuple

from verify_mcp.counting import PAGE, Count, Guess
from verify_mcp.estimates import Estimate, Number, sample
from verify_mcp.windows import Window

END = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SHARES = {"IN": 0.50, "US": 0.31, "BR": 0.12, "NG": 0.06, "MT": 0.01}
PRICES = {"IN": "0.08", "US": "0.02", "BR": "0.05", "NG": "0.15", "MT": "0.20"}
FRAUD = "NG"


class Row(NamedTuple):
    """A session, as far as it matters here."""

    created: datetime
    status: str
    country: str
    attempts: int
    cost: Decimal


Measure = Callable[[Row], Number]


@dataclass(frozen=True)
class Traffic:
    """The sessions of one window, newest first."""

    window: Window
    rows: Sequence[Row]

    @cached_property
    def truth(self) -> dict[str, Decimal]:
        """Every measure over all sessions."""
        return {name: Decimal(sum(map(each, self.rows))) for name, each in MEASURES.items()}

    def of(self, status: str) -> Traffic:
        return Traffic(self.window, [row for row in self.rows if row.status == status])


def traffic(random: Random, size: int, *, hours: int, burst: float = 0.02) -> Traffic:
    """So many sessions in the hours before END, a share of them in one burst of fraud."""
    phase, sudden = random.uniform(0, 24), int(size * burst)
    burst_at, incident_at = random.uniform(0, 0.95) * hours, random.uniform(0, 0.9) * hours
    usual: list[tuple[float, bool]] = []
    while len(usual) < size - sudden:
        ago = random.uniform(0, hours)
        if random.random() < (1 + 0.8 * _busy(ago + phase)) / 1.8:
            usual.append((ago, False))
    fraud = [(burst_at + random.uniform(0, min(2, hours * 0.03)), True) for _ in range(sudden)]
    failing = (incident_at, incident_at + min(6, hours * 0.06))
    rows = [
        _row(random, ago, _busy(ago + phase), fraud=fraud, failing=failing[0] <= ago < failing[1])
        for ago, fraud in sorted(usual + fraud)
    ]
    return Traffic(Window(END - timedelta(hours=hours), END), rows)


def _busy(hour: float) -> float:
    return sin(2 * pi * hour / 24)


def _row(random: Random, ago: float, busy: float, *, fraud: bool, failing: bool) -> Row:
    weights = [SHARES["IN"] * (1 + busy / 2), SHARES["US"] * (1 - 0.4 * busy)]
    weights += list(SHARES.values())[2:]
    country = FRAUD if fraud else random.choices(list(SHARES), weights)[0]
    chance = 0.1 if fraud else 0.35 if failing and country == "IN" else 0.75
    verified = random.random() < chance
    fresh = ago < 0.08 and random.random() < 0.6
    attempts = 1 if verified and random.random() < 0.8 else random.choices((1, 2, 3), (3, 4, 3))[0]
    charged = attempts if random.random() < 0.95 else 0
    cost = Decimal(PRICES[country]) * charged + (Decimal("0.05") if verified else 0)
    status = "in-progress" if fresh else "verified" if verified else "expired"
    return Row(END - timedelta(hours=ago), status, country, attempts, cost)


def counted(count: Count, rows: Sequence[Row], width: int = 1) -> tuple[Count, int]:
    """A count seen through against these rows, and the rounds it took."""
    rounds = 0
    while offsets := count.asks(width):
        rounds += 1
        for offset in offsets:
            page = rows[offset : offset + PAGE]
            ends = (page[-1].created, page[0].created) if page else (None, None)
            count = count.learn(offset, len(page), *ends)
    return count, rounds


def four_counts(told: Traffic, *, width: int = 1, hints: bool = True) -> tuple[list[Count], int]:
    """All sessions and those of each status, counted one after the other, and the rounds taken.

    With hints each count uses what those before it found; without, each starts anew.
    """
    whole, rounds = counted(Count(told.window), told.rows, width)
    counts, spent = [whole], rounds
    seen = [row for page in whole.pages for row in told.rows[page.offset : page.offset + PAGE]]
    left = whole.total or 0
    for status in ("in-progress", "verified", "expired"):
        start = Count(told.window)
        if hints and status == "verified":
            having = sum(row.status == status for row in seen)
            guess = Guess.by_share(left, having=having, seen=len(seen))
            start = Count(told.window, like=whole, guess=guess)
        elif hints and status == "expired":
            start = Count(told.window, like=whole, guess=Guess(left))
        count, rounds = counted(start, told.of(status).rows, width)
        counts.append(count)
        spent += rounds
        left -= count.total or 0
    return counts, spent


class Answer(NamedTuple):
    """What an estimate said, and what is true."""

    told: Estimate
    truth: Decimal

    @property
    def held(self) -> bool:
        return self.told.low <= self.truth <= self.told.high

    @property
    def width(self) -> float:
        """Half the interval, relative to the truth."""
        return float((self.told.high - self.told.low) / 2 / self.truth)


def estimated(
    told: Traffic, count: Count, budget: int, chance: Callable[[], float]
) -> dict[str, Answer]:
    """Every figure that estimates are for, from the pages a count saw and as many drawn."""
    drawn = sample(
        len(told.rows), budget, (page.offset for page in count.pages if page.rows), chance
    )
    pages = {page: told.rows[page : page + PAGE] for page in (*drawn.sure, *drawn.offsets)}
    values = {
        name: {page: sum(map(measure, rows)) for page, rows in pages.items()}
        for name, measure in MEASURES.items()
    }
    dearest, truth = max(row.cost for rows in pages.values() for row in rows), told.truth
    verified = truth["verified"]
    cost = drawn.estimate(values["cost"], each=dearest)
    answers = {
        "cost": (cost, truth["cost"]),
        "attempts": (drawn.estimate(values["attempts"], each=3), truth["attempts"]),
        "cost per verified": (cost and cost.per(int(verified)), truth["cost"] / verified),
    }
    for country in SHARES:
        group = drawn.estimate(values[country], each=1)
        answers[f"from {country}"] = (group, truth[country])
    for country in ("IN", "US"):
        spent, good, settled = (f"{country} {name}" for name in ("cost", "verified", "settled"))
        share = drawn.share(values[good], values[settled])
        answers[f"conversion, {country}"] = (share, truth[good] / truth[settled])
        ratio = drawn.ratio(values[spent], values[good], each=dearest)
        answers[f"cost per verified, {country}"] = (ratio, truth[spent] / truth[good])
    return {name: Answer(told, truth) for name, (told, truth) in answers.items() if told}


def _from(country: str, measure: Measure = lambda _: 1) -> Measure:
    return lambda row: measure(row) if row.country == country else 0


MEASURES: dict[str, Measure] = {
    "cost": lambda row: row.cost,
    "attempts": lambda row: row.attempts,
    "verified": lambda row: row.status == "verified",
    **{country: _from(country) for country in SHARES},
    **{f"{country} cost": _from(country, lambda row: row.cost) for country in SHARES},
    **{
        f"{country} verified": _from(country, lambda row: row.status == "verified")
        for country in SHARES
    },
    **{
        f"{country} settled": _from(country, lambda row: row.status != "in-progress")
        for country in SHARES
    },
}
