"""What is learned of numbers on the training split, of all, of each key or element, by tf.Transform's analyzers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

EPSILON = 0.001
"""The error of a quantile: at most so large a share of the rows lies between it and the exact one."""


@dataclass(frozen=True)
class Statistics:
    """Statistics of the finite ones among numbers.

    Each is a scalar. With a key it is that of the row's key, and of all rows together where no training row that has a
    number has this key: [B], or [B, 1] where x has two axes. Elementwise it is [D], of an element without any number
    that of all elements together.

    name: of the analyzers, it starts with the column's. x: float32 [B] or [B, D]. key: string [B], or None.
    elementwise: of each element of x [B, D] apart; without a key.
    """

    # tf.Transform's public analyzers tell one statistic each, and none of them per key: what its mappers learn by is
    # private to it. Its version is pinned, and what is learned compared with its mappers. Elements are keys: what it
    # has for them (reduce_instance_dims=False) takes a NaN for the greatest number, or fails where one has no number.

    name: str
    x: Any
    key: Any = None
    elementwise: bool = False

    @functools.cached_property
    def mean_and_variance(self) -> Sequence[Any]:
        """tft.mean and tft.var, float32; with a key and elementwise float64."""
        import tensorflow as tf
        from tensorflow_transform import analyzers

        x = self.x if self.key is None and not self.elementwise else tf.cast(self.x, tf.float64)
        return self._learn(x, analyzers._mean_and_var, _mean_and_variance_per_key)

    def min_and_max(self) -> Sequence[Any]:
        """tft.min and tft.max, float32; without any number the least is above the greatest."""
        from tensorflow_transform import analyzers

        return self._learn(self.x, analyzers._min_and_max, analyzers._min_and_max_per_key)

    def quantiles(self, buckets: int, weights: Any = None) -> Sequence[Any]:
        """The `buckets` - 1 boundaries of tft.quantiles, float32; without any number they are 0.

        weights: float32 [B], how often each number counts; one whose weight is not finite or not above 0 does not.
        """
        import tensorflow as tf
        import tensorflow_transform as tft

        if weights is None:
            more: tuple[Any, ...] = ()
            x = self.x
        else:
            if self.x.shape.rank == 2:
                weights = tf.repeat(weights[:, None], self.x.shape[1], axis=1)
            x, more = tf.where(tf.math.is_finite(weights) & (weights > 0), self.x, float("nan")), (weights,)
        of_key: Callable[..., Sequence[Any]] = lambda x, key, *weights: _quantiles_per_key(x, key, buckets, *weights)
        if self.elementwise:
            of_key = lambda *_: _quantiles_per_element(x, buckets, *more)
        return self._learn(
            x,
            lambda x, *weights: tf.unstack(tf.reshape(tft.quantiles(x, buckets, EPSILON, *weights), [buckets - 1])),
            of_key,
            *more,
        )

    def tukey(self) -> Sequence[Any]:
        """Location, scale, left and right h of a Tukey HH distribution, and the variance, float64."""
        import tensorflow as tf
        from tensorflow_transform import analyzers

        return self._learn(
            tf.cast(self.x, tf.float64),
            lambda x: (*analyzers._tukey_parameters(x), analyzers._mean_and_var(x)[1]),
            lambda x, key: (*_tukey_per_key(x, key), _mean_and_variance_per_key(x, key)[2]),
        )

    def _learn(
        self, x: Any, of_all: Callable[..., Sequence[Any]], of_key: Callable[..., Sequence[Any]], *more: Any
    ) -> Sequence[Any]:
        """of_all: numbers [P] -> statistics. of_key: numbers [P], their keys [P] -> keys [V], each statistic [V].

        more: what else both are given of the numbers, of the shape of x -> [P].
        """
        import tensorflow as tf

        with tf.name_scope(self.name):
            width = x.shape[1] if x.shape.rank == 2 else 1
            finite = tf.math.is_finite(x)
            # Fewer ops than those of tf.boolean_mask, which of a hundred columns take long to trace.
            present = tf.squeeze(tf.where(tf.reshape(finite, [-1])), axis=1)
            masked = [tf.gather(tf.reshape(one, [-1]), present) for one in (x, *more)]
            of_rest = of_all(*masked)
            if self.key is None and not self.elementwise:
                return of_rest
            key = _elements(x) if self.elementwise else self.key
            of_numbers = tf.tile(key, [tf.shape(x)[0]]) if self.elementwise else tf.repeat(key, width)
            of_numbers = tf.gather(of_numbers, present)
            keys, *of_keys = of_key(masked[0], of_numbers, *masked[1:])
            place = place_of(key, keys)
            told = [
                tf.gather(tf.concat([one, [rest]], axis=0), place) for one, rest in zip(of_keys, of_rest, strict=True)
            ]
            return told if self.elementwise or x.shape.rank == 1 else [one[:, None] for one in told]


def _elements(x: Any) -> Any:
    """string [D]: the keys that stand for the elements of x [B, D]."""
    import tensorflow as tf

    return tf.strings.as_string(tf.range(x.shape[1]))


def place_of(key: Any, keys: Any) -> Any:
    """int64 [B]: where each key stands among keys [V], V where it does not.

    By a sorted list of fingerprints: a table cannot be made of what an analyzer gives, and tf.Transform's own per-key
    mappers compare every row with every key.
    """
    import tensorflow as tf

    fingerprint = lambda x: tf.strings.to_hash_bucket_fast(x, 2**63 - 1)
    order = tf.argsort(fingerprint(keys))
    nearest = tf.searchsorted(tf.gather(fingerprint(keys), order), fingerprint(key))
    count = tf.size(keys)
    # One more than there are keys, for what comes after all of them.
    order, keys = tf.concat([order, [count]], axis=0), tf.concat([keys, [""]], axis=0)
    place = tf.gather(order, nearest)
    return tf.where(tf.gather(keys, place) == key, place, count)


def _mean_and_variance_per_key(x: Any, key: Any) -> Sequence[Any]:
    """tf.Transform's own takes the mean of the squares less the square of the mean.

    That leaves noise, below 0 even, where a key's numbers are alike and far from 0; here equal ones have 0 exactly.
    """
    import tensorflow as tf
    from tensorflow_transform import analyzers

    keys, index, count = tf.unique_with_counts(key, out_idx=tf.int64)
    n = tf.cast(count, x.dtype)
    total = lambda of: tf.math.unsorted_segment_sum(of, index, tf.size(keys))
    least = tf.math.unsorted_segment_min(x, index, tf.size(keys))
    above = x - tf.gather(least, index)
    mean = total(above) / n
    variance = total(tf.square(above - tf.gather(mean, index))) / n
    combiner = analyzers.WeightedMeanAndVarCombiner(np.float64, ())
    weight = tf.zeros_like(n, tf.float32)
    with tf.name_scope("mean_and_var_of_keys"):
        return analyzers._apply_cacheable_combiner_per_key(combiner, keys, count, least + mean, variance, weight)


def _quantiles_per_key(x: Any, key: Any, buckets: int, *weights: Any) -> list[Any]:
    import tensorflow as tf
    from tensorflow_transform import analyzers

    # As tft.bucketize_per_key learns them, which does not tell them.
    combiner = analyzers.QuantilesCombiner(
        buckets, EPSILON, np.float32, has_weights=bool(weights), output_shape=(buckets - 1,)
    )
    with tf.name_scope("quantiles_of_keys"):
        keys, learned = analyzers._apply_cacheable_combiner_per_key(combiner, key, x, *weights)
    return [keys, *tf.unstack(tf.reshape(learned, [-1, buckets - 1]), axis=1)]


def _quantiles_per_element(x: Any, buckets: int, *weights: Any) -> list[Any]:
    """A row of numbers for each element: of a key tf.Transform would hand each number to the sketch by itself."""
    import tensorflow as tf

    finite = tf.math.is_finite(x)
    told = tf.reduce_any(finite, axis=0)
    # The sketch leaves out what is NaN.
    filled = (tf.where(finite, x, float("nan")), *(tf.where(finite, one, 0.0) for one in weights))
    rows, *weighed = (tf.boolean_mask(tf.transpose(one), told) for one in filled)
    return _quantiles_per_key(rows, tf.boolean_mask(_elements(x), told), buckets, *weighed)


def _tukey_per_key(x: Any, key: Any) -> tuple[Any, ...]:
    """tf.Transform has it of all rows alone: its combiner, given the L-moments of each key in a batch."""
    import tensorflow as tf
    from tensorflow_transform import analyzers

    keys, index, count = tf.unique_with_counts(key, out_idx=tf.int64)
    order = tf.argsort(x, stable=True)
    order = tf.gather(order, tf.argsort(tf.gather(index, order), stable=True))
    x, index = tf.gather(x, order), tf.gather(index, order)
    n = tf.cast(count, x.dtype)
    # How many of the key's numbers are below a number, and how many above.
    below = tf.cast(tf.range(tf.size(x, tf.int64)) - tf.gather(tf.cumsum(count, exclusive=True), index), x.dtype)
    above = tf.gather(n, index) - 1 - below
    terms = (
        tf.ones_like(x),
        below - above,
        below * (below - 1) - 4 * below * above + above * (above - 1),
        below * (below - 1) * (below - 2)
        - 9 * below * (below - 1) * above
        + 9 * below * above * (above - 1)
        - above * (above - 1) * (above - 2),
    )
    counts = [n, n * (n - 1) / 2, n * (n - 1) * (n - 2) / 6, n * (n - 1) * (n - 2) * (n - 3) / 24]
    moments = [
        tf.math.divide_no_nan(tf.math.unsorted_segment_sum(x * term, index, tf.size(keys)), orders * of)
        for term, of, orders in zip(terms, counts, (1, 2, 6, 24), strict=True)
    ]
    combiner = analyzers._LMomentsCombiner(np.float64, ())
    with tf.name_scope("tukey_parameters_of_keys"):
        return tuple(analyzers._apply_cacheable_combiner_per_key(combiner, keys, *counts, *moments))
