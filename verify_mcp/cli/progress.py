"""A progress bar that follows the API's quota: it goes on, and counts down, while requests wait."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from threading import Event, Lock, Thread

UpdateProgress = Callable[[str, float | None], None]
"""Takes what is being done, and the seconds that the whole may still take (None: not known)."""
REFRESH_SECONDS = 0.5


def share_of_time(elapsed: float, left: float | None) -> float:
    """The part of the time that is over, from 0 to 1; 0 while the rest is not known."""
    if left is None:
        return 0.0
    total = elapsed + left
    return elapsed / total if total > 0 else 1.0


def countdown(elapsed: float, left: float | None) -> str:
    """The time left as a clock shows it; the time that is over while the rest is not known."""
    if left is None:
        return f"{_clock(int(elapsed))} so far, time left: not known yet"
    return f"about {_clock(ceil(left))} left"


def _clock(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02d}"


@contextmanager
def progress_bar(monotonic: Callable[[], float]) -> Iterator[UpdateProgress]:
    """A progress bar on stderr, where that is a terminal to draw it on."""
    if not sys.stderr.isatty():
        yield lambda _doing, _seconds_left: None
        return
    from tqdm.contrib.logging import logging_redirect_tqdm

    bar = _TimeBar(monotonic)
    ended = Event()

    def refresh() -> None:
        while not ended.wait(REFRESH_SECONDS):
            bar.draw()

    ticker = Thread(target=refresh, name="progress", daemon=True)
    ticker.start()
    try:
        with logging_redirect_tqdm():
            yield bar.update
    finally:
        ended.set()
        ticker.join()
        bar.close()


class _TimeBar:
    """The bar of a task, by the last estimate of its end. Threads may draw it together."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        from tqdm import tqdm

        self._monotonic = monotonic
        self._started = monotonic()
        self._lock = Lock()
        self._task: tuple[str, float | None] = ("fetching", None)
        """What is being done, and the monotonic second at which it should end."""
        self._bar = tqdm(
            total=1.0,
            file=sys.stderr,
            leave=False,
            dynamic_ncols=True,
            bar_format="{desc} {bar}",
        )

    def update(self, doing: str, seconds_left: float | None) -> None:
        ends_at = None if seconds_left is None else self._monotonic() + seconds_left
        self._task = (doing, ends_at)
        self.draw()

    def draw(self) -> None:
        doing, ends_at = self._task
        now = self._monotonic()
        elapsed = now - self._started
        left = None if ends_at is None else max(0.0, ends_at - now)
        with self._lock:
            self._bar.n = share_of_time(elapsed, left)
            self._bar.desc = f"{doing}, {countdown(elapsed, left)}"
            self._bar.refresh()

    def close(self) -> None:
        self._bar.close()
