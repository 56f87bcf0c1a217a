"""The Python face: what the command line does, as functions of values. `tfloom.NAME` hands each of them out."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import pyarrow as pa

from tfloom.feature_specs import storage
from tfloom.feature_specs.directories import (
    ORIGIN,
    ExportDirectory,
    Form,
    ModelDirectory,
    TransformOutput,
    fetched,
    stored,
    versions,
    whole_or_absent,
    write_json,
)  # fmt: skip
from tfloom.feature_specs.errors import ArtefactError, DataError, SpecError
from tfloom.feature_specs.spec import FeatureSpec, load_spec

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from tfloom.feature_specs.draft import Draft
    from tfloom.pipeline.check import Checked
    from tfloom.pipeline.engines.beam_job import Job
    from tfloom.pipeline.explain import Explained
    from tfloom.pipeline.plan import Plan
    from tfloom.pipeline.sources import Data
    from tfloom.serving.server import Server
    from tfloom.serving.verify import Verified
    from tfloom.trainers.from_estimator import Converted
    from tfloom.trainers.train_spec import TrainSpec

Path_ = str | Path

__all__ = [
    "check", "convert", "convert_estimator", "dataset", "estimator_spec", "evaluate", "export", "infer", "keras_inputs",
    "load_spec", "plan", "predict", "preprocess", "report", "score", "serve", "train", "transform", "verify",
]  # fmt: skip


class Metrics(dict[str, Any]):
    """Metrics by name; what is there to be drawn is left out of their repr."""

    def __repr__(self) -> str:
        return repr({name: value for name, value in self.items() if name != "curves"})


def infer(data: Data, label: str) -> FeatureSpec:
    """A spec to start from, for `data` whose column `label` is to be learned.

    Raises:
      DataError: in three parts.
    """
    from tfloom.pipeline.infer import infer as run

    return run(data, label)


def convert(library: str, source: Any) -> Draft:
    """The spec that says what columns of another library say, with what cannot be said.

    library: `feature_columns`: `source` is tf.feature_column objects (a list, lists by group, the wide and the deep
      ones, a function that gives them), or where they are, as "module:attribute".

    Raises:
      SpecError: where there is no such library, or nothing to convert.
    """
    from tfloom.feature_specs.converters import convert as run

    return run(library, source)


def estimator_spec(source: Path_, columns: Any, label: Mapping[str, Any] | None = None) -> Draft:
    """The spec to preprocess data by, for `convert_estimator`, with what cannot be said.

    Args:
      source, columns: as for convert_estimator.
      label: the fields of the label that the Estimator learned, such as {"name": "income", "positive": ">50K"}; left
        out, it has to be added to the spec.

    Raises:
      SpecError, ArtefactError: in three parts.
    """
    from tfloom.trainers.from_estimator import spec as run

    return run(fetched(source), columns, label)


def convert_estimator(
    source: Path_,
    columns: Any,
    transformed: TransformOutput | Path_,
    out: Path_,
    *,
    activation: str = "relu",
    label: str | None = None,
    overwrite: bool = False,
) -> Converted:
    """Write the model directory `out` with the weights of a trained canned Estimator: linear, DNN or combined.

    Args:
      source: the Estimator's model_dir, one of its checkpoints, or a SavedModel that it exported.
      columns: its tf.feature_columns (a list; those of the linear part and those of the dnn part; a function that gives
        them), or where they are, as "module:attribute".
      transformed: data, preprocessed by the spec that `estimator_spec` gives.
      activation: Keras' name of that of the hidden layers.
      label: of the spec, where it has several.

    Returns:
      The `model`, what of the Estimator is `left_out` of it and why, the variables `of_training` alone, and the
      greatest `difference` from the predictions of a SavedModel.

    Raises:
      SpecError, ArtefactError: in three parts; then nothing is written.
    """
    from tfloom.trainers.from_estimator import convert as run

    return run(fetched(source), columns, _transformed(transformed), storage.local(out), activation=activation,
               label=label, overwrite=overwrite)  # fmt: skip


def check(spec: FeatureSpec | Path_, data: Data | Mapping[str, Data]) -> Checked:
    """Read all of `data` by a spec and say what would become of it, without writing anything.

    Raises:
      SpecError, DataError: where the two do not fit.
    """
    from tfloom.pipeline.check import check as run

    return run(_spec(spec), _by_split(data))


def preprocess(
    spec: FeatureSpec | Path_,
    data: Data | Mapping[str, Data],
    out: Path_,
    *,
    overwrite: bool = False,
    max_rejected: float = 0.01,
    examples: Form = "tfrecord",
    threads: int | None = None,
    memory_limit: int = 1 << 30,
    beam_options: Sequence[str] = (),
    report: Callable[[str, int, int | None], None] | None = None,
    interrupted: Callable[[Job], bool] | None = None,
) -> TransformOutput:
    """Materialise `data` by a spec into the transform output `out`.

    Args:
      data: paths or globs of CSV, Parquet, JSON lines and TFRecord files, bq://project.dataset.table, a .sql file, a
        pandas or polars frame, a pyarrow Table or RecordBatches; or these by split, {"train": ..., "eval": ..., "test":
        ...}.
      max_rejected: the share of rows that may be rejected.
      examples: write the materialised rows as TFRecord of tf.Example, which trainers read, as Parquet, or as both.
      threads: of this machine, where it is not Beam that runs; left out, as many as it has cores.
      memory_limit: bytes that the vocabularies may take while they are counted, where it is not Beam that counts; what
        is more lies on disk.
      beam_options: Beam's pipeline options, `--runner` among them; without any the job runs here, without Beam.
      report: called with (phase, rows done, about how many there are, None where nobody knows) as rows are done.
      interrupted: asked at Ctrl-C whether to cancel a job that would go on elsewhere: False watches it further. Left
        out, it goes on, and nothing is published.

    Raises:
      SpecError, DataError, ArtefactError, JobError: in three parts; then nothing is written.
    """
    from tfloom.pipeline.preprocess import preprocess as run

    return run(
        _spec(spec),
        _by_split(data),
        Path(out),
        overwrite=overwrite,
        max_rejected=max_rejected,
        examples=examples,
        threads=threads,
        memory_limit=memory_limit,
        beam_options=beam_options,
        report=report,
        interrupted=interrupted,
    )


def template(
    spec: FeatureSpec | Path_,
    data: Data | Mapping[str, Data],
    out: Path_,
    beam_options: Sequence[str],
    *,
    overwrite: bool = False,
    max_rejected: float = 0.01,
    examples: Form = "tfrecord",
) -> None:
    """Stage the job of `preprocess` for others to start, as the launcher of a Flex Template does; it publishes `out`.

    Args:
      beam_options: with `--template_location`, where the job is written to.

    Raises:
      SpecError, DataError, ArtefactError: in three parts; then nothing is staged.
    """
    from tfloom.pipeline.preprocess import template as run

    run(_spec(spec), _by_split(data), Path(out), beam_options, overwrite=overwrite, max_rejected=max_rejected,
        examples=examples)  # fmt: skip


def plan(spec: FeatureSpec | Path_, data: Data | Mapping[str, Data], beam_options: Sequence[str] = ()) -> Plan:
    """What `preprocess` of the same would do, checked and built, but not started.

    Raises:
      SpecError, DataError: where it could not run.
    """
    from tfloom.pipeline.plan import plan as run

    return run(_spec(spec), _by_split(data), beam_options)


def transform(transformed: TransformOutput | Path_, data: Data, rows: int = 3) -> list[Explained]:
    """For the first rows of `data` and every column: the raw value, and what a model sees of it.

    Raises:
      DataError, ArtefactError: in three parts.
    """
    from tfloom.pipeline.explain import explain

    return explain(_transformed(transformed), data, rows)


def train(
    transformed: TransformOutput | Path_,
    out: Path_,
    train_spec: TrainSpec | Path_ | Mapping[str, Any] | None = None,
    *,
    overwrite: bool = False,
    report: Callable[[int, int, int, float], None] | None = None,
) -> ModelDirectory:
    """Learn from a transform output and write the model directory `out`; cut off, the same call goes on.

    Args:
      train_spec: a TrainSpec, its fields, or a file of them; left out, the defaults.
      report: told now and then of the epoch (from 1), the steps taken in it, the steps in it and the mean loss.

    Raises:
      SpecError, ArtefactError: in three parts.
    """
    from tfloom.trainers.train import train as run

    return run(_transformed(transformed), _train_spec(train_spec), Path(out), overwrite=overwrite, report=report)


def evaluate(
    model: ModelDirectory | Path_, data: Data | None = None, *, split: str = "test", slice_by: str | None = None
) -> Metrics:
    """Metrics of a model: on a split of what it learned from, or on other data.

    Args:
      data: raw rows with labels; left out, the split of the transform output, and metrics.json of the model is told.
      slice_by: a column of `data`; its values' own metrics are under `slices`.

    Returns:
      Numbers by name, `rows`, `curves` to draw, and `slices`.

    Raises:
      DataError, ArtefactError, SpecError: in three parts.
    """
    from tfloom.trainers import evaluate as trainers

    directory = ModelDirectory.open(model) if not isinstance(model, ModelDirectory) else model
    if data is None:
        if slice_by is not None:
            raise SpecError(
                f"slice: {slice_by!r} is a column of raw data",
                expected="data to evaluate on, for example the file that was preprocessed",
                received="no data",
            )
        told = Metrics(trainers.on_split(directory, split))
        metrics = directory.path / "metrics.json"
        write_json(metrics, (directory.read("metrics.json") if metrics.is_file() else {}) | {split: told})
        with stored(metrics):
            storage.publish(metrics)
        return told
    whole, by_slice = trainers.on_rows(directory, _labelled(directory, data, slice_by))
    slices = {"slices": {value: Metrics(told) for value, told in by_slice.items()}} if slice_by else {}
    return Metrics(whole | slices)


@overload
def export(model: ModelDirectory | Path_, out: Path_, /) -> ExportDirectory: ...


@overload
def export(model: keras.Model, transformed: TransformOutput | Path_, out: Path_, /) -> ExportDirectory: ...


def export(model: Any, *where: Any) -> ExportDirectory:
    """Write the next version of an export.

    export(model, out) takes a model directory, export(keras_model, transformed, out) a Keras 3 model of one's own
    over `keras_inputs(transformed)`. It is published, by rename, after TensorFlow's C API has run every signature on
    golden rows and got what the trainer gives.

    Raises:
      ArtefactError, SpecError: in three parts; then nothing is written.
    """
    from tfloom.serving import golden
    from tfloom.trainers import export as trainers

    is_directory = isinstance(model, str | Path | ModelDirectory)
    if len(where) != (1 if is_directory else 2):
        raise SpecError("export: of what, and where to?",
                        expected="a model directory and an output; or a Keras model, a transform output and an output",
                        received=", ".join(type(one).__name__ for one in (model, *where)))  # fmt: skip
    out = storage.local(where[-1])
    version = out / str(1 + max(versions(out), default=0))
    with _no_empty_folder(out), whole_or_absent(version) as staging:
        if is_directory:
            directory = model if isinstance(model, ModelDirectory) else ModelDirectory.open(model)
            trainers.export_model(directory, staging, _card(directory.path, directory.transformed, version))
        else:
            output = _transformed(where[0])
            trainers.export_keras(model, output, staging, _card(None, output, version))
        card = ExportDirectory(staging).model_card
        card["tried"] = {f"C API of TensorFlow {card['tensorflow']}": golden.check(staging)}
        write_json(staging / "model_card.json", card)
    return ExportDirectory.open(version)


def verify(
    export: ExportDirectory | Path_,
    data: Data | Mapping[str, Data],
    *,
    rows: int | None = None,
    transformed: TransformOutput | Path_ | None = None,
    url: str | None = None,
) -> Verified:
    """Raw rows through the export against the materialised rows, and its predictions against the trainer's.

    Args:
      data: what was preprocessed, or some of its files, in the same form.
      rows: the first so many; left out, all of them.
      transformed: the transform output to compare with; left out, the one that the export was made from.
      url: of a running server's model, http://localhost:8501/v1/models/flights for REST or grpc://localhost:8500/flights
        for gRPC; its answers are compared too.

    Returns:
      The counts, `mismatches` the sum of what differs; they are written into the export's verify.json.

    Raises:
      DataError, ArtefactError: in three parts.
    """
    from tfloom.serving.verify import verify as run
    from tfloom.trainers import predictor

    directory = _exported(export)
    output = _transformed(transformed if transformed is not None else directory.named("transformed"))
    with _parsed(directory, output, data, rows) as parsed:
        verified = run(directory, parsed, output, predictor.of_export(directory), url=url)
    write_json(directory.path / "verify.json", verified.to_dict())
    with stored(directory.path):
        storage.publish(directory.path / "verify.json")
    return verified


def predict(
    export: ExportDirectory | Path_,
    data: Data,
    out: Path_ | None = None,
    *,
    key: Sequence[str] | None = None,
    rows: int | None = None,
    window: float | None = None,
    stride: float | None = None,
) -> pa.Table:
    """Predictions of an export for raw rows, which need no labels, or for video files.

    Args:
      data: raw rows, as `preprocess` takes them; or video files, of an export that reads clips: a row for each, or for
        each window of it.
      out: a .parquet or .csv file to write them to.
      key: columns of `data` to put before the predictions; left out, those of the spec's key that `data` has, or of
        videos the `file`, and `start` and `end` of a window in seconds.
      rows: the first so many; left out, all of them.
      window, stride: seconds: a row for each window of so many, one every so many; left out, one after the other.

    Returns:
      A row for every row of `data`; one that is rejected has nulls, and its reason in the column `rejected`.

    Raises:
      DataError, ArtefactError: in three parts.
    """
    from tfloom.pipeline import media
    from tfloom.pipeline import rows as raw_rows
    from tfloom.serving import predict as serving

    if out is not None:
        serving.has_a_format(out)
    directory = _exported(export)
    if media.are_videos(data):
        data = media.table(directory.spec, data, window, stride)
        key = (
            [name for name in (media.FILE, media.START, media.END) if name in data.column_names] if key is None else key
        )
    elif window is not None or stride is not None:
        raise DataError("window: is of video files", expected=f"files that end in {', '.join(media.ENDINGS)}",
                        received=str(data)[:100])  # fmt: skip
    run = serving.predictor(directory.path)
    tables, left = [], rows
    wanted = [*directory.spec.input_sources, *(directory.spec.key if key is None else key)]
    with raw_rows.opened(data, wanted) as sources:
        key = raw_rows.present(sources, directory.spec.key) if key is None else key
        for chunk, done in raw_rows.parsed(directory.spec, sources, labelled=False, keep=key):
            taken = chunk.rows.num_rows if left is None else min(left, chunk.rows.num_rows)
            keys = chunk.rows.select(list(key))
            tables.append(serving.scores(run, keys, done.rows, done.positions, raw_rows.reasons(chunk, done), taken))
            left = None if left is None else left - taken
            if left == 0:
                break
    table = serving.joined(tables)
    if out is not None:
        serving.write(table, Path(out))
    return table


def score(
    export: ExportDirectory | Path_,
    data: Data,
    out: Path_,
    beam_options: Sequence[str],
    *,
    key: Sequence[str] | None = None,
    overwrite: bool = False,
    report: Callable[[str, int, int | None], None] | None = None,
    interrupted: Callable[[Job], bool] | None = None,
) -> dict[str, Any]:
    """`predict` for tables of any size, by a job on a Beam runner: the same values, bit for bit.

    Args:
      out: a folder, whole or absent: `predictions/`, a Parquet file for each run of rows of a source, with the key, the
        predictions and the origin of each row; `rejected/`, the rows that cannot be scored, with place and reason.
        Or a table of BigQuery, bq://project.dataset.table, and one with `_rejected` behind its name for these.
      beam_options: Beam's pipeline options, such as `--runner`.
      key: columns of `data` to put before the predictions; left out, those of the spec's key that `data` has.
      report: called with (phase, rows done, rows in all) as rows are done.
      interrupted: asked at Ctrl-C whether to cancel a job that would go on elsewhere; left out, it goes on.

    Returns:
      The report: rows in, out and rejected, `reasons` and `sources`.

    Raises:
      SpecError, DataError, ArtefactError: in three parts; then nothing is written.
    """
    from tfloom.pipeline.score import score as run

    directory = _exported(export)
    load = functools.partial(_model, storage.named(directory.path.absolute()))
    return run(directory.spec, load, data, out, beam_options, key=key, overwrite=overwrite, report=report,
               interrupted=interrupted)  # fmt: skip


def serve(
    exports: ExportDirectory | Path_ | Mapping[str, ExportDirectory | Path_],
    *,
    host: str = "127.0.0.1",
    port: int = 8501,
    grpc_port: int | None = None,
) -> Server:
    """Serve exports over TF Serving's REST API, each under its name; a single one under its folder's name.

    Args:
      port: of the REST API; 0 takes any that is free.
      grpc_port: serve TF Serving's gRPC API too, here.

    Returns:
      A running server: a context manager with `url`, `grpc_url`, `stop()` and `wait()`.

    Raises:
      ArtefactError: where one is no export, or a port is taken.
    """
    from tfloom.serving.server import serve as run

    if isinstance(exports, Mapping):
        named = {name: _exported(one) for name, one in exports.items()}
    else:
        one = _exported(exports)
        named = {one.name: one}
    return run({name: one.path for name, one in named.items()}, host=host, port=port, grpc_port=grpc_port)


def report(folder: Path_, out: Path_) -> Path:
    """Write one self-contained HTML file about the transform output, the model and the export found in `folder`.

    Raises:
      ArtefactError: where there is none of them.
    """
    from tfloom.reporting import write_report

    return write_report(Path(folder), Path(out))


def dataset(
    transformed: TransformOutput | Path_,
    split: str,
    batch_size: int = 256,
    *,
    label: str | None = None,
    seed: int | None = None,
    training: bool | None = None,
) -> tf.data.Dataset:
    """A split as (features, labels) batches for `model.fit`: features by column, as `keras_inputs` takes them.

    float32 [B, D], ids int64 [B, T] right-padded with -1, any number of numbers a row float32 [B, T] right-padded with
    NaN, pictures string [B]; labels int64 or float32 [B]. Where the spec has a weight they are (features, labels,
    weights), weights float32 [B].

    Args:
      label: of the spec, where it has several.
      seed: shuffles the rows; left out they come as they lie.
      training: the values to train on, of columns that have others to be served; left out, those of the split train
        are.

    Raises:
      SpecError, ArtefactError: in three parts.
    """
    from tfloom.trainers.inputs import batches

    output = _transformed(transformed)
    order = None if seed is None else (seed, 0)
    training = split == "train" if training is None else training
    return batches(output, split, batch_size, output.spec.label(label), order=order, training=training)


def keras_inputs(transformed: TransformOutput | Path_) -> dict[str, keras.KerasTensor]:
    """A keras.Input for every materialised column that the spec's groups read, by name: to build a model on."""
    from tfloom.trainers.inputs import keras_inputs as run

    return run(_transformed(transformed))


def _spec(spec: FeatureSpec | Path_) -> FeatureSpec:
    return spec if isinstance(spec, FeatureSpec) else load_spec(spec)


def _transformed(transformed: TransformOutput | Path_) -> TransformOutput:
    return transformed if isinstance(transformed, TransformOutput) else TransformOutput.open(transformed)


def _exported(export: ExportDirectory | Path_) -> ExportDirectory:
    return export if isinstance(export, ExportDirectory) else ExportDirectory.open(export)


def _model(version: str) -> Callable[[pa.RecordBatch], Mapping[str, pa.Array]]:
    """What predicts with an export, on a worker, which brings it there where it is in Cloud Storage."""
    from tfloom.serving import predict as serving

    predict = serving.predictor(ExportDirectory.open(version).path)
    return lambda rows: serving.columns_of(predict(rows))


def _train_spec(given: TrainSpec | Path_ | Mapping[str, Any] | None) -> TrainSpec:
    from tfloom.feature_specs.validation import validate
    from tfloom.trainers.train_spec import TrainSpec, load_train_spec

    if isinstance(given, TrainSpec):
        return given
    return validate(dict(given), TrainSpec, "train_spec") if isinstance(given, Mapping) else load_train_spec(given)


def _by_split(data: Data | Mapping[str, Data]) -> Mapping[str | None, Data]:
    return dict(data) if isinstance(data, Mapping) else {None: data}  # type: ignore[return-value]


def _card(model: Path | None, output: TransformOutput, version: Path) -> dict[str, Any]:
    from tfloom.trainers.export import relative

    return {
        "model": None if model is None else relative(model, version),
        "transformed": relative(output.path, version),
        "fingerprint": output.fingerprint,
    }


@contextlib.contextmanager
def _no_empty_folder(path: Path) -> Iterator[None]:
    """An export that failed leaves no folder behind that it made."""
    new = not path.exists()
    try:
        yield
    except BaseException:
        if new and path.is_dir():
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def _labelled(model: ModelDirectory, data: Data, slice_by: str | None) -> Iterator[tuple[pa.RecordBatch, list[Any]]]:
    """Parsed rows with labels, each with its value in the column `slice_by`."""
    from tfloom.pipeline import rows as raw_rows

    keep = [slice_by] if slice_by else []
    with raw_rows.opened(data, [*model.spec.data_names, *keep]) as sources:
        for chunk, done in raw_rows.parsed(model.spec, sources, keep=keep):
            raw = raw_rows.raw(chunk, done)
            yield done.rows, raw.column(slice_by).to_pylist() if slice_by else []


@contextlib.contextmanager
def _parsed(
    export: ExportDirectory, output: TransformOutput, data: Data | Mapping[str, Data], limit: int | None
) -> Iterator[Iterator[tuple[int, int, pa.RecordBatch]]]:
    """The rows that preprocessing would materialise, with the file and the chunk that their shards are named by."""
    from tfloom.pipeline import rows as raw_rows

    labels = [source["label"] for source in output.report["sources"]]

    def batches(sources: Any) -> Iterator[tuple[int, int, pa.RecordBatch]]:
        left = limit
        for chunk, done in raw_rows.parsed(export.spec, sources):
            if chunk.source.label not in labels:
                raise ArtefactError(
                    f"{chunk.source.path}: is none of the files that {output.path} was made from",
                    expected=", ".join(labels)[:300],
                    received=chunk.source.label,
                )
            rows = done.rows.select([*export.spec.input_names, ORIGIN]).slice(0, left)
            yield labels.index(chunk.source.label), chunk.number, rows
            left = None if left is None else left - rows.num_rows
            if left == 0:
                return

    with raw_rows.opened(data, export.spec.data_names, labels) as sources:
        for source in sources:
            if source.stream is not None:
                raise DataError(f"{source.place}: cannot be verified: no row has a place to find it by",
                                expected="a file, such as a Parquet copy of the rows, preprocessed from there",
                                received="a table, which another session reads in another order")  # fmt: skip
        yield batches(sources)
