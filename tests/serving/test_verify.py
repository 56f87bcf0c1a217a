"""What is served is what was trained; where it is not, verify says in which row and value."""

import json

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfloom.feature_specs import parsed_rows, spec
from tfloom.feature_specs.directories import ORIGIN, ExportDirectory, write_json
from tfloom.feature_specs.errors import ArtefactError, DataError
from tfloom.serving import materialised, signatures
from tfloom.serving.loaded_model import LoadedModel
from tfloom.serving.server import serve
from tfloom.serving.verify import _sample, verify

COLUMNS, OUTPUTS, ROWS = 4, 5, 23


def verified(made, **options):
    return verify(made.export, made.parsed, made.transformed, made.predict, **options)


def rewrite(transformed, shard, change):
    """Change the tf.Examples of a shard."""
    path = str(transformed.path / "examples" / f"{shard}.tfrecord.gz")
    examples = [tf.train.Example.FromString(r) for r in tf.data.TFRecordDataset(path, "GZIP").as_numpy_iterator()]
    change(examples)
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for example in examples:
            writer.write(example.SerializeToString())


def test_no_skew(made):
    found = verified(made)
    # All rows at 1,000, 1, 7 and 1,001: a chunk of so few is its own sample.
    assert (found.rows, found.mismatches) == (ROWS, 0)
    assert (found.transformed.compared, found.predictions.compared) == (4 * ROWS * COLUMNS, 4 * ROWS * OUTPUTS)
    assert repr(found) == (
        "23 rows at batch sizes 1, 7, 1,000, 1,001\n"
        "  transformed values: 368 compared, 0 differ\n"
        "  predictions: 460 compared, 0 differ"
    )
    nothing = {"differing": 0, "first": []}
    assert found.to_dict() == {
        "rows": ROWS,
        "transformed": {"compared": 368, **nothing},
        "predictions": {"compared": 460, **nothing},
        "batch_sizes": [1, 7, 1000, 1001],
        "url": None,
    }


def test_of_large_pictures_fewer_are_asked_for_at_once(made, monkeypatch):
    """A picture has three numbers here."""
    monkeypatch.setattr(spec, "PIXELS", 3 * 5)
    found = verified(made)
    assert (found.rows, found.mismatches, found.batch_sizes) == (ROWS, 0, (1, 5, 6))


def test_a_skew_in_materialised_numbers(copied):
    def change(examples):
        values = examples[2].features.feature["distance"].float_list.value
        values[0] = np.nextafter(np.float32(values[0]), np.float32(1e9))  # one ulp

    rewrite(copied.transformed, "train-00000-00000", change)
    found = verified(copied, batch_sizes=(1_000,))
    assert found.transformed.differing == 1
    (first,) = found.transformed.first
    assert (first.origin, first.name, first.batch_size) == ("rows.csv:2", "distance", 1_000)
    assert (first.expected, first.received) == ("20.500002", "20.5")
    assert str(first) == "rows.csv:2: distance is 20.5, not 20.500002 (transform, batches of 1,000)"


def test_a_skew_in_materialised_ids_and_bytes(copied):
    def change(examples):
        examples[0].features.feature["tags"].int64_list.value[:] = [1]
        examples[1].features.feature["tags"].int64_list.value.append(2)
        examples[1].features.feature["photo"].bytes_list.value[:] = [b"\x00"]

    rewrite(copied.transformed, "eval-00000-00000", change)
    found = verified(copied, batch_sizes=(1_000,))
    assert found.transformed.differing == 3
    told = [(first.origin, first.name) for first in found.transformed.first]
    assert told == [("rows.csv:12", "tags[0]"), ("rows.csv:13", "tags[3]"), ("rows.csv:13", "photo")]
    assert found.predictions.differing > 0  # the trainer learned from other ids
    assert "rows.csv:12: tags[0] is -1, not 1" in repr(found)


def test_a_skew_in_the_served_model(copied):
    """By one ulp of one weight, which only an exact comparison at the same batch size sees."""
    weight = copied.module.weight
    before = weight.numpy()
    try:
        weight.assign(np.nextafter(before, np.float32(1)))
        found = verified(copied)
    finally:
        weight.assign(before)
    assert found.transformed.differing == 0
    assert found.predictions.differing > 0
    assert {first.batch_size for first in found.predictions.first} == {1_000}
    assert {first.signature for first in found.predictions.first} == {"serving_examples"}


def test_a_model_that_depends_on_the_batch(made):
    """Here the trainer's predictions are off at every batch size but one."""

    def predict(columns):
        predictions = made.predict(columns)
        return predictions | {"logits": predictions["logits"] + np.float32(len(columns["photo"]) == 8) / 100}

    found = verify(made.export, made.parsed, made.transformed, predict)
    assert found.predictions.differing == 8 * 4  # the second chunk, whose predictions at 1,000 are what all are held to


def test_rows_without_a_counterpart_differ(copied):
    rewrite(copied.transformed, "train-00000-00001", lambda examples: examples.pop())
    (copied.transformed.path / "examples/eval-00000-00000.tfrecord.gz").unlink()
    found = verified(copied, batch_sizes=(1_000,))
    assert (found.rows, found.transformed.differing, found.predictions.differing) == (ROWS, 4 * COLUMNS, 4 * OUTPUTS)
    assert [first.origin for first in found.transformed.first] == [f"rows.csv:{i}" for i in (12, 13, 14, 22)]
    assert "rows.csv:12: the row is served, not materialised" in repr(found)
    nowhere = verify(copied.export, [(9, 9, copied.rows)], copied.transformed, copied.predict)
    assert (nowhere.transformed.differing, len(nowhere.transformed.first)) == (ROWS * COLUMNS, 10)


def test_another_order_of_the_data(made):
    parsed = [(0, 1, made.rows.slice(15)), (0, 0, made.rows.take(pa.array(range(14, 3, -1))))]
    found = verify(made.export, parsed, made.transformed, made.predict)
    assert (found.rows, found.mismatches) == (19, 0)


@pytest.fixture
def urls(made):
    """Of the model by REST and by gRPC."""
    with serve({"flights": made.export.path}, port=0, grpc_port=0) as server:
        yield f"{server.url}/v1/models/flights", f"{server.grpc_url}/flights"


def test_from_a_server(made, urls):
    for url in urls:
        found = verified(made, url=url)
        assert (found.url, found.mismatches) == (url, 0)
        assert found.predictions.compared == 5 * ROWS * OUTPUTS
        assert f"and over {url}\n" in repr(found)


def test_a_skew_from_a_server(made, urls, monkeypatch):
    run = LoadedModel.run
    monkeypatch.setattr(
        LoadedModel, "run", lambda *a: {k: v + np.float32(0.001) if k == "logits" else v for k, v in run(*a).items()}
    )
    for url in urls:
        found = verified(made, url=url)
        assert found.predictions.differing == ROWS
        assert found.predictions.first[0].signature == f"serving_default of {found.url}"


def test_nothing_to_compare(made):
    for parsed in ([], [(0, 0, made.rows.slice(0, 0))]):
        with pytest.raises(DataError, match="there is no row to compare"):
            verify(made.export, parsed, made.transformed, made.predict)


def test_what_cannot_be_compared(made, copied):
    def renamed(columns):
        return {f"my_{name}": value for name, value in made.predict(columns).items()}

    def flat(columns):
        return {name: value[:, 0] for name, value in made.predict(columns).items()}

    with pytest.raises(ArtefactError, match="outputs of signature 'serving_examples' are not those that were trained"):
        verify(made.export, made.parsed, made.transformed, renamed)
    with pytest.raises(ArtefactError, match=r"has another form than was trained\n  expected: \w+ \[15\]"):
        verify(made.export, made.parsed, made.transformed, flat)
    path = copied.transformed.path / "feature_spec.json"
    spec = json.loads(path.read_text())
    del spec["columns"][0], spec["inputs"]["distance"]
    write_json(path, spec)
    with pytest.raises(ArtefactError, match="outputs of signature 'transform'"):
        verified(copied)


def test_an_export_without_the_signatures(tmp_path, made):
    module = tf.Module()
    module.f = made.module.photo_bytes
    tf.saved_model.save(module, str(tmp_path), signatures={"photo": module.f})
    write_json(tmp_path / "feature_spec.json", {})
    with pytest.raises(ArtefactError, match=r"has no signature 'transform'\n.*\n  received: photo"):
        verify(ExportDirectory.open(tmp_path), made.parsed, made.transformed, made.predict)


def test_samples_are_spread_and_bounded():
    assert _sample(65_536, 1).tolist()[:2] == [0, 2114]
    assert [len(_sample(65_536, size)) for size in (1, 7, 1_001, 5_000)] == [32, 224, 1_001, 5_000]
    assert _sample(65_536, 7)[-1] == 65_535
    assert _sample(5, 7).tolist() == [0, 1, 2, 3, 4]
    assert _sample(0, 7).tolist() == []


def test_materialised_rows_are_read_dense(made):
    rows = materialised.read(made.transformed, 0, 0)
    assert rows.origins.to_pylist() == [f"rows.csv:{i}".encode() for i in range(15)]
    some = rows.take(np.array([3, 2, 1]), {"stops": 3})
    assert some["tags"].tolist() == [[-1, 0, -1], [-1, -1, -1], [2, 1, -1]]
    assert some["stops"].tolist() == [[-1, -1, -1], [2, -1, -1], [1, -1, -1]]
    assert some["distance"].tolist() == [[30.75], [20.5], [10.25]]
    assert some["photo"].tolist() == [b"\x03\xff", b"\x02\xff", b"\x01\xff"]
    nothing = materialised.read(made.transformed, 7, 0)
    assert nothing.take(np.zeros(0, int), {})["tags"].shape == (0, 0)


def test_parsed_rows_as_named_inputs(made):
    rows = made.rows.slice(1, 4)
    infos = signatures.read(made.export.path)["serving_default"].inputs
    named = parsed_rows.named(rows, {name: info.rank for name, info in infos.items()})
    np.testing.assert_array_equal(named["distance"], np.float32([10.25, 20.5, 30.75, np.nan]))
    assert named["the.tags"].tolist() == [[b"c", b"b", b""], [b"", b"", b""], [b"x", b"a", b"x"], [b"b", b"", b""]]
    assert named["the.tags_length"].tolist() == [2, 0, 3, 1]
    assert named["stops"].tolist() == [1, 2, 0, 1]
    assert named["stops_length"].tolist() == [1, 1, 0, 1]
    assert named["photo"].tolist() == [bytes([i, 255]) for i in range(1, 5)]
    with pytest.raises(DataError, match="the rows have no 'photo'"):
        parsed_rows.named(rows.drop_columns(["photo"]), {"photo": 1})


def test_parsed_rows_as_examples(made):
    some = parsed_rows.examples(made.rows.slice(4, 1), ["distance", "the.tags"])
    example = tf.train.Example.FromString(some[0])
    assert sorted(example.features.feature) == ["distance", "the.tags"]
    assert ORIGIN not in example.features.feature
    assert parsed_rows.examples(made.rows.slice(0, 0), ["distance"]).shape == (0,)
