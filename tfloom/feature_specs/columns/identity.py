"""`identity`: an integer that is an id already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tfloom.feature_specs.column import Buckets, CategoricalColumn, Column, Values
from tfloom.feature_specs.inputs import Dtype, Input


class Identity(CategoricalColumn):
    """An integer in [0, buckets), as it is.

    buckets: how many ids there are.
    default: the id of what lies outside; without it such a value is -1, an all-zero row of the model. (An
      embedding of tf.feature_column fails the whole batch there, which a server must not.)
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("int64",)
    one_id_a_value: ClassVar[bool] = True

    kind: Literal["identity"] = "identity"
    source: str | None = None
    buckets: Buckets
    default: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _default_is_an_id(self) -> Identity:
        if self.default is not None and self.default >= self.buckets:
            raise ValueError(f"default must be below buckets, {self.buckets}")
        return self

    def num_buckets(self, vocabulary_size: int) -> int:
        return self.buckets

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        x = values.categorical(*self.inputs())
        inside = (x.flat_values >= 0) & (x.flat_values < self.buckets)
        outside = tf.constant(-1 if self.default is None else self.default, tf.int64)
        return x.with_flat_values(tf.where(inside, x.flat_values, outside))

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        import tensorflow as tf

        return tf.feature_column.categorical_column_with_identity(*self.inputs(), self.buckets, self.default)
