"""Embedding columns of an Estimator that have one table.

tf.feature_column.shared_embeddings refuses to make them in a program that runs eagerly. Here the input layer holds the
table, as that of one column, and the others look their ids up in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tensorflow.python.feature_column.feature_column_v2 import EmbeddingColumn

from tfloom.feature_specs.column import Column
from tfloom.feature_specs.errors import SpecError


def check(parts: Mapping[str, Sequence[Column]]) -> None:
    """Raise SpecError where the columns of a table are of two parts: an Estimator has an input layer for each."""
    found: dict[str, tuple[str, str]] = {}
    for part, columns in parts.items():
        for column in columns:
            if (shared := getattr(column, "shared", None)) is not None:
                other, where = found.setdefault(shared, (column.name, part))
                if where != part:
                    raise SpecError(
                        f"columns.{column.name}.shared: {other!r}, which shares {shared!r}, is in the {where} part, and"
                        " no Estimator has a table in two",
                        expected="columns of one part, or the trainer keras",
                        received=f"{column.name!r} in the {part} part",
                    )


def joined(columns: Sequence[Column], made: Sequence[Any]) -> list[Any]:
    """The feature columns `made` of `columns`, those that share a table with that of the first."""
    first: dict[str, Any] = {}
    result = []
    for column, one in zip(columns, made, strict=True):
        shared = getattr(column, "shared", None)
        if shared is not None and first.setdefault(shared, one) is not one:
            fields = one._asdict() | {"ckpt_to_load_from": None, "tensor_name_in_ckpt": None}
            one = _WithTableOf(**fields)
            one.first = first[shared]
        result.append(one)
    return result


class _WithTableOf(EmbeddingColumn):
    """An embedding_column that looks its ids up in the table of `first`."""

    first: Any

    def create_state(self, state_manager: Any) -> None:
        """None of its own."""

    def _get_dense_tensor_internal(self, sparse_tensors: Any, state_manager: Any) -> Any:
        table = state_manager.get_variable(self.first, name="embedding_weights")
        return self._get_dense_tensor_internal_helper(sparse_tensors, table)
