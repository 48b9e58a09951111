"""The demo's display while it runs: a progress bar on a terminal, elsewhere one line for each step."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

__all__ = ["Screen"]

_WIDTH = 120


class Screen:
    """Shows steps one after another, for ``with``. Everything goes to standard output."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        if not self.console.is_terminal:
            self.console.width = _WIDTH
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._title = ""
        self._begun = 0.0
        self._peak = 0

    def __enter__(self) -> Screen:
        if self.console.is_terminal:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[left]}"),
                TimeElapsedColumn(),
                console=self.console,
                transient=True,
            )
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rest()

    def rest(self) -> None:
        """No step follows: remove the bar."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.console.print(text, markup=False)

    def begin(self, title: str) -> None:
        """A step begins."""
        self._title, self._begun, self._peak = title, time.monotonic(), 0
        if self._progress is not None:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(title, total=None, left="")

    def starting(self, what: str) -> None:
        """A part of the start begins. It leaves no line of its own."""
        self.begin(what)
        if self._progress is None:
            self.say(f"  {what}")

    def left(self, work: int) -> None:
        """Show how much is still under way in this step."""
        self._peak = max(self._peak, work)
        if self._progress is not None and self._task is not None:
            self._progress.update(
                self._task, total=self._peak or None, completed=self._peak - work, left=f"{work} under way"
            )

    def end(self, what: str = "") -> None:
        """The step is over."""
        took = time.monotonic() - self._begun
        self.say(f"  {took:5.1f} s  {self._title}{': ' if what else ''}{what}")
