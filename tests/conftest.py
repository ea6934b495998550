"""What the tests share: a clock that moves when told, an account to ask, a client of the server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import hypothesis
import pytest
from jsonschema import Draft202012Validator

from tests.support.client import Era

hypothesis.settings.register_profile("gate", deadline=None, derandomize=True, max_examples=60)
hypothesis.settings.load_profile("gate")


def order_tests(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Give each worker some of the slow tests first, the slowest ones at once.

    Most of them wait for processes and timeouts, so that the other workers have the processor
    meanwhile. pytest-xdist cuts the list into one run of neighbours for each worker.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = [item for item in items if item not in slow]
    slow.sort(key=lambda item: -item.get_closest_marker("slow").args[0])  # type: ignore[union-attr]
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        first = slow[worker::workers]
        count = max(0, (len(items) - len(ordered)) // (workers - worker) - len(first))
        ordered += first + others[:count]
        del others[:count]
    return ordered + others


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        items[:] = order_tests(items, worker["workercount"])


@pytest.fixture(scope="session", autouse=True)
def _schemas_checked_once() -> Iterator[None]:
    """Check each JSON schema once, not once by each client: that is a fifth of the tests' time."""
    plain, checked = Draft202012Validator.check_schema, set()

    def check_once(schema: Mapping[str, Any]) -> None:
        text = json.dumps(schema, sort_keys=True)
        if text not in checked:
            plain(schema)
            checked.add(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft202012Validator, "check_schema", check_once)
        yield


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    """Each generation of the protocol in turn."""
    chosen: Era = request.param
    return chosen
