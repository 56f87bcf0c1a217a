import functools
import io
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.clip_column import _decoded
from tfloom.feature_specs.columns.video import Video
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.errors import SpecError

LEVELS = [20 * i + 30 for i in range(10)]


@functools.cache
def mp4(levels=tuple(LEVELS), height=32, width=48, as_format="mp4", codec="libx264", rate=10):
    """The content of a file whose frames are of one grey each, a white stripe at the left edge."""
    file = io.BytesIO()
    with av.open(file, "w", format=as_format) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for level in levels:
            pixels = np.full((height, width, 3), level, np.uint8)
            pixels[:, : width // 4] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def video(**fields):
    return Video(**{"name": "clip", "kind": "video", "frames": 4, "height": 16, "width": 16} | fields)


def jpegs(levels, height=16, width=16):
    return [cv2.imencode(".jpg", np.full((height, width, 3), level, np.uint8))[1].tobytes() for level in levels]


CLIPS = [jpegs(range(10 * i, 10 * i + n)) for i, n in enumerate([1, 2, 3, 4, 5, 6, 7, 8])]


def folder_of_clips():
    """Made once, for the rows of the contract."""
    folder = Path(tempfile.mkdtemp())
    for i in range(8):
        (folder / f"{i}.mp4").write_bytes(mp4(tuple(LEVELS[: i + 2])))
    return folder


def levels_seen(clip, sampled):
    return [np.broadcast_to(float(np.mean(_decoded(clip[i], 3).numpy())), (16, 16, 3)) for i in sampled]


SEGMENTS = [[int((k + 0.5) * len(clip) / 4) for k in range(4)] for clip in CLIPS]
DENSE = [[(max(len(clip) - 4 + 1, 1) // 2 + k) % len(clip) if len(clip) >= 4 else k % len(clip) for k in range(4)]
         for clip in CLIPS]  # fmt: skip


class TestVideo(ColumnContract):
    rows = {"video_frames": pa.array(CLIPS, pa.list_(pa.binary()))}
    columns = {
        "video_segments": {"kind": "video", "source": "video_frames", "content": "frames", "frames": 4,
                           "height": 16, "width": 16, "kept_frames": 8, "scale": "none"},
        "video_0_1": {"kind": "video", "source": "video_frames", "content": "frames", "frames": 4,
                      "height": 16, "width": 16, "kept_frames": 8, "scale": "0_1"},
    }  # fmt: skip
    transformed = dict.fromkeys(columns, CLIPS)
    encoded = {
        "video_segments": np.float32([levels_seen(clip, s) for clip, s in zip(CLIPS, SEGMENTS, strict=True)]),
        "video_0_1": np.float32([levels_seen(clip, s) for clip, s in zip(CLIPS, SEGMENTS, strict=True)]) / 255,
    }
    no_raw = no_transformed = dict.fromkeys(columns, "video has no tf.feature_column")


def seen(column, clips):
    value = tf.ragged.constant(clips).to_tensor(b"")
    return Encoded({column.name: column}, {column.name: value}, {}, {}).feature(column.name)


def test_frames_of_a_file_are_kept_evenly(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(mp4())
    lists, reasons = video(kept_frames=5).ingest(pa.array([str(path).encode()]))
    assert reasons == {}
    (clip,) = lists.to_pylist()
    levels = [float(np.mean(_decoded(picture, 1)[:, 20:])) for picture in clip]
    assert levels == pytest.approx([LEVELS[i] for i in (1, 3, 5, 7, 9)], abs=2)


def test_what_is_no_clip(tmp_path):
    paths = {"empty": b"", "text": b"no video", "cut": mp4()[:400]}
    for name, content in paths.items():
        (tmp_path / name).write_bytes(content)
    lists, reasons = video().ingest(
        pa.array([*(str(tmp_path / name).encode() for name in (*paths, "gone")), None, b""])
    )
    assert lists.to_pylist() == [None] * 6
    assert list(reasons) == [0, 1, 2, 3]
    assert reasons[3] == "clip is no clip: No such file or directory"


def test_lists_in_the_data_are_frames():
    with pytest.raises(SpecError, match="'clip' holds lists"):
        video().ingest(pa.array(CLIPS, pa.list_(pa.binary())))
