"""For a few rows, column by column: the raw value, and what a model sees of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft

from tfloom.feature_specs.column import CategoricalColumn, Column
from tfloom.feature_specs.columns.pooled import Pooled
from tfloom.feature_specs.directories import ORIGIN, TransformOutput
from tfloom.feature_specs.errors import DataError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.weighted_ids import WeightedIds
from tfloom.pipeline.rows import opened, parsed
from tfloom.pipeline.sources import Data


@dataclass(frozen=True)
class Explained:
    """One column of one row. raw: the values of its inputs. materialised: ids, weights or numbers. seen: in words."""

    origin: str
    column: str
    kind: str
    raw: Mapping[str, Any]
    materialised: list[Any]
    seen: str


def explain(output: TransformOutput, data: Data, rows: int = 3) -> list[Explained]:
    """The first `rows` rows of `data` that are not rejected, through the transform graph.

    Raises:
      DataError: where there is no such row, with the reasons.
    """
    spec = output.spec
    told: list[list[Explained]] = []
    reasons: list[str] = []
    labels = [source["label"] for source in output.report["sources"]]
    layer = tft.TFTransformOutput(str(output.path)).transform_features_layer()
    with opened(data, spec.input_sources, labels) as sources:
        for _, done in parsed(spec, sources, labelled=False):
            batch = done.rows.slice(0, rows - len(told))
            reasons += [row["reason"] for row in done.rejected[:3]]
            told += _rows(batch, output, layer)
            if len(told) >= rows:
                break
    if not told:
        raise DataError(
            "data: has no row to transform", expected="a row or more", received="; ".join(reasons) or "none"
        )
    return [one for row in told for one in row]


def _rows(batch: pa.RecordBatch, output: TransformOutput, layer: Any) -> Iterator[list[Explained]]:
    spec, by_name = output.spec, output.spec.by_name
    inputs: dict[str, Any] = {}
    for name, feature in spec.raw_feature_spec().items():
        values = batch.column(name)
        flat = tf.constant(values.flatten().to_pylist(), feature.dtype)
        inputs[name] = tf.RaggedTensor.from_row_splits(flat, values.offsets.to_numpy() - values.offsets[0].as_py())
    made = {n: _lists(v) for n, v in layer({n: v.to_sparse() for n, v in inputs.items()}).items()}
    words = {column.name: _words(output, column) for column in spec.categorical}
    of = {column.name: _materialised(spec, column) for column in spec.columns}
    for i in range(batch.num_rows):
        origin = batch.column(ORIGIN)[i].as_py()[0].decode()
        yield [
            Explained(
                origin,
                column.name,
                column.kind,
                {name: batch.column(name)[i].as_py() for name in _inputs(column, by_name)},
                made[of[column.name][0]][i],
                _seen(column, {name: made[name][i] for name in of[column.name]}, words, output.num_buckets),
            )
            for column in spec.columns
        ]


def _materialised(spec: FeatureSpec, column: Column) -> list[str]:
    """The materialised column of it: itself, or the one that it encodes; of weights the ids beside them, too."""
    first = next(one for one in spec.encoded([column]) if one.transformed_type is not None)
    return [first.name, *([first.of] if isinstance(first, WeightedIds) else [])]


def _lists(value: Any) -> list[list[Any]]:
    if isinstance(value, tf.SparseTensor):
        value = tf.RaggedTensor.from_sparse(value)
    if value.shape.rank == 1:
        value = value[:, None]
    rows: list[list[Any]] = value.to_list() if isinstance(value, tf.RaggedTensor) else value.numpy().tolist()
    return rows


def _inputs(column: Column, by_name: Mapping[str, Column]) -> list[str]:
    """Every input that has a part in a column's value."""
    below = [name for parent in column.parents() for name in _inputs(by_name[parent], by_name)]
    return list(dict.fromkeys([*column.inputs(), *below]))


def _words(output: TransformOutput, column: CategoricalColumn) -> list[str]:
    if given := column.words():
        return list(given)
    vocabulary = column.learned_vocabulary()
    if vocabulary is None:
        return []
    read = tft.TFTransformOutput(str(output.path)).vocabulary_by_name(vocabulary)
    return [entry.decode("utf-8", "replace") for entry in read]


def _seen(
    column: Column, values: Mapping[str, list[Any]], words: Mapping[str, list[str]], num_buckets: Mapping[str, int]
) -> str:
    """values: those of `_materialised`, by column."""
    value, *_ = values.values()
    of, ids = list(values.items())[-1]
    if column.transformed_type is not None and column.transformed_type.dtype == "bytes":
        size = ", ".join(
            str(getattr(column, side)) for side in ("frames", "height", "width", "channels") if hasattr(column, side)
        )
        what = f"{len(value)} pictures" if column.transformed_type.many else "a picture"
        return f"{what} of {sum(map(len, value)):,} bytes, float32 [{size}]"
    if of not in num_buckets:
        numbers = " ".join(f"{number:.6g}" for number in value) or "none"
        return numbers if column.transformed_type is not None else f"{column.kind} of {numbers}"
    known = dict(enumerate(words[of])) | {-1: "unknown"}
    told = [f"{i} ({known[i]})" if i in known else str(i) for i in ids]
    if len(values) > 1:
        told = [f"{one} x {weight:.6g}" for one, weight in zip(told, value, strict=True)]
    seen = ", ".join(told) or "none"
    if column.transformed_type is not None:
        return f"id {seen} of {num_buckets[of]}"
    if isinstance(column, Pooled):
        return f"{column.combiner} of the vectors of {seen} of {num_buckets[of]}"
    dimension = getattr(column, "dimension", None)
    if dimension is None:
        return f"one-hot {seen} of {num_buckets[of]}"
    return f"vector of {dimension}, row {seen} of {num_buckets[of]}"
