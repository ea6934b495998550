"""Made months of an account in numbers: 28 days of the past and a window of one day.

Rates have a rhythm of the day, weekends, and days that differ from each other by more than chance.
Events of known size are planted into the window.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from verify_mcp.analysis.anomalies.detect import Rates
from verify_mcp.analysis.anomalies.pumping import PrefixCell
from verify_mcp.analysis.anomalies.rates import Place, RateSeries
from verify_mcp.analysis.anomalies.timeline import BLOCKS_OF_DAY, Timeline, timeline
from verify_mcp.analysis.change_point import Cell
from verify_mcp.domain.windows import Window

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PAST_DAYS = 28
STEPS_PER_HOUR = 4
START = datetime(2026, 3, 1, tzinfo=UTC)
SESSIONS_A_DAY = 3000
PRICE = 0.05
PREFIXES = 3
"""Prefixes without the last six digits that a network's numbers have."""
COUNTRIES = {
    "IN": (30, 0.74, 3), "US": (17, 0.82, 3), "BR": (11, 0.70, 3), "ID": (10, 0.68, 3),
    "GB": (8, 0.83, 3), "FR": (5, 0.80, 2), "DE": (5, 0.81, 2), "MX": (4, 0.72, 2),
    "PH": (4, 0.69, 2), "NG": (3, 0.61, 2), "AE": (2, 0.77, 2), "AZ": (1, 0.66, 2),
}  # fmt: skip
"""Each country's share of the sessions in per cent, conversion, and number of networks."""
APPS = (0.5, 0.3, 0.2)


@dataclass(frozen=True, slots=True)
class Fault:
    """A network in which something changes from one step to another.

    Failures of delivery double, or, with `loses`, conversion becomes half of what it was.
    """

    network: int
    first: int
    end: int
    usual: float
    loses: bool = False
    trials: int = 0
    """The attempts, or the sessions that were reached, meanwhile."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Sessions of one prefix that nobody verifies, in the hours of the window."""

    country: str
    size: int
    first: int
    end: int
    verified: int


@dataclass(slots=True)
class Month:
    """The sessions of a month in numbers, by network and hour, and in steps in the window."""

    random: np.random.Generator
    past_attempts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    past_delivered: np.ndarray = field(default_factory=lambda: np.zeros(0))
    past_verified: np.ndarray = field(default_factory=lambda: np.zeros(0))
    attempts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    delivered: np.ndarray = field(default_factory=lambda: np.zeros(0))
    verified: np.ndarray = field(default_factory=lambda: np.zeros(0))
    bursts: list[Burst] = field(default_factory=list)

    @property
    def window(self) -> Window:
        """The day that is looked at."""
        return Window(START + PAST_DAYS * DAY, START + (PAST_DAYS + 1) * DAY)

    @property
    def steps(self) -> Timeline:
        """The steps of that day."""
        return timeline(self.window)


NETWORKS = [
    (country, f"{country}-{number}", share / many / 100, conversion)
    for country, (share, conversion, many) in COUNTRIES.items()
    for number in range(many)
]


def busyness(hours: np.ndarray) -> np.ndarray:
    """How busy hours are, counted from the start; 1 on average."""
    day = (hours // 24).astype(int)
    weekend = np.where(day % 7 >= 5, 0.75, 1.1)
    return weekend * (1 + 0.7 * np.sin(2 * np.pi * (hours % 24 - 5) / 24))


def make_month(random: np.random.Generator, fault: Fault | None = None, busy: float = 1.0) -> Month:
    """A month, with a fault or none; `busy` multiplies the sessions of its network."""
    month = Month(random)
    count = len(NETWORKS)
    share = np.array([network[2] for network in NETWORKS])
    conversion = np.array([network[3] for network in NETWORKS])
    failing = random.uniform(0.02, 0.15, count)
    if fault is not None:
        share[fault.network] *= busy
    if fault is not None and not fault.loses:
        failing[fault.network] = fault.usual
    days = PAST_DAYS + 1
    volume = random.lognormal(0, 0.1, days)
    failures = np.clip(failing[:, None] * random.lognormal(0, 0.08, (count, days)), 0, 0.9)
    converts = np.clip(conversion[:, None] + random.normal(0, 0.015, (count, days)), 0.05, 0.98)
    hours = np.arange(PAST_DAYS * 24)
    rate = SESSIONS_A_DAY / 24 * busyness(hours) * volume[hours // 24]
    month.past_attempts = random.poisson(share[:, None] * rate)
    month.past_delivered = random.binomial(month.past_attempts, 1 - failures[:, hours // 24])
    # At night fewer codes are entered.
    night = np.where(hours % 24 < 6, 0.95, 1.0)
    month.past_verified = random.binomial(month.past_delivered, converts[:, hours // 24] * night)
    steps = np.arange(24 * STEPS_PER_HOUR)
    moments = PAST_DAYS * 24 + steps / STEPS_PER_HOUR
    rate = SESSIONS_A_DAY / 24 / STEPS_PER_HOUR * busyness(moments) * volume[-1]
    month.attempts = random.poisson(share[:, None] * rate)
    today = np.repeat(failures[:, -1:], len(steps), axis=1)
    night = np.where(steps // STEPS_PER_HOUR < 6, 0.95, 1.0)
    entered = converts[:, -1:] * night
    if fault is not None and fault.loses:
        entered[fault.network, fault.first : fault.end] /= 2
    elif fault is not None:
        today[fault.network, fault.first : fault.end] = 2 * fault.usual
    month.delivered = random.binomial(month.attempts, 1 - today)
    month.verified = random.binomial(month.delivered, entered)
    return month


def rates(month: Month) -> Rates:
    """The month as the detectors take it, without bursts: pumping is found first and left out."""
    delivery: list[RateSeries] = []
    conversion: list[RateSeries] = []
    for country in COUNTRIES:
        indexes = [index for index, network in enumerate(NETWORKS) if network[0] == country]
        place = (("country", country), ("channel", "sms"))
        delivery.append(_series(month, indexes, place, (("channel", "sms"),), delivery=True))
        conversion.append(_series(month, indexes, (("country", country),), (), delivery=False))
        for index in indexes:
            name = ("network", NETWORKS[index][1])
            delivery.append(_series(month, [index], (*place, name), place, delivery=True))
            conversion.append(_series(month, [index], (name,), (), delivery=False))
    everything = list(range(len(NETWORKS)))
    delivery.append(_series(month, everything, (("channel", "sms"),), None, delivery=True))
    conversion.append(_series(month, everything, (), None, delivery=False))
    conversion += _apps(month)
    return Rates(month.steps, tuple(delivery), tuple(conversion))


def _series(
    month: Month, networks: list[int], place: Place, parent: Place | None, *, delivery: bool
) -> RateSeries:
    trials = month.attempts if delivery else month.delivered
    hits = month.delivered if delivery else month.verified
    past_trials = month.past_attempts if delivery else month.past_delivered
    past_hits = month.past_delivered if delivery else month.past_verified
    cells = _cells(hits[networks].sum(0), trials[networks].sum(0))
    width = 24 // BLOCKS_OF_DAY
    blocks = _cells(
        past_hits[networks].sum(0).reshape(-1, width).sum(1),
        past_trials[networks].sum(0).reshape(-1, width).sum(1),
    )
    return RateSeries(
        place, cells, tuple((i % BLOCKS_OF_DAY, cell) for i, cell in enumerate(blocks)), parent
    )


def _cells(hits: np.ndarray, trials: np.ndarray) -> tuple[Cell, ...]:
    return tuple(
        Cell(hit, trial) for hit, trial in zip(hits.tolist(), trials.tolist(), strict=True)
    )


def _apps(month: Month) -> list[RateSeries]:
    """The sessions split by app, at random."""
    random = month.random
    trials, past = month.delivered.sum(0), month.past_delivered.sum(0)
    hits, past_hits = month.verified.sum(0), month.past_verified.sum(0)
    made = []
    width = 24 // BLOCKS_OF_DAY
    for number, share in enumerate(APPS):
        now = [random.binomial(part, share) for part in (hits, trials - hits)]
        before = [random.binomial(part, share) for part in (past_hits, past - past_hits)]
        blocks = [part.reshape(-1, width).sum(1) for part in before]
        made.append(
            RateSeries(
                (("app", str(number)),),
                _cells(now[0], now[0] + now[1]),
                tuple(
                    (i % BLOCKS_OF_DAY, cell)
                    for i, cell in enumerate(_cells(blocks[0], blocks[0] + blocks[1]))
                ),
                (),
            )
        )
    return made


def prefix_cells(month: Month) -> list[PrefixCell]:
    """The sessions of the window by prefix and hour, and the planted bursts."""
    made = []
    for index, (country, name, _, _) in enumerate(NETWORKS):
        delivered = month.delivered[index].reshape(24, STEPS_PER_HOUR).sum(1)
        verified = month.verified[index].reshape(24, STEPS_PER_HOUR).sum(1)
        for hour in range(24):
            shares = [1 / PREFIXES] * PREFIXES
            hits = month.random.multinomial(verified[hour], shares)
            rest = month.random.multinomial(delivered[hour] - verified[hour], shares)
            window = Window(
                month.window.start + hour * HOUR, month.window.start + (hour + 1) * HOUR
            )
            for number, (hit, miss) in enumerate(zip(hits.tolist(), rest.tolist(), strict=True)):
                if hit + miss >= 8:
                    cell = Cell(hit, hit + miss)
                    made.append(PrefixCell(f"{name}-{number}", country, window, cell.trials, cell))
    return made + [cell for burst in month.bursts for cell in burst_cells(month, burst)]


def burst_cells(month: Month, burst: Burst) -> list[PrefixCell]:
    """A burst's sessions by hour: spread evenly over its minutes."""
    minutes = np.sort(month.random.integers(burst.first, burst.end, burst.size))
    hits = set(month.random.choice(burst.size, burst.verified, replace=False).tolist())
    made = []
    for hour in range(25):
        inside = [i for i, minute in enumerate(minutes.tolist()) if minute // 60 == hour]
        if inside:
            start = month.window.start + hour * HOUR
            cell = Cell(sum(i in hits for i in inside), len(inside))
            made.append(
                PrefixCell("burst", burst.country, Window(start, start + HOUR), len(inside), cell)
            )
    return made
