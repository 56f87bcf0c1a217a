import functools
import io
import sys
import wave

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.feature_specs.columns import clips
from tests.feature_specs.columns.clips import LEVELS, decoded, encoded, jpegs, levels_of, padded
from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs import storage, video_file
from tfloom.feature_specs.columns.video import Video
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate
from tfloom.pipeline import rows as raw_rows
from tfloom.pipeline.resolve import resolve


def video(**fields):
    told = {"name": "clip", "kind": "video", "frames": 4, "height": 16, "width": 16, "content": "bytes"} | fields
    return Video(**told)


CLIPS = [jpegs(range(20 * i, 20 * i + n)) for i, n in enumerate([1, 2, 3, 4, 5, 6, 7, 8])]
FILES = [clips.video(LEVELS[: i + 2], height=16, width=16) for i in range(8)]
OF_FILES = [video(kept_frames=4).pictures(one) for one in FILES]


def seen(of, which):
    """The pixels of the frames that `which` says of a clip of so many: float32 [B, T, H, W, 3]."""
    return np.float32([[decoded(clip)[i] for i in which(len(clip))] for clip in of])


def middles(count, frames=4):
    """TSN's centre of each segment, in whole numbers."""
    return [(2 * k + 1) * count // (2 * frames) for k in range(frames)]


def in_a_row(count):
    first = max(count - 4 + 1, 1) // 2
    return [(first + k) % count for k in range(4)]


class TestVideo(ColumnContract):
    rows = {"video_frames": pa.array(CLIPS, pa.list_(pa.binary())), "video_file": pa.array(FILES, pa.binary())}
    columns = {
        name: {"kind": "video", "frames": 4, "height": 16, "width": 16, "source": "video_frames", "content": "frames"}
        | own
        for name, own in {
            "video_segments": {"scale": "none"},
            "video_dense": {"scale": "none", "sampling": "dense"},
            "video_imagenet": {},
            "video_file": {"scale": "0_1", "source": "video_file", "content": "bytes", "kept_frames": 4},
        }.items()
    }
    transformed = dict.fromkeys(columns, CLIPS) | {"video_file": OF_FILES}
    encoded = {
        "video_segments": seen(CLIPS, middles),
        "video_dense": seen(CLIPS, in_a_row),
        "video_imagenet": (seen(CLIPS, middles) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
        "video_file": seen(OF_FILES, middles) / 255,
    }
    no_raw = no_transformed = dict.fromkeys(columns, "video has no tf.feature_column")


# -- what is kept of a file -------------------------------------------------------------------------------------------


def kept(given, **fields):
    lists, reasons = video(**fields).ingest(pa.array([given], pa.binary()))
    assert reasons == {}
    return lists.to_pylist()[0]


def which_kept(given, **fields):
    """The frames that are kept, by their grey."""
    nearest = lambda level: int(np.argmin(np.abs(np.array(LEVELS) - level)))
    return [nearest(level) for level in levels_of(kept(given, **fields))]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"kept_frames": 5}, [1, 3, 5, 7, 9]),
        ({"kept_frames": 4}, [1, 3, 6, 8]),
        ({}, list(range(10))),  # there are fewer than 16
        ({"sampling": "dense", "kept_frames": 4}, [3, 4, 5, 6]),
        ({"sampling": "dense", "stride": 3}, [0, 3, 6, 9]),
        ({"sampling": "dense", "stride": 2, "frames": 3, "kept_frames": 3}, [2, 4, 6]),
        ({"frames": 6, "consecutive": 3, "kept_frames": 2}, [2, 3, 4, 6, 7, 8]),
        ({"frames": 24, "consecutive": 12}, [*range(10), 9, 9]),  # past its end the last one is repeated
    ],
)
def test_which_frames_are_kept(fields, expected):
    assert which_kept(clips.video(), **fields) == expected


@pytest.mark.parametrize(
    ("form", "codec"),
    [("mov", "libx264"), ("avi", "mpeg4"), ("avi", "libx264"), ("matroska", "ffv1"), ("webm", "libvpx-vp9")],
)
def test_formats(form, codec):
    assert which_kept(clips.video(form=form, codec=codec)) == list(range(10))


def test_a_path_and_a_part_of_it(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(clips.video())
    of = lambda part: which_kept(f"{path}{part}".encode(), content="path")
    assert kept(str(path).encode(), content="path") == kept(clips.video())
    assert of("#t=0.2,0.5") == [2, 3, 4]
    assert of("#t=0.75") == [8, 9]
    assert of("#t=,0.15") == [0, 1]
    odd = tmp_path / "take #t=2.mp4"
    odd.write_bytes(clips.video())
    assert of("") == which_kept(str(odd).encode(), content="path")


def test_a_file_in_cloud_storage(monkeypatch, tmp_path):
    """It is read as a file object, from wherever FFmpeg wants."""
    (tmp_path / "a.mp4").write_bytes(clips.video())
    monkeypatch.setattr(storage, "is_remote", lambda path: path.startswith("gs://"))
    read = lambda path, _: io.BytesIO((tmp_path / path.removeprefix("gs://bucket/")).read_bytes())
    monkeypatch.setattr(storage, "opened", read)
    assert kept(b"gs://bucket/a.mp4", content="path") == kept(clips.video())
    assert which_kept(b"gs://bucket/a.mp4#t=0.2,0.5", content="path") == [2, 3, 4]
    assert video_file.seconds("gs://bucket/a.mp4") == pytest.approx(1.0)


def test_frames_are_counted_not_timed():
    """Of frames that are shown for different times, each is as much as another."""
    content = clips.of_frames([clips.grey(level) for level in LEVELS], times=[0, 1, 2, 3, 4, 5, 6, 7, 8, 900])
    assert which_kept(content, kept_frames=5) == [1, 3, 5, 7, 9]


def test_a_file_that_is_to_be_turned():
    (picture, *_) = decoded(kept(clips.turned(clips.video(height=32, width=64)), kept_side=32))
    assert picture.shape == (64, 32, 3)
    assert picture[:12].min() > 230  # the left quarter, turned clockwise
    assert picture[20:].max() < 60


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [((33, 47), None, (18, 26)), ((33, 47), 64, (33, 47)), ((48, 32), 24, (36, 24)), ((32, 400), 2, (2, 25))],
)
def test_the_shorter_side_of_what_is_kept(size, side, expected):
    content = clips.video(form="avi", codec="mpeg4", height=size[0], width=size[1])
    assert decoded(kept(content, kept_side=side))[0].shape == (*expected, 3)


def test_what_is_no_clip(tmp_path):
    whole = clips.video(tuple(range(20, 220, 2)), form="matroska")
    sound_alone = tmp_path / "sound.wav"
    with wave.open(str(sound_alone), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\0\0" * 800)
    files = {
        "empty": (b"", "Invalid data found when processing input"),
        "text": (b"no video", "Invalid data found when processing input"),
        "cut.mp4": (clips.video()[:800], "Invalid data found when processing input"),
        "cut.mkv": (whole[: len(whole) // 2], "ends after 3.3 of its 10.0 s"),
        "sound.wav": (sound_alone.read_bytes(), "has no video stream"),
        "gone": (None, "No such file or directory"),
        "a.mp4#t=5,6": (None, "has no frame from 5 to 6 s"),
    }
    (tmp_path / "a.mp4").write_bytes(clips.video())
    for name, (content, _) in files.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name).encode() for name in files]
    lists, reasons = video(content="path").ingest(pa.array([*paths, None, b"", str(tmp_path / "a.mp4").encode()]))
    assert [clip is None for clip in lists.to_pylist()] == [True] * 9 + [False]
    assert reasons == {i: f"clip is no clip: {why}" for i, (_, why) in enumerate(files.values())}


def test_frames_that_no_model_could_decode():
    column = video(content="frames")
    rows = [CLIPS[3], [*CLIPS[3], b"no picture"], jpegs([1]) + jpegs([1], 8, 8), [], None]
    lists, reasons = column.ingest(pa.array(rows, pa.list_(pa.binary())))
    assert lists.to_pylist() == [CLIPS[3], None, None, None, None]
    assert list(reasons) == [1, 2]
    assert reasons[1].startswith("clip is no clip: Unknown image file format. One of JPEG, ")
    assert reasons[2] == "clip is no clip: has frames of 8 x 8 and 16 x 16 pixels"


def test_without_the_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SpecError, match=r"av: is needed to read video") as error:
        video().ingest(pa.array([clips.video()]))
    assert error.value.expected == "pip install 'tfloom[video]'"


# -- what the spec may say --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"short_side": 15}, "a short_side of at least 16, the picture's greater side"),
        ({"test_crops": 3}, "a short_side where there are test_crops: without it the whole picture is seen"),
        ({"kept_frames": 3}, "kept_frames of at least 4, the moments that the model sees"),
        ({"consecutive": 3}, "frames that are a multiple of 3, those of a moment"),
        ({"stride": 2}, "dense sampling where there is a stride"),
    ],
)
def test_fields_that_do_not_fit(fields, expected):
    told = {"name": "x", "kind": "video", "frames": 4, "height": 16, "width": 16} | fields
    with pytest.raises(SpecError) as error:
        validate({"columns": [told]}, FeatureSpec, "spec")
    assert error.value.expected == expected


def two(other, inputs=None):
    """A spec of two columns, the second with fields of its own."""
    fields = {"kind": "video", "frames": 2, "height": 4, "width": 4, "source": "file", "content": "bytes"}
    columns = [{"name": "one"} | fields, {"name": "other"} | fields | other]
    return validate({"columns": columns, "inputs": inputs or {}}, FeatureSpec, "spec")


def test_what_one_input_cannot_be():
    two({"height": 3, "scale": "none"})  # of the same frames
    with pytest.raises(SpecError, match=r"columns.one: columns.other makes something else of 'file'"):
        two({"kept_frames": 3})
    with pytest.raises(SpecError, match=r"columns.one: columns.other makes something else of 'file'"):
        two({"kept_side": 9})


def test_two_inputs_of_one_column_of_the_data():
    files = pa.table({"file": pa.array([*FILES[:2], None, b"no video"], pa.binary())})
    spec = two({"source": "few", "kept_frames": 2, "sampling": "dense"}, {"few": {"source": "file"}})
    assert spec.data_names == ("file",)
    with raw_rows.opened(files, spec.input_sources) as sources:
        spec = resolve(spec, sources)
        ((_, done),) = raw_rows.parsed(spec, sources, labelled=False)
    assert {name: (one.dtype, one.multi_valued) for name, one in spec.inputs.items()} == {
        "file": ("bytes", True), "few": ("bytes", True),
    }  # fmt: skip
    assert [len(clip) for clip in done.rows.column("file").to_pylist()] == [2, 3]
    assert [len(clip) for clip in done.rows.column("few").to_pylist()] == [2, 2]
    assert [(row["column"], row["reason"]) for row in done.rejected] == [
        ("file", "file is missing, and columns.one says nothing of missing values"),
        ("file", "file is no clip: Invalid data found when processing input"),
    ]


def test_lists_in_the_data_are_frames():
    with pytest.raises(SpecError, match="'clip' holds lists"):
        video().ingest(pa.array(CLIPS, pa.list_(pa.binary())))


# -- what the model sees ----------------------------------------------------------------------------------------------

SEEDS = tf.constant([[7, i] for i in range(8)])
LONG = jpegs(range(0, 240, 6))
"""40 frames, told apart by their grey."""


def places(values):
    """Which frames of LONG are seen, by their grey: [B, T] of [B, T, H, W, 3]."""
    return np.rint(np.asarray(values)[:, :, 0, 0, 0] / 6).astype(int)


@pytest.mark.parametrize("frames", [1, 3, 8])
@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 31])
def test_the_middle_of_each_segment(frames, count):
    values = encoded(video(frames=frames, scale="none"), padded([LONG[:count]])).values
    assert places(values).tolist() == [middles(count, frames)]


def test_the_frames_of_a_moment_are_seen_together():
    column = video(frames=6, consecutive=3, scale="none")
    rows = padded([LONG[:12], LONG[:3]])
    assert places(encoded(column, rows).values).tolist() == [[3, 4, 5, 9, 10, 11], [0, 1, 2, 0, 1, 2]]
    pixels = tf.stack([tf.stack(clips.decoded(LONG[:12]))])
    np.testing.assert_array_equal(
        column.served_forms()["clip_uint8"].read(pixels)[0, 0], encoded(column, rows).values[0]
    )
    seen = [places(column.augment(rows, tf.constant([[i, 0], [i, 1]])))[0].tolist() for i in range(20)]
    assert {tuple(one) for one in seen} == {(a, a + 1, a + 2, b, b + 1, b + 2) for a in (0, 3) for b in (6, 9)}


def test_views_of_a_clip():
    column = video(sampling="dense", test_clips=2, scale="none")
    told = encoded(column, padded([LONG, LONG[:10], LONG[:3]]))
    assert told.views == 2
    firsts = [9, 27, 1, 5, 0, 0]
    assert places(told.values).tolist() == [
        [first + k if i < 4 else (first + k) % 3 for k in range(4)] for i, first in enumerate(firsts)
    ]


@pytest.mark.parametrize("wide", [True, False])
def test_three_crops_along_the_longer_side(wide):
    pixels = np.zeros((16, 48, 3), np.uint8)
    pixels[:, 16:32], pixels[:, 32:] = 100, 200
    picture = tf.io.encode_png(pixels if wide else np.rot90(pixels, -1)).numpy()
    told = encoded(video(frames=2, short_side=16, test_crops=3, scale="none"), padded([[picture]]))
    assert told.views == 3
    assert told.values.shape == (3, 2, 16, 16, 3)
    np.testing.assert_array_equal(told.values[:, :, 8, 8, 0], [[0, 0], [100, 100], [200, 200]])


def test_a_row_is_what_it_is_alone():
    column = video(frames=3, short_side=20, test_clips=2, test_crops=3)
    rows = [kept(clips.video()), kept(clips.video(height=48, width=32)), CLIPS[0]]
    together = encoded(column, padded(rows)).values
    alone = [encoded(column, padded([row])).values for row in rows]
    np.testing.assert_array_equal(together, np.concatenate(alone))
    assert encoded(column, padded(rows)[:0]).values.shape == (0, 3, 16, 16, 3)


# -- augment ----------------------------------------------------------------------------------------------------------


@functools.cache
def drawn(sampling, copies=200):
    column = video(sampling=sampling, scale="none")
    seeds = tf.stack([tf.zeros([copies], tf.int32), tf.range(copies)], axis=1)
    return places(tf.function(column.augment)(padded([LONG] * copies), seeds))


def test_any_moment_of_each_segment_is_trained_on():
    assert [set(column) for column in drawn("segments").T] == [set(range(10 * k, 10 * k + 10)) for k in range(4)]


def test_a_dense_clip_is_trained_on_from_anywhere():
    rows = drawn("dense")
    np.testing.assert_array_equal(rows, rows[:, :1] + np.arange(4))
    assert rows.min() == 0
    assert rows.max() == 39
    assert len(set(rows[:, 0])) > 30


@pytest.mark.parametrize("name", ["video_segments", "video_file"])
def test_without_an_augmentation_a_model_is_trained_on_what_it_is_evaluated_on(name):
    """Where each segment has one frame, and where a client sends pixels."""
    column, rows = Video(**{"name": name} | TestVideo.columns[name]), padded([jpegs(range(0, 200, 50))] * 2)
    pixels = column.augment(rows, SEEDS[:2])
    assert (pixels.dtype.name, pixels.shape[1:]) == (column.augmented.dtype, column.augmented.shape)
    np.testing.assert_array_equal(encoded(column, pixels).values, encoded(column, rows).values)


def test_what_is_drawn_for_a_row_does_not_depend_on_its_batch():
    changes = {"crop": [0.2, 0.9], "flip": True, "brightness": 0.3, "contrast": 0.3}
    column, rows = video(augmentation=changes), padded([kept(clips.video())] * 8)
    whole = column.augment(rows, SEEDS).numpy()
    alone = [column.augment(rows[i : i + 1], SEEDS[i : i + 1]).numpy()[0] for i in range(8)]
    np.testing.assert_array_equal(alone, whole)
    assert len({one.tobytes() for one in whole}) == 8
    assert column.augment(rows[:0], SEEDS[:0]).shape == (0, 4, 16, 16, 3)


def test_a_clip_is_mirrored_as_a_whole():
    column = video(augmentation={"flip": True})
    told = column.augment(padded([kept(clips.video())] * 8), SEEDS).numpy()
    white = {(clip[:, 8, 1].min() > 200, clip[:, 8, 14].min() > 200) for clip in told}
    assert white == {(True, False), (False, True)}
    assert all(len({frame[8, 1, 0] > 200 for frame in clip}) == 1 for clip in told)
