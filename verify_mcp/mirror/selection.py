"""Which stored sessions are looked at: a filter's, and of these those that conditions name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from verify_mcp.database.base import Value
from verify_mcp.domain.filters import SessionFilter
from verify_mcp.domain.windows import Window, overlap
from verify_mcp.mirror.scope import END_OF_TIME, EPOCH, AccountScope, micros

EVER = Window(EPOCH, END_OF_TIME)


@dataclass(frozen=True, slots=True)
class Selection:
    """Sessions of a scope that a filter admits, and of these those that a condition names.

    `values` are the condition's parameters. It admits every session outside of `narrowed_in`.
    """

    account_scope: AccountScope
    session_filter: SessionFilter
    condition: str = ""
    values: tuple[tuple[str, Value], ...] = ()
    narrowed_in: tuple[Window, ...] = ()

    def where(self, window: Window) -> tuple[str, dict[str, Value]]:
        """The condition on the sessions of a window, and its parameters."""
        where, values = self.account_scope.where(self.session_filter, window)
        return where + self.condition, {**values, **dict(self.values)}

    def narrowed(
        self, condition: str, values: dict[str, Value], within: Window = EVER
    ) -> "Selection":
        """The sessions that fulfil a further condition, too; outside of a window all do."""
        return replace(
            self,
            condition=f"{self.condition} AND {condition}",
            values=(*self.values, *values.items()),
            narrowed_in=(*self.narrowed_in, within),
        )

    def is_whole(self, window: Window) -> bool:
        """Whether the condition admits every session of a window."""
        return not any(overlap(window, part) for part in self.narrowed_in)


def of_prefixes(prefixes: Sequence[str]) -> tuple[str, dict[str, Value]]:
    """The condition on recipients that begin so, and its parameters."""
    values: dict[str, Value] = {}
    parts = []
    for number, prefix in enumerate(prefixes):
        # Recipients are digits, at most 15. Digits alone are in the same order in any collation.
        values |= {f"prefix{number}": prefix, f"prefix{number}_end": prefix + 15 * "9"}
        parts.append(f"(recipient >= :prefix{number} AND recipient <= :prefix{number}_end)")
    return f"({' OR '.join(parts)})", values


def of_place(where: Iterable[tuple[str, str]]) -> tuple[str, dict[str, Value]]:
    """The condition on a finding's place, and its parameters.

    A channel is that of the first attempt.
    """
    columns = {"channel": "first_channel"}
    values: dict[str, Value] = {}
    parts = ["1 = 1"]
    for name, value in where:
        values[f"of_{name}"] = value
        parts.append(f"{columns.get(name, name)} = :of_{name}")
    return " AND ".join(parts), values


IS_OLD_AND_OPEN = "status = 'in-progress' AND fetched - created >= :age"
"""The condition that a session stayed in progress; its parameter is `age` in microseconds."""


def except_prefixes(
    selection: Selection, number: int, prefixes: Sequence[str], window: Window
) -> Selection:
    """The sessions that are not of these prefixes in a window; `number` tells calls apart."""
    inside, values = of_prefixes(prefixes)
    renamed = {f"not{number}_{name}": value for name, value in values.items()}
    condition = inside.replace(":prefix", f":not{number}_prefix")
    bounds: dict[str, Value] = {
        f"not{number}_starts": micros(window.start), f"not{number}_ends": micros(window.end),
    }  # fmt: skip
    return selection.narrowed(
        f"NOT ({condition} AND created >= :not{number}_starts AND created < :not{number}_ends)",
        {**renamed, **bounds},
        window,
    )
