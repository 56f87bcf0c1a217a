"""Predictions of an export for parsed rows, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tfloom.feature_specs import parsed_rows
from tfloom.feature_specs.directories import ORIGIN, ExportDirectory, whole_file
from tfloom.feature_specs.errors import DataError


def predictor(version: Path) -> Callable[[pa.RecordBatch], dict[str, np.ndarray]]:
    """Load an export; the function takes parsed rows of its inputs and gives its predictions by name, batch first."""
    import tensorflow as tf

    loaded, at_once = tf.saved_model.load(str(version)), ExportDirectory(version).spec.batch_rows
    run = loaded.signatures["serving_examples"]

    def predict(rows: pa.RecordBatch) -> dict[str, np.ndarray]:
        examples = parsed_rows.examples(rows, rows.schema.names)
        parts = [
            run(examples=tf.constant(examples[start : start + at_once], tf.string))
            for start in range(0, max(len(examples), 1), at_once)  # of no rows too: its outputs have their names
        ]
        return {name: np.concatenate([part[name].numpy() for part in parts]) for name in sorted(parts[0])}

    predict.loaded = loaded  # type: ignore[attr-defined]  # a signature does not keep its variables alive
    return predict


def scores(
    predict: Callable[[pa.RecordBatch], dict[str, np.ndarray]],
    keys: pa.RecordBatch,
    parsed: pa.RecordBatch,
    positions: np.ndarray,
    reasons: Mapping[int, str],
    count: int,
) -> pa.Table:
    """The first `count` rows of a chunk: keys, predictions (null where rejected) and `rejected`, the reason.

    keys: of every row of the chunk. parsed: those not rejected, which stand at `positions` of it.
    """
    first = positions < count
    told = columns_of(predict(parsed.filter(pa.array(first)).drop_columns([ORIGIN])))
    places = np.full(count, -1, np.int64)
    places[positions[first]] = np.arange(int(first.sum()))
    indices = pa.array(places, mask=places < 0)
    columns = {name: keys.column(name).slice(0, count) for name in keys.schema.names}
    columns |= {name: column.take(indices) for name, column in told.items()}
    columns["rejected"] = pa.array([reasons.get(row) for row in range(count)], pa.string())
    return pa.table(columns)


def columns_of(predictions: Mapping[str, np.ndarray]) -> dict[str, pa.Array]:
    """Predictions as columns: of values, or where there are several a row of lists of them."""
    return {name: _column(value) for name, value in predictions.items()}


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """One table, without the column `rejected` where no row is. Raises DataError where there are no rows."""
    if not tables:
        raise DataError("data: has no rows", expected="a row or more", received="none")
    table = pa.concat_tables(tables, promote_options="default")
    return table if table.column("rejected").null_count < table.num_rows else table.drop_columns(["rejected"])


def write(table: pa.Table, path: Path) -> None:
    """Write a .parquet or a .csv file, whole or not at all; in CSV a list is in JSON's form."""
    has_a_format(path)
    with whole_file(path) as part:
        if path.suffix == ".parquet":
            pq.write_table(table, part)
        else:
            columns = (_flat(column) for column in table.columns)
            pyarrow.csv.write_csv(pa.table(list(columns), table.schema.names), part)


def has_a_format(path: str | Path) -> None:
    """Raises DataError where a file of this name could not be written."""
    if Path(path).suffix not in (".parquet", ".csv"):
        raise DataError(f"{path}: is of no format that can be written",
                        expected="a name that ends in .parquet or .csv; a folder or a table takes a --runner",
                        received=repr(Path(path).suffix))  # fmt: skip


def _flat(column: pa.ChunkedArray) -> Any:
    if not pa.types.is_list(column.type):
        return column
    return pa.array([None if row is None else json.dumps(row) for row in column.to_pylist()], pa.string())


def _column(value: np.ndarray) -> pa.Array:
    """[B] or [B, 1] -> a column of values; [B, n] -> of lists. Bytes that are text become text."""
    flat = value.ravel()
    values = pa.array([v.decode("utf-8", "replace") for v in flat]) if value.dtype == object else pa.array(flat)
    width = value.size // max(len(value), 1)
    if width == 1:
        return values
    return pa.ListArray.from_arrays(pa.array(np.arange(len(value) + 1, dtype=np.int32) * width), values)
