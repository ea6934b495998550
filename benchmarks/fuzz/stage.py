"""Servers in this process on simulated time, with the oracle beside them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Self

import anyio
from mcp import Client

from benchmarks.fuzz import lists, summaries
from benchmarks.fuzz.calls import Call, Odds, Violation
from benchmarks.fuzz.served import Served
from benchmarks.fuzz.truth import Truth
from benchmarks.fuzz.world import NOON, Account, Life, WorldApi
from tests.support.client import SANDBOX, FakeClock
from tests.support.processes import TOLERANCE
from verify_mcp.clock import Clock as Surroundings
from verify_mcp.context import AppContext, open_context
from verify_mcp.emulator import Options
from verify_mcp.settings import IN_MEMORY, Settings

SUMMARIZE, LIST, GET = "summarize_verify_sessions", "list_verify_sessions", "get_verify_session"
MOST_PAGES = 60
"""Pages of one list followed; more is a chain that does not end."""
MOST_STEPS = 200
"""Steps of the background work between two questions."""


@dataclass
class Report:
    """What came of a run."""

    calls: int = 0
    violations: list[Violation] = field(default_factory=list)
    odds: Odds = field(default_factory=Odds)
    errors: Counter[str] = field(default_factory=Counter)
    """Calls that had an error instead of an answer, by its first words."""
    trace: str = ""

    def add(self, found: Iterable[Violation]) -> None:
        """Note violations, each with how to have it again."""
        self.violations += [replace(each, trace=self.trace) for each in found]

    def kinds(self) -> dict[str, int]:
        """How many violations of each kind."""
        kinds = [each.kind for each in self.violations]
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}


@dataclass
class Judge:
    """Holds the truth and looks at every answer."""

    truth: Truth
    report: Report
    idle: dict[str, int] = field(default_factory=dict)
    """Calls in a row that asked nothing and yet did not end, by question."""

    def summary(self, call: Call) -> None:
        """Look at an answer of summarize_verify_sessions."""
        self._count(call)
        if call.answer is not None:
            self.report.add(summaries.judged(call, self.truth, self.report.odds))
            self.report.add(self._stuck(call))

    def pages(self, chain: list[Call]) -> None:
        """Look at the pages of one list."""
        for call in chain:
            self._count(call)
        self.report.add(lists.paged(chain, self.truth))

    def session(self, call: Call) -> None:
        """Look at an answer of get_verify_session."""
        self._count(call)
        self.report.add(lists.got(call, self.truth))

    def quota(self, api: WorldApi, settings: Settings) -> None:
        """Look at all requests of the servers that share a quota."""
        for endpoint, rate in (
            ("list", settings.rate_limit),
            ("get", settings.retrieve_rate_limit),
        ):
            at = [each.at for each in api.received if each.endpoint == endpoint]
            pairs = zip(at, at[rate.requests :], strict=False)
            if early := [new for old, new in pairs if new - old < rate.window - TOLERANCE]:
                text = f"{len(early)} {endpoint} requests too many, the first at {early[0]:.3f}"
                self.report.add([Violation("over-quota", text)])

    def _count(self, call: Call) -> None:
        self.report.calls += 1
        if call.error:
            self.report.errors[call.error[:50]] += 1
        if "Internal error" in call.error:
            self.report.add([Violation("internal-error", call.error, call)])

    def _stuck(self, call: Call) -> Iterator[Violation]:
        answer, key = call.answer or {}, repr(sorted(call.arguments.items()))
        ended = answer.get("complete") or "skipped" in answer or answer.get("api_requests")
        is_idle = not ended and answer.get("basis") == "counted" and answer.get("quota_left")
        self.idle[key] = self.idle.get(key, 0) + 1 if is_idle else 0
        if self.idle[key] == 3:
            text = "asked three times, it sends no request and does not end"
            yield Violation("stuck", text, call)


class Asking(ABC):
    """Questions to servers, each answer looked at; a subclass says how a call is made."""

    judge: Judge

    @abstractmethod
    async def call(self, tool: str, server: int = 0, **arguments: Any) -> Call:
        """One call, its answer not looked at yet."""

    @abstractmethod
    async def pass_by(self, **parts: float) -> None:
        """Let time pass, in which servers may work in the background."""

    async def summarize(self, server: int = 0, **arguments: Any) -> dict[str, Any]:
        """Ask for a summary, and look at it."""
        call = await self.call(SUMMARIZE, server, **arguments)
        self.judge.summary(call)
        return dict(call.answer or {})

    async def get(self, uuid: str, server: int = 0) -> dict[str, Any]:
        """Ask for a session, and look at it."""
        call = await self.call(GET, server, session_uuid=uuid)
        self.judge.session(call)
        return dict(call.answer or {})

    async def page_through(
        self, server: int = 0, *, pause: float = 0.0, most: int = MOST_PAGES, **arguments: Any
    ) -> list[Call]:
        """Ask for a list, page after page, and look at it; `pause` seconds between two pages."""
        first = await self._page(server, **arguments)
        return await self.page_on([first], server, pause=pause, most=most)

    async def page_on(
        self, chain: list[Call], server: int = 0, *, pause: float = 0.0, most: int = MOST_PAGES
    ) -> list[Call]:
        """Go on after these pages."""
        while len(chain) < most and chain[-1].answer and "next" in chain[-1].answer:
            await self.pass_by(seconds=pause)
            following = {**chain[-1].arguments, **chain[-1].answer["next"]}
            chain.append(await self._page(server, **following))
        self.judge.pages(chain)
        return chain

    async def _page(self, server: int, **arguments: Any) -> Call:
        """A page, asked for again while the quota forbids it or the API fails."""
        for _ in range(5):
            call = await self.call(LIST, server, **arguments)
            if call.answer is not None and "eta_s" not in call.answer:
                return call
            await self.pass_by(seconds=61)
        return call


class Stage(Asking):
    """A world, its API, and servers that can be killed and started; `await` each call.

    `skews` are how far each server's clock is ahead of the API's; with `works` the servers work in
    the background, as `settings` say.
    """

    def __init__(
        self,
        lives: Iterable[Life],
        report: Report,
        *,
        now: datetime = NOON,
        skews: tuple[timedelta, ...] = (timedelta(0),),
        is_dated: bool = True,
        chance: Random | None = None,
        latency: tuple[float, float] = (0.0, 0.0),
        behaviour: Mapping[str, Any] | None = None,
        works: bool = False,
        **settings: Any,
    ) -> None:
        self.clock = FakeClock(now)
        self.chance = chance or Random(7)
        self.skews = list(skews)
        account = Account(lives, lambda: self.clock.now)
        self.api = WorldApi(
            account,
            behaviour=Options(latency=latency, date_header=is_dated, **(behaviour or {})),
            clock=lambda: self.clock.now,
            monotonic=lambda: self.clock.ticks,
            sleep=self.clock.sleep,
            seed=self.chance.getrandbits(30),
        )
        self.judge = Judge(Truth(account.lives), report)
        # Four pages are asked for at once, by a call and by each server's background work.
        self._latency = timedelta(seconds=latency[1] * 4 * (1 + len(skews) * works))
        self._settings = replace(SANDBOX, **settings)
        self._works = works
        self._contexts: dict[int, AppContext] = {}
        self._servers: dict[int, Served] = {}
        self._is_quota_known = True
        self._folder = TemporaryDirectory()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._is_quota_known:
            self.judge.quota(self.api, self._settings)
        for number in list(self._servers):
            await self.stop(number)
        self._folder.cleanup()

    def shared(self) -> Self:
        """The same stage with one database file for all servers."""
        path = Path(self._folder.name) / "mirror.sqlite3"
        self._settings = replace(self._settings, database_url=f"sqlite:///{path}")
        return self

    async def client(self, number: int = 0) -> Client:
        """A client of that server, started if need be."""
        if number not in self._servers:
            self._servers[number] = await Served.start_server(partial(self._open, number))
        return self._servers[number].client

    async def stop(self, number: int = 0) -> None:
        """End that server; asked again, another one takes its place."""
        found = self._servers.pop(number, None)
        if found is not None:
            self._is_quota_known &= self._settings.database_url != IN_MEMORY
            await found.end()

    async def pass_by(self, **parts: float) -> None:
        """Let time pass. Servers work in it, until their machine is suspended for the rest."""
        left = timedelta(**parts).total_seconds()
        end = self.clock.ticks + left
        for _ in range(MOST_STEPS if self._works else 0):
            pauses = [await each.background.step() for each in self._contexts.values()]
            left = max(0.0, end - self.clock.ticks)
            self.clock.pass_by(min([left, *pauses]))
            if not left:
                return
        self.clock.pass_by(max(0.0, end - self.clock.ticks) if self._works else left)

    async def call(self, tool: str, server: int = 0, **arguments: Any) -> Call:
        """One call, its answer not looked at yet."""
        client = await self.client(server)
        called = self.clock.now
        async with anyio.create_task_group() as tasks:
            if self._works and self.chance.random() < 0.3:  # both at once
                for each in self._contexts.values():
                    tasks.start_soon(each.background.step)
            result = await client.call_tool(tool, arguments)
            replied = self.clock.now
        answer = None if result.is_error else dict(result.structured_content or {})
        error = "" if answer is not None else str(getattr(result.content[0], "text", ""))
        skew = timedelta(0) if self.api.behaviour.date_header else self.skews[server]
        return Call(tool, arguments, called, replied, answer, error, self._latency, skew)

    @asynccontextmanager
    async def _open(self, number: int) -> AsyncIterator[AppContext]:
        """A server's context, whose background work is done while time passes."""
        surroundings = self._surroundings(number)
        async with open_context(self._settings, clock=surroundings, app=self.api) as context:
            if self._works:
                context.background.is_running = bool(self._settings.ahead)
                self._contexts[number] = context
            try:
                yield context
            finally:
                self._contexts.pop(number, None)

    def _surroundings(self, number: int) -> Surroundings:
        return Surroundings(
            now=lambda: self.clock.now + self.skews[number],
            monotonic=lambda: self.clock.ticks,
            sleep=self.clock.sleep,
            random=self.chance.random,
        )
