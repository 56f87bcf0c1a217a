"""From a file to a value, or to an error that names file, line and place."""

import pytest

from tfloom.feature_specs import load_spec
from tfloom.feature_specs.errors import SpecError

COLUMNS = "columns: [{name: x, kind: numeric}]\n"


@pytest.fixture
def refused(tmp_path):
    """What is said of a file, its name in place of its path."""

    def loading(text, name="spec.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(SpecError) as error:
            load_spec(path)
        parts = (error.value.what, error.value.expected, error.value.received)
        return tuple(part.replace(str(path), name) for part in parts)

    return loading


# -- the line ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what", "expected"),
    [
        ("version: 1\ncolumns:\n  - name: x\n    kind: numeric\n    scal: z_score\n",
         "spec.yaml, line 5: columns.0.scal: there is no 'scal'", "'scale', or another of: "),
        ("version: 1\n" + COLUMNS + "wher: x == 1\n",
         "spec.yaml, line 3: wher: there is no 'wher'", "'where', or another of: columns, groups, inputs, key, labels"),
        (COLUMNS + "labels:\n  - {name: y}\n  - {name: z, abov: 1}\n",
         "spec.yaml, line 4: labels.1.abov: there is no 'abov'",
         "'above', or another of: above, classes, delimiter, missing"),
        (COLUMNS + "labels:\n  - name: y\n    positive:\n      - a\n      - 1.5\n",
         "spec.yaml, line 6: labels.0.positive.1: is not right", "a valid boolean or a valid integer or a valid"),
        (COLUMNS + "split:\n  by: hash\n  evl: 0.1\n",
         "spec.yaml, line 4: split.evl: there is no 'evl'", "'eval', or another of: by, eval, of, source, test"),
        (COLUMNS + "split:\n  by: tim\n  source: t\n",
         "spec.yaml, line 3: split.by: there is no 'tim'", "'time', or another of: column, hash, time"),
        ("columns:\n  - {name: x, kind: numeric}\n  - {name: a.b, kind: embedded, of: y, dimension: 1}\n",
         "spec.yaml, line 3: columns.a.b.of: there is no column 'y'", "one of: a.b, x"),
        ("columns:\n  - {name: x, kind: hashed, buckets: 9}\n  - name: c\n    kind: crossed\n    buckets: 9\n"
         "    of:\n      - x\n      - inptu: y\n",
         "spec.yaml, line 8: columns.1.of.1.inptu: there is no 'inptu'", "'input', or another of: input"),
        (COLUMNS + "inputs:\n  x:\n    dtype: float\n",
         "spec.yaml, line 4: inputs.x.dtype: is not right", "'float32', 'int64', 'string' or 'bytes'"),
        (COLUMNS + "groups:\n  deep: [x]\n  wide: [y]\n",
         "spec.yaml, line 4: groups.wide: there is no column 'y'", "one of: x"),
        (COLUMNS + "where: x = 1\n",
         "spec.yaml, line 2: where: not an expression of its grammar", "comparisons of a column with a value"),
        ("version: 1\n", "spec.yaml: columns: is missing", "a value for 'columns'"),
        ("columns:\n  - kind: numeric\n", "spec.yaml, line 2: columns.0.name: is missing", "a value for 'name'"),
        ("columns:\n  - x\n", "spec.yaml, line 2: columns.0: is not right", "a mapping"),
        ("columns:\n  x: {kind: numeric}\n", "spec.yaml, line 1: columns: is not right", "a list"),
    ],
)  # fmt: skip
def test_the_line_of_what_is_wrong(refused, text, what, expected):
    told = refused(text)
    assert told[0] == what
    assert told[1].startswith(expected)


def test_the_line_in_json(refused):
    what, *_ = refused(
        '{\n  "columns": [\n    {"name": "x", "kind": "numeric",\n     "scal": "none"}\n  ]\n}\n', "spec.json"
    )
    assert what == "spec.json, line 4: columns.0.scal: there is no 'scal'"


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan"])
@pytest.mark.parametrize(
    ("text", "place"),
    [
        (COLUMNS + "labels: [{name: y, above: VALUE}]", "labels.0.above"),
        ("columns: [{name: x, kind: numeric, missing: VALUE}]", "columns.0.missing"),
        ("columns: [{name: x, kind: bucketized, boundaries: [VALUE]}]", "columns.0.boundaries.0"),
    ],
)
def test_a_number_of_a_spec_is_finite(refused, text, place, value):
    what, expected, received = refused(text.replace("VALUE", value))
    assert what.endswith(f": {place}: is not right")
    assert "a finite number" in expected
    assert received == value.replace(".", "")


# -- no spec at all ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "what", "received"),
    [
        ("columns: [\n", "spec.yaml", "spec.yaml: is not YAML or JSON", "while parsing a flow node"),
        ("columns: x: y\n", "spec.yaml", "spec.yaml: is not YAML or JSON", "mapping values are not allowed here"),
        ("{'columns': []}", "spec.json", "spec.json: is not YAML or JSON", "Expecting property name"),
        (b"columns: \xff\n", "spec.yaml", "spec.yaml: is not YAML or JSON", "'utf-8' codec can't decode byte 0xff"),
        (COLUMNS + "split: {by: time, source: t, test: 2013-13-45}", "spec.yaml", "spec.yaml: is not YAML or JSON",
         "month must be in 1..12"),
        ("[" * 5000, "spec.yaml", "spec.yaml: is not YAML or JSON", ""),
        ("x: !!python/object:os.system {}", "spec.yaml", "spec.yaml: is not YAML or JSON",
         "could not determine a constructor"),
        ("", "spec.yaml", "spec.yaml: is not a mapping", "None"),
        ("# nothing yet\n", "spec.yaml", "spec.yaml: is not a mapping", "None"),
        ("- a\n- b\n", "spec.yaml", "spec.yaml: is not a mapping", "['a', 'b']"),
        ("columns", "spec.yaml", "spec.yaml: is not a mapping", "'columns'"),
        ("3", "spec.json", "spec.json: is not a mapping", "3"),
    ],
)  # fmt: skip
def test_what_is_no_spec(refused, text, name, what, received):
    told = refused(text, name)
    assert told[0] == what
    assert told[1] in (
        "a YAML or JSON file",
        "one of: columns, groups, inputs, key, labels, split, version, weight, where",
    )
    assert received in told[2]


@pytest.mark.parametrize(
    ("text", "name", "what"),
    [
        (COLUMNS + "key: [a]\n" + COLUMNS, "spec.yaml", "spec.yaml, line 3: 'columns' is there already"),
        ("columns:\n  - name: x\n    kind: numeric\n    kind: hashed\n", "spec.yaml",
         "spec.yaml, line 4: 'kind' is there already"),
        ('{"version": 1,\n "version": 1}', "spec.json", "spec.json, line 2: 'version' is there already"),
    ],
)  # fmt: skip
def test_a_key_stands_once(refused, text, name, what):
    assert refused(text, name)[0] == what


def test_a_file_that_cannot_be_read(tmp_path):
    for path, received in ((tmp_path / "nowhere.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(SpecError) as error:
            load_spec(path)
        assert (error.value.what, error.value.expected, error.value.received) == (
            f"{path}: cannot be read", "a YAML or JSON file", received,
        )  # fmt: skip


def test_a_vocabulary_file_that_is_absent(tmp_path, refused):
    what, expected, received = refused("columns: [{name: town, kind: vocabulary, vocabulary_file: towns.txt}]")
    assert what == "columns.town.vocabulary_file: there is no such file"
    assert expected == "a file; a relative path starts at the spec's folder"
    assert received == str(tmp_path / "towns.txt")
