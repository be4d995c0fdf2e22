"""How far a run is: samples, rate, time left, grades; drawn on a terminal, silent elsewhere."""

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as Bar
from rich.text import Text

from harness.types import Grade, Sample


class _Rate(ProgressColumn):
    """Samples and tokens a second."""

    def render(self, task: Bar) -> Text:
        if not task.speed:
            return Text("")
        tokens = task.fields["tokens"] / task.elapsed if task.elapsed else 0.0
        return Text(f"{task.speed:.2g}/s {tokens:.0f} tok/s", style="cyan", no_wrap=True)


class RunProgress:
    """One bar a benchmark on standard error; use it as a context manager. Threads may report at the same time."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            _Rate(),
            TextColumn("{task.fields[graded]} graded,"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=console,
            disable=not console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}
        self._graded: dict[str, int] = {}
        self._tokens: dict[str, int] = {}

    def add(self, task: str, title: str, total: int, done: int) -> None:
        """Adds the bar of a task, of which ``done`` samples were there before."""
        self._bars[task] = self._progress.add_task(title, total=total, completed=done, graded=0, tokens=0, start=False)
        self._graded[task] = self._tokens[task] = 0

    def begin(self, task: str) -> None:
        """Starts the clock of a task."""
        self._progress.start_task(self._bars[task])

    def sampled(self, sample: Sample) -> None:
        """Counts a new sample."""
        self._tokens[sample.task] += sample.completion_tokens or 0
        self._progress.update(self._bars[sample.task], advance=1, tokens=self._tokens[sample.task])

    def graded(self, grade: Grade) -> None:
        """Counts a new grade."""
        self._graded[grade.task] += 1
        self._progress.update(self._bars[grade.task], graded=self._graded[grade.task])

    def __enter__(self) -> "RunProgress":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
