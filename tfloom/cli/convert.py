"""`tfloom convert`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from tfloom.cli import _draft
from tfloom.cli._console import console, progress_console, tensorflow
from tfloom.feature_specs.directories import TransformOutput
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.storage import named


def command(
    library: Annotated[str, typer.Argument(help="Whose: feature_columns, estimator, easyrec or feature_space.")],
    source: Annotated[
        str,
        typer.Argument(
            help="What it reads: module:attribute for feature_columns, a model_dir, checkpoint or SavedModel for "
            "estimator, else a file."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write the spec; with --transformed, the model directory.")
    ],
    columns: Annotated[
        str | None, typer.Option(help="Of an estimator: its tf.feature_columns, as module:attribute.")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            help="Of an estimator: the label that it learned, its fields as YAML, {name: income, positive: '>50K'}, or "
            "its name."
        ),
    ] = None,
    transformed: Annotated[
        Path | None,
        typer.Option(help="Of an estimator: what was preprocessed by its spec; the model is then written."),
    ] = None,
    activation: Annotated[str, typer.Option(help="Of an estimator's hidden layers, by Keras' name.")] = "relu",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over what is there.")] = False,
) -> None:
    """Write the spec that says what another library's columns say, or an Estimator's model; the rest is listed."""
    for option, value in (("columns", columns), ("label", label), ("transformed", transformed)):
        if value is not None and library != "estimator":
            raise SpecError(f"--{option}: is of a trained Estimator", expected="convert estimator", received=library)
    if library == "estimator" and columns is None:
        raise SpecError("--columns: is missing", received="nothing",
                        expected="where the Estimator's tf.feature_columns are, as module:attribute")  # fmt: skip
    learned = None if label is None else _fields(label)
    if transformed is not None:
        name = None if learned is None else learned.get("name")
        _write_model(source, columns, TransformOutput.open(transformed), out, activation, name, overwrite)
        return
    _draft.check(out, overwrite)
    with progress_console.status("converting"), tensorflow(), _without_deprecations():
        from tfloom import api

        if library == "estimator":
            draft = api.estimator_spec(source, columns, learned)
        else:
            draft = api.convert(library, source)
    _draft.write(draft, out)


def _write_model(
    source: str,
    columns: str | None,
    transformed: TransformOutput,
    out: Path,
    activation: str,
    label: str | None,
    overwrite: bool,
) -> None:
    with progress_console.status("converting"), tensorflow(), _without_deprecations():
        from tfloom import api

        told = api.convert_estimator(
            source, columns, transformed, out, activation=activation, label=label, overwrite=overwrite
        )
    for name, why in told.left_out.items():
        console.print(f"left out: {name}, {why}")
    console.print(f"of training alone: {', '.join(told.of_training) or 'nothing'}")
    if told.difference is not None:
        console.print(f"predictions differ from the SavedModel's by at most {told.difference:.2g}")
    console.print(f"written: {named(out)}")


@contextlib.contextmanager
def _without_deprecations() -> Iterator[None]:
    """TensorFlow's log without its warnings that feature columns are deprecated: they are what is to be converted."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _fields(label: str) -> Mapping[str, Any]:
    """A label's fields; a name alone is a number's."""
    try:
        told = yaml.safe_load(label)
    except yaml.YAMLError:
        told = None
    if isinstance(told, str):
        return {"name": told}
    if not isinstance(told, dict):
        raise SpecError("--label: is no label", expected="its fields as YAML, such as {name: income, positive: '>50K'}",
                        received=label)  # fmt: skip
    return told
