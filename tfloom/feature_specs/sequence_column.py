"""What the kinds that give steps in order share: how many, and which ones."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tfloom.feature_specs.column import Column


class SequenceColumn(Column):
    """A column whose feature is steps in order.

    max_length: at most so many steps a row; left out, all of them.
    keep: of a longer row, the `first` steps or the `last`.
    """

    max_length: Annotated[int, Field(ge=1)] | None = None
    keep: Literal["first", "last"] = "first"

    @model_validator(mode="after")
    def _keeps_something(self) -> SequenceColumn:
        if self.keep == "last" and self.max_length is None:
            raise ValueError("has keep: last, and all steps are kept without max_length")
        return self

    def kept(self, values: Any, size: int = 1) -> Any:
        """Ragged [B, None], `size` values a step -> the same, no more than max_length steps, each of them whole."""
        import tensorflow as tf

        lengths = values.row_lengths()
        lengths -= lengths % size
        start = tf.zeros_like(lengths)
        if self.max_length is not None:
            most = self.max_length * size
            if self.keep == "last":
                start = tf.maximum(lengths - most, 0)
            lengths = tf.minimum(lengths, most)
        rows = values.value_rowids()
        place = tf.ragged.range(values.row_lengths()).flat_values - tf.gather(start, rows)
        within = (place >= 0) & (place < tf.gather(lengths, rows))
        return tf.ragged.boolean_mask(values, values.with_flat_values(within))

    def kept_ids(self, ids: Any) -> Any:
        """int64 [B, T] with -1 anywhere -> [B, T], right-padded with -1: the ids alone, no more than max_length."""
        import tensorflow as tf

        return self.kept(tf.ragged.boolean_mask(ids, ids >= 0)).to_tensor(-1)
