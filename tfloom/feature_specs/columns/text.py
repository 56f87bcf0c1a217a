"""`text`: a text as the ids of its words, or of runs of them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator, model_validator

from tfloom.feature_specs.column import Buckets, CategoricalColumn, Dtype, Values
from tfloom.feature_specs.columns.vocabulary import lookup_table
from tfloom.feature_specs.ragged import once_a_row


class Text(CategoricalColumn):
    """The terms of a text, its words and runs of several, each the index in a vocabulary of V terms or a hash.

    The vocabulary is learned on the training split as that of a vocabulary column, or given.

    lowercase: whether the text is brought into lower case first.
    remove: a regular expression (RE2's); what it matches is taken out next.
    split: a regular expression, by what it matches the text is then cut into words; left out, at white space. A line
      end parts words in any case.
    ngrams: the least and the greatest number of words that make a term, joined by a space (tft.ngrams).
    unique: whether a row has each of its terms once (tft.bag_of_words).
    vocabulary: its terms, in the order of their ids.
    top_k: of a learned vocabulary, keep the k most frequent. min_frequency: keep what occurs at least so often.
    oov_buckets: ids for terms that are not in the vocabulary, V + Fingerprint64(term) mod oov_buckets; with 0 it is
      -1, an all-zero row of the model.
    buckets: instead of a vocabulary, how many ids there are: that of a term is Fingerprint64(term) mod buckets.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("string",)

    kind: Literal["text"] = "text"
    source: str | None = None
    lowercase: bool = True
    remove: str | None = None
    split: str | None = None
    ngrams: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=2, max_length=2)] = (1, 1)
    unique: bool = False
    vocabulary: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None
    min_frequency: Annotated[int, Field(ge=1)] | None = None
    oov_buckets: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    buckets: Buckets | None = None

    @field_validator("remove", "split")
    @classmethod
    def _is_an_expression(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                pc.match_substring_regex(pa.array([""]), pattern)
            except pa.ArrowInvalid as error:
                raise ValueError(f"is no regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _one_way(self) -> Text:
        least, most = self.ngrams
        if least > most:
            raise ValueError(f"ngrams must be the least number of words and then the greatest, not {least} and {most}")
        learning = [field for field in ("top_k", "min_frequency") if getattr(self, field) is not None]
        if self.buckets is not None and (learning or self.vocabulary is not None or self.oov_buckets):
            raise ValueError("has buckets, which are instead of a vocabulary, and fields of one")
        if self.vocabulary is not None:
            if learning:
                raise ValueError(f"has {learning[0]}, which is for a learned vocabulary, and a given one")
            for i, term in enumerate(self.vocabulary):
                if term in self.vocabulary[:i]:
                    raise ValueError(f"vocabulary names {term!r} more than once")
                if self.lowercase and term != term.lower():
                    raise ValueError(f"vocabulary names {term!r}, and no term is so: the text is in lower case")
        return self

    def learned_vocabulary(self) -> str | None:
        return self.name if self.vocabulary is None and self.buckets is None else None

    def words(self) -> tuple[str, ...]:
        return self.vocabulary or ()

    def num_buckets(self, vocabulary_size: int) -> int:
        return self.buckets or (len(self.vocabulary) if self.vocabulary else vocabulary_size) + self.oov_buckets

    def transform(self, values: Values) -> Any:
        import tensorflow as tf
        import tensorflow_transform as tft

        terms = self._terms(values)
        flat = terms.flat_values
        if self.buckets is not None:
            return terms.with_flat_values(tf.strings.to_hash_bucket_fast(flat, self.buckets))
        if self.vocabulary is not None:
            entries = list(self.vocabulary)
            table = tft.make_and_track_object(lambda: lookup_table(tf.string, entries, self.oov_buckets, -1), self.name)
            return terms.with_flat_values(tf.cast(table.lookup(flat), tf.int64))
        learned = tft.vocabulary(
            flat, top_k=self.top_k, frequency_threshold=self.min_frequency, vocab_filename=self.name
        )
        return terms.with_flat_values(
            tft.apply_vocabulary(flat, learned, default_value=-1, num_oov_buckets=self.oov_buckets)
        )

    def _terms(self, values: Values) -> Any:
        """Ragged [B, None]; a term lies within one of the row's values."""
        import tensorflow as tf
        import tensorflow_transform as tft

        x = values.ragged(*self.inputs())
        words = self._words(x.flat_values)
        if self.ngrams != (1, 1):
            words = tf.RaggedTensor.from_sparse(tft.ngrams(words.to_sparse(), self.ngrams, " "))
        terms = x.with_values(words).merge_dims(1, 2)
        return once_a_row(terms) if self.unique else terms

    def _words(self, texts: Any) -> Any:
        """Strings [N] -> ragged [N, None]."""
        import tensorflow as tf

        if self.lowercase:
            texts = tf.strings.lower(texts, "utf-8")
        if self.remove is not None:
            texts = tf.strings.regex_replace(texts, self.remove, "")
        if self.split is None:
            return tf.strings.split(texts)
        # A line end, which no term of a learned vocabulary may have, stands where words part.
        words = tf.strings.split(tf.strings.regex_replace(texts, rf"[\r\n]|(?:{self.split})", "\n"), "\n")
        return tf.ragged.boolean_mask(words, words != "")
