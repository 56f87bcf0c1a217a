"""`overlap`: how much of two sets of values a row has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import FiniteFloat, model_validator

from tfloom.feature_specs import key_values
from tfloom.feature_specs.column import Batch, Column, Dtype, Transformed, Values
from tfloom.feature_specs.features import Dense


class Overlap(Column):
    """How much of two sets a row has in common, float32 [B, 1]. A value that occurs twice in a set counts once.

    source: the inputs `[query, title]` of the two sets, strings or integers, any number a row.
    measure: `common`, how many values are in both; `query_common_ratio` and `title_common_ratio`, their share of the
      query's and of the title's; `is_contain`, 1 where every value of the query is in the title, else 0; `is_equal`,
      1 where the sets are the same; `jaccard`, common / (query + title - common); `dice`, 2 common / (query + title);
      `cosine`, common / sqrt(query * title).
    missing: what it is where one of the sets has no value.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("string", "int64")
    reads_many: ClassVar[bool] = True

    kind: Literal["overlap"] = "overlap"
    source: tuple[str, str]
    measure: Literal[
        "common", "query_common_ratio", "title_common_ratio", "is_contain", "is_equal", "jaccard", "dice", "cosine"
    ]
    missing: FiniteFloat

    @model_validator(mode="after")
    def _is_of_two(self) -> Overlap:
        if self.source[0] == self.source[1]:
            raise ValueError("source names an input twice, needs another for the title")
        return self

    def inputs(self) -> tuple[str, ...]:
        return self.source

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("float32", 1)

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        query, title = (key_values.as_texts(values, name) for name in self.source)
        met = key_values.meet(query.value_rowids(), query.flat_values, title.value_rowids(), title.flat_values)
        in_query, in_title = met.has(met.left), met.has(met.right)
        common, queries, titles = (
            tf.math.unsorted_segment_sum(tf.cast(one, tf.float64), met.rows, query.nrows())
            for one in (in_query & in_title, in_query, in_title)
        )
        measured = tf.cast(_measured(self.measure, common, queries, titles), tf.float32)
        both = (queries > 0) & (titles > 0)
        return tf.where(both, measured, tf.constant(self.missing, tf.float32))[:, None]

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        return Dense(batch.value(self.name))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.numeric_column(self.name)


def _measured(measure: str, common: Any, query: Any, title: Any) -> Any:
    """Of the sizes of the intersection and of the two sets, float64 [B]."""
    import tensorflow as tf

    ratio = tf.math.divide_no_nan
    match measure:
        case "common":
            return common
        case "query_common_ratio":
            return ratio(common, query)
        case "title_common_ratio":
            return ratio(common, title)
        case "is_contain":
            return common == query
        case "is_equal":
            return (common == query) & (common == title)
        case "jaccard":
            return ratio(common, query + title - common)
        case "dice":
            return ratio(2 * common, query + title)
        case "cosine":
            return ratio(common, tf.sqrt(query * title))
    raise AssertionError("`measure` lets nothing else through")
