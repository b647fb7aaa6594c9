"""A progress bar on standard error, for commands that people wait for. Silent where nobody looks (a pipe, a log)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pipeline.terminal import plain
from schemas.translatable import ENGLISH, Speech

#: How often a log is told how far it is, seconds.
LOG_EVERY: Final = 10.0


class ProgressLog:
    """How far something is, as a line on standard error every ten seconds: for what takes minutes, in a pipe too.

    `clock` gives seconds.
    """

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic, t: Speech = ENGLISH) -> None:
        self._what, self._clock, self.t = what, clock, t
        self._began = self._said = clock()

    def __call__(self, done: int, total: int) -> None:
        """So much of `total` is done."""
        now = self._clock()
        if now - self._said >= LOG_EVERY:
            self._said = now
            share = 100 * done // max(1, total)
            seconds = f"{now - self._began:.0f}"
            line = self.t("{what}: {share} % after {seconds} s", what=self._what, share=share, seconds=seconds)
            print(line, file=sys.stderr, flush=True)


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Callable[[int], None] | None]:
    """Yields what to call with the number done so far; None where nobody looks. A `total` of None: not known."""
    if not sys.stderr.isatty():
        yield None
        return
    # The name of a file is a stranger's: no markup, and no commands to the terminal.
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TaskProgressColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(plain(what), total=total)
        yield lambda done: progress.update(task, completed=done)
