"""`tf_idf`: a categorical column whose ids weigh by how much they tell a row from others."""

from __future__ import annotations

from typing import Any, Literal

from tfloom.feature_specs.column import Values
from tfloom.feature_specs.ragged import once_a_row
from tfloom.feature_specs.weighted_ids import WeightedIds


class TfIdf(WeightedIds):
    """Term frequency times inverse document frequency of each id of the column `of` (tft.tfidf).

    The term frequency is how often the row has the id, divided by how many ids the row has. The inverse document
    frequency is 1 + ln((N + 1) / (df + 1)), where the training split has N rows and df of them have the id.

    of: the categorical column whose ids it weighs: a text, or another with several ids a row.
    smooth: without it the inverse document frequency is 1 + ln(N / df), and 0 for an id that no training row has.
    add_baseline: without it the 1 is left out, and an id that every row has tells nothing.
    """

    kind: Literal["tf_idf"] = "tf_idf"
    smooth: bool = True
    add_baseline: bool = True

    def transform(self, values: Values) -> Any:
        import tensorflow as tf
        import tensorflow_transform as tft

        ids = values.column(self.of)
        known, rows_with = tft.count_per_key(once_a_row(ids).flat_values, name=f"{self.name}_rows_with_id")
        rows = tft.sum(ids.nrows()[None], name=f"{self.name}_rows")
        with_id = tf.cast(_looked_up(ids.flat_values, known, rows_with), tf.float64)
        more = 1 if self.smooth else 0
        ratio = tf.math.divide_no_nan(tf.cast(rows + more, tf.float64), with_id + more)
        # An occurrence has its share: those of an id, summed up, are its frequency times this.
        share = tf.math.log(ratio) + (1 if self.add_baseline else 0)
        size = tf.cast(tf.gather(ids.row_lengths(), ids.value_rowids()), tf.float64)
        weights = tf.cast(tf.math.divide_no_nan(share, size), tf.float32)
        weighs = (ids.flat_values >= 0) & ((with_id > 0) | self.smooth)
        return ids.with_flat_values(tf.where(weighs, weights, 0.0))


def _looked_up(ids: Any, known: Any, counts: Any) -> Any:
    """int64 [ids]: the count of each id, 0 where it is not among the known ones."""
    import tensorflow as tf

    order = tf.argsort(known)
    # One more than there are, for what comes after all of them.
    known = tf.concat([tf.gather(known, order), [-1]], axis=0)
    counts = tf.concat([tf.gather(counts, order), [0]], axis=0)
    place = tf.searchsorted(known[:-1], ids)
    return tf.where(tf.gather(known, place) == ids, tf.gather(counts, place), 0)
