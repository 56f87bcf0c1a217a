"""`tfloom train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tfloom.cli._console import console, progress_console, table, tensorflow
from tfloom.feature_specs.directories import TransformOutput
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.storage import named


def command(
    transformed: Annotated[Path, typer.Argument(help="The transform output to learn from.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="The model directory to write.")] = Path("model"),
    train_spec: Annotated[Path | None, typer.Option(help="A file with the fields of the train spec.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A field of the train spec, such as backbone.hidden=[256,128].")
    ] = None,
    trainer: Annotated[str | None, typer.Option(help="keras or estimator, as --set trainer=...")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over a model that is there.")] = False,
) -> None:
    """Learn from a transform output. Cut off, the same command goes on from the last checkpoint."""
    changes = dict(_pair(text) for text in set_ or []) | ({"trainer": trainer} if trainer else {})
    output = TransformOutput.open(transformed)
    with progress_console.status("loading TensorFlow"), tensorflow():
        from tfloom import api
        from tfloom.trainers.train_spec import load_train_spec

    spec = load_train_spec(train_spec, changes)
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=progress_console) as progress:
        tasks = {}

        def report(epoch: int, step: int, steps: int, loss: float) -> None:
            if epoch not in tasks:
                tasks[epoch] = progress.add_task("", total=steps)
            progress.update(tasks[epoch], completed=step, description=f"epoch {epoch}/{spec.epochs}  loss {loss:.4f}")

        model = api.train(output, out, spec, overwrite=overwrite, report=report)
    rows = [_row(row) for row in model.read("history.json")]
    table(list(rows[0]), [list(row.values()) for row in rows])
    console.print(f"written: {named(out)}")


def _row(epoch: dict[str, Any]) -> dict[str, Any]:
    metrics = {f"{split}\n{name}": v for split in ("train", "eval") for name, v in epoch.get(split, {}).items()}
    return {"epoch": epoch["epoch"]} | metrics | {"seconds": f"{epoch['seconds']:.1f}"}


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign:
        raise SpecError(f"--set {text}: has no value", expected="KEY=VALUE, such as epochs=3", received=text)
    return key, value
