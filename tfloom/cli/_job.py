"""A job while it runs: a bar on the terminal, its states in a log, and the question at Ctrl-C."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tfloom.cli._console import progress_console

if TYPE_CHECKING:
    from tfloom.pipeline.engines.beam_job import Job

BAR = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]}"), TimeRemainingColumn())


@contextlib.contextmanager
def watched(what: str) -> Iterator[dict[str, Any]]:
    """The arguments `report` and `interrupted` of a job that runs meanwhile. what: it does, such as preprocessing."""
    _say_what_a_job_does()
    quiet = not progress_console.is_terminal
    with Progress(*BAR, console=progress_console, transient=True, disable=quiet) as progress:
        yield {"report": report_to(progress, what), "interrupted": None if quiet else ask(progress)}


def _say_what_a_job_does() -> None:
    """On stderr, where a log keeps it: the page of a job, and its states."""
    log = logging.getLogger("tfloom.pipeline.engines.beam_job")
    log.setLevel(logging.INFO)
    if not log.handlers:
        log.addHandler(_Said())
        log.propagate = False


class _Said(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        progress_console.print(self.format(record), markup=False, highlight=False, soft_wrap=True)


def report_to(progress: Progress, what: str) -> Callable[[str, int, int | None], None]:
    """A bar for each phase, and one before the first that says only what is done."""
    bars = {"": progress.add_task(what, total=None, rows="")}
    began, before = 0.0, 0

    def report(phase: str, done: int, total: int | None) -> None:
        nonlocal began, before
        if phase not in bars:
            *_, last = bars.values()
            progress.update(last, visible=False)
            bars[phase] = progress.add_task(phase, total=total, rows="")
            began, before = time.perf_counter(), done
        rate = (done - before) / max(time.perf_counter() - began, 1e-3)
        progress.update(bars[phase], completed=done, total=total, rows=f"{done:,} rows, {rate:,.0f} rows/s")

    return report


def ask(progress: Progress) -> Callable[[Job], bool]:
    """At Ctrl-C: whether to cancel a job that would go on elsewhere."""

    def cancel(job: Job) -> bool:
        progress.stop()
        console = progress.console
        answer = console.input(
            f"cancel the job {job.name}? [y/N] (no: watch it further; Ctrl-C: leave it alone) ", markup=False
        )
        progress.start()
        return answer.strip().lower() in ("y", "yes")

    return cancel
