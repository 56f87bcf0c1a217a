"""A job on a Beam runner: submitted, watched while it runs, counted when it has ended."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.metrics.metric import Metrics, MetricsFilter
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineState

from tfloom.feature_specs import errors
from tfloom.feature_specs.errors import JobError, SpecError, TfloomError
from tfloom.pipeline.engines.beam_options import checked
from tfloom.pipeline.progress import Report

_log = logging.getLogger(__name__)

NAMESPACE = "tfloom"
"""Of our counters: in, out, filtered, unlabelled, rejected."""

PERIOD = 5.0
"""Seconds between two looks at a job."""

_OURS = re.compile(r"tfloom\.feature_specs\.errors\.(\w+): (.*?)\n  expected: (.*?)\n  received: ([^\n]*)", re.DOTALL)


@dataclass(frozen=True)
class Job:
    """A job that goes on without the process that submitted it.

    url: of its page. cancel: the command that cancels it.
    """

    name: str
    url: str
    cancel: str


def count(account: Mapping[str, int]) -> None:
    """Add what became of a chunk's rows to the job's counters, on a worker."""
    for name, rows in account.items():
        Metrics.counter(NAMESPACE, name).inc(rows)


def empty(options: PipelineOptions) -> beam.Pipeline:
    """A pipeline to build. Raises SpecError where Beam refuses values of its options."""
    try:
        return beam.Pipeline(options=options)
    except ValueError as error:
        raise SpecError("--runner: Beam refuses its options", expected="what Beam asks for",
                        received=" ".join(str(error).split())) from None  # fmt: skip


class Run:
    """Runs a pipeline that is built within it, and waits for its end.

    options: of Beam. report: is told the state of the job and how many of about `rows` rows it has read.
    interrupted: is asked, at Ctrl-C, whether to cancel a job that would go on without us; without it the job does.
    """

    def __init__(
        self,
        options: Sequence[str],
        report: Report | None = None,
        rows: int | None = None,
        interrupted: Callable[[Job], bool] | None = None,
    ) -> None:
        self.options, self.report, self.rows, self.interrupted = checked(options), report, rows, interrupted
        self.runner = self.options.view_as(StandardOptions).runner
        self.counts: dict[str, int] = {}
        """By counter, when the job has ended; empty where the runner tells none."""

    @contextlib.contextmanager
    def pipeline(self) -> Iterator[beam.Pipeline]:
        """The pipeline to build; on leaving it runs.

        Raises:
          JobError: where it cannot be submitted, or fails. TfloomError: where it fails by an error of the data.
        """
        made = empty(self.options)
        yield made
        if self.runner == "FnApiRunner":  # in this process: its errors are as they were raised
            with _as_raised():
                self.counts = counters(made.run())
            return
        try:
            result = made.run()
            self._watch(result)
        except TfloomError:
            raise
        except Exception as error:
            raise failed(self.runner, error) from error
        self.counts = counters(result)

    def _watch(self, result: Any) -> None:
        job = _dataflow_job(result, self.options)
        if job is not None:
            _log.info("job: %s", job.url)
        ended = _Ended(result)
        told = ""
        while True:
            try:
                if ended.wait(PERIOD):
                    break
                state, stages, done = _looked_at(result)
                if state != told:
                    told = state
                    _log.info("job: %s", state.lower())
                if self.report is not None:
                    self.report(" ".join(filter(None, (state.lower(), stages))), done, self.rows)
            except KeyboardInterrupt:
                self._end(result, job)
        ended.check()

    def _end(self, result: Any, job: Job | None) -> None:
        """At Ctrl-C: cancel the job, leave it alone and end, or go on watching it."""
        if job is None:  # nobody could cancel it afterwards
            result.cancel()
            raise KeyboardInterrupt
        try:
            cancel = None if self.interrupted is None else self.interrupted(job)
        except KeyboardInterrupt:  # again
            cancel = None
        if cancel is False:
            return
        if cancel:
            result.cancel()
            _log.warning("job: cancelled, and nothing is published")
        else:
            _log.warning("job: goes on, but what it writes will not be published; to cancel it: %s", job.cancel)
        raise KeyboardInterrupt


@contextlib.contextmanager
def _as_raised() -> Iterator[None]:
    """An error of the data as it was raised, not logged with a traceback and raised anew with the name of a step."""
    log = logging.getLogger("apache_beam.runners.common")
    log.addFilter(_of_beam)
    try:
        yield
    except TfloomError as error:
        raise (error.__context__ if isinstance(error.__context__, TfloomError) else error) from None
    finally:
        log.removeFilter(_of_beam)


def _of_beam(record: logging.LogRecord) -> bool:
    return not isinstance(record.msg, TfloomError)


class _Ended:
    """Beam's wait for a job, in a thread of its own: so that the job can be looked at meanwhile, and Ctrl-C heard."""

    def __init__(self, result: Any) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._wait, args=(result,), daemon=True)
        self._thread.start()

    def _wait(self, result: Any) -> None:
        try:
            result.wait_until_finish()
            if result.state != PipelineState.DONE:
                raise RuntimeError(f"the job ended in the state {result.state}")
        except BaseException as error:
            self._error = error

    def wait(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def check(self) -> None:
        if self._error is not None:
            raise self._error


def counters(result: Any) -> dict[str, int]:
    """Our counters of a job by name; attempted where a runner does not know which attempts counted."""
    told = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    found: dict[str, int] = {}
    for one in told:
        found[one.key.metric.name] = found.get(one.key.metric.name, 0) + (one.committed or one.attempted or 0)
    return found


def _looked_at(result: Any) -> tuple[str, str, int]:
    """(state, stages, rows read) of a job; a look that fails is one less, and the next one tells."""
    try:
        return str(result.state), _stages(result), counters(result).get("in", 0)
    except Exception as error:
        _log.debug("the job cannot be looked at: %s", error)
        return "UNKNOWN", "", 0


def _dataflow_job(result: Any, options: PipelineOptions) -> Job | None:
    if not hasattr(result, "has_job"):
        return None
    cloud = options.view_as(GoogleCloudOptions)
    job = result.job_id()
    return Job(
        job,
        f"https://console.cloud.google.com/dataflow/jobs/{cloud.region}/{job}?project={cloud.project}",
        f"gcloud dataflow jobs cancel {job} --project={cloud.project} --region={cloud.region}",
    )


def _stages(result: Any) -> str:
    """How many stages of a job of Dataflow are done."""
    if not hasattr(result, "has_job"):
        return ""
    from google.cloud import dataflow

    client = result._runner.dataflow_client
    cloud = client.google_cloud_options
    request = dataflow.GetJobExecutionDetailsRequest(
        project_id=cloud.project, location=cloud.region, job_id=result.job_id()
    )
    stages = list(client._metrics_client.get_job_execution_details(request))
    done = sum(stage.state == dataflow.ExecutionState.EXECUTION_STATE_SUCCEEDED for stage in stages)
    return f"({done} of {len(stages)} stages)" if stages else ""


def failed(runner: str, error: Exception) -> TfloomError:
    """What a job failed by: an error of the data that a worker met, or what the runner says last."""
    text = re.sub(r"^Dataflow pipeline failed\. State: \w+, Error:\s*", "", str(error))
    if ours := _OURS.search(text):
        name, what, expected, received = ours.groups()
        return getattr(errors, name, JobError)(what, expected=expected, received=received.partition(" [while")[0])
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason"]
    # A traceback of Python ends with what happened, others begin with it.
    told = lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]
    return JobError(
        f"{runner}: the job failed, and nothing is published",
        expected="a job that ends well; the same command again makes the whole output",
        received=f"{type(error).__name__}: {told}"[:300],
    )
