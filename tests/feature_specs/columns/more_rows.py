"""More rows of contracts than they say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

MORE = 1_200


def with_more_rows(table: pa.Table, of: Iterable[Any]) -> pa.Table:
    """The rows of contracts, and MORE drawn from them, in the split `test`: from that nothing is learned.

    Values that belong together in a contract stay together, beside others of the other contracts. Floats are drawn a
    little towards 0, so that no two rows are alike and none leaves its range.
    """
    rng = np.random.default_rng(11)
    owners = {name: contract.__qualname__ for contract in of for name in contract.rows}
    picked: dict[str, np.ndarray] = {}
    columns = {}
    for name in table.column_names:
        rows = picked.setdefault(owners.get(name, ""), rng.integers(table.num_rows, size=MORE))
        column = table.column(name).combine_chunks()
        columns[name] = pa.chunked_array([column, _nearer_to_0(column.take(pa.array(rows)), rng)])
    return pa.table(columns | {"split": table.column("split").to_pylist() + ["test"] * MORE})


def _nearer_to_0(values: pa.Array, rng: np.random.Generator) -> pa.Array:
    if pa.types.is_list(values.type):
        lengths = [len(value or ()) for value in values.to_pylist()]
        offsets = pa.array(np.cumsum([0, *lengths]), pa.int32())
        return pa.ListArray.from_arrays(offsets, _nearer_to_0(values.flatten(), rng), mask=values.is_null())
    if not pa.types.is_floating(values.type):
        return values
    moved = values.fill_null(0).to_numpy() * rng.uniform(0.9, 1, len(values))
    return pa.array(moved, values.type, mask=values.is_null().to_numpy(zero_copy_only=False))
