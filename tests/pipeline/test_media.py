"""Video files as data: rows of paths, or of windows."""

import pyarrow as pa
import pytest

from tests.feature_specs.columns import clips
from tfloom.feature_specs.errors import DataError, SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline import media, rows
from tfloom.pipeline.resolve import resolve

CLIP = {"name": "clip", "kind": "video", "frames": 2, "height": 8, "width": 8}


def spec(*columns, **inputs):
    return FeatureSpec.model_validate({"columns": list(columns) or [CLIP], "inputs": inputs})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file of one second, one of 2.5, one that is none."""
    made = tmp_path_factory.mktemp("videos")
    (made / "a.mp4").write_bytes(clips.video())
    (made / "b.mkv").write_bytes(clips.video(tuple(range(20, 220, 8)), form="matroska"))
    (made / "bad.avi").write_bytes(b"no video")
    return made


def test_what_are_videos(folder):
    for data in ("a.mp4", folder / "b.MKV", ["a.mov", "b.webm"], "gs://bucket/*.avi"):
        assert media.are_videos(data)
    for data in ("a.csv", ["a.mp4", "a.csv"], [], pa.table({"clip": ["a.mp4"]}), "mp4"):
        assert not media.are_videos(data)


def test_a_row_a_file(folder):
    table = media.table(spec(), [str(folder / "b.mkv"), str(folder / "*.mp4")])
    assert table.to_pylist() == [
        {"file": path, "clip": path} for path in (str(folder / "b.mkv"), str(folder / "a.mp4"))
    ]


def test_the_content_of_files(folder):
    table = media.table(spec(CLIP | {"content": "bytes"}), str(folder / "a.mp4"))
    assert table.to_pylist() == [{"file": str(folder / "a.mp4"), "clip": clips.video()}]


def test_two_columns_of_one_file(folder):
    flow = {"name": "flow", "kind": "optical_flow", "frames": 2, "height": 8, "width": 8}
    assert media.table(spec(CLIP, flow, flow={"source": "clip"}), str(folder / "a.mp4")).column_names == [
        "file",
        "clip",
    ]


@pytest.mark.parametrize(
    ("window", "stride", "expected"),
    [
        (1.0, None, [(0.0, 1.0), (1.0, 2.0)]),
        (1.0, 0.5, [(0.0, 1.0), (0.5, 1.5), (1.0, 2.0), (1.5, 2.5)]),
        (0.5, 1.1, [(0.0, 0.5), (1.1, 1.6)]),
        (9.0, 1.0, [(0.0, 2.5)]),
    ],
)
def test_windows(window, stride, expected, folder):
    path = str(folder / "b.mkv")
    table = media.table(spec(), path, window, stride)
    assert list(zip(table["start"].to_pylist(), table["end"].to_pylist(), strict=True)) == expected
    assert set(table["file"].to_pylist()) == {path}
    assert table["clip"].to_pylist() == [f"{path}#t={start:g},{end:g}" for start, end in expected]


def test_what_is_read_of_a_window(folder):
    """Its frames, by their grey: ten a second, each 8 brighter."""
    data = media.table(spec(CLIP | {"kept_frames": 25}), str(folder / "b.mkv"), 0.5, 1.0)
    with rows.opened(data) as sources:
        told = resolve(spec(CLIP | {"kept_frames": 25}), sources)
        ((_, done),) = rows.parsed(told, sources, labelled=False)
    seen = [
        [round((level - 20) / 8) for level in clips.levels_of(clip)] for clip in done.rows.column("clip").to_pylist()
    ]
    assert seen == [[0, 1, 2, 3, 4], [10, 11, 12, 13, 14], [20, 21, 22, 23, 24]]


def test_what_cannot_be(folder):
    with pytest.raises(DataError, match=r"bad\.avi: cannot be cut into windows"):
        media.table(spec(), str(folder / "bad.avi"), 1.0)
    with pytest.raises(DataError, match=r"gone\.mp4: there is no such file"):
        media.table(spec(), str(folder / "gone.mp4"))
    with pytest.raises(SpecError, match="a video file is no row of this spec") as error:
        media.table(spec(CLIP, CLIP | {"name": "other"}), str(folder / "a.mp4"))
    assert error.value.received == "clip, other"
    with pytest.raises(SpecError, match="a video file is no row of this spec"):
        media.table(spec(CLIP | {"content": "frames"}), str(folder / "a.mp4"))
    with pytest.raises(SpecError, match="of which there are no windows"):
        media.table(spec(CLIP | {"content": "bytes"}), str(folder / "a.mp4"), 1.0)
    with pytest.raises(SpecError, match="stride: is of windows"):
        media.table(spec(), str(folder / "a.mp4"), stride=1.0)


def test_relative_paths_start_at_the_data(folder, tmp_path, monkeypatch):
    """Of whatever format; those of data in memory start where it runs."""
    data = folder / "clips.csv"
    data.write_text(f"clip\na.mp4\n./b.mkv#t=1\n{folder / 'a.mp4'}\nelsewhere/a.mp4\n")
    monkeypatch.chdir(tmp_path)

    def lengths(of):
        with rows.opened(of) as sources:
            told = resolve(spec(), sources)
            ((_, done),) = rows.parsed(told, sources, labelled=False)
        return [len(clip) for clip in done.rows.column("clip").to_pylist()], len(done.rejected)

    assert lengths(str(data)) == ([8, 8, 8], 1)
    table = pa.table({"clip": ["a.mp4", str(folder / "a.mp4")]})
    assert lengths(table) == ([8], 1)
    monkeypatch.chdir(folder)
    assert lengths("clips.csv") == ([8, 8, 8], 1)
    assert lengths(table) == ([8, 8], 0)
