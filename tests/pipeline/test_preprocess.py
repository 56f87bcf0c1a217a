"""The job: what lies on disk after it, what it learned from, and that it is whole or absent."""

import collections
import json
import random
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tfloom.feature_specs.directories import ORIGIN
from tfloom.feature_specs.errors import ArtefactError, DataError, SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.preprocess import preprocess

SPEC = FeatureSpec.model_validate({
    "columns": [
        {"name": "x", "kind": "numeric", "scale": "z_score"},
        {"name": "age", "kind": "bucketized", "quantiles": 4},
        {"name": "word", "kind": "vocabulary", "oov_buckets": 1},
        {"name": "word_in", "kind": "indicator", "of": "word"},
    ],
    "inputs": {"x": {"dtype": "float32"}},
    "labels": [{"name": "late", "source": "delay", "above": 15, "missing": "drop"}],
    "where": "cancelled == 0",
    "split": {"by": "column", "source": "part"},
})  # fmt: skip
HEADER = "x,age,word,delay,cancelled,part,note\n"


def rows():
    """150 rows that are materialised, 120 of them train: of eval and test each tenth is one, with values of its own.

    Training rows have an x of 100 and 300, 60 each; every age from 0 to 119; the word `common` 60 times, and the words
    `tie_a`, `tie_b`, `tie_c` 20 times.
    """
    t = 0
    for i in range(150):
        if i % 10 == 8:
            yield f"-1e9,-1e6,tie_a,{i},0,eval,"
        elif i % 10 == 9:
            yield f"1e9,1e6,planted,{i},0,test,"
        else:
            word = ("common", "common", "common", "tie_a", "tie_b", "tie_c")[t % 6]
            yield f"{100 + 200 * (i % 2)},{t},{word},{i},0,train,"
            t += 1


# Rows that are not materialised, all of the training split: 2 without a label, 3 filtered, 2 rejected.
LEFT_OUT = [
    "1e12,1e6,gone,,0,train,", "1e12,1e6,gone,NA,0,train,",
    *["1e12,1e6,gone,1,1,train,"] * 3,
    "much,1e6,gone,1,0,train,why", "1e12,gone",
]  # fmt: skip


def with_a_note(row):
    return row + '"of\ntwo lines"'


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """(data, output): the job that most tests are about, in chunks of 50 rows."""
    folder = tmp_path_factory.mktemp("preprocess")
    first, *rest = rows()
    data = folder / "days.csv"
    data.write_text(HEADER + "\n".join([with_a_note(first), *rest, *LEFT_OUT]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfloom.pipeline.sources.CHUNK_ROWS", 50)
        (folder / "out.rejected").mkdir()  # as a try before left it, which rejected too many
        return data, preprocess(SPEC, {None: data}, folder / "out", max_rejected=0.02, examples="both")


@pytest.fixture(scope="module")
def data(job):
    return job[0]


@pytest.fixture(scope="module")
def output(job):
    return job[1]


def examples(output, split):
    """The rows of a split as dicts of lists, in order."""
    result = []
    for record in tf.data.TFRecordDataset(output.examples(split), "GZIP").as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        result.append({name: list(getattr(f, f.WhichOneof("kind")).value) for name, f in features.items()})
    return result


def files(path):
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


# -- what lies on disk --------------------------------------------------------------------------------------------


def test_a_shard_for_each_chunk_and_split(output):
    shards = [f"{split}-00000-0000{n}" for split in ("train", "eval", "test") for n in range(3)]
    written = sorted(path.name for path in (output.path / "examples").iterdir())
    assert written == sorted(f"{shard}.{suffix}" for shard in shards for suffix in ("parquet", "tfrecord.gz"))
    assert [len(examples(output, split)) for split in ("train", "eval", "test")] == [120, 15, 15]


def test_the_rest_of_the_output(output):
    names = {name.split("/")[0] for name in files(output.path)}
    assert names == {"examples", "feature_spec.json", "rejected", "report.json", "stats", "transform_fn",
                     "transformed_metadata"}  # fmt: skip
    assert output.spec.by_name == SPEC.by_name
    resolved = {name: (i.dtype, i.optional) for name, i in output.spec.inputs.items()}
    assert resolved == {"x": ("float32", False), "age": ("float32", False), "word": ("string", False)}


def test_the_report(output):
    report = output.report
    assert report["rows"] == {"in": 157, "out": 150, "filtered": 3, "unlabelled": 2, "rejected": 2}
    assert report["splits"] == {"train": 120, "eval": 15, "test": 15}
    assert report["reasons"] == {"x: 'much' is no float32": 1, "another number of fields than the header": 1}
    assert report["num_buckets"] == {"age": 4, "word": 5}  # four words and one bucket for the others
    assert report["sources"] == [{"label": "days.csv", "path": str(output.path.parent / "days.csv")}]
    assert report["fingerprint"] == output.fingerprint


def test_a_rejected_row_is_found_again(output, data):
    lines = [line for path in (output.path / "rejected").iterdir() for line in path.read_text().splitlines()]
    told = sorted(map(json.loads, lines), key=lambda one: one["line"])
    # Line 1 is the header, the first row takes two, and so row 155, counted from 0, begins on line 158.
    assert [(one["origin"], one["line"], one["offset"], one["column"], one["reason"]) for one in told] == [
        ("days.csv:155", 158, None, "x", "x: 'much' is no float32"),
        ("days.csv", 159, None, None, "another number of fields than the header"),
    ]
    assert ",".join(told[0]["row"].values()) == "much,1e6,gone,1,0,train"  # columns that nothing reads are left out
    assert told[1]["row"] == "1e12,gone"
    assert data.read_text().splitlines()[157:] == ["much,1e6,gone,1,0,train,why", "1e12,gone"]


def test_an_example_holds_columns_labels_and_its_origin(output):
    first, *_ = examples(output, "train")
    assert first == {"x": [-1.0], "age": [0], "word": [0], "late": [0], ORIGIN: [b"days.csv:0"]}
    origins = [row[ORIGIN][0] for split in ("train", "eval", "test") for row in examples(output, split)]
    assert sorted(origins) == sorted(b"days.csv:%d" % i for i in range(150))
    assert [row["late"] for row in examples(output, "test")[:2]] == [[0], [1]]  # delays of 9 and 19


def test_parquet_holds_what_the_examples_do(output):
    for split in ("train", "eval", "test"):
        paths = sorted((output.path / "examples").glob(f"{split}-*.parquet"))
        assert pa.concat_tables(map(pq.read_table, paths)).to_pylist() == examples(output, split)


def test_the_sample_is_of_parsed_rows(output):
    sample = pq.read_table(output.path / "stats" / "sample.parquet").to_pylist()
    assert collections.Counter(row["__split__"] for row in sample) == {"train": 120, "eval": 15, "test": 15}
    (row,) = [row for row in sample if row[ORIGIN] == [b"days.csv:9"]]
    assert row == {"x": [1e9], "age": [1e6], "word": [b"planted"], "late": [0], ORIGIN: [b"days.csv:9"],
                   "__split__": "test"}  # fmt: skip


# -- what it learned from -----------------------------------------------------------------------------------------


def test_a_vocabulary_is_learned_from_training_rows_alone(output):
    # 15 rows of eval would put tie_a before the others; ties are in reverse lexicographic order.
    words = (output.path / "transform_fn" / "assets" / "word").read_text().splitlines()
    assert words == ["common", "tie_c", "tie_b", "tie_a"]
    assert {row["word"][0] for row in examples(output, "eval")} == {3}
    assert {row["word"][0] for row in examples(output, "test")} == {4}  # out of vocabulary


def test_a_mean_is_learned_from_training_rows_alone(output):
    # The mean of 60 times 100 and 60 times 300 is 200, the standard deviation 100.
    assert collections.Counter(row["x"][0] for row in examples(output, "train")) == {-1.0: 60, 1.0: 60}
    assert {row["x"][0] for row in examples(output, "test")} == {float(np.float32((1e9 - 200) / 100))}


def test_quantiles_are_learned_from_training_rows_alone(output):
    buckets = collections.Counter(row["age"][0] for row in examples(output, "train"))
    assert sorted(buckets) == [0, 1, 2, 3]
    assert all(29 <= n <= 31 for n in buckets.values())
    assert {row["age"][0] for row in examples(output, "eval")} == {0}
    assert {row["age"][0] for row in examples(output, "test")} == {3}


# -- the same again -----------------------------------------------------------------------------------------------


def test_overwriting_with_the_same_gives_the_same_bytes(data, output, tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.sources.CHUNK_ROWS", 50)
    out = tmp_path / "out"
    out.mkdir()
    (out / "an older file").touch()
    again = preprocess(SPEC, {None: data}, out, max_rejected=0.02, examples="both", overwrite=True)
    assert again.fingerprint == output.fingerprint
    old, new = files(output.path), files(out)
    assert sorted(old) == sorted(new)
    # A SavedModel's protocol buffer is not canonical; its variables and vocabularies are.
    graph = {"transform_fn/saved_model.pb", "transform_fn/fingerprint.pb"}
    assert {name for name in old if old[name] != new[name]} <= graph
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_same_rows_in_other_files_and_another_order_teach_the_same(output, tmp_path):
    shuffled = list(rows())
    random.Random(3).shuffle(shuffled)
    for name, part in (("a.csv", shuffled[:40]), ("b.csv", shuffled[40:])):
        (tmp_path / name).write_text(HEADER + "\n".join(part) + "\n")
    other = preprocess(SPEC, {None: str(tmp_path / "*.csv")}, tmp_path / "out")
    words = "transform_fn/assets/word"
    assert (other.path / words).read_bytes() == (output.path / words).read_bytes()

    def multiset(of):
        return collections.Counter(
            str(sorted((name, value) for name, value in row.items() if name != ORIGIN))
            for split in ("train", "eval", "test")
            for row in examples(of, split)
        )

    assert multiset(other) == multiset(output)
    assert not list((other.path / "examples").glob("*.parquet"))  # only where they are asked for


# -- whole or absent ----------------------------------------------------------------------------------------------

PLAIN = FeatureSpec.model_validate({
    "columns": [{"name": "x", "kind": "numeric"}], "split": {"by": "column", "source": "part"},
})  # fmt: skip
TABLE = pa.table({
    "x": [1.0, 2.0, 3.0, None], "age": [1.0, 2.0, 3.0, 4.0], "word": ["a", "b", "c", "d"],
    "delay": [1.0, 20.0, 3.0, 4.0], "cancelled": [0] * 4, "part": ["train"] * 4,
})  # fmt: skip


def test_an_output_that_is_there_is_not_written_over(data, output):
    before = files(output.path)
    with pytest.raises(ArtefactError, match=r"out: is there already\n  expected: a new path, or --overwrite"):
        preprocess(SPEC, {None: data}, output.path)
    assert files(output.path) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_job_that_fails_leaves_what_was_there(overwrite, tmp_path, monkeypatch):
    def half_done(spec, sources, folder, *_):
        (tmp_path / folder / "examples").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("tfloom.pipeline.engines.local.run", half_done)
    out = tmp_path / "out"
    if overwrite:
        out.mkdir()
        (out / "precious").write_text("1")
    with pytest.raises(KeyboardInterrupt):
        preprocess(SPEC, {None: TABLE}, out, overwrite=overwrite)
    assert files(tmp_path) == ({"out/precious": b"1"} if overwrite else {})
    assert [path.name for path in tmp_path.iterdir()] == ["out"] * overwrite


def test_too_many_rejected_rows(tmp_path):
    with pytest.raises(DataError) as error:
        preprocess(PLAIN, {None: TABLE}, tmp_path / "out", max_rejected=0.2)
    reason = "x is missing, and columns.x says nothing of missing values"
    assert error.value.what == f"1 of 4 rows are rejected: 1 x {reason}"
    assert error.value.expected == "at most 20.00% of the rows, or a larger --max-rejected"
    assert error.value.received == f"25.00%; they lie with their reasons in {tmp_path / 'out.rejected'}"
    assert [path.name for path in tmp_path.iterdir()] == ["out.rejected"]
    (line,) = (tmp_path / "out.rejected" / "00000-00000.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert (told["origin"], told["line"], told["reason"]) == ("memory.parquet:3", None, reason)


def test_what_an_earlier_try_rejected_is_gone_once_one_succeeds(output):
    assert not output.path.with_name("out.rejected").exists()


@pytest.mark.parametrize("options", [(), ("--runner=FnApiRunner",)], ids=["local", "beam"])
@pytest.mark.parametrize("rows_", [0, 3])
def test_no_row_to_train_on(rows_, options, tmp_path):
    table = TABLE.slice(0, rows_).set_column(5, "part", pa.array(["test"] * rows_, pa.string()))
    with pytest.raises(SpecError) as error:
        preprocess(SPEC, {None: table}, tmp_path / "out", beam_options=options)
    assert error.value.what == "split: no row is left to train on"
    assert error.value.expected == "rows in the training split"
    assert error.value.received == (
        f"in {rows_}, out {rows_}, filtered 0, unlabelled 0, rejected 0, train 0, eval 0, test {rows_}"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [(), ("--runner=FnApiRunner",)], ids=["local", "beam"])
def test_an_error_met_amid_the_job_is_told_as_it_was_raised(options, tmp_path, caplog):
    spec = PLAIN.model_copy(update={"where": "word > 3"})
    with pytest.raises(DataError) as error:
        preprocess(spec, {None: TABLE}, tmp_path / "out", beam_options=options)
    assert error.value.what == "where: column 'word' cannot be compared with 3"
    assert "while running" not in str(error.value)
    assert not [record for record in caplog.records if "apache_beam.runners" in record.name]
    assert not list(tmp_path.iterdir())


def test_data_in_memory_names_no_file_that_is_gone(tmp_path):
    output = preprocess(PLAIN, {"train": TABLE.slice(0, 3), "test": TABLE.slice(0, 2)}, tmp_path / "out")
    assert output.report["sources"] == [
        {"label": "train.parquet", "path": "data in memory"}, {"label": "test.parquet", "path": "data in memory"}
    ]  # fmt: skip
    assert output.report["splits"] == {"train": 3, "eval": 0, "test": 2}
    assert [row[ORIGIN] for row in examples(output, "test")] == [[b"test.parquet:0"], [b"test.parquet:1"]]


# -- Beam ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_workers_of_their_own_make_the_same(output, data, tmp_path, monkeypatch):
    """The same job in other processes, by pipeline options: everything that crosses to them is picklable."""
    options = ["--runner=FnApiRunner", "--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    copies = [shutil.copy(data, tmp_path / name) for name in ("a.csv", "b.csv")]
    here = preprocess(SPEC, {None: copies}, tmp_path / "here", max_rejected=0.02)
    there = preprocess(SPEC, {None: copies}, tmp_path / "there", max_rejected=0.02, beam_options=options)
    assert there.report == here.report
    for split in ("train", "eval", "test"):
        assert examples(there, split) == examples(here, split)
