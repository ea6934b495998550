"""Short readings that share a thread: each gets its own answer, whatever becomes of the others.

SQLite reads in the event loop's thread, and in a batch only while the file is locked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import anyio
import pytest

from tests.support.databases import Place
from verify_mcp.database.base import Connection, Database
from verify_mcp.database.resilient import open_database
from verify_mcp.errors import DatabaseUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(place: Place) -> Iterator[Database]:
    opened = open_database(place.url, pytest.fail)
    yield opened
    opened.close()


async def read_batched(database: Database, work: Callable[[Connection], int]) -> int:
    return await Database.read_batched(database, work)


def number(connection: Connection, value: int) -> int:
    return int(connection.fetch_all("SELECT :value + 0", {"value": value})[0][0])


async def test_each_of_many_gets_its_own_answer_in_few_threads(database: Database) -> None:
    answers: dict[int, int] = {}
    transactions: list[Connection] = []

    async def ask(value: int) -> None:
        def work(connection: Connection) -> int:
            transactions.append(connection)
            return number(connection, value)

        answers[value] = await read_batched(database, work)

    async with anyio.create_task_group() as tasks:
        for value in range(50):
            tasks.start_soon(ask, value)
    assert answers == {value: value for value in range(50)}
    assert len({id(each) for each in transactions}) < 10


async def test_whoever_is_cancelled_takes_nothing_from_the_others(database: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()
    answers: list[int] = []

    def slow(connection: Connection) -> int:
        begun.set()
        assert go_on.wait(30)
        return number(connection, 0)

    async def ask(value: int) -> None:
        answers.append(await read_batched(database, lambda connection: number(connection, value)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_batched, database, slow)
        while not begun.is_set():  # noqa: ASYNC110 - set in a thread
            await anyio.sleep(0.01)
        with anyio.CancelScope() as leader:
            async with anyio.create_task_group() as cancelled:
                cancelled.start_soon(ask, 1)  # leads those that wait
                await anyio.sleep(0.01)
                tasks.start_soon(ask, 2)
                await anyio.sleep(0.01)
                go_on.set()
                leader.cancel()
    assert answers == [2]


async def test_a_fault_is_told_to_who_asked_and_the_next_look_is_answered(
    database: Database,
) -> None:
    failures: list[str] = []

    async def fail() -> None:
        try:
            await read_batched(
                database, lambda connection: len(connection.fetch_all("SELECT * FROM nowhere"))
            )
        except DatabaseUnavailable as error:
            failures.append(str(error))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(fail)
    assert len(failures) == 3
    assert "tables are not those of this version" in failures[0]
    assert await read_batched(database, lambda connection: number(connection, 7)) == 7
