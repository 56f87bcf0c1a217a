"""`hashed`: a string or an integer, as the bucket its fingerprint falls into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from tfloom.feature_specs.column import Buckets, CategoricalColumn, Column, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.inputs import Input

_Key = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Hashed(CategoricalColumn):
    """Fingerprint64(value) mod buckets (farmhash, tf.strings.to_hash_bucket_fast); an integer hashes its decimals.

    buckets: how many ids there are; more of them, fewer values that share one.
    salt: a key of two integers, by which SipHash takes the place of the fingerprint (tf.strings.to_hash_bucket_strong):
      columns with different salts make other values share an id, and who does not know it cannot make values collide.
    """

    one_id_a_value: ClassVar[bool] = True

    kind: Literal["hashed"] = "hashed"
    source: str | None = None
    buckets: Buckets
    salt: Annotated[tuple[_Key, ...], Field(min_length=2, max_length=2)] | None = None

    def num_buckets(self, vocabulary_size: int) -> int:
        return self.buckets

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        x = values.categorical(*self.inputs())
        strings = tf.strings.as_string(x.flat_values) if x.dtype == tf.int64 else x.flat_values
        if self.salt is None:
            return x.with_flat_values(tf.strings.to_hash_bucket_fast(strings, self.buckets))
        return x.with_flat_values(tf.strings.to_hash_bucket_strong(strings, self.buckets, self.salt))

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        import tensorflow as tf

        if self.salt is not None:
            raise SpecError(f"columns.{self.name}: no tf.feature_column hashes with a salt")
        (name,) = self.inputs()
        return tf.feature_column.categorical_column_with_hash_bucket(
            name, self.buckets, tf.int64 if inputs[name].dtype == "int64" else tf.string
        )
