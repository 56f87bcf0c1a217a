"""For a few rows, column by column: the raw value, and what a model sees of it."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from tfloom.cli import app
from tfloom.feature_specs.errors import DataError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.explain import explain
from tfloom.pipeline.preprocess import preprocess

SPEC = FeatureSpec.model_validate({
    "columns": [
        {"name": "x_z", "kind": "numeric", "source": "x", "scale": "z_score", "missing": "mean"},
        {"name": "x_waves", "kind": "periodic", "of": "x_z", "frequencies": 4, "sigma": 0.1},
        {"name": "x_bucket", "kind": "bucketized", "source": "x", "boundaries": [0, 200]},
        {"name": "colour", "kind": "vocabulary", "oov_buckets": 1},
        {"name": "code", "kind": "vocabulary"},
        {"name": "size", "kind": "vocabulary", "vocabulary": ["S", "M"]},
        {"name": "size_in", "kind": "indicator", "of": "size"},
        {"name": "tags", "kind": "hashed", "buckets": 10},
        {"name": "tags_vec", "kind": "embedded", "of": "tags", "dimension": 3},
        {"name": "tags_vecs", "kind": "sequence_embedded", "of": "tags", "dimension": 3},
        {"name": "tags_last", "kind": "pooled", "of": "tags_vecs", "combiner": "last"},
        {"name": "speeds", "kind": "sequence_numeric", "max_length": 2},
        {"name": "sizes", "kind": "vocabulary", "source": "several", "vocabulary": ["S", "M"]},
        {"name": "sizes_w", "kind": "weighted", "of": "sizes", "weights": "counts"},
        {"name": "sizes_in", "kind": "indicator", "of": "sizes_w"},
        {"name": "both", "kind": "crossed", "of": ["x_bucket", {"input": "size"}], "buckets": 1},
        {"name": "photo", "kind": "image", "height": 4, "width": 5, "channels": 3},
    ],
    "inputs": {
        "size": {"optional": True}, "tags": {"delimiter": "|"}, "speeds": {"dtype": "float32", "delimiter": "|"},
        "several": {"delimiter": "|"}, "counts": {"delimiter": "|"},
    },
    "labels": [{"name": "late"}],
    "split": {"by": "column", "source": "part"},
})  # fmt: skip
PNG = tf.io.encode_png(tf.zeros([2, 2, 3], tf.uint8)).numpy()


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    # x has the mean 200 and the standard deviation 100; red comes before the two that occur once.
    table = pa.table({
        "x": [100.0, 300.0, 100.0, 300.0], "colour": ["red", "red", "blue", "green"], "code": [7, 9, 7, 7],
        "size": ["S", "M", "S", "M"], "tags": ["a", "b", "c", "d"], "photo": [PNG] * 4, "late": [0, 1, 0, 1],
        "speeds": ["1.5|2|3", "4", "", "7"], "several": ["S"] * 4, "counts": ["1"] * 4, "part": ["train"] * 4,
    })  # fmt: skip
    return preprocess(SPEC, {None: table}, tmp_path_factory.mktemp("explain") / "out")


# No label, no split: what is to be explained has neither yet. The second row has no picture.
ROWS = pa.table({
    "x": [400.0, 1.0, None, -5.5], "colour": ["blue", "red", "pink", "red"], "code": [9, 7, 8, 7],
    "size": ["M", "S", "XL", None], "tags": ["a|c", "a", "", "d"], "photo": [PNG, b"no picture", PNG, PNG],
    "speeds": ["1.5|2|3", "4", "", "7"],
    "several": ["M|S|XL", "S", "", "S|S"], "counts": ["0.5|2|9", "1", "", "|-1"],
})  # fmt: skip

SEEN = {
    "x_z": ("2", "0", "-2.055"),
    "x_waves": ("periodic of 2", "periodic of 0", "periodic of -2.055"),
    "x_bucket": ("id 2 of 3", "id 2 of 3", "id 0 of 3"),  # a missing value is in the last bucket
    "colour": ("id 2 (blue) of 4", "id 3 of 4", "id 0 (red) of 4"),  # red, green, blue, and one for the others
    "code": ("id 1 (9) of 2", "id -1 (unknown) of 2", "id 0 (7) of 2"),
    "size": ("id 1 (M) of 2", "id -1 (unknown) of 2", "id none of 2"),
    "size_in": ("one-hot 1 (M) of 2", "one-hot -1 (unknown) of 2", "one-hot none of 2"),
    # Fingerprint64 of a, c and d mod 10 is 9, 2 and 5.
    "tags": ("id 9, 2 of 10", "id none of 10", "id 5 of 10"),
    "tags_vec": ("vector of 3, row 9, 2 of 10", "vector of 3, row none of 10", "vector of 3, row 5 of 10"),
    "tags_vecs": ("vector of 3, row 9, 2 of 10", "vector of 3, row none of 10", "vector of 3, row 5 of 10"),
    "tags_last": (
        "last of the vectors of 9, 2 of 10",
        "last of the vectors of none of 10",
        "last of the vectors of 5 of 10",
    ),
    "speeds": ("1.5 2", "none", "7"),
    "sizes": ("id 1 (M), 0 (S), -1 (unknown) of 2", "id none of 2", "id 0 (S), 0 (S) of 2"),
    "sizes_w": ("id 1 (M) x 0.5, 0 (S) x 2, -1 (unknown) x 9 of 2", "id none of 2", "id 0 (S) x 0, 0 (S) x -1 of 2"),
    "sizes_in": (
        "one-hot 1 (M) x 0.5, 0 (S) x 2, -1 (unknown) x 9 of 2",
        "one-hot none of 2",
        "one-hot 0 (S) x 0, 0 (S) x -1 of 2",
    ),
    "both": ("id 0 of 1", "id 0 of 1", "id none of 1"),
    "photo": (f"a picture of {len(PNG)} bytes, float32 [4, 5, 3]",) * 3,
}
RAW = {
    "x_z": {"x": [400.0]}, "x_waves": {"x": [400.0]}, "x_bucket": {"x": [400.0]}, "colour": {"colour": [b"blue"]},
    "code": {"code": [9]}, "size": {"size": [b"M"]}, "size_in": {"size": [b"M"]}, "tags": {"tags": [b"a", b"c"]},
    "tags_vec": {"tags": [b"a", b"c"]}, "tags_vecs": {"tags": [b"a", b"c"]}, "tags_last": {"tags": [b"a", b"c"]},
    "speeds": {"speeds": [1.5, 2.0, 3.0]}, "sizes": {"several": [b"M", b"S", b"XL"]},
    "sizes_w": {"counts": [0.5, 2, 9], "several": [b"M", b"S", b"XL"]},
    "sizes_in": {"counts": [0.5, 2, 9], "several": [b"M", b"S", b"XL"]},
    "both": {"size": [b"M"], "x": [400.0]}, "photo": {"photo": [PNG]},
}  # fmt: skip


@pytest.fixture(scope="module")
def told(output):
    return explain(output, ROWS, rows=4)


def test_what_a_model_sees(told):
    assert list(dict.fromkeys(one.origin for one in told)) == [f"memory.parquet:{i}" for i in (0, 2, 3)]
    seen = {name: tuple(one.seen for one in told if one.column == name) for name in SEEN}
    assert seen == SEEN


def test_the_raw_values_of_every_input_that_has_a_part_in_it(told):
    first = [one for one in told if one.origin == "memory.parquet:0"]
    assert {one.column: one.raw for one in first} == RAW
    assert [one.column for one in first] == [column.name for column in SPEC.columns]
    missing = {one.column: one.raw for one in told if one.origin == "memory.parquet:2"}
    assert (missing["x_z"], missing["tags"]) == ({"x": []}, {"tags": []})


def test_an_encoded_column_shows_what_is_materialised_of_the_other(told):
    materialised = {one.column: one.materialised for one in told[: len(SPEC.columns)]}
    assert materialised["tags"] == materialised["tags_vec"] == [9, 2]
    assert (materialised["x_z"], materialised["size_in"]) == ([2.0], [1])
    assert materialised["sizes_w"] == materialised["sizes_in"] == [0.5, 2, 9]


@pytest.mark.parametrize(("rows", "explained"), [(1, [0]), (2, [0, 2]), (3, [0, 2, 3])])
def test_the_first_rows_that_are_not_rejected(rows, explained, output, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.sources.CHUNK_ROWS", 2)
    origins = list(dict.fromkeys(one.origin for one in explain(output, ROWS, rows)))
    assert origins == [f"memory.parquet:{i}" for i in explained]


def test_no_row_to_explain(output):
    with pytest.raises(DataError) as error:
        explain(output, ROWS.slice(1, 1))
    assert (error.value.what, error.value.expected) == ("data: has no row to transform", "a row or more")
    assert "photo" in error.value.received
    with pytest.raises(DataError, match="received: none"):
        explain(output, ROWS.slice(0, 0))


def test_data_without_a_column(output):
    with pytest.raises(DataError, match=r"data in memory: has no column 'colour', which columns\.colour reads"):
        explain(output, ROWS.rename_columns({"colour": "color"}))


def test_the_command_shows_a_table_for_each_row(output, tmp_path):
    pq.write_table(ROWS, tmp_path / "a.parquet")
    result = CliRunner().invoke(app, ["transform", str(output.path), str(tmp_path / "a.parquet"), "--rows", "2"])
    assert result.exit_code == 0
    said = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert [line for line in said if line.startswith("a.parquet")] == ["a.parquet:0", "a.parquet:2"]
    assert "colour vocabulary colour blue id 2 (blue) of 4" in said
    assert "tags hashed tags a | c id 9, 2 of 10" in said
    assert "x_z numeric x (missing) 0" in said
    assert f"photo image photo {len(PNG)} bytes a picture of {len(PNG)} bytes, float32 [4, 5, 3]" in said
