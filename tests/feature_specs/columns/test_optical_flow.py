import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.feature_specs.columns import clips
from tests.feature_specs.columns.clips import decoded, encoded, jpegs, padded
from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.columns.optical_flow import OpticalFlow
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate


def flow(**fields):
    told = {
        "name": "flow",
        "kind": "optical_flow",
        "frames": 2,
        "height": 16,
        "width": 16,
        "content": "bytes",
        "stack": 2,
    }
    return OpticalFlow(**told | fields)


def texture():
    """Smooth noise, uint8 [96, 128]."""
    noise = np.random.default_rng(5).normal(size=(96, 128))
    frequencies = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.fftfreq(128)[None])
    smooth = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-((frequencies * 12) ** 2))).real
    return np.uint8(np.interp(smooth, [smooth.min(), smooth.max()], [0, 255]))


def moving(right, down, frames=6):
    """A file of a texture that moves by so many pixels a frame, 64 x 48 of it."""
    whole = texture()
    window = lambda i: whole[24 - down * i :, 32 - right * i :][:48, :64]
    return clips.of_frames([np.dstack([window(i)] * 3) for i in range(frames)], form="avi", codec="ffv1")


def grey(levels):
    return [tf.io.encode_jpeg(np.full((16, 16, 1), level, np.uint8)).numpy() for level in levels]


CLIPS = [grey(range(10 * i, 10 * i + 4 * n)) for i, n in enumerate([1, 2, 3, 1, 2, 3, 1, 2])]
FILES = [moving(i, 1, frames=3) for i in range(8)]
OF_FILES = [flow(method="farneback", kept_side=32).pictures(one) for one in FILES]


def seen(of, frames=2, stack=2):
    """The middle of each segment: float32 [B, T, H, W, 2 * stack]."""
    rows = []
    for clip in of:
        fields = np.float32([one[..., 0] for one in decoded(clip)]).reshape(
            -1, 2 * stack, *decoded(clip[:1])[0].shape[:2]
        )
        rows.append([np.moveaxis(fields[(2 * k + 1) * len(fields) // (2 * frames)], 0, -1) for k in range(frames)])
    return np.float32(rows)


class TestOpticalFlow(ColumnContract):
    rows = {"flow_fields": pa.array(CLIPS, pa.list_(pa.binary())), "flow_file": pa.array(FILES, pa.binary())}
    columns = {
        "flow_fields": {"kind": "optical_flow", "content": "frames", "frames": 2, "stack": 2, "height": 16,
                        "width": 16},
        "flow_file": {"kind": "optical_flow", "content": "bytes", "frames": 2, "stack": 2, "height": 32, "width": 43,
                      "scale": "none", "method": "farneback", "kept_side": 32},
    }  # fmt: skip
    transformed = {"flow_fields": CLIPS, "flow_file": OF_FILES}
    encoded = {"flow_fields": seen(CLIPS) / 127.5 - 1, "flow_file": seen(OF_FILES)}
    no_raw = no_transformed = dict.fromkeys(columns, "optical_flow has no tf.feature_column")


def fields(content, **told):
    """Fields of a file in pixels: float32 [moments, stack, 2, H, W]."""
    column = flow(**told)
    levels = np.float32([one[..., 0] for one in decoded(column.pictures(content))])
    return (levels * (2 * column.bound / 255) - column.bound).reshape(-1, column.stack, 2, *levels.shape[1:])


@pytest.mark.parametrize("method", ["dis", "farneback", "tv_l1"])
def test_how_a_video_moves(method):
    told = fields(moving(2, -1), method=method, kept_side=48)
    assert told.shape == (4, 2, 2, 48, 64)
    inner = told[..., 12:-12, 12:-12]
    assert np.median(inner[:, :, 0]) == pytest.approx(2, abs=0.2)
    assert np.median(inner[:, :, 1]) == pytest.approx(-1, abs=0.2)


def test_what_moves_further_than_the_bound():
    told = fields(moving(3, 0), bound=2.0, kept_side=48)
    assert np.median(told[:, :, 0, 12:-12, 12:-12]) == 2.0


def test_a_video_that_does_not_move_or_has_one_frame():
    for frames in (4, 1):
        told = fields(clips.video((90,) * frames, form="avi", codec="ffv1"))
        assert len(told) == max(frames - 2, 1)
        assert np.abs(told).max() < 0.2


def test_a_video_that_is_too_small():
    lists, reasons = flow().ingest(pa.array([clips.video(height=8, width=48)]))
    assert lists.to_pylist() == [None]
    assert reasons == {0: "flow is no clip: is of 48 x 8 pixels, too few to tell how they move"}


def test_fields_that_stand_alone():
    lists, reasons = flow(content="frames").ingest(pa.array([jpegs([1] * 4), jpegs([1] * 6)], pa.list_(pa.binary())))
    assert [one is None for one in lists.to_pylist()] == [False, True]
    assert reasons == {1: "flow is no clip: has 6 pictures, which is no multiple of 4"}


def test_mirrored_is_to_move_the_other_way():
    column = flow(augmentation={"flip": True}, frames=1, scale="none")
    levels = np.arange(100, 116, dtype=np.uint8)
    pictures = [tf.io.encode_png(np.broadcast_to(levels + 20 * i, (16, 16))[..., None]).numpy() for i in range(4)]
    told = column.augment(padded([pictures] * 8), tf.constant([[3, i] for i in range(8)])).numpy()[:, 0, 0]
    as_it_was = np.stack([levels + 20 * i for i in range(4)], axis=-1)
    mirrored = as_it_was[::-1].astype(int)
    mirrored[:, ::2] = 255 - mirrored[:, ::2]
    is_mirrored = [bool((one == mirrored).all()) for one in told]
    assert all(flips or (one == as_it_was).all() for flips, one in zip(is_mirrored, told, strict=True))
    assert {True, False} == set(is_mirrored)
    np.testing.assert_array_equal(encoded(column, padded([pictures])).values[0, 0, 0], as_it_was)


def test_flow_has_no_colours():
    told = {
        "name": "x",
        "kind": "optical_flow",
        "frames": 2,
        "height": 4,
        "width": 4,
        "augmentation": {"contrast": 0.1},
    }
    with pytest.raises(SpecError) as error:
        validate({"columns": [told]}, FeatureSpec, "spec")
    assert error.value.expected == "an augmentation without brightness and contrast, which flow does not have"
