"""What an export can be asked beside raw rows: pixels and frames, where its model reads one column of them alone."""

import base64
import io
import json
import urllib.request

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from PIL import Image as Pillow

import tfloom
from tfloom.feature_specs.directories import ExportDirectory
from tfloom.feature_specs.errors import ArtefactError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.serving import capi, rpc_client

FRAMES, SIZE = 4, 16
CLIP = {"kind": "video", "content": "frames", "frames": FRAMES, "height": SIZE, "width": SIZE, "short_side": SIZE}
TRAIN = {"backbone": {"name": "tsm", "network": "resnet18", "width": 0.125, "dropout": 0.0, "online": True},
         "head": "action_recognition", "label": "action", "epochs": 1, "batch_size": 4}  # fmt: skip


def jpeg(pixels):
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "jpeg", quality=90)
    return file.getvalue()


def pixels(frame):
    return tf.io.decode_jpeg(frame, channels=3, dct_method="INTEGER_ACCURATE").numpy()


def clips(count=8, size=(20, 28)):
    """Clips of 6 to 9 frames of noise."""
    rng = np.random.default_rng(3)
    return [[jpeg(rng.integers(256, size=(*size, 3)).astype(np.uint8)) for _ in range(6 + i % 4)] for i in range(count)]


def exported(folder, column, values, train):
    spec = FeatureSpec.model_validate({
        "columns": [{"name": "clip"} | column],
        "labels": [{"name": "action", "classes": 7}],
        "split": {"by": "column", "source": "part"},
    })  # fmt: skip
    table = pa.table({"clip": values, "action": [i % 7 for i in range(len(values))], "part": ["train"] * len(values)})
    output = tfloom.preprocess(spec, table, folder / "transformed")
    return tfloom.export(tfloom.train(output, folder / "model", train), folder / "export")


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """A fresh network of TSM: its golden rows were run by the C API before it was published."""
    return exported(tmp_path_factory.mktemp("clips"), CLIP, pa.array(clips(), pa.list_(pa.binary())), TRAIN)


def asked(export, signature, **values):
    loaded = tf.saved_model.load(str(export.path))
    told = loaded.signatures[signature](**{name: tf.constant(value) for name, value in values.items()})
    return {name: value.numpy() for name, value in told.items()}


def predicted(export, rows):
    """By the raw rows."""
    loaded = tf.saved_model.load(str(export.path))
    lengths = [len(row) for row in rows]
    padded = [row + [b""] * (max(lengths) - len(row)) for row in rows]
    return loaded.signatures["serving_default"](clip=tf.constant(padded), clip_length=tf.constant(lengths, tf.int64))


@pytest.mark.slow
def test_what_the_card_says(export):
    told = export.model_card["signatures"]
    assert told.keys() == {
        "serving_default", "serving_examples", "transform", "classify", "frames_uint8", "clip_uint8", "frames_jpeg",
        "online",
    }  # fmt: skip
    shapes = {name: told[name]["inputs"][name] for name in ("frames_uint8", "clip_uint8", "frames_jpeg")}
    assert shapes == {
        "frames_uint8": {"dtype": "uint8", "shape": [None, FRAMES, SIZE, SIZE, 3]},
        "clip_uint8": {"dtype": "uint8", "shape": [None, None, None, None, 3]},
        "frames_jpeg": {"dtype": "string", "shape": [None, FRAMES]},
    }
    outputs = {name: told[name]["outputs"] for name in shapes}
    assert all(one == told["serving_default"]["outputs"] for one in outputs.values())


@pytest.mark.slow
def test_golden_rows_and_warm_up_requests(export):
    golden = {path.stem for path in (export.path / "golden").iterdir()}
    assert golden == export.model_card["signatures"].keys()
    from tensorflow_serving.apis import prediction_log_pb2

    records = tf.data.TFRecordDataset(str(export.path / "assets.extra" / "tf_serving_warmup_requests"))
    logs = [prediction_log_pb2.PredictionLog.FromString(one.numpy()).predict_log.request for one in records]
    warm = {log.model_spec.signature_name: log for log in logs}
    assert warm.keys() == golden - {"transform", "classify"}
    assert tf.make_ndarray(warm["frames_uint8"].inputs["frames_uint8"]).shape == (1, FRAMES, SIZE, SIZE, 3)


@pytest.mark.slow
def test_every_form_of_a_clip_gives_what_its_raw_row_gives(export):
    """Of a clip of eight frames four are seen, each second one; a client may cut, decode and resize itself."""
    (row,) = [one for one in clips() if len(one) == 8][:1]
    expected = predicted(export, [row])["logits"]
    seen = row[1::2]
    whole = np.stack([pixels(frame) for frame in row])[None]
    by_clip = asked(export, "clip_uint8", clip_uint8=whole)["logits"]
    by_jpeg = asked(export, "frames_jpeg", frames_jpeg=[seen])["logits"]
    small = [tf.image.resize(pixels(frame), [16, 22])[:, 3:19] for frame in seen]
    frames = np.round(np.stack(small)).astype(np.uint8)[None]
    by_frames = asked(export, "frames_uint8", frames_uint8=frames)["logits"]
    for told in (by_clip, by_jpeg, by_frames):
        np.testing.assert_allclose(told, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_online_the_frames_one_by_one_are_the_clip(export):
    """The mean of their logits, with what a shift hands from one frame to the next going in and out."""
    frames = np.random.default_rng(2).integers(256, size=(2, FRAMES, SIZE, SIZE, 3)).astype(np.uint8)
    told = export.model_card["signatures"]["online"]
    names = [name for name in told["inputs"] if name.startswith("cache_")]
    assert len(names) == 8  # a block each
    caches = {name: np.zeros([2, *told["inputs"][name]["shape"][1:]], np.float32) for name in names}
    assert {name: told["outputs"][name] for name in names} == {name: told["inputs"][name] for name in names}
    expected = asked(export, "frames_uint8", frames_uint8=frames)["logits"]
    logits = []
    for t in range(FRAMES):
        one = asked(export, "online", frame_uint8=frames[:, t], **caches)
        caches = {name: one[name] for name in names}
        logits.append(one["logits"])
    np.testing.assert_allclose(np.mean(logits, axis=0), expected, rtol=1e-5, atol=1e-7)
    alone = asked(export, "online", frame_uint8=frames[:, -1], **{n: 0 * v for n, v in caches.items()})["logits"]
    assert np.abs(alone - logits[-1]).max() > 1e-4  # it does remember


@pytest.mark.slow
def test_a_server_takes_them(export):
    rng = np.random.default_rng(5)
    frames = rng.integers(256, size=(2, FRAMES, SIZE, SIZE, 3)).astype(np.uint8)
    jpegs = [row[:FRAMES] for row in clips(2)]
    with tfloom.serve({"clips": export}, port=0, grpc_port=0) as server:
        url = f"{server.url}/v1/models/clips"
        by_rest = posted(url, {"signature_name": "frames_uint8", "instances": frames.tolist()})
        by_grpc = rpc_client.predict(f"{server.grpc_url}/clips", {"frames_uint8": frames}, "frames_uint8")
        expected = asked(export, "frames_uint8", frames_uint8=frames)["logits"]
        np.testing.assert_allclose([row["logits"] for row in by_rest["predictions"]], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(by_grpc["logits"], expected, rtol=1e-5, atol=1e-6)
        rows = [[{"b64": base64.b64encode(frame).decode()} for frame in row] for row in jpegs]
        by_rest = posted(url, {"signature_name": "frames_jpeg", "instances": rows})
        expected = asked(export, "frames_jpeg", frames_jpeg=jpegs)["logits"]
        np.testing.assert_allclose([row["logits"] for row in by_rest["predictions"]], expected, rtol=1e-5, atol=1e-6)
        told = posted(url, {"signature_name": "frames_uint8", "instances": frames[:, :3].tolist()})
        assert "frames_uint8: is of another shape" in told["error"]
        assert f"[None, {FRAMES}, {SIZE}, {SIZE}, 3]" in told["error"]


def posted(url, body):
    request = urllib.request.Request(f"{url}:predict", json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


@pytest.mark.slow
@pytest.mark.parametrize(("signature", "value"), [
    ("frames_uint8", np.zeros([1, 2 * FRAMES, SIZE, SIZE, 3], np.uint8)),
    ("frames_jpeg", np.array([[jpeg(np.zeros([4, 4, 3], np.uint8))] * (2 * FRAMES)], object)),
])  # fmt: skip
def test_another_number_of_frames_is_an_error_to_the_c_api_too(export, signature, value):
    """Of twice as many, not two clips."""
    with pytest.raises(ArtefactError, match=rf"Shape of tensor .* is not compatible with expected shape \[\?,{FRAMES}"):
        capi.run(export.path, [(signature, {signature: value})])


def test_a_picture_of_any_size(tmp_path):
    rng = np.random.default_rng(1)
    pictures = [jpeg(rng.integers(256, size=(20, 28, 3)).astype(np.uint8)) for _ in range(8)]
    column = {"kind": "image", "height": 8, "width": 8, "short_side": 10}
    train = {"backbone": {"name": "cnn", "filters": [4]}, "label": "action", "epochs": 1, "batch_size": 4}
    made = exported(tmp_path, column, pictures, train)
    assert made.model_card["signatures"]["image_uint8"]["inputs"]["image_uint8"]["shape"] == [None, None, None, 3]
    expected = tf.saved_model.load(str(made.path)).signatures["serving_default"](clip=tf.constant(pictures))["logits"]
    told = asked(made, "image_uint8", image_uint8=np.stack([pixels(one) for one in pictures]))["logits"]
    np.testing.assert_allclose(told, expected, rtol=1e-5, atol=1e-6)


def test_a_model_that_reads_more_than_the_clip_has_none(trained):
    assert ExportDirectory.open(trained.folder / "export" / "1").model_card["signatures"].keys() == {
        "serving_default", "serving_examples", "transform", "classify", "regress",
    }  # fmt: skip
