"""`tfloom preprocess`."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tfloom.cli._beam import BeamCommand
from tfloom.cli._console import console, counts, tensorflow
from tfloom.cli._data import DataArgument, Eval, Test, Train, by_split
from tfloom.cli._job import watched
from tfloom.feature_specs import storage
from tfloom.feature_specs.directories import Form
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec, load_spec

CLASS = BeamCommand

_UNITS = {"MiB": 1 << 20, "GiB": 1 << 30, "MB": 10**6, "GB": 10**9}


def command(
    context: typer.Context,
    spec: Annotated[Path, typer.Argument(help="The feature spec, .yaml or .json.")],
    data: DataArgument = None,
    out: Annotated[Path, typer.Option("--output", "-o", help="The transform output to write.")] = Path("transformed"),
    train: Train = None,
    eval_: Eval = None,
    test: Test = None,
    max_rejected: Annotated[float, typer.Option(help="The share of rows that may be rejected.")] = 0.01,
    examples: Annotated[
        Form, typer.Option(help="What to write the materialised rows as; trainers read TFRecord.")
    ] = "tfrecord",
    threads: Annotated[int | None, typer.Option(min=1, help="How many of this machine's; left out, its cores.")] = None,
    memory_limit: Annotated[
        str,
        typer.Option(help="What vocabularies may take of memory while they are counted; what is more lies on disk."),
    ] = "1GiB",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over an output that is there.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the job and show what it would be; nothing is started or written.")
    ] = False,
) -> None:
    """Materialise raw data by a spec: learn from the train split, transform every row.

    The job runs on this machine, unless a --runner of Beam is named; every other option is Beam's too.
    """
    named = by_split(data, train, eval_, test)
    limit = _bytes(memory_limit)
    read = load_spec(spec)
    if dry_run:
        _show(read, named, context.args)
        return
    if location := _template_location(context.args):
        with tensorflow():
            from tfloom import api
        api.template(read, named, out, context.args, overwrite=overwrite, max_rejected=max_rejected, examples=examples)
        console.print(f"staged: {location}; the job publishes {out} itself")
        return
    began = time.perf_counter()
    with watched("preprocessing") as watching:
        with tensorflow():
            from tfloom import api
        output = api.preprocess(
            read, named, out, overwrite=overwrite, max_rejected=max_rejected, examples=examples, threads=threads,
            memory_limit=limit, beam_options=context.args, **watching,
        )  # fmt: skip
    report = output.report
    console.print("rows: " + counts(report["rows"].items()))
    console.print("splits: " + counts(report["splits"].items()))
    for reason, n in report["reasons"].items():
        console.print(f"rejected: {n:,} x {reason}")
    console.print(f"written: {storage.named(out)} in {time.perf_counter() - began:.0f} s")


def _template_location(options: Sequence[str]) -> str | None:
    """Where the job is to be written to, for others to start it."""
    if not any(one.startswith("--template_location") for one in options):
        return None
    from apache_beam.options.pipeline_options import GoogleCloudOptions

    from tfloom.pipeline.engines.beam_options import checked

    location: str | None = checked(options, held=True).view_as(GoogleCloudOptions).template_location
    return location


def _show(spec: FeatureSpec, data: Any, options: Sequence[str]) -> None:
    with tensorflow():
        from tfloom import api
    plan = api.plan(spec, data, options)
    for line in plan.checked:
        console.print(f"checked: {line}")
    if plan.steps:
        console.print("steps: " + ", ".join(f"{name} ({n})" for name, n in plan.steps.items()))
    for number, names in enumerate(plan.stages, 1):
        console.print(f"stage {number}: " + ", ".join(names))
    passes = "1 pass" if plan.passes == 1 else f"{plan.passes} passes"
    console.print(f"shuffle: about {plan.shuffled / 1e6:,.2f} MB a million rows, in {passes}; by the first "
                  f"{plan.rows:,} training rows")  # fmt: skip
    console.print("nothing was started")


def _bytes(size: str) -> int:
    """2GiB -> 2147483648"""
    read = re.fullmatch(r"(\d+(?:\.\d+)?) ?(\w+)", size)
    if not read or read[2] not in _UNITS:
        raise SpecError(f"--memory-limit {size}: is no size", expected="a number of MiB or GiB, such as 512MiB",
                        received=size)  # fmt: skip
    return int(float(read[1]) * _UNITS[read[2]])
