"""Every backbone over clips, from video files to the answer of a server, with one real file at the end."""

import json
import urllib.request

import pytest

import tfloom
from tests.feature_specs.columns import clips
from tfloom.feature_specs import discovery
from tfloom.feature_specs.features import Clip
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.backbone import Backbone

pytestmark = pytest.mark.slow

_PLAIN = ("tsn", "tsm", "trn", "stm", "tam", "i3d", "region_graph", "two_stream")
FAMILIES = {
    **{name: {"network": "resnet18", "width": 0.25} for name in _PLAIN},
    **{name: {"network": "resnet18", "width": 0.5} for name in ("action", "tdn")},
    **{name: {"width": 0.125} for name in ("tea", "eco_lite", "eco_full")},
    "resnet50_v1": {},
}
"""Of each the fields that make it small."""

CLIP = {"name": "clip", "kind": "video", "frames": 8, "height": 32, "width": 32, "scale": "none"}
FLOW = {"name": "flow", "kind": "optical_flow", "frames": 8, "stack": 2, "height": 32, "width": 32}


def test_no_family_is_left_out():
    every = discovery.names("tfloom.trainers.backbones")
    classes = (discovery.the_class("tfloom.trainers.backbones", name, Backbone, "name") for name in every)
    assert set(FAMILIES) == {name for name, one in zip(every, classes, strict=True) if (Clip,) in one.accepts.values()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve files, the later half brighter, and their table."""
    made, lines = tmp_path_factory.mktemp("clips"), ["clip,bright"]
    for i in range(12):
        levels = tuple(range(20 + 10 * i, 20 + 10 * i + 60, 4))
        (made / f"{i}.mp4").write_bytes(clips.video(levels, height=48, width=64))
        lines.append(f"{i}.mp4,{i // 6}")
    (made / "clips.csv").write_text("\n".join(lines) + "\n")
    return made


@pytest.mark.parametrize("name", FAMILIES)
def test_from_files_to_a_server(name, folder, tmp_path):
    spec = {"columns": [CLIP], "labels": [{"name": "bright", "classes": 2}], "split": {"by": "hash", "test": 0}}
    if name == "tdn":
        spec["columns"] = [CLIP | {"frames": 40, "consecutive": 5}]
    if name == "two_stream":
        spec |= {"columns": [CLIP, FLOW], "inputs": {"flow": {"source": "clip"}}}
        spec["groups"] = {"clip": ["clip"], "flow": ["flow"]}
    output = tfloom.preprocess(FeatureSpec.model_validate(spec), folder / "clips.csv", tmp_path / "transformed")
    assert output.report["rows"]["out"] == 12
    train_spec = {
        "head": "action_recognition",
        "backbone": {"name": name} | FAMILIES[name],
        "epochs": 1,
        "batch_size": 4,
    }
    export = tfloom.export(tfloom.train(output, tmp_path / "model", train_spec), tmp_path / "export")

    told = tfloom.predict(export, str(folder / "3.mp4"))
    assert told["file"].to_pylist() == [str(folder / "3.mp4")]
    (scores,) = told["probabilities"].to_pylist()
    assert sum(scores) == pytest.approx(1.0)

    body = json.loads((export.path / "golden" / "serving_default.json").read_text())["inputs"]
    request = json.dumps({"signature_name": "serving_default", "inputs": body}).encode()
    with tfloom.serve({"clips": export}, port=0) as server:
        url = f"{server.url}/v1/models/clips:predict"
        with urllib.request.urlopen(urllib.request.Request(url, request)) as answer:
            outputs = json.load(answer)["outputs"]
    golden = json.loads((export.path / "golden" / "serving_default.json").read_text())["outputs"]
    assert outputs["class_ids"] == golden["class_ids"]
    assert outputs["probabilities"] == [pytest.approx(row, rel=1e-5) for row in golden["probabilities"]]
