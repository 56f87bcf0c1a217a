"""What is run by Beam, on whichever runner its options name, and how its errors come out."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tfloom.feature_specs.errors import TfloomError


def pipeline(options: Sequence[str]) -> beam.Pipeline:
    """By Beam's pipeline options, such as ``["--runner=DataflowRunner", ...]``; without any it runs in this process."""
    if options:
        return beam.Pipeline(options=PipelineOptions(list(options)))
    # By name: DirectRunner would first try a runner that it must download.
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    return beam.Pipeline(runner=FnApiRunner())


@contextlib.contextmanager
def as_raised() -> Iterator[None]:
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
