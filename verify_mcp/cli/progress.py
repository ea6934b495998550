"""A progress bar that follows the API's quota: it goes on, and counts down, while requests wait."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TextColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

UpdateProgress = Callable[[str, float | None], None]
"""Takes what is being done, and the seconds that the whole may still take (None: not known)."""


def share_of_time(elapsed: float, left: float | None) -> float:
    """The part of the time that is over, from 0 to 1; 0 while the rest is not known."""
    if left is None:
        return 0.0
    total = elapsed + left
    return elapsed / total if total > 0 else 1.0


def countdown(left: float | None) -> str:
    """The time left as a clock shows it."""
    if left is None:
        return "time left: not known yet"
    minutes, seconds = divmod(ceil(left), 60)
    return f"about {minutes}:{seconds:02d} left"


class _TimeBarColumn(ProgressColumn):
    def render(self, task: Task) -> ProgressBar:
        left = _seconds_left(task)
        share = share_of_time(task.elapsed or 0.0, left)
        return ProgressBar(total=1.0, completed=share, width=30, pulse=left is None)


class _CountdownColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(countdown(_seconds_left(task)), "progress.remaining")


def _seconds_left(task: Task) -> float | None:
    """The last estimate, less the time that has passed since it was made."""
    ends_at = task.fields["ends_at"]
    return None if ends_at is None else max(0.0, ends_at - task.get_time())


@contextmanager
def progress_bar(out: Console, monotonic: Callable[[], float]) -> Iterator[UpdateProgress]:
    """A progress bar, where there is a terminal to draw it on."""
    columns = TextColumn("{task.description}"), _TimeBarColumn(), _CountdownColumn()
    bar = Progress(
        *columns, console=out, transient=True, disable=not out.is_terminal, get_time=monotonic
    )
    with bar:
        task = bar.add_task("fetching", total=None, ends_at=None)

        def update(doing: str, seconds_left: float | None) -> None:
            ends_at = None if seconds_left is None else monotonic() + seconds_left
            bar.update(task, description=doing, ends_at=ends_at, refresh=True)

        yield update
