"""`dot`: the dot product of two lists of keys and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, FiniteFloat, model_validator

from tfloom.feature_specs import key_values
from tfloom.feature_specs.column import Batch, Column, Dtype, Transformed, Values
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.inputs import Input


class Dot(Column):
    """The dot product of two sparse vectors: over the keys that both have, number times number, float32 [B, 1].

    source: the inputs `[query, document]` of the two vectors: texts `key:number`, any number a row. A text without a
      separator, or an integer, is a key whose number is 1.
    separator: what is between a key and its number; the first one in a text counts.
    missing: what it is where one of the vectors has no key with a number.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("string", "int64")
    reads_many: ClassVar[bool] = True

    kind: Literal["dot"] = "dot"
    source: tuple[str, str]
    separator: Annotated[str, Field(min_length=1)] = ":"
    missing: FiniteFloat

    @model_validator(mode="after")
    def _is_of_two(self) -> Dot:
        if self.source[0] == self.source[1]:
            raise ValueError("source names an input twice, needs another for the document")
        return self

    def inputs(self) -> tuple[str, ...]:
        return self.source

    def check_inputs(self, inputs: Mapping[str, Input]) -> None:
        super().check_inputs(inputs)
        for name in self.source:
            key_values.check_delimiter(self.name, name, inputs, self.separator)

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("float32", 1)

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        texts = [key_values.as_texts(values, name) for name in self.source]
        (query, left), (document, right) = (key_values.pairs(x, self.separator, alone="1").numbers() for x in texts)
        met = key_values.meet(query.rows, query.keys, document.rows, document.keys)
        common = met.has(met.left) & met.has(met.right)
        # The numbers of a key that a vector has twice add up.
        product = met.total(left, met.left) * met.total(right, met.right)
        products = tf.where(common, product, tf.zeros_like(product))
        rows = texts[0].nrows()
        dot = tf.cast(tf.math.unsorted_segment_sum(products, met.rows, rows), tf.float32)
        has = [tf.math.unsorted_segment_sum(tf.ones_like(of.rows), of.rows, rows) > 0 for of in (query, document)]
        is_one = has[0] & has[1] & tf.math.is_finite(dot)
        return tf.where(is_one, dot, tf.constant(self.missing, tf.float32))[:, None]

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        return Dense(batch.value(self.name))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.numeric_column(self.name)
