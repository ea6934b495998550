"""How large a change of one group must be for a comparison to name it, and how often it errs.

    python benchmarks/drivers.py [--rounds 400]

Two windows of a day, drawn anew each round: eight countries, three apps and two channels, all
independent. In the later window the conversion of one country, of 15 % of the sessions, falls at an
instant of its first half. The exit code is 1 when a false driver is more frequent than its target.
"""

import argparse
import sys
from datetime import UTC, datetime, timedelta

import numpy as np

from verify_mcp.analysis.drivers import Driver, DriverSearch, find_drivers
from verify_mcp.analysis.effects import Breakdown
from verify_mcp.analysis.onset import TimeStep, onset
from verify_mcp.domain.tallies import Tallies, Tally, total

COUNTRIES = {"US": 0.35, "BR": 0.2, "IN": 0.15, "ID": 0.1, "GB": 0.08, "FR": 0.06, "NG": 0.04,
             "AE": 0.02}  # fmt: skip
APPS = {"shop": 0.6, "bank": 0.3, "taxi": 0.1}
CHANNELS = {"sms": 0.9, "voice": 0.1}
RATES = {
    "US": 0.9,
    "BR": 0.8,
    "IN": 0.75,
    "ID": 0.65,
    "GB": 0.92,
    "FR": 0.85,
    "NG": 0.55,
    "AE": 0.7,
}
DIMENSIONS = {"country": COUNTRIES, "app": APPS, "channel": CHANNELS}
HOURS = 24
MAX_FALSE = 0.05
START = datetime(2026, 11, 19, tzinfo=UTC)

Fall = dict[str, float]


class Day:
    """One window: ended and verified sessions by hour, country, app and channel."""

    def __init__(
        self, random: np.random.Generator, sessions: float, fall: Fall, since: float = 0.0
    ) -> None:
        shares = [np.array(list(groups.values())) for groups in DIMENSIONS.values()]
        share = np.einsum("c,a,h->cah", *shares)
        self.ended = random.poisson(
            np.broadcast_to(share * sessions / HOURS, (HOURS, *share.shape))
        )
        part = np.clip(np.arange(1, HOURS + 1) - since, 0, 1)
        rates = np.array([RATES[name] for name in COUNTRIES])
        falls = np.array([fall.get(name, 0.0) for name in COUNTRIES])
        rate = rates[None, :] - part[:, None] * falls[None, :]
        self.verified = random.binomial(self.ended, rate[:, :, None, None])

    def groups(self, dimension: str) -> Tallies:
        """The window's tallies by one dimension."""
        axis = 1 + list(DIMENSIONS).index(dimension)
        others = tuple(index for index in range(4) if index != axis)
        ended, verified = self.ended.sum(axis=others), self.verified.sum(axis=others)
        names = DIMENSIONS[dimension]
        return {
            (name,): _tally(int(k), int(n))
            for name, k, n in zip(names, verified, ended, strict=True)
        }

    def hour(self, hour: int, country: str) -> Tally:
        """One country's sessions of one hour."""
        place = list(COUNTRIES).index(country)
        return _tally(int(self.verified[hour, place].sum()), int(self.ended[hour, place].sum()))


def _tally(verified: int, ended: int) -> Tally:
    return Tally(sessions=ended, verified=verified, expired=ended - verified)


def search(before: Day, after: Day) -> DriverSearch:
    """What a comparison of two windows finds."""
    breakdowns = [
        Breakdown(dimension, before.groups(dimension), after.groups(dimension))
        for dimension in DIMENSIONS
    ]
    totals = [total(side.groups("app").values()) for side in (before, after)]
    return find_drivers(breakdowns, *totals, limit=5)


def begin_error(driver: Driver, days: tuple[Day, Day], since: float) -> tuple[float, bool] | None:
    """Hours between the begin found and the real one, and whether the interval holds the latter."""
    hour = timedelta(hours=1)
    steps = [
        TimeStep(START + number * hour, hour, tally, tally)
        for number, tally in enumerate(
            day.hour(place, driver.effect.group) for day in days for place in range(HOURS)
        )
    ]
    found = onset(driver, steps, looked_at=1)
    if found is None:
        return None
    real = START + timedelta(hours=HOURS + since)
    return abs(found.at - real) / hour, found.earliest <= real <= found.latest


def measure(random: np.random.Generator, sessions: float, drop: float, rounds: int) -> list[float]:
    """Shares of rounds: named, another named, with a begin; the begin's error and its coverage."""
    named = others = 0
    errors: list[tuple[float, bool]] = []
    for _ in range(rounds):
        since = float(random.uniform(0, 12))
        days = Day(random, sessions, {}), Day(random, sessions, {"IN": drop}, since)
        drivers = search(*days).drivers
        ours = [driver for driver in drivers if driver.effect.group == "IN"]
        named += bool(ours)
        others += len(ours) < len(drivers)
        begun = begin_error(ours[0], days, since) if ours else None
        errors += [begun] if begun else []
    held = [is_held for _, is_held in errors]
    return [
        named / rounds,
        others / rounds,
        len(errors) / rounds,
        float(np.median([error for error, _ in errors])) if errors else float("nan"),
        sum(held) / len(held) if held else float("nan"),
    ]


def false_share(random: np.random.Generator, sessions: float, fall: Fall, rounds: int) -> float:
    """The share of rounds with any driver, though no group changed otherwise than the others."""
    return (
        sum(
            bool(search(Day(random, sessions, {}), Day(random, sessions, fall)).drivers)
            for _ in range(rounds)
        )
        / rounds
    )


def main() -> int:
    """Print the tables; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=400)
    rounds = parser.parse_args().rounds
    random = np.random.default_rng(13)
    print("| sessions | fall | named | another named | with a begin | off by | in its interval |")
    print("|---|---|---|---|---|---|---|")
    wrong = []
    for size in (100, 200, 500, 1000, 3000):
        for drop in (0.05, 0.1, 0.2, 0.4):
            named, others, begun, error, held = measure(random, size / 0.15, drop, rounds)
            wrong.append(others)
            print(
                f"| {size} | {drop * 100:.0f} points | {named:.0%} | {others:.1%} | {begun:.0%} "
                f"| {error:.1f} h | {held:.0%} |"
            )
    alike = dict.fromkeys(COUNTRIES, 0.1)
    for name, fall in (("nothing changed", {}), ("all fell by 10 points", alike)):
        for sessions in (1000, 5000, 20000):
            wrong.append(false_share(random, sessions, fall, rounds))
            print(f"{name}, {sessions} sessions a day: a driver in {wrong[-1]:.1%}")
    return int(max(wrong) > MAX_FALSE)


if __name__ == "__main__":
    sys.exit(main())
