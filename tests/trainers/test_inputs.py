"""A transform output as batches: every row once, in an order that is a function of the seed and the epoch."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfloom.feature_specs.directories import ORIGIN
from tfloom.feature_specs.errors import ArtefactError
from tfloom.trainers import inputs

TRAIN = [i for i in range(180) if i % 3 != 2]


def numbers(data):
    """Which rows they are, batch by batch."""
    return [(np.ravel(features["x"]) * 128).astype(int).tolist() for features, *_ in data]


def told(output, batch_size=16, **fields):
    return numbers(inputs.batches(output, "train", batch_size, output.spec.label("late"), **fields))


def flat(batches):
    return [i for batch in batches for i in batch]


def test_rows_as_they_lie(transformed_files):
    assert told(transformed_files) == [TRAIN[i : i + 16] for i in range(0, 120, 16)]


def test_the_order_is_a_function_of_the_seed_and_the_epoch(transformed_files):
    orders = {order: told(transformed_files, order=order) for order in [(0, 0), (0, 1), (1, 0), (1, 1)]}
    assert orders == {order: told(transformed_files, order=order) for order in orders}
    assert len({str(one) for one in [*orders.values(), told(transformed_files)]}) == 5


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_an_epoch_has_every_row_exactly_once(transformed_files, epoch):
    assert sorted(flat(told(transformed_files, order=(5, epoch)))) == TRAIN


def test_the_rows_of_all_files_are_mixed(transformed_files):
    """The second file's first row is 90; of the first half of an epoch about as many rows are of each."""
    assert len(transformed_files.examples("train")) == 2
    half = flat(told(transformed_files, order=(0, 0)))[:60]
    assert 20 < sum(i >= 90 for i in half) < 40


@pytest.mark.parametrize("order", [None, (3, 1)])
@pytest.mark.parametrize("skip", [1, 7, 8])
def test_batches_that_are_skipped(transformed_files, order, skip):
    """Eight batches, the last of eight rows."""
    whole = told(transformed_files, order=order)
    assert [len(batch) for batch in whole] == [16] * 7 + [8]
    assert told(transformed_files, order=order, skip=skip) == whole[skip:]


def test_every_column_of_a_batch(transformed_files):
    features, labels = next(iter(inputs.batches(transformed_files, "train", 4, transformed_files.spec.label("y"))))
    assert features.keys() == {"x", "town", "tags"}
    assert features["x"].dtype == labels.dtype == tf.float32
    assert features["x"].numpy().tolist() == [[0], [1 / 128], [3 / 128], [4 / 128]]
    assert features["town"].dtype == features["tags"].dtype == tf.int64
    assert features["town"].numpy().tolist() == [[0], [1], [3], [0]]
    assert features["tags"].numpy().tolist() == [[-1, -1, -1], [0, -1, -1], [0, 1, 2], [-1, -1, -1]]
    assert labels.numpy().tolist() == [-2.75, 0.0, 2.75, -1.25]


def test_ids_are_as_wide_as_the_batch_asks_for(transformed_files):
    widths = [batch["tags"].shape[1] for batch in inputs.batches(transformed_files, "train", 1)]
    assert widths == [i % 4 for i in TRAIN]


def test_a_binary_label_is_int64(transformed_files):
    _, labels = next(iter(inputs.batches(transformed_files, "train", 4, transformed_files.spec.label("late"))))
    assert labels.dtype == tf.int64
    assert labels.numpy().tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize("label", ["kept", "kept_value"])
def test_rows_without_a_label_are_left_out_where_it_is_read(transformed_files, label):
    data = [*inputs.batches(transformed_files, "train", 16, transformed_files.spec.label(label))]
    known = [i for i in TRAIN if i % 10 != 4]
    assert flat(numbers(data)) == known
    labels = np.concatenate([labels for _, labels in data])
    low = 0 if label == "kept" else -1
    assert labels.tolist() == [1 if i % 2 else low for i in known]
    assert {len(value) for features, labels in data for value in features.values()} <= {len(y) for _, y in data}
    assert flat(numbers((one,) for one in inputs.batches(transformed_files, "train", 16))) == TRAIN


def trained_on(output, order, **fields):
    """Batches of (which row it is, by its pixels as they are; what a model is trained on; its label)."""
    data = inputs.batches(output, "train", 8, output.spec.labels[0], order=order, **{"training": True} | fields)
    return [
        [
            (same.numpy().tobytes(), photo.numpy().tobytes(), int(label))
            for same, photo, label in zip(features["same"], features["photo"], labels, strict=True)
        ]
        for features, labels in data
    ]


def test_what_a_picture_becomes_is_a_function_of_the_seed_the_epoch_and_its_place(transformed_pictures):
    orders = {order: trained_on(transformed_pictures, order) for order in [(0, 0), (0, 1), (1, 0)]}
    assert orders == {order: trained_on(transformed_pictures, order) for order in orders}
    for order, batches in orders.items():
        assert trained_on(transformed_pictures, order, skip=2) == batches[2:]
    drawn = [{same: photo for same, photo, _ in flat(batches)} for batches in orders.values()]
    assert [len(one) for one in drawn] == [32] * 3  # four rows have no label
    for one, other in itertools.combinations(drawn, 2):
        assert one.keys() == other.keys()
        assert [same for same in one if one[same] == other[same]] == []


def test_what_is_evaluated_is_not_augmented(transformed_pictures):
    label = transformed_pictures.spec.labels[0]
    features, _ = next(iter(inputs.batches(transformed_pictures, "train", 8, label)))
    assert {name: one.dtype for name, one in features.items()} == {"photo": tf.string, "same": tf.string}


def test_what_a_model_is_trained_on_is_as_its_signature_says(transformed_pictures):
    spec = transformed_pictures.spec
    data = inputs.batches(transformed_pictures, "train", 8, spec.labels[0], training=True)
    told = inputs.labelled_signature(spec, spec.labels[0], training=True)
    for one in (told, data.element_spec):
        assert {name: (spec.dtype, spec.shape[1:]) for name, spec in one[0].items()} == {
            "photo": ("float32", (6, 6, 3)),
            "same": ("float32", (8, 8, 3)),
        }


def test_every_row_says_where_it_came_from(transformed_files):
    (features,) = inputs.with_origins(transformed_files, "eval", 100)
    assert numbers([(features,)]) == [[i for i in range(180) if i % 3 == 2]]
    rows = [origin.decode().rpartition(":")[2] for origin in features[ORIGIN].numpy()]
    assert rows == [str(i % 90) for i in range(180) if i % 3 == 2]


def test_a_split_without_rows(transformed_files):
    with pytest.raises(ArtefactError) as error:
        inputs.batches(transformed_files, "test", 16)
    assert error.value.what == f"{transformed_files.path}: the split 'test' has no rows"
    assert error.value.expected == "one of train, eval"


def test_keras_inputs(transformed_files):
    made = inputs.keras_inputs(transformed_files)
    assert {name: (one.shape, one.dtype) for name, one in made.items()} == {
        "x": ((None, 1), "float32"),
        "town": ((None, None), "int64"),
        "tags": ((None, None), "int64"),
    }
