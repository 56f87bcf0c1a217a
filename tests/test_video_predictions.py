"""From clips in a folder to predictions for files, and for windows of them."""

import numpy as np
import pyarrow as pa
import pytest

import tfloom
from tests.feature_specs.columns import clips
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.errors import DataError
from tfloom.trainers import export
from tfloom.trainers.servable import Servable

SPEC = """\
columns:
- {name: clip, kind: video, frames: 2, height: 8, width: 8, scale: none}
labels:
- {name: bright, positive: 1}
split: {by: column, source: part}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips of one grey each; a.mp4 becomes brighter, 0.8 a frame; clips.csv, whose last row has no file."""
    made = tmp_path_factory.mktemp("clips")
    (made / "spec.yaml").write_text(SPEC)
    (made / "a.mp4").write_bytes(clips.video(tuple(range(20, 220, 8))))
    lines = ["clip,bright,part", "a.mp4,1,train"]
    for i in range(4):
        (made / f"{i}.mp4").write_bytes(clips.video((50 * i + 20,) * 5))
        lines.append(f"{i}.mp4,{i // 2},{'train' if i else 'eval'}")
    (made / "clips.csv").write_text("\n".join([*lines, "gone.mp4,0,train"]) + "\n")
    return made


@pytest.fixture(scope="module")
def exported(folder, tmp_path_factory):
    """A model that tells the mean grey of the right half of what it sees."""
    out = tmp_path_factory.mktemp("export")
    output = tfloom.preprocess(folder / "spec.yaml", str(folder / "clips.csv"), out / "transformed", max_rejected=0.2)
    assert output.report["rows"] == {"in": 6, "out": 5, "filtered": 0, "unlabelled": 0, "rejected": 1}

    def predict(columns):
        clip = Encoded(output.spec.by_name, columns, {}, {}).feature("clip").values
        return {"grey": clip[:, :, 4, 6, 0]}

    card = {"model": None, "transformed": str(output.path), "fingerprint": output.fingerprint, "task": "columns"}
    export.write(Servable(output, predict=predict, variables=[]), output, out / "export" / "1", card)
    return out / "export"


def test_predictions_for_files(exported, folder):
    told = tfloom.predict(exported, [str(folder / "3.mp4"), str(folder / "a.mp4")])
    assert told.column_names == ["file", "grey"]
    assert told["file"].to_pylist() == [str(folder / "3.mp4"), str(folder / "a.mp4")]
    np.testing.assert_allclose(told["grey"].to_pylist(), [[170, 170], [20 + 8 * 7, 20 + 8 * 20]], atol=3)
    of_rows = tfloom.predict(exported, pa.table({"clip": told["file"]}))
    assert of_rows["grey"].to_pylist() == told["grey"].to_pylist()


def test_predictions_along_a_file(exported, folder):
    told = tfloom.predict(exported, str(folder / "a.mp4"), window=0.4, stride=1.0)
    assert told.column_names == ["file", "start", "end", "grey"]
    assert told["start"].to_pylist() == [0.0, 1.0, 2.0]
    assert told["end"].to_pylist() == [0.4, 1.4, 2.4]
    np.testing.assert_allclose(told["grey"].to_pylist(), [[28 + s, 44 + s] for s in (0, 80, 160)], atol=3)


def test_a_file_that_is_no_video(exported, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    told = tfloom.predict(exported, str(tmp_path / "bad.mp4"))
    assert told["grey"].to_pylist() == [None]
    assert told["rejected"].to_pylist() == ["clip is no clip: Invalid data found when processing input"]


def test_windows_are_of_videos(exported, folder):
    with pytest.raises(DataError, match="window: is of video files"):
        tfloom.predict(exported, str(folder / "clips.csv"), window=1.0)
