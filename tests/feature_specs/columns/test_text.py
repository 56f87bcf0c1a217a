import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.columns.indicator import Indicator
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

LETTERS = {"kind": "text", "source": "text_letters"}
MARKS = {"kind": "text", "source": "text_marks"}
NOTES = {"kind": "text", "source": "text_notes"}


class TestText(ColumnContract):
    rows = {
        "text_letters": pa.array(["a b a", "B\tc", "", None, "d", "c  d b ", "a", " A a \n"]),
        "text_marks": pa.array(["it's a-b", "a,b;c", "x", None, "--", "b\r\na", "", "A.B"]),
        "text_notes": pa.array([["New York", "york new"], [], None, ["a b", "c"], [""], ["b"], ["a"], ["C", "Ü ü"]]),
    }
    inputs = {"text_notes": {"multi_valued": True}}
    columns = {
        "text_hashed": LETTERS | {"buckets": 10},
        "text_given": LETTERS | {"vocabulary": ["b", "a"]},
        "text_oov": LETTERS | {"vocabulary": ["b", "a"], "oov_buckets": 10},
        "text_as_it_is": LETTERS | {"vocabulary": ["b", "a", "B"], "lowercase": False},
        "text_learned": LETTERS,
        "text_top": LETTERS | {"top_k": 1, "oov_buckets": 1},
        "text_often": LETTERS | {"min_frequency": 3},
        "text_unique": LETTERS | {"unique": True, "buckets": 10},
        "text_unique_often": LETTERS | {"unique": True, "min_frequency": 2},
        "text_runs": LETTERS | {"ngrams": [1, 2], "vocabulary": ["a b", "b a", "b", "a a", "c d"]},
        "text_pairs": LETTERS | {"ngrams": [2, 2], "vocabulary": ["a b", "b a", "b", "a a", "c d"]},
        "text_pairs_learned": LETTERS | {"ngrams": [2, 2], "top_k": 1},
        "text_split": MARKS | {"split": "[^a-z]+", "vocabulary": ["it", "s", "a", "b", "c"]},
        "text_removed": MARKS | {"remove": "['-]", "vocabulary": ["its", "ab", "b", "a", "a,b;c"]},
        "text_characters": MARKS | {"split": "", "vocabulary": ["a", "b", " "]},
        "text_several": NOTES | {"ngrams": [1, 2], "vocabulary": ["new york", "york new", "york", "york york", "ü ü"]},
    }
    transformed = {
        # Fingerprint64 of a, b, c and d mod 10 is 9, 2, 2 and 5.
        "text_hashed": [[9, 2, 9], [2, 2], [], [], [5], [2, 5, 2], [9], [9, 9]],
        "text_given": [[1, 0, 1], [0, -1], [], [], [-1], [-1, -1, 0], [1], [1, 1]],
        # Beyond the two of the vocabulary 2 + 2 and 2 + 5.
        "text_oov": [[1, 0, 1], [0, 4], [], [], [7], [4, 7, 0], [1], [1, 1]],
        "text_as_it_is": [[1, 0, 1], [2, -1], [], [], [-1], [-1, -1, 0], [1], [-1, 1]],
        # b three times, then d, c and a twice each.
        "text_learned": [[3, 0, 3], [0, 2], [], [], [1], [2, 1, 0], [3], [3, 3]],
        "text_top": [[1, 0, 1], [0, 1], [], [], [1], [1, 1, 0], [1], [1, 1]],
        "text_often": [[-1, 0, -1], [0, -1], [], [], [-1], [-1, -1, 0], [-1], [-1, -1]],
        "text_unique": [[9, 2], [2, 2], [], [], [5], [2, 5, 2], [9], [9]],
        # As often as there are rows that have it: a is in one of them.
        "text_unique_often": [[-1, 0], [0, 2], [], [], [1], [2, 1, 0], [-1], [-1]],
        # By the word that a run starts with, the shorter first.
        "text_runs": [[-1, 0, 2, 1, -1], [2, -1, -1], [], [], [-1], [-1, 4, -1, -1, 2], [-1], [-1, 3, -1]],
        "text_pairs": [[0, 1], [-1], [], [], [], [4, -1], [], [3]],
        # Of a b, b a, b c, c d and d b, one each, the last letter first.
        "text_pairs_learned": [[-1, -1], [-1], [], [], [], [-1, 0], [], [-1]],
        "text_split": [[0, 1, 2, 3], [2, 3, 4], [-1], [], [], [3, 2], [], [2, 3]],
        "text_removed": [[0, 1], [4], [-1], [], [], [2, 3], [], [-1]],
        "text_characters": [
            [-1, -1, -1, -1, 2, 0, -1, 1], [0, -1, 1, -1, -1], [-1], [], [-1, -1], [1, 0], [], [0, -1, 1]
        ],
        # No run goes from one value of a row into the next.
        "text_several": [[-1, 0, 2, 2, 1, -1], [], [], [-1, -1, -1, -1], [], [-1], [-1], [-1, -1, 4, -1]],
    }  # fmt: skip
    no_raw = dict.fromkeys(columns, "text has no tf.feature_column over raw rows")


def read(texts, transform, **fields):
    column, inputs = {"name": "x", "kind": "text"} | fields, {"x": {"dtype": "string"}}
    return transform(validate({"inputs": inputs, "columns": [column]}, FeatureSpec, "spec"), x=texts)["x"]


TEXTS = ["One was Johnny", "Two was a rat was a rat", "", "one", "a a a a a", "Ünïcödé 日本語 ünïcödé 日本語"]


@pytest.mark.parametrize("ngrams", [(1, 1), (1, 3), (2, 2), (3, 4)])
def test_the_runs_of_tf_transform(ngrams, transform):
    words = tf.strings.split(tf.strings.lower(TEXTS, "utf-8")).to_sparse()
    ids = lambda terms: tf.RaggedTensor.from_sparse(
        tf.SparseTensor(terms.indices, tf.strings.to_hash_bucket_fast(terms.values, 2**31 - 1), terms.dense_shape)
    ).to_list()
    told = read(TEXTS, transform, ngrams=ngrams, buckets=2**31 - 1)
    assert told == ids(tft.ngrams(words, ngrams, " "))
    bag = read(TEXTS, transform, ngrams=ngrams, unique=True, buckets=2**31 - 1)
    assert [sorted(row) for row in bag] == [sorted(row) for row in ids(tft.bag_of_words(words, ngrams, " "))]
    # In the order of the text, which tft.bag_of_words does not keep.
    assert bag == [list(dict.fromkeys(row)) for row in told]


def test_the_counts_of_keras(transform):
    entries = ["rat", "a rat", "was", "ünïcödé", "dont"]
    fields = {"remove": "[[:punct:]]", "ngrams": [1, 2], "vocabulary": entries}
    # Of other letters than A to Z it makes no lower case.
    texts = [*TEXTS[:-1], "ünïcödé ünïcödé", "Don't! (rat) a-rat a, rat?"]
    ids = tf.ragged.constant(read(texts, transform, **fields), dtype=tf.int64).to_tensor(-1)
    columns = {"x": validate({"columns": [{"name": "x", "kind": "text"} | fields]}, FeatureSpec, "spec").columns[0]}
    columns["counts"] = Indicator(name="counts", of="x")
    ours = Encoded(columns, {"x": ids}, {}, {"x": 5}).feature("counts").values
    theirs = keras.layers.TextVectorization(ngrams=2, vocabulary=entries, output_mode="count")(tf.constant(texts))
    assert ours.numpy().sum() == 13
    np.testing.assert_array_equal(ours, theirs[:, 1:])  # the first is out-of-vocabulary


def test_how_many_words_a_row_has(transform):
    words = read(TEXTS, transform, buckets=1)
    assert words == [[0] * n for n in (3, 7, 0, 1, 5, 4)]
    assert [len(row) for row in words] == tft.word_count(tf.strings.split(TEXTS)).numpy().tolist()


def test_the_texts_of_the_page(transform):
    texts = ["The cat sat", "Cat  mat", ""]
    told = read(texts, transform, ngrams=[1, 2], vocabulary=["cat", "the cat", "mat"])
    assert told == [[-1, 1, 0, -1, -1], [0, -1, 2], []]
    assert read(["Señor, x1!"], transform, split="[^\\pL\\pN]+", vocabulary=["señor", "x1"]) == [[0, 1]]


def test_a_text_that_is_no_utf_8(transform):
    assert read([b"\xffA b"], transform, vocabulary=["b"]) == [[-1, 0]]
    assert read([b"\xffA b"], transform, vocabulary=["b"], split=" ", remove="x") == [[-1, 0]]


def test_a_line_end_parts_words(transform):
    assert read(["new york\nparis, x\r"], transform, split=", *", vocabulary=["new york", "paris", "x"]) == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ({"ngrams": [2, 1]}, "columns.0", "the least number of words and then the greatest, not 2 and 1"),
        ({"ngrams": [0, 1]}, "columns.0.ngrams.0", "greater than or equal to 1"),
        ({"ngrams": [1]}, "columns.0.ngrams", "at least 2 items"),
        ({"split": "("}, "columns.0.split", "is no regular expression: .*missing \\)"),
        # Of Python's alone, not of RE2.
        ({"remove": "(?=a)"}, "columns.0.remove", "is no regular expression: .*invalid perl operator"),
        ({"buckets": 2, "top_k": 2}, "columns.0", "has buckets, which are instead of a vocabulary, and fields of one"),
        ({"buckets": 2, "oov_buckets": 2}, "columns.0", "has buckets, which are instead"),
        ({"buckets": 2, "vocabulary": ["a"]}, "columns.0", "has buckets, which are instead"),
        ({"vocabulary": ["a"], "min_frequency": 2}, "columns.0", "has min_frequency, which is for a learned"),
        ({"vocabulary": ["a", "b", "a"]}, "columns.0", "vocabulary names 'a' more than once"),
        ({"vocabulary": ["Ü"]}, "columns.0", "vocabulary names 'Ü', and no term is so: the text is in lower case"),
    ],
)  # fmt: skip
def test_what_it_cannot_be(fields, place, expected):
    with pytest.raises(SpecError, match=expected) as error:
        validate({"columns": [{"name": "x", "kind": "text"} | fields]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: {place}: is not right"


def test_numbers_are_no_text_unless_the_spec_says_so(transform):
    spec = validate({"columns": [{"name": "x", "kind": "text", "buckets": 2}]}, FeatureSpec, "spec")
    with pytest.raises(SpecError, match=r"columns\.x: text cannot read 'x', which holds int64"):
        transform(spec, x=[7, 8])
    assert read([7, 8], transform, vocabulary=["8"]) == [[-1], [0]]
