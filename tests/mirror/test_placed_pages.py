"""Pages at their offsets prove a part of a window to be complete, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from tests.support.client import NOW
from verify_mcp.domain.api_limits import PAGE_SIZE
from verify_mcp.domain.receipts import ReplyTime
from verify_mcp.domain.sessions import Page, Session
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.placed_pages import CompletePart, PlacedPages, ReadPages

HOUR = timedelta(hours=1)
WINDOW = Window(NOW - 12 * HOUR, NOW)


def session(number: int, created: datetime) -> Session:
    return Session.model_validate(
        {
            "session_uuid": f"{number:08x}-0000-4000-8000-000000000000",
            "status": "verified",
            "created_at": created.astimezone(UTC).isoformat(),
        }
    )


class World:
    """Sessions that become visible, and the list of those that are, in its order."""

    def __init__(self, chance: Random) -> None:
        self.now = NOW
        count = chance.randrange(200)
        ties = chance.choice((1, 1, 1, 60, 1800))
        self.sessions: list[tuple[datetime, Session]] = []
        for number in range(count):
            age = chance.random() * 12 * 3600
            created = NOW - timedelta(seconds=1 + age // ties * ties)
            late = chance.random() < 0.1
            delay = chance.random() * 0.99 * HOUR if late else timedelta(0)
            self.sessions.append((created + delay, session(number, created)))
        self.sessions.sort(key=lambda each: (each[1].created, each[1].uuid), reverse=True)

    def visible(self) -> list[Session]:
        return [session for at, session in self.sessions if at <= self.now]

    def page(self, offset: int) -> Page:
        listed = self.visible()
        rows = tuple(listed[offset : offset + PAGE_SIZE])
        return Page(
            rows,
            received=len(rows),
            more=len(listed) > offset + PAGE_SIZE,
            receipt=ReplyTime(self.now, self.now),
            times=tuple(each.created for each in rows),
        )


def walk(world: World, chance: Random, read: Mapping[int, Page]) -> list[CompletePart]:
    """Every part proved by a walk of all pages, while sessions come late."""
    placed, parts = PlacedPages(ReadPages(WINDOW, read), HOUR), []
    for _ in range(60):
        offsets = placed.begin(4)
        if not offsets or placed.is_broken or placed.is_complete:
            break
        chance.shuffle(offsets)
        for offset in offsets:
            page = world.page(offset)
            world.now += timedelta(seconds=chance.choice((0, 0, 1, 60, 300)))
            placed.add(offset, page)
        part = placed.prove()
        if part is not None:
            parts.append(part)
            listed = [each for each in world.visible() if each.created in part.window]
            known = {each.uuid for each in part.sessions}
            late = [each for each in listed if each.uuid not in known]
            # What came into the list after the walk had proved the part is no fault of it.
            assert all(each.created > part.receipt.settled_before - HOUR for each in late)
    return parts


@pytest.mark.parametrize("seed", range(200))
def test_a_part_that_is_proved_has_every_session_that_cannot_come_late(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - made-up data
    world, read = World(chance), dict[int, Page]()
    for _ in range(chance.randrange(8)):
        offset = PAGE_SIZE * chance.randrange(20)
        read[offset] = world.page(offset)
        world.now += timedelta(seconds=chance.choice((0, 1, 60)))
    walk(world, chance, read)


def test_pages_read_before_are_not_read_again() -> None:
    world = World(Random(5))  # noqa: S311 - made-up data
    sessions = [session(number, NOW - 2 * HOUR - timedelta(minutes=number)) for number in range(95)]
    world.sessions = [(each.created, each) for each in sessions]
    read = {offset: world.page(offset) for offset in (0, 40, 80)}
    placed = PlacedPages(ReadPages(WINDOW, read), HOUR)
    offsets = placed.begin(4)
    for offset in offsets:
        placed.add(offset, world.page(offset))
    part = placed.prove()
    assert offsets == [20, 60]
    assert part is not None
    assert (part.window, set(part.sessions)) == (WINDOW, set(sessions))
    assert placed.is_complete


def test_a_session_that_came_late_on_a_page_read_later_proves_nothing() -> None:
    """The rows read are as many as the last page says, but one of them came after that page."""
    world = World(Random(5))  # noqa: S311 - made-up data
    sessions = [session(number, NOW - timedelta(minutes=10 + number)) for number in range(45)]
    late = session(99, NOW - timedelta(minutes=15, seconds=30))
    world.sessions = [(each.created, each) for each in sessions]
    read = {0: world.page(0), 40: world.page(40)}
    world.sessions = sorted(
        [*world.sessions, (late.created, late)], key=lambda each: each[1].created, reverse=True
    )
    read[0] = world.page(0)
    placed = PlacedPages(ReadPages(WINDOW, read), HOUR)
    assert placed.begin(4) == [20]
    placed.add(20, world.page(20))
    first = placed.prove()
    assert placed.begin(4) == [40]
    placed.add(40, world.page(40))
    last = placed.prove()
    parts = [part for part in (first, last) if part is not None]
    found = {each.uuid for part in parts for each in part.sessions}
    assert not placed.is_complete or found == {each.uuid for each in (*sessions, late)}
