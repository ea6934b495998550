"""Series of the places that are looked at, out of cells that the database added up."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from verify_mcp.analysis.anomalies.detect import Rates
from verify_mcp.analysis.anomalies.pumping import PrefixCell
from verify_mcp.analysis.anomalies.rates import Place, RateSeries
from verify_mcp.analysis.anomalies.scan import MIN_TRIALS
from verify_mcp.analysis.anomalies.timeline import BLOCKS_OF_DAY, HOUR, Timeline
from verify_mcp.analysis.change_point import Cell
from verify_mcp.domain.groups import NO_ATTEMPT, UNKNOWN
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.attempt_sql import COUNTED_CHANNELS
from verify_mcp.mirror.cells import PlaceCell, PrefixCount

_Steps = dict[int, list[int]]
"""Successes and trials by step."""
_Sums = dict[Place, _Steps]
_Blocks = tuple[tuple[int, Cell], ...]


@dataclass(frozen=True, slots=True)
class PastBlocks:
    """What was usual: each place's cells of the past, each with its block's index in the day."""

    delivery: dict[Place, _Blocks] = field(default_factory=dict)
    conversion: dict[Place, _Blocks] = field(default_factory=dict)

    def add(self, cells: Sequence[PlaceCell]) -> None:
        """Add cells of later blocks; their steps are blocks of the day since 1970."""
        _add_blocks(self.delivery, _delivery(cells, {}))
        _add_blocks(self.conversion, _conversion(cells, {}))


def _add_blocks(blocks: dict[Place, _Blocks], sums: _Sums) -> None:
    for place, steps in sums.items():
        new = tuple((block % BLOCKS_OF_DAY, Cell(*pair)) for block, pair in sorted(steps.items()))
        blocks[place] = (*blocks.get(place, ()), *new)


def rates(steps: Timeline, now: Sequence[PlaceCell], past: PastBlocks) -> Rates:
    """The series of delivery and of conversion."""
    parents: dict[Place, Place | None] = {}
    delivery, conversion = _delivery(now, parents), _conversion(now, parents)
    return Rates(
        steps,
        _series(steps, delivery, past.delivery, parents),
        _series(steps, conversion, past.conversion, parents),
    )


def _series(
    steps: Timeline,
    now: _Sums,
    past: Mapping[Place, _Blocks],
    parents: Mapping[Place, Place | None],
) -> tuple[RateSeries, ...]:
    """The series of the places with enough trials now."""
    return tuple(
        RateSeries(
            place,
            tuple(Cell(*sums.get(step, (0, 0))) for step in range(steps.steps)),
            past.get(place, ()),
            parents[place],
        )
        for place, sums in sorted(now.items())
        if sum(trials for _, trials in sums.values()) >= MIN_TRIALS
    )


def _delivery(cells: Iterable[PlaceCell], parents: dict[Place, Place | None]) -> _Sums:
    sums: _Sums = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    known: dict[tuple[str, str, str], list[_Steps]] = {}
    for step, country, network, _, _, _, _, _, *counts in cells:
        for channel, failed, attempts in zip(
            COUNTED_CHANNELS, counts[::2], counts[1::2], strict=True
        ):
            if not attempts:
                continue
            key = (channel, country, network)
            if key not in known:
                known[key] = [sums[place] for place in _delivery_places(*key, parents)]
            _add(known[key], step, attempts - failed, attempts)
    return sums


def _delivery_places(
    channel: str, country: str, network: str, parents: dict[Place, Place | None]
) -> list[Place]:
    """The places of delivery that attempts belong to; their parents are noted."""
    anywhere: Place = (("channel", channel),)
    here: Place = (*anywhere, ("country", country))
    parents[anywhere], parents[here] = None, anywhere
    if network == UNKNOWN:
        return [anywhere, here]
    of_network: Place = (*here, ("network", network))
    parents[of_network] = here
    return [anywhere, here, of_network]


def _conversion(cells: Iterable[PlaceCell], parents: dict[Place, Place | None]) -> _Sums:
    sums: _Sums = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    known: dict[tuple[str, ...], list[_Steps]] = {}
    for cell in cells:
        step, verified, ended = cell[0], cell[6], cell[7]
        if not ended:
            continue
        key = cell[1:6]
        if key not in known:
            known[key] = [sums[one] for one in _conversion_places(key, parents)]
        _add(known[key], step, verified, ended)
    return sums


def _conversion_places(place: tuple[str, ...], parents: dict[Place, Place | None]) -> list[Place]:
    """The places of conversion that sessions belong to; their parents are noted."""
    country, network, app, brand, channel = place
    places: list[Place] = [()]
    parents[()] = None
    for name, value in (
        ("country", country), ("app", app), ("brand", brand), ("channel", channel)
    ):  # fmt: skip
        if value not in (UNKNOWN, NO_ATTEMPT):
            places.append(((name, value),))
            parents[places[-1]] = ()
    if network != UNKNOWN:
        places.append((("country", country), ("network", network)))
        parents[places[-1]] = (("country", country),)
    return places


def _add(sums: Iterable[_Steps], step: int, successes: int, trials: int) -> None:
    for by_step in sums:
        pair = by_step[step]
        pair[0] += successes
        pair[1] += trials


def prefix_cells(
    counts: Iterable[PrefixCount], epoch: datetime, hours: int = 1
) -> list[PrefixCell]:
    """The cells of prefixes; their steps are so many hours since 1970."""
    length = hours * HOUR
    return [
        PrefixCell(
            count.prefix,
            count.country,
            Window(epoch + count.step * length, epoch + (count.step + 1) * length),
            count.sessions,
            Cell(count.verified, count.ended),
        )
        for count in counts
    ]
