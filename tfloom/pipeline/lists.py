"""List columns, made of what the rows hold one after the other."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def of_values(values: pa.Array) -> pa.ListArray:
    """[rows] -> list [rows], a null an empty list."""
    if not values.null_count:
        return pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1, dtype=np.int32)), values)
    return from_counts(pc.is_valid(values).cast(pa.int8()).to_numpy(), values.drop_null())


def from_counts(counts: np.ndarray, flat: pa.Array) -> pa.ListArray:
    """counts: how many of `flat` each row has."""
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)
