"""Made-up traffic to count and estimate, with a daily rhythm, a burst of fraud and an incident."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from math import pi, sin
from random import Random
from typing import NamedTuple

from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.sessions import Attempt, Page, Session
from verify_mcp.domain.windows import Window
from verify_mcp.summaries.estimate import Estimate, Number
from verify_mcp.summaries.exact_count import CountSearch, Prior
from verify_mcp.summaries.figures import SampledPages
from verify_mcp.summaries.sampling import draw_sample

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

    @property
    def rescued(self) -> bool:
        """Whether another channel than the first one brought the code, in a third of the cases."""
        return self.status == "verified" and self.attempts > 1 and self.created.microsecond % 3 == 0


Measure = Callable[[Row], Number]


@dataclass(frozen=True)
class Traffic:
    """The sessions of one window, newest first."""

    window: Window
    rows: Sequence[Row]
    _pages: dict[int, Page] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def truth(self) -> dict[str, Decimal]:
        """Every measure over all sessions."""
        return {name: Decimal(sum(map(each, self.rows))) for name, each in MEASURES.items()}

    def page(self, offset: int) -> Page:
        """One page as the list endpoint gives it."""
        if offset not in self._pages:
            rows = self.rows[offset : offset + PAGE_SIZE]
            sessions = tuple(_session(offset + index, row) for index, row in enumerate(rows))
            self._pages[offset] = Page(sessions, received=len(rows))
        return self._pages[offset]

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


def _session(number: int, row: Row) -> Session:
    """The session of one row, copied and not read from JSON, which takes long."""
    channels = ["sms" for _ in range(row.attempts)]
    if row.rescued:
        channels[-1] = "voice"
    return _BLANK.model_copy(
        update={
            "uuid": f"{number:08x}-0000-4000-8000-000000000000",
            "status": row.status,
            "channel": channels[-1],
            "attempts": tuple(_ATTEMPTS[channel] for channel in channels),
            "cost": row.cost,
            "api_country": row.country,
            "created": row.created,
        }
    )


_BLANK = Session.model_construct()
_ATTEMPTS = {each: Attempt.model_validate({"channel": each}) for each in ("sms", "voice")}


def run_count(count: CountSearch, rows: Sequence[Row]) -> CountSearch:
    """The finished count of these rows."""
    while (offset := count.next_offset()) is not None:
        page = rows[offset : offset + PAGE_SIZE]
        ends = (page[-1].created, page[0].created) if page else (None, None)
        count = count.with_page(offset, len(page), *ends)
    return count


def four_counts(traffic: Traffic, *, hints: bool = True) -> list[CountSearch]:
    """All sessions and those of each status, counted one after the other.

    With hints each count uses what those before it found; without, each starts anew.
    """
    total = run_count(CountSearch(traffic.window), traffic.rows)
    counts = [total]
    seen = [
        row
        for probe in total.probes
        for row in traffic.rows[probe.offset : probe.offset + PAGE_SIZE]
    ]
    left = total.total or 0
    for status in ("in-progress", "verified", "expired"):
        start = CountSearch(traffic.window)
        if hints and status == "verified":
            having = sum(row.status == status for row in seen)
            guess = Prior.by_share(left, having=having, seen=len(seen))
            start = CountSearch(traffic.window, reference=total, prior=guess)
        elif hints and status == "expired":
            start = CountSearch(traffic.window, reference=total, prior=Prior(left))
        count = run_count(start, traffic.of(status).rows)
        counts.append(count)
        left -= count.total or 0
    return counts


class Answer(NamedTuple):
    """What an estimate said, and what is true."""

    reported: Estimate
    truth: Decimal

    @property
    def contains_truth(self) -> bool:
        if self.reported.exact:
            return abs(self.reported.value - self.truth) < Decimal("0.000001")
        return self.reported.low <= self.truth <= self.reported.high

    @property
    def width(self) -> float:
        """Half the interval, relative to the truth."""
        return float((self.reported.high - self.reported.low) / 2 / self.truth)


READ = (4, 24, 44, 64, 84, 104)
"""Pages of a sample read by the end of each call: a minute's quota, the first for counting."""


def ask_again(
    told: Traffic, count: CountSearch, chance: Callable[[], float], read: Sequence[int] = READ
) -> list[dict[str, Answer]]:
    """After each call every figure that is estimated, from the pages read by then."""
    seen = [page.offset for page in count.probes if page.rows and page.offset % PAGE_SIZE == 0]
    drawn = draw_sample(len(told.rows), seen, chance)
    pages = {page: told.page(page) for page in (*drawn.known_offsets, *drawn.offsets[: max(read)])}
    answers = []
    for number in read:
        came = (*drawn.known_offsets, *drawn.offsets[:number])
        answers.append(_reported(told, SampledPages(drawn, {page: pages[page] for page in came})))
    return answers


def _reported(told: Traffic, reading: SampledPages) -> dict[str, Answer]:
    truth, totals = told.truth, reading.totals()
    verified = truth["verified"]
    figures = {name: (own, truth[name]) for name, own in totals.items()}
    figures["cost_per_verified"] = (
        totals["cost"].divided_by(int(verified)),
        truth["cost"] / verified,
    )
    for (country,), own in reading.groups(("country",)).items():
        ended = truth[f"{country} settled"]
        figures[f"{country} sessions"] = (own.sessions, truth[country])
        if own.cost:
            figures[f"{country} cost"] = (own.cost, truth[f"{country} cost"])
        if own.conversion:
            rate = truth[f"{country} verified"] / ended
            figures[f"{country} conversion"] = (own.conversion, rate)
    return {name: Answer(own, true) for name, (own, true) in figures.items()}


def _from(country: str, measure: Measure = lambda _: 1) -> Measure:
    return lambda row: measure(row) if row.country == country else 0


MEASURES: dict[str, Measure] = {
    "cost": lambda row: row.cost,
    "attempts": lambda row: row.attempts,
    "expired_cost": lambda row: row.cost if row.status == "expired" else 0,
    "rescued": lambda row: row.rescued,
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
