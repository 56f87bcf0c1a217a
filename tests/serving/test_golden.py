"""An export whose outputs are not the trainer's is found out before it is published."""

import json

import numpy as np
import pytest

from tfloom.feature_specs.errors import ArtefactError
from tfloom.serving import golden
from tfloom.serving.equality import differing, same_width


def tamper(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def plant(values):
    """Change one number by a little."""

    def change(value):
        value["outputs"][values][0][0] += 1e-4

    return change


def test_a_good_export(made):
    assert golden.check(made.export.path) == ["serving_default", "transform"]


def test_another_padding_of_ids_is_the_same(copied):
    tamper(copied.export.path / "golden/transform.json", lambda g: g["outputs"].update(tags=[[2, -1]], stops=[[-1]]))
    golden.check(copied.export.path)


@pytest.mark.parametrize(
    ("signature", "change", "told"),
    [
        ("serving_default", plant("logits"), "'logits' of signature 'serving_default' differs from golden in 1 of 2"),
        (
            "serving_default",
            lambda g: g["outputs"]["class_ids"].reverse(),
            "'class_ids' of signature 'serving_default' differs",
        ),
        (
            "serving_default",
            lambda g: g["outputs"].update(classes=[["0"], ["1"]]),
            "'classes' of signature 'serving_default' differs",
        ),
        ("serving_default", lambda g: g["outputs"].pop("classes"), "outputs are not those of the signature"),
        ("serving_default", lambda g: g["inputs"].update(more=[1]), "inputs are not those of the signature"),
        ("serving_default", lambda g: g["inputs"].update(stops=[[0, 3]]), r"expected: \[None\]\n  received: \[1, 2\]"),
        (
            "serving_default",
            lambda g: g["outputs"]["logits"].pop(),
            "'logits' of signature 'serving_default' has another shape",
        ),
        (
            "transform",
            lambda g: g["outputs"].update(distance=[[0.10000001]]),
            "'distance' of signature 'transform' differs",
        ),
        (
            "transform",
            lambda g: g["outputs"].update(tags=[[1]]),
            "'tags' .* differs from golden in 1 of 1 values, the first at .0, 0.\n  expected: 1\n  received: 2",
        ),
        (
            "transform",
            lambda g: g.update(signature_name="transfrom"),
            "no signature 'transfrom'\n  expected: 'transform'",
        ),
        ("transform", lambda g: g.pop("inputs"), "is no golden file"),
    ],
)
def test_what_check_finds(copied, signature, change, told):
    tamper(copied.export.path / f"golden/{signature}.json", change)
    with pytest.raises(ArtefactError, match=told):
        golden.check(copied.export.path)


def test_no_golden_rows(copied):
    for path in (copied.export.path / "golden").iterdir():
        path.write_text("{")
    with pytest.raises(ArtefactError, match="cannot be read"):
        golden.check(copied.export.path)
    for path in (copied.export.path / "golden").iterdir():
        path.unlink()
    with pytest.raises(ArtefactError, match="has no golden rows"):
        golden.check(copied.export.path)


def test_equality():
    other_nan = np.uint32([0xFFC00001]).view(np.float32)[0]
    a = np.float32([1, np.nan, 0.0, np.inf, -np.inf, 1, 1e6])
    b = np.float32([1, other_nan, -0.0, np.inf, np.inf, 1.0000019, 1e6 + 0.5])
    assert differing(a, b).tolist() == [False, True, True, False, True, True, True]
    assert differing(a, b, exact=False).tolist() == [False, False, False, False, True, False, False]
    assert differing(np.float32([1, np.inf]), np.float32([1.00001, 1]), exact=False).all()
    assert differing(np.array([b"a", b"b"], object), np.array([b"a", b"c"], object)).tolist() == [False, True]
    assert not differing(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)).any()
    x, y = same_width(np.int64([[1], [2]]), np.int64([[1, -1], [2, 3]]))
    assert differing(x, y).tolist() == [[False, False], [False, True]]
