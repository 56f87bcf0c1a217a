"""Parsed rows as a client sends them: serialized tf.Examples, or the named inputs of `serving_default`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfloom.feature_specs.errors import DataError
from tfloom.feature_specs.inputs import served_name

_MISSING: dict[str, Any] = {"float": np.nan, "int64": 0, "binary": b""}
_LENGTH = "_length"


def examples(rows: pa.RecordBatch, inputs: Sequence[str]) -> np.ndarray:
    """Serialized tf.Examples of the inputs alone, bytes [rows]; a missing value is a feature without values."""
    from tfx_bsl.coders import example_coder

    result = np.empty(rows.num_rows, object)
    if rows.num_rows:
        result[:] = example_coder.RecordBatchToExamplesEncoder().encode(rows.select(list(inputs)))
    return result


def named(rows: pa.RecordBatch, ranks: Mapping[str, int | None]) -> dict[str, np.ndarray]:
    """The named inputs of a signature, missing as NaN, 0 or ''; `<name>_length` [B] counts the values of a row.

    ranks: of the inputs: 1 for [B], of one value a row; otherwise [B, T], right-padded.

    Raises DataError where the signature has an input that the rows do not.
    """
    result = {}
    columns = {served_name(name): rows.column(name) for name in rows.schema.names}
    for name, rank in ranks.items():
        if name in columns:
            padded = _padded(*_flat(columns[name]), scalar=rank == 1)
            result[name] = padded[:, 0] if rank == 1 else padded
        elif name.endswith(_LENGTH) and name.removesuffix(_LENGTH) in columns:
            result[name] = _flat(columns[name.removesuffix(_LENGTH)])[1].astype(np.int64)
        else:
            raise DataError(f"the rows have no {name!r}", expected="every input of the signature",
                            received=", ".join(rows.schema.names))  # fmt: skip
    return result


def _flat(column: pa.ListArray) -> tuple[pa.Array, np.ndarray]:
    """A list column -> (its values, how many each row has)."""
    return column.flatten(), pc.list_value_length(column).to_numpy(zero_copy_only=False)


def _padded(values: pa.Array, lengths: np.ndarray, scalar: bool) -> np.ndarray:
    width = 1 if scalar else int(lengths.max(initial=0))
    flat = values.to_numpy(zero_copy_only=False)
    result = np.full((len(lengths), width), _MISSING[str(values.type)], flat.dtype)
    result[np.arange(width) < lengths[:, None]] = flat
    return result
