"""A job that is held at `--template_location` for others to start, as by the launcher of a Flex Template."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import StandardOptions
from apache_beam.pipeline import PipelineVisitor

from tfloom.pipeline.engines.beam_job import empty, failed
from tfloom.pipeline.engines.beam_options import checked


@contextlib.contextmanager
def held(options: Sequence[str], last: Callable[[], None]) -> Iterator[beam.Pipeline]:
    """The pipeline to build; on leaving it is staged, with `last` as what a worker does when everything else is done.

    Raises:
      JobError: where it cannot be staged.
    """
    read = checked(options, held=True)
    pipeline = empty(read)
    yield pipeline
    _ = pipeline | "Publish" >> _Last(last, _ends(pipeline))
    try:
        pipeline.run()
    except Exception as error:
        raise failed(read.view_as(StandardOptions).runner, error) from error


class _Last(beam.PTransform):
    """Acts when all of some PCollections are there."""

    def __init__(self, act: Callable[[], None], ends: Sequence[beam.PCollection]) -> None:
        super().__init__()
        self.act, self.ends = act, ends

    def expand(self, root: beam.Pipeline) -> Any:
        act = self.act
        counted = [beam.pvalue.AsIter(end | f"End {n}" >> beam.combiners.Count.Globally())
                   for n, end in enumerate(self.ends)]  # fmt: skip
        return root | "Once" >> beam.Create([None]) | "Act" >> beam.Map(lambda _, *ends: act(), *counted)


def _ends(pipeline: beam.Pipeline) -> list[beam.PCollection]:
    """What no step of a pipeline reads."""
    made: dict[Any, None] = {}
    read: set[Any] = set()

    class Visitor(PipelineVisitor):
        def visit_transform(self, node: Any) -> None:
            made.update(dict.fromkeys(node.outputs.values()))
            read.update(node.inputs, (side.pvalue for side in node.side_inputs))

    pipeline.visit(Visitor())
    return [one for one in made if one not in read and isinstance(one, beam.PCollection)]
