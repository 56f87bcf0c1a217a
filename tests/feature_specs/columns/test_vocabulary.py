import numpy as np
import pyarrow as pa
import pytest

import tfloom
from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec, load_spec
from tfloom.feature_specs.validation import validate

WORDS = {"kind": "vocabulary", "source": "vocabulary_word"}
YEARS = {"kind": "vocabulary", "source": "vocabulary_year"}
TAGS = {"kind": "vocabulary", "source": "vocabulary_tags"}
PLACES = {"kind": "vocabulary", "shared": "vocabulary_airports"}
CODES = {"kind": "vocabulary", "source": "vocabulary_code", "top_k": 1}
TELLING = WORDS | {"mutual_information": "vocabulary_yes", "min_diff_from_avg": 0}
NAN = float("nan")


class TestVocabulary(ColumnContract):
    rows = {
        "vocabulary_word": pa.array(["ant", "bee", "ant", "bee", "", "cow", "dog", "bee"]),
        "vocabulary_year": pa.array([9, 10, 9, 10, 10, -1, 7, None]),
        "vocabulary_tags": pa.array([["b", "a"], ["b", "", "c"], [], None, ["c", "c"], ["b"], ["d", "a", "d"], ["ü"]]),
        "vocabulary_tie": pa.array(["9", "10", "a", "B", "10", "9", "ü", None]),
        "vocabulary_weight": pa.array([1, NAN, 1.5, 1, -9, 4, 99, None], pa.float32()),
        "vocabulary_from": pa.array(["JFK", "JFK", "EWR", "LGA", None, "", "ORD", "LGA"]),
        "vocabulary_to": pa.array([["ORD"], ["EWR", "LAX"], [], ["EWR"], ["LGA"], ["ORD"], ["JFK", "XXX"], ["LGA"]]),
        "vocabulary_code": pa.array(["a:1", "a:1", "a:2", "a:2", "b:3", "c", "b:4", "c"]),
        "vocabulary_answer": pa.array(["yes", "no", "yes", "yes", "no", "no", "yes", "no"]),
    }
    labels = [{"name": "vocabulary_yes", "source": "vocabulary_answer", "positive": "yes"}]
    inputs = {
        "vocabulary_year": {"dtype": "int64", "optional": True},
        "vocabulary_tags": {"multi_valued": True},
        "vocabulary_tie": {"dtype": "string"},
        "vocabulary_to": {"multi_valued": True},
    }
    columns = {
        "vocabulary_learned": WORDS,
        "vocabulary_oov": WORDS | {"oov_buckets": 2},
        "vocabulary_top": WORDS | {"top_k": 1, "oov_buckets": 1},
        "vocabulary_often": WORDS | {"min_frequency": 2},
        "vocabulary_never": WORDS | {"min_frequency": 3, "oov_buckets": 1},
        "vocabulary_given": WORDS | {"vocabulary": ["cow", "ant"]},
        "vocabulary_given_oov": WORDS | {"vocabulary": ["cow", "ant"], "oov_buckets": 3},
        "vocabulary_years": YEARS,
        "vocabulary_years_given": YEARS | {"vocabulary": [7, 9]},
        "vocabulary_years_oov": YEARS | {"vocabulary": [7, 9], "oov_buckets": 2},
        "vocabulary_tagged": TAGS | {"oov_buckets": 1},
        "vocabulary_tags_given": TAGS | {"vocabulary": ["a", "b", "c"]},
        "vocabulary_ties": {"kind": "vocabulary", "source": "vocabulary_tie"},
        "vocabulary_default": WORDS | {"min_frequency": 2, "default": 1},
        "vocabulary_default_new": WORDS | {"top_k": 1, "default": 4},
        "vocabulary_default_given": WORDS | {"vocabulary": ["cow", "ant"], "default": 0},
        "vocabulary_default_years": YEARS | {"vocabulary": [7, 9], "default": 1},
        "vocabulary_weighed": WORDS | {"weights": "vocabulary_weight"},
        "vocabulary_weighed_often": WORDS | {"weights": "vocabulary_weight", "min_frequency": 3, "oov_buckets": 1},
        "vocabulary_weighed_tags": TAGS | {"weights": "vocabulary_weight", "top_k": 2},
        "vocabulary_from": PLACES | {"source": "vocabulary_from"},
        "vocabulary_to": PLACES | {"source": "vocabulary_to", "oov_buckets": 1},
        "vocabulary_covered": CODES | {"coverage": {"key": "^[^:]*", "top_k": 1}},
        "vocabulary_covered_often": CODES | {"coverage": {"key": "^[^:]*", "top_k": 2, "min_frequency": 2}},
        "vocabulary_informative": TELLING,
        "vocabulary_informative_top": TELLING | {"top_k": 1},
        "vocabulary_informative_least": TELLING | {"min_mutual_information": 0.5},
        "vocabulary_informative_adjusted": TELLING | {"min_mutual_information": 0.5, "use_adjusted_mutual_info": True},
        "vocabulary_informative_diff": TELLING | {"min_diff_from_avg": None},
        "vocabulary_informative_tags": TELLING | {"source": "vocabulary_tags"},
        "vocabulary_covered_years": YEARS | {"top_k": 1, "coverage": {"key": ".$", "top_k": 1}},
    }
    transformed = {
        # bee and ant twice each, the later letter first; cow once; '' and dog, which no training row has, nowhere.
        "vocabulary_learned": [[1], [0], [1], [0], [], [2], [-1], [0]],
        "vocabulary_oov": [[1], [0], [1], [0], [], [2], [3], [0]],
        "vocabulary_top": [[1], [0], [1], [0], [], [1], [1], [0]],
        "vocabulary_often": [[1], [0], [1], [0], [], [-1], [-1], [0]],
        # An empty vocabulary has one entry that no value is: tf.Transform writes it, for a table cannot be empty.
        "vocabulary_never": [[1], [1], [1], [1], [], [1], [1], [1]],
        "vocabulary_given": [[1], [-1], [1], [-1], [], [0], [-1], [-1]],
        "vocabulary_given_oov": [[1], [3], [1], [3], [], [0], [4], [3]],
        "vocabulary_years": [[1], [0], [1], [0], [0], [], [-1], []],
        "vocabulary_years_given": [[1], [-1], [1], [-1], [-1], [], [0], []],
        "vocabulary_years_oov": [[1], [2], [1], [2], [2], [], [0], []],
        # b and c three times each, then a.
        "vocabulary_tagged": [[1, 2], [1, 0], [], [], [0, 0], [1], [3, 2, 3], [3]],
        "vocabulary_tags_given": [[1, 0], [1, 2], [], [], [2, 2], [1], [-1, 0, -1], [-1]],
        # '9' and '10' twice each, then 'a' and 'B': by their bytes, the last first.
        "vocabulary_ties": [[0], [1], [2], [3], [1], [0], [-1], []],
        "vocabulary_default": [[1], [0], [1], [0], [], [1], [1], [0]],
        # Beyond the vocabulary: an id that no entry has.
        "vocabulary_default_new": [[4], [0], [4], [0], [], [4], [4], [0]],
        "vocabulary_default_given": [[1], [0], [1], [0], [], [0], [0], [0]],
        "vocabulary_default_years": [[1], [1], [1], [1], [1], [], [0], []],
        # cow 4, ant 2.5, bee 1: a row of no weight, or less, teaches nothing.
        "vocabulary_weighed": [[1], [2], [1], [2], [], [0], [-1], [2]],
        "vocabulary_weighed_often": [[1], [1], [1], [1], [], [0], [1], [1]],
        # b 5, a 1; c has weights of none and less than 0 alone.
        "vocabulary_weighed_tags": [[0, 1], [0, -1], [], [], [-1, -1], [0], [-1, 1, -1], [-1]],
        # Of both: EWR three times, ORD, LGA and JFK twice each, LAX once.
        "vocabulary_from": [[3], [3], [0], [2], [], [], [1], [2]],
        "vocabulary_to": [[1], [0, 4], [], [0], [2], [1], [3, 5], [2]],
        # a:2 and a:1 twice each, c and b:3 once: the first of them all, then the first of a, of b and of c.
        "vocabulary_covered": [[-1], [-1], [0], [0], [2], [1], [-1], [1]],
        "vocabulary_covered_often": [[1], [1], [0], [0], [-1], [-1], [-1], [-1]],
        # Of 6 rows 3 are yes. Both of ant are: 2 log2(2 * 6 / (2 * 3)) = 2 bits. cow is no: 1 bit. bee is both: none.
        "vocabulary_informative": [[0], [2], [0], [2], [], [1], [-1], [2]],
        "vocabulary_informative_top": [[0], [-1], [0], [-1], [], [-1], [-1], [-1]],
        "vocabulary_informative_least": [[0], [-1], [0], [-1], [], [1], [-1], [-1]],
        # By chance two of ant's rows are alike in 2 of 5 cases: .8 bits, and cow's is what it is: 1 bit.
        "vocabulary_informative_adjusted": [[0], [-1], [0], [-1], [], [-1], [-1], [-1]],
        # Of so few rows none is seen 2 times more or less often than by chance: all are ties.
        "vocabulary_informative_diff": [[2], [1], [2], [1], [], [0], [-1], [1]],
        # c is no in two rows: 2 bits. a is yes: 1 bit. b is yes in one, no in two: log2(2/3) + 2 log2(4/3) = .25 bits.
        "vocabulary_informative_tags": [[2, 1], [2, 0], [], [], [0, 0], [2], [-1, 1, -1], [-1]],
        # 10 three times, 9 twice: the first of all, of those that end in 0 and of those that end in 9.
        "vocabulary_covered_years": [[1], [0], [1], [0], [0], [], [-1], []],
    }
    no_raw = {
        name: "only a vocabulary given as a list has a tf.feature_column"
        for name, told in columns.items()
        if "vocabulary" not in told
    }


def test_a_file_is_the_list_it_holds(tmp_path, transform):
    (tmp_path / "animals.txt").write_bytes("cow\r\nant\nü x\n".encode())
    (tmp_path / "spec.yaml").write_text("columns: [{name: animal, kind: vocabulary, vocabulary_file: animals.txt}]")
    spec = load_spec(tmp_path / "spec.yaml")
    assert spec.columns[0].num_buckets(0) == 3
    assert transform(spec, animal=["ant", "cow", "ü x", "bee"])["animal"] == [[1], [0], [2], [-1]]


def from_file(folder, content, dtype="string"):
    (folder / "entries.txt").write_bytes(content)
    column = {"name": "x", "kind": "vocabulary", "vocabulary_file": str(folder / "entries.txt")}
    return validate({"inputs": {"x": {"dtype": dtype}}, "columns": [column]}, FeatureSpec, "spec")


def test_a_file_is_lines_as_tensorflow_reads_them(tmp_path, transform):
    # Python's splitlines would end a line at each of these.
    content = "\ufeffa\u2028b\nc\x0bd\r\ne".encode()
    spec = from_file(tmp_path, content)
    assert spec.columns[0].num_buckets(0) == 3
    assert transform(spec, x=["a\u2028b", "c\x0bd", "e", "a", "b"])["x"] == [[0], [1], [2], [-1], [-1]]


def test_integers_from_a_file(tmp_path, transform):
    assert transform(from_file(tmp_path, b"7\n-2\n0\n", "int64"), x=[-2, 0, 7, 8])["x"] == [[1], [2], [0], [-1]]


@pytest.mark.parametrize(
    ("content", "dtype", "expected"),
    [
        (b"a\nb\na\n", "string", "'a' more than once"),
        (b"", "string", "no entries"),
        (b"a\xff\n", "string", "columns.x.vocabulary_file: cannot be read"),
        (b"7\n\n9\n", "int64", "received: ''"),
        (b"07\n", "int64", "received: '07'"),
    ],
)
def test_a_file_that_cannot_be_one(content, dtype, expected, tmp_path, transform):
    with pytest.raises(SpecError, match=expected):
        transform(from_file(tmp_path, content, dtype), x=[1, 2])


def test_a_file_that_is_not_there(tmp_path):
    (tmp_path / "spec.yaml").write_text("columns: [{name: animal, kind: vocabulary, vocabulary_file: nowhere.txt}]")
    with pytest.raises(SpecError) as error:
        load_spec(tmp_path / "spec.yaml")
    assert error.value.what == "columns.animal.vocabulary_file: there is no such file"
    assert error.value.received == str(tmp_path / "nowhere.txt")


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ({"vocabulary": ["a"], "vocabulary_file": "f"}, "columns.0", "has both vocabulary and vocabulary_file"),
        ({"vocabulary": ["a"], "top_k": 2}, "columns.0", "has top_k, which is for a learned vocabulary"),
        ({"vocabulary_file": "f", "min_frequency": 2}, "columns.0", "has min_frequency, which is for a learned"),
        ({"vocabulary": ["a"], "weights": "w"}, "columns.0", "has weights, which is for a learned vocabulary"),
        ({"vocabulary": ["a"], "shared": "s"}, "columns.0", "has shared, which is for a learned vocabulary"),
        ({"vocabulary": ["a"], "coverage": {"key": "a", "top_k": 1}}, "columns.0", "has coverage, which is for"),
        ({"coverage": {"key": "a", "top_k": 1}}, "columns.0", "all is kept without top_k or min_frequency"),
        ({"top_k": 1, "coverage": {"key": "(", "top_k": 1}}, "columns.0.coverage.key", "is no regular expression"),
        ({"vocabulary": ["a", "b"], "default": 2}, "columns.0", "default must be below 2"),
        ({"default": 0, "oov_buckets": 1}, "columns.0", "has both default and oov_buckets"),
        ({"default": -1}, "columns.0.default", "greater than or equal to 0"),
        ({"vocabulary": ["a", "b", "a"]}, "columns.0", "vocabulary names 'a' more than once"),
        ({"min_diff_from_avg": 1}, "columns.0", "has min_diff_from_avg without mutual_information"),
        ({"min_mutual_information": 1}, "columns.0", "has min_mutual_information without mutual_information"),
        ({"use_adjusted_mutual_info": True}, "columns.0", "has use_adjusted_mutual_info without mutual_information"),
        ({"mutual_information": "y", "min_frequency": 2}, "columns.0", "has min_frequency, which is for what"),
        ({"mutual_information": "y", "weights": "w"}, "columns.0", "has weights, which is for what is learned"),
        ({"mutual_information": "y", "top_k": 2, "coverage": {"key": "a", "top_k": 1}}, "columns.0", "has coverage"),
        ({"vocabulary": ["a"], "mutual_information": "y"}, "columns.0", "has mutual_information, which is for"),
        ({"oov_buckets": -1}, "columns.0.oov_buckets", "greater than or equal to 0"),
    ],
)
def test_what_it_cannot_be(fields, place, expected):
    with pytest.raises(SpecError, match=expected) as error:
        validate({"columns": [{"name": "x", "kind": "vocabulary"} | fields]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: {place}: is not right"


@pytest.mark.parametrize("entry", ["a", "01", "+1", "1.0", "", str(2**63), 2**63])
def test_what_no_integer_can_be(entry, transform):
    column = {"name": "x", "kind": "vocabulary", "vocabulary": [entry]}
    with pytest.raises(SpecError) as at_load:
        validate({"inputs": {"x": {"dtype": "int64"}}, "columns": [column]}, FeatureSpec, "spec")
    assert at_load.value.what == "spec: columns.x: 'x' holds int64, and its vocabulary something else"
    assert at_load.value.received == repr(entry)
    with pytest.raises(SpecError, match=r"columns.x: 'x' holds int64, and its vocabulary something else"):
        transform(validate({"columns": [column]}, FeatureSpec, "spec"), x=[1, 2])
    text = validate({"inputs": {"x": {"dtype": "string"}}, "columns": [column]}, FeatureSpec, "spec")
    assert transform(text, x=["b"])["x"] == [[-1]]


def test_integers_as_text():
    column = {"name": "x", "kind": "vocabulary", "vocabulary": ["7", "-9"]}
    spec = validate({"inputs": {"x": {"dtype": "int64"}}, "columns": [column]}, FeatureSpec, "spec")
    made = spec.columns[0].raw_feature_column(spec.by_name, spec.inputs)
    assert made.vocabulary_list == (7, -9)


def shared(*columns):
    of = [{"kind": "vocabulary", "shared": "s"} | column for column in columns]
    return validate({"columns": of}, FeatureSpec, "spec")


@pytest.mark.parametrize(
    ("columns", "what", "received"),
    [
        (
            [{"name": "a", "top_k": 2}, {"name": "b"}],
            "columns.a.top_k: is another than that of 'b', which shares 's'",
            "2",
        ),
        (
            [{"name": "a"}, {"name": "b", "weights": "w"}],
            "columns.a.weights: is another than that of 'b', which shares 's'",
            "none",
        ),
        (
            [{"name": "a"}, {"name": "s", "shared": None}],
            "columns.a.shared: 's' is what 's' learns alone",
            "'s'",
        ),
    ],
)
def test_who_cannot_share(columns, what, received):
    with pytest.raises(SpecError) as error:
        shared(*columns)
    assert error.value.what == f"spec: {what}"
    assert error.value.received == received


def test_strings_and_integers_share_nothing(transform):
    with pytest.raises(SpecError) as error:
        transform(shared({"name": "a"}, {"name": "b"}), a=["x", "y"], b=[1, 2])
    assert error.value.what == "columns.a.shared: 's' is of strings and of integers"
    assert error.value.received == "a string, b int64"


def test_one_weight_a_row():
    inputs = {"w": {"multi_valued": True}}
    with pytest.raises(SpecError) as error:
        validate({"inputs": inputs, "columns": [WORDS | {"name": "x", "weights": "w"}]}, FeatureSpec, "spec")
    assert error.value.what == "spec: columns.x.weights: 'w' is multi-valued"


@pytest.mark.parametrize(
    ("label", "what", "received"),
    [
        ({"name": "y"}, "columns.x.mutual_information: 'y' is a number", "a label for regression"),
        (
            {"name": "y", "classes": 3, "multi_label": True},
            "columns.x.mutual_information: 'y' has any number of classes",
            "a label for multi_label",
        ),
        ({"name": "y", "above": 1, "missing": "keep"}, "columns.x.mutual_information: rows without 'y' are kept",
         "missing: keep"),
        ({"name": "z"}, "columns.x: there is no label 'y'", "'y'"),
    ],
)  # fmt: skip
def test_labels_that_tell_nothing(label, what, received):
    column = {"name": "x", "kind": "vocabulary", "mutual_information": "y"}
    with pytest.raises(SpecError) as error:
        validate({"columns": [column], "labels": [label]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: {what}"
    assert error.value.received == received


def test_mutual_information_is_that_of_tf_transform(tmp_path):
    """Tags, some of them twice in a row, and single codes, by what they tell of a label of three classes."""
    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

    rng = np.random.default_rng(5)
    y = rng.integers(0, 3, 700)
    tags = [[f"tag{(7 * k + i + one * (i % 5)) % 31}" for k in range(i % 4)] for i, one in enumerate(y)]
    code = rng.integers(0, 60, 700) * 3 + y % 2
    twice = pa.array([one + one[:1] for one in tags], pa.list_(pa.string()))
    table = pa.table({"tags": twice, "code": code, "y": y, "split": ["train"] * 700})
    options = {
        "all": {},
        "top": {"top_k": 9},
        "least": {"min_mutual_information": 1.5},
        "adjusted": {"use_adjusted_mutual_info": True},
        "diff": {"min_diff_from_avg": 5},
    }
    columns = [
        {"name": f"{source}_{name}", "kind": "vocabulary", "source": source, "mutual_information": "size"} | of
        for source in ("tags", "code")
        for name, of in options.items()
    ]
    spec = validate(
        {
            "inputs": {"code": {"dtype": "int64"}},
            "columns": columns,
            "labels": [{"name": "size", "source": "y", "classes": 3}],
            "split": {"by": "column", "source": "split"},
        },
        FeatureSpec,
        "spec",
    )
    output = tfloom.preprocess(spec, table, tmp_path / "transformed")

    def preprocessing_fn(inputs):
        for column in columns:
            tft.vocabulary(
                inputs[column["source"]],
                labels=inputs["y"],
                top_k=column.get("top_k"),
                frequency_threshold=column.get("min_mutual_information"),
                use_adjusted_mutual_info=column.get("use_adjusted_mutual_info", False),
                min_diff_from_avg=column.get("min_diff_from_avg"),
                vocab_filename=column["name"],
            )
        return {"y": inputs["y"]}

    fields = {"tags": tf.io.VarLenFeature(tf.string), "code": tf.io.VarLenFeature(tf.int64)}
    metadata = tft.DatasetMetadata.from_feature_spec(fields | {"y": tf.io.FixedLenFeature([], tf.int64)})
    batch = pa.RecordBatch.from_pydict({
        "tags": pa.array(tags, pa.list_(pa.binary())),
        "code": code[:, None].tolist(),
        "y": y[:, None].tolist(),
    })  # fmt: skip
    adapter = tensor_adapter.TensorAdapterConfig(
        batch.schema, tensor_representation_util.InferTensorRepresentationsFromSchema(metadata.schema)
    )
    with tft_beam.Context(temp_dir=str(tmp_path / "scratch")):
        transform_fn = ([batch], adapter) | tft_beam.AnalyzeDataset(preprocessing_fn)
        transform_fn | tft_beam.WriteTransformFn(str(tmp_path / "of_tft"))
    theirs, ours = tft.TFTransformOutput(str(tmp_path / "of_tft")), tft.TFTransformOutput(str(output.path))
    found = {column["name"]: ours.vocabulary_by_name(column["name"]) for column in columns}
    assert found == {name: theirs.vocabulary_by_name(name) for name in found}
    assert {name: len(of) for name, of in found.items() if name.endswith("top")} == {"tags_top": 9, "code_top": 9}
    for source in ("tags", "code"):  # each option changes something
        assert len({str(found[f"{source}_{name}"]) for name in options}) == len(options)
