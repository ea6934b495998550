"""The made world: sessions that change late, tie, cannot be read, or become visible late."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from verify_mcp.emulator import AccountData, AttemptRecord, Emulator, SessionRecord
from verify_mcp.emulator.account import EPOCH, microseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Times = tuple[datetime, datetime]

NOON = datetime(2026, 11, 21, 12, 0, 7, 250_000, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
SECOND, ZERO = timedelta(seconds=1), timedelta(0)

NUMBERS = {"IN": "91938001", "US": "1202555", "GB": "44740012", "ID": "62813555", "FR": "3361234"}
"""A country's numbers but for their last four digits."""
APPS = ("ec66515e-86f6-4507-8620-31c039538d7a", "59728519-d145-45d6-8d46-60c06f7e8bbb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Life(SessionRecord):
    """A session's life; `rank` orders sessions of one instant, otherwise than by UUID.

    The list shows it from `visible_at` on, its attempts' charges are zero before `charged_at`,
    and its row cannot be read during `unreadable`.
    """

    visible_at: datetime = EPOCH
    charged_at: datetime = EPOCH
    rank: int = 0
    unreadable: Times | None = None

    def attempts_at(self, now: datetime) -> tuple[AttemptRecord, ...]:
        """The attempts already made at `now`, with the charges told by then."""
        made = SessionRecord.attempts_at(self, now)
        free = now < self.charged_at
        return tuple(replace(each, charge=Decimal(0)) for each in made) if free else made

    def is_unreadable(self, now: datetime) -> bool:
        """Whether its row cannot be read at `now`."""
        return self.unreadable is not None and self.unreadable[0] <= now < self.unreadable[1]

    def changes(self) -> list[datetime]:
        """The instants at which something about it may change."""
        times = [max(self.created_at, self.visible_at), self.resolved_at, self.charged_at]
        return sorted({*times, *(each.time for each in self.attempts), *(self.unreadable or ())})


class Account(AccountData):
    """Every session of the account, as the list shows them at the time of `clock`."""

    def __init__(self, lives: Iterable[Life], clock: Callable[[], datetime]) -> None:
        self.lives = tuple(
            sorted(lives, key=lambda one: (-microseconds(one.created_at), one.rank, one.uuid))
        )
        super().__init__(self.lives)
        self.records = self.lives
        self._clock = clock

    def find(self, uuid: str) -> SessionRecord | None:
        """The session with this UUID, if it is visible."""
        found = super().find(uuid)
        return found if isinstance(found, Life) and found.visible_at <= self._clock() else None

    def between(self, low: int, high: int) -> tuple[SessionRecord, ...]:
        """The visible sessions created from `low` to `high` microseconds, newest first."""
        now = self._clock()
        found = super().between(low, high)
        return tuple(one for one in found if isinstance(one, Life) and one.visible_at <= now)


class WorldApi(Emulator):
    """The pretend API with the world's peculiarities."""

    @property
    def is_replying(self) -> bool:
        """Whether a request's reply has not begun."""
        return any(each.status is None for each in self.received[-20:])

    def _session_payload(
        self, record: SessionRecord, now: datetime, endpoint: Any
    ) -> dict[str, Any]:
        payload = super()._session_payload(record, now, endpoint)
        if isinstance(record, Life) and record.is_unreadable(now) and endpoint == "list":
            payload["created_at"] = "yesterday-ish"
        return payload


def life(created: datetime, chance: Random, **changes: Any) -> Life:
    """An ordinary session, resolved within minutes."""
    number = chance.getrandbits(32)
    country = changes.pop("country", None) or chance.choice(tuple(NUMBERS))
    is_verified = chance.random() < 0.6
    second = chance.random() < 0.2
    first = AttemptRecord(
        uuid=_uuid(number, 1),
        channel="sms",
        status="delivered",
        time=created + timedelta(milliseconds=20),
        charge=Decimal(chance.choice(("0.02", "0.08", "0.113"))),
    )
    again = AttemptRecord(
        uuid=_uuid(number, 2),
        channel=chance.choice(("sms", "voice")),
        status="delivered",
        time=created + timedelta(seconds=40),
        charge=Decimal("0.01"),
    )
    made = Life(
        uuid=_uuid(number),
        recipient=f"{NUMBERS[country]}{number % 10000:04d}",
        country=country,
        app_uuid=chance.choice(APPS),
        created_at=created,
        resolved_at=created + timedelta(seconds=chance.randint(30, 600)),
        outcome="verified" if is_verified else "expired",
        attempts=(first, again) if second else (first,),
        validation_charge=Decimal("0.05") if is_verified else Decimal(0),
        rank=chance.randint(0, 1_000_000),
    )
    return replace(made, **changes)


def _uuid(number: int, kind: int = 0) -> str:
    return f"{number:08x}-{kind:04x}-4000-8000-{number:012x}"


def spread(
    count: int, start: datetime, end: datetime, chance: Random, **changes: Any
) -> list[Life]:
    """So many ordinary sessions at even distances from `start` to before `end`."""
    step = (end - start) / count
    return [life(start + number * step, chance, **changes) for number in range(count)]


def odd(lives: list[Life], chance: Random, settle: timedelta) -> list[Life]:
    """The same sessions, some of which change late, become visible late or cannot be read."""
    alone = {each.uuid: each for each in lives}
    return [_odd(each, chance, settle) for each in alone.values()]


def _odd(one: Life, chance: Random, settle: timedelta) -> Life:
    """All changes end within four fifths of the settling time after the last attempt."""
    draw, latest = chance.random(), chance.uniform(0.1, 0.8) * settle
    if draw < 0.10:
        return replace(one, resolved_at=one.created_at + latest)
    if draw < 0.20:
        return replace(one, charged_at=one.created_at + latest)
    if draw < 0.23:
        return replace(one, visible_at=one.created_at + latest)
    if draw < 0.232:
        return replace(one, unreadable=(one.created_at, one.created_at + 3 * settle))
    if draw < 0.28:
        return replace(one, created_at=one.created_at.replace(second=0, microsecond=0))
    return one


def between(start: datetime, end: datetime) -> dict[str, Any]:
    """The window from `start` up to, but not including, `end` as arguments of a tool."""
    return {"session_time__gte": written(start), "session_time__lt": written(end)}


def written(moment: datetime) -> str:
    """An instant as an argument of a tool."""
    return moment.replace(tzinfo=None).isoformat(sep=" ")
