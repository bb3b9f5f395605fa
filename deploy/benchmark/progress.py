"""A progress bar on stderr: one line, which says what is being done."""

from types import TracebackType
from typing import Self

from rich import progress
from rich.console import Console


class Progress:
    """Shows how far a run of so many events is; a context manager. Nothing is shown where stderr is no terminal."""

    def __init__(self, events: int) -> None:
        console = Console(stderr=True)
        self._bar = progress.Progress(
            progress.TextColumn("{task.description:<10}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._events = events
        self._doing = "starting"
        self._task = self._bar.add_task(self._doing, total=None)

    def tell(self, doing: str, done: int) -> None:
        """Show what is being done, and of how many events it is done; 0 where that cannot be said."""
        if doing != self._doing:
            self._doing = doing
            self._bar.reset(self._task, total=self._events if done else None, description=doing)
        self._bar.update(self._task, completed=done)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()
