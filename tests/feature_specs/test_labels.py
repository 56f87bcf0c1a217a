"""Labels: from values of the data to targets, by hand."""

import math

import pyarrow as pa
import pytest

from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.labels import Label
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

NAN = float("nan")
MISSING = "missing"
"""A target that is null, of a value that is not there."""
NONE = "none of its values"
"""A target that is null, of a value that is there."""


def found(label, values):
    target, known = label.targets(values if isinstance(values, pa.Array) else pa.array(values))
    return [
        (value if value is not None else MISSING) if ok else NONE
        for value, ok in zip(target.to_pylist(), known.to_pylist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        ({"above": 15}, [15.0, 15.1, -3.0, None, NAN], [0, 1, 0, MISSING, MISSING]),
        ({"above": 15}, ["15", "16", "1e9", "NA", "soon", None], [0, 1, 1, MISSING, NONE, MISSING]),
        ({"above": 0.5}, [True, False, None], [1, 0, MISSING]),
        ({"above": 0}, [math.inf, -math.inf], [1, 0]),
        ({}, [1.5, None, NAN], [1.5, MISSING, MISSING]),
        ({}, ["1.5", "2", "NA", "two"], [1.5, 2.0, MISSING, NONE]),
        ({}, [math.inf, 1e300, 1.0], [NONE, NONE, 1.0]),
    ],
)
def test_a_number(rule, values, expected):
    assert found(Label(name="y", **rule), values) == expected


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        ({"positive": ">50K"}, [">50K", "<=50K", ">50K.", None, "NA"], [1, 0, 0, MISSING, MISSING]),
        ({"positive": [">50K", ">50K."]}, [">50K", "<=50K", ">50K."], [1, 0, 1]),
        ({"positive": ">50K", "negative": "<=50K"}, [">50K", "<=50K", "?", None], [1, 0, NONE, MISSING]),
        ({"positive": 1}, [1, 0, 2, None], [1, 0, 0, MISSING]),
        ({"positive": 1}, [1.0, 0.0, 1.5, NAN], [1, 0, 0, MISSING]),
        ({"positive": 1}, [1.0, 2.0**60, math.inf], [1, 0, 0]),
        ({"positive": 2**60}, [2.0**60, 1.0], [1, 0]),
        ({"positive": "1"}, [1, 0], [1, 0]),
        ({"positive": 1}, ["1", "0", "1.0"], [1, 0, 0]),
        ({"positive": "none"}, ["none", "some", "NA", None], [1, 0, MISSING, MISSING]),
    ],
)
def test_a_positive_value(rule, values, expected):
    assert found(Label(name="y", **rule), values) == expected


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        ({}, ["run|kick", " jump ", "", "NA", "run|fly", "kick|", "run|run"],
         [[1, 0, 1], [0, 1, 0], MISSING, MISSING, NONE, [0, 0, 1], [1, 0, 0]]),
        ({"delimiter": ", "}, ["run, kick", "jump"], [[1, 0, 1], [0, 1, 0]]),
        ({}, pa.array([["run", "kick"], [], None, ["fly"], [None, "jump"]], pa.list_(pa.string())),
         [[1, 0, 1], [0, 0, 0], MISSING, NONE, [0, 1, 0]]),
        ({"classes": ["run", ["jump", "leap"]]}, ["leap|run"], [[1, 1]]),
        ({"classes": 3}, pa.array([[0, 2], [], [3]], pa.list_(pa.int64())), [[1, 0, 1], [0, 0, 0], NONE]),
        ({"classes": 3}, ["0|2", "x"], [[1, 0, 1], NONE]),
        ({"classes": ["none", "some"]}, ["none", "NA"], [[1, 0], MISSING]),
    ],
)  # fmt: skip
def test_any_number_of_classes(rule, values, expected):
    label = Label(name="y", **{"classes": ["run", "jump", "kick"], "multi_label": True} | rule)
    assert found(label, values) == expected


@pytest.mark.parametrize("rule", [{"positive": True}, {"positive": True, "negative": False}])
@pytest.mark.parametrize(
    "values",
    [
        [True, False, None], ["True", "False", "NA"], ["true", "false", None], ["yes", "no", None], ["ON", "OFF", ""],
        [1, 0, None], [1.0, 0.0, NAN], ["1", "0", None],
    ],
)  # fmt: skip
def test_true_is_true_however_the_data_writes_it(rule, values):
    assert found(Label(name="y", **rule), values) == [1, 0, MISSING]


@pytest.mark.parametrize("positive", [True, "true", "True", "yes", 1, "1"])
def test_booleans_of_the_data_match_however_the_spec_writes_true(positive):
    assert found(Label(name="y", positive=positive), [True, False, None]) == [1, 0, MISSING]


def test_yes_and_no_in_yaml_are_the_words_of_the_data(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text("columns: [{name: x, kind: numeric}]\nlabels: [{name: y, classes: [no, yes]}]\n")
    from tfloom.feature_specs import load_spec

    label = load_spec(path).label()
    assert label.class_names == ("false", "true")
    assert found(label, ["yes", "no", "maybe"]) == [1, 0, NONE]


@pytest.mark.parametrize(
    ("classes", "values", "expected"),
    [
        (3, [0, 2, 3, -1, None], [0, 2, NONE, NONE, MISSING]),
        (3, ["0", "2.0", "1.5", "x", "NA"], [0, 2, NONE, NONE, MISSING]),
        (2, [True, False], [1, 0]),
        (["a", "b"], ["b", "a", "c", None, "NA"], [1, 0, NONE, MISSING, MISSING]),
        (["small", ["medium", "mid", "M"], "large"], ["M", "medium", "large", "m"], [1, 1, 2, NONE]),
        ([4, 5, 6], [5, 4, 7, None], [1, 0, NONE, MISSING]),
        ([4, 5, 6], [5.0, 6.0, 5.5, NAN], [1, 2, NONE, MISSING]),
        ([4, 5, 6], ["5", "6", "05"], [1, 2, NONE]),
        (["none", "mild", "NA"], ["mild", "none", "NA", "", None], [1, 0, 2, MISSING, MISSING]),
    ],
)
def test_classes(classes, values, expected):
    assert found(Label(name="y", classes=classes), values) == expected


def test_a_class_does_not_depend_on_the_other_rows():
    label = Label(name="y", classes=["1", "1.5"])
    assert found(label, [1.0, 1.5]) == [0, 1]
    assert found(label, [1.0]) + found(label, [1.5]) == [0, 1]


@pytest.mark.parametrize(
    ("rule", "type_", "task", "names"),
    [
        ({}, pa.float32(), "regression", ()),
        ({"above": 1}, pa.int64(), "binary_classification", ("0", "1")),
        ({"positive": "a"}, pa.int64(), "binary_classification", ("0", "1")),
        ({"classes": 3}, pa.int64(), "multiclass_classification", ("0", "1", "2")),
        ({"classes": ["a", ["b", "c"]]}, pa.int64(), "multiclass_classification", ("a", "b")),
        ({"classes": [7, 8]}, pa.int64(), "multiclass_classification", ("7", "8")),
        ({"classes": [False, True]}, pa.int64(), "multiclass_classification", ("false", "true")),
    ],
)
def test_what_learns_it(rule, type_, task, names):
    label = Label(name="y", **rule)
    assert (label.task, label.class_names) == (task, names)
    for kind in (pa.string(), pa.float64()):  # no row at all, too
        assert [part.type for part in label.targets(pa.array([], kind))] == [type_, pa.bool_()]


@pytest.mark.parametrize(
    ("rule", "place", "expected"),
    [
        ({"above": math.inf}, "labels.0.above", "a finite number"),
        ({"above": NAN}, "labels.0.above", "a finite number"),
        ({"above": 1, "classes": 2}, "labels.0", "has above and classes, at most one of above, positive and classes"),
        ({"multi_label": True}, "labels.0", "has multi_label without classes"),
        ({"classes": 2, "delimiter": ","}, "labels.0", "has a delimiter without multi_label"),
        ({"negative": "a"}, "labels.0", "has negative without positive"),
        ({"positive": []}, "labels.0.positive", "or a list of at least 1 item, not 0"),
        ({"positive": ""}, "labels.0.positive", "at least 1 character"),
        ({"positive": 1.5}, "labels.0.positive", "a valid boolean or a valid integer or a valid string"),
        ({"positive": [1, 1.5]}, "labels.0.positive.1", "a valid boolean or a valid integer or a valid string"),
        ({"positive": "a", "negative": ["b", "a"]}, "labels.0", "names 'a' more than once among positive and negative"),
        ({"positive": True, "negative": "1"}, "labels.0", "names True more than once among positive and negative"),
        ({"classes": []}, "labels.0.classes", "a valid integer or a list of at least 2 items, not 0"),
        ({"classes": 1}, "labels.0.classes", "greater than or equal to 2"),
        ({"classes": ["a"]}, "labels.0.classes", "at least 2 items"),
        ({"classes": ["a", []]}, "labels.0.classes.1", "at least 1 item"),
        ({"classes": ["a", ""]}, "labels.0.classes.1", "at least 1 character"),
        ({"classes": ["a", "b", "a"]}, "labels.0", "names 'a' more than once among its classes"),
        ({"classes": ["a", ["b", "a"]]}, "labels.0", "names 'a' more than once among its classes"),
        ({"classes": [1, "1"]}, "labels.0", "names '1' more than once among its classes"),
        ({"classes": [True, "yes"]}, "labels.0", "names 'yes' more than once among its classes"),
        ({"missing": "ignore"}, "labels.0.missing", "'drop', 'keep' or 'reject'"),
        ({"source": 3}, "labels.0.source", "a valid string"),
    ],
)
def test_what_it_cannot_be(rule, place, expected):
    values = {"columns": [{"name": "x", "kind": "numeric"}], "labels": [{"name": "y"} | rule]}
    with pytest.raises(SpecError) as error:
        validate(values, FeatureSpec, "spec")
    assert error.value.what == f"spec: {place}: is not right"
    assert expected in error.value.expected
