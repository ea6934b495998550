"""Made recipients and old sessions of a quiet day, in which single events are planted."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from benchmarks.insight.months import COUNTRIES, PAST_DAYS, SESSIONS_A_DAY, Month
from verify_mcp.analysis.anomalies import detect
from verify_mcp.analysis.anomalies.finding import KINDS, Finding
from verify_mcp.analysis.anomalies.stuck import OldSessions

RECIPIENTS = 2600
AGAIN = (0.1, 0.35)
"""The chance that a recipient asks again after a session: of most, and of those with trouble."""
TROUBLED = 0.05
STUCK = {"none stuck before": 0.0, "1 in 1,000 stuck before": 0.001}
"""How many sessions usually do not end; days differ from each other."""
DAY_SPREAD = 0.3
PLANTED = "planted"
TOP = 5


@dataclass(frozen=True, slots=True)
class Recipients:
    """How many sessions each recipient of a day has, and the country of each."""

    counts: np.ndarray
    countries: np.ndarray


def make_recipients(random: np.random.Generator) -> Recipients:
    """A day's recipients: most ask once, and some have trouble and ask more often."""
    again = np.where(random.random(RECIPIENTS) < TROUBLED, AGAIN[1], AGAIN[0])
    shares = np.array([share for share, _, _ in COUNTRIES.values()], float)
    countries = random.choice(list(COUNTRIES), RECIPIENTS, p=shares / shares.sum())
    return Recipients(random.geometric(1 - again), countries)


def find_repeats(month: Month, recipients: Recipients, planted: int = 0) -> tuple[Finding, ...]:
    """The recipients that stand out, with one more who asked so many times, if any."""
    sessions = Counter(recipients.counts.tolist())
    most = np.argsort(-recipients.counts, kind="stable")[:TOP]
    top = [(str(i), str(recipients.countries[i]), int(recipients.counts[i])) for i in most]
    if planted:
        sessions[planted] += 1
        top = sorted([(PLANTED, "ID", planted), *top], key=lambda one: -one[2])[:TOP]
    return detect.find_repeats(month.window, sessions, top, KINDS)


@dataclass(frozen=True, slots=True)
class Stuck:
    """The old sessions of the past and of the day."""

    past: OldSessions
    now: OldSessions


def make_stuck(random: np.random.Generator, usual: float) -> Stuck:
    """Old sessions of which about so many usually stay in progress."""
    rates = usual * random.lognormal(0, DAY_SPREAD, PAST_DAYS + 1)
    open_ = random.binomial(SESSIONS_A_DAY, rates)
    past = OldSessions(PAST_DAYS * SESSIONS_A_DAY, int(open_[:-1].sum()))
    return Stuck(past, OldSessions(SESSIONS_A_DAY, int(open_[-1])))


def find_stuck(month: Month, stuck: Stuck, planted: int = 0) -> tuple[Finding, ...]:
    """Whether too many sessions are in progress, with so many more of them."""
    now = OldSessions(stuck.now.sessions, stuck.now.in_progress + planted)
    return detect.find_stuck(month.window, now, stuck.past, KINDS)
