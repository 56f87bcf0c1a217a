"""The spec as a value: what holds it together, how it is written and read, what follows from it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tfloom.feature_specs import json_schema, load_spec
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.inputs import served_name
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(
    path for path in (ROOT / "examples").glob("*.yaml") if "columns" in yaml.safe_load(path.read_text())
)  # the others are train specs

FULL = """
version: 1
inputs:
  tags: {dtype: string, delimiter: "|"}
  hours-per-week: {dtype: float32, na_values: ["?"], optional: true}
columns:
  - {name: hours, kind: numeric, source: hours-per-week, scale: z_score, missing: mean}
  - {name: route, kind: crossed, of: [{input: origin}, dest, hour], buckets: 1000}
  - {name: tags, kind: hashed, buckets: 100}
  - {name: hour, kind: bucketized, source: time, boundaries: [600, 900.5]}
  - {name: dest, kind: vocabulary, vocabulary: [LAX, SFO], oov_buckets: 1}
  - {name: dest_vec, kind: embedded, of: dest, dimension: 4}
labels:
  - {name: late, source: arr_delay, above: 15, missing: drop}
  - {name: rich, source: income, positive: [">50K", ">50K."], negative: "<=50K"}
  - {name: size, classes: [small, [medium, M, 3], true]}
key: [flight]
where: "cancelled == 0 and `hours-per-week` is not missing"
split: {by: time, source: date, eval: 2013-11-01, test: 2013-12-01T06:00:00}
groups:
  wide: [route, tags]
  deep: [hours, dest_vec]
"""


@pytest.fixture
def write(tmp_path):
    def writing(text, name="spec.yaml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return writing


@pytest.fixture
def full(write):
    return load_spec(write(FULL))


def spec_of(*columns, **fields):
    return FeatureSpec.model_validate({"columns": list(columns)} | fields)


X = {"name": "x", "kind": "numeric"}


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_reads_as_it_was_written(path, write):
    spec = load_spec(path)
    assert load_spec(write(spec.to_yaml())) == spec
    assert load_spec(write(spec.to_json(), "spec.json")) == spec


def test_every_kind_of_field_reads_as_it_was_written(full, write):
    assert load_spec(write(full.to_yaml())) == full
    assert load_spec(write(full.to_json(), "spec.json")) == full
    assert full.labels[2].classes == ("small", ("medium", "M", 3), True)


def test_json_may_be_indented_by_tabs_and_begin_with_a_mark(full, write):
    text = json.dumps(full.to_dict(), indent="\t")
    assert load_spec(write("\ufeff" + text, "spec.json")) == full


@pytest.mark.parametrize(
    "split",
    [
        {"by": "hash"}, {"by": "hash", "of": ["day"], "eval": 0.2},
        {"by": "column", "source": "fold", "eval": [8, True]},
        {"by": "time", "source": "t", "test": "2013-12-01T00:00:00+02:00"},
    ],
)  # fmt: skip
def test_a_split_reads_as_it_was_written(split, write):
    spec = spec_of(X, split=split)
    assert load_spec(write(spec.to_yaml())) == spec


def test_it_is_written_without_what_is_left_at_its_default():
    spec = spec_of(
        X, {"name": "y", "kind": "numeric", "scale": "none", "missing": 0}, split={"by": "hash", "eval": 0.1}
    )
    assert spec.to_dict() == {"version": 1, "columns": [X, {"name": "y", "kind": "numeric", "missing": 0.0}]}
    assert spec.to_yaml() == (
        "version: 1\ncolumns:\n- {name: x, kind: numeric}\n- {name: y, kind: numeric, missing: 0.0}\n"
    )


def test_a_file_that_it_names_is_found_from_anywhere(tmp_path, monkeypatch, write):
    (tmp_path / "towns.txt").write_text("Graz\n")
    monkeypatch.chdir(tmp_path)
    write("columns: [{name: town, kind: vocabulary, vocabulary_file: towns.txt}]")
    spec = load_spec("spec.yaml")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "spec.yaml").write_text(spec.to_yaml())
    monkeypatch.chdir("/")
    assert load_spec(tmp_path / "elsewhere" / "spec.yaml") == spec


def test_loading_imports_neither_tensorflow_nor_pandas(write):
    program = f"import tfloom, sys; tfloom.load_spec({str(write(FULL))!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert {"tensorflow", "keras", "pandas", "apache_beam"}.isdisjoint(done.stdout.split())


def test_it_is_frozen_and_can_be_compared(full, write):
    with pytest.raises(ValueError, match="frozen"):
        full.where = None
    assert full == load_spec(write(FULL))
    assert full != full.model_copy(update={"where": None})


# -- its JSON Schema --------------------------------------------------------------------------------------------------

CHECKS = {
    "const": lambda value, told: value == told,
    "enum": lambda value, told: value in told,
    "minimum": lambda value, told: value >= told,
    "maximum": lambda value, told: value <= told,
    "exclusiveMinimum": lambda value, told: value > told,
    "exclusiveMaximum": lambda value, told: value < told,
    "minItems": lambda value, told: len(value) >= told,
    "maxItems": lambda value, told: len(value) <= told,
    "minLength": lambda value, told: len(value) >= told,
    "pattern": lambda value, told: re.search(told, value) is not None,
    "required": lambda value, told: set(told) <= set(value),
}
TYPES = {"string": str, "integer": int, "number": int | float, "boolean": bool, "array": list, "object": dict}
SILENT = {"title", "description", "default", "$defs", "discriminator", "format", "properties", "additionalProperties"}


def fits(value, schema, root):
    """JSON Schema, as much of it as a spec's schema uses; a word that is new here is an error."""
    if unknown := schema.keys() - CHECKS.keys() - SILENT - {"$ref", "anyOf", "oneOf", "items", "prefixItems", "type"}:
        raise NotImplementedError(unknown)  # of this test, and not of the schema: to be added to CHECKS
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema or "oneOf" in schema:
        found = [fits(value, one, root) for one in schema.get("anyOf", schema.get("oneOf"))]
        return any(found) if "anyOf" in schema else sum(found) == 1
    if schema.get("type") == "null":
        return value is None
    kind = TYPES[schema["type"]] if "type" in schema else object
    if not isinstance(value, kind) or (isinstance(value, bool) and kind not in (bool, object)):
        return False
    if isinstance(value, list):
        first = schema.get("prefixItems", ())
        each = [*first, *[schema.get("items", {})] * (len(value) - len(first))]
        if not all(fits(one, of, root) for one, of in zip(value, each, strict=False)):
            return False
    if isinstance(value, dict):
        others = schema.get("additionalProperties", True)
        of_key = {key: schema.get("properties", {}).get(key, others) for key in value}
        if not all(one is not False and (one is True or fits(value[key], one, root)) for key, one in of_key.items()):
            return False
    return all(check(value, schema[word]) for word, check in CHECKS.items() if word in schema)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_json_schema_takes_the_examples(path):
    schema = json_schema()
    assert fits(yaml.safe_load(path.read_text()), schema, schema)


@pytest.mark.parametrize(
    "change",
    [
        {"wher": "x == 1"}, {"version": 2}, {"columns": []}, {"columns": [{"name": "x"}]}, {"split": {"eval": 0.2}},
        {"columns": [X | {"scal": "z_score"}]}, {"columns": [X | {"scale": "zscore"}]},
        {"columns": [X | {"name": "1"}]}, {"split": {"by": "hash", "eval": 1}}, {"groups": {"wide": []}},
        {"columns": [X | {"kind": "numerical"}]}, {"columns": [X | {"missing": "nothing"}]},
        {"columns": [{"name": "x", "kind": "hashed"}]}, {"labels": [{"name": "y", "classes": 1}]},
        {"labels": [{"name": "y", "classes": []}]}, {"inputs": {"x": {"dtype": "float"}}}, {"labels": [{}]},
    ],
    ids=str,
)  # fmt: skip
def test_the_json_schema_and_the_spec_refuse_the_same(change):
    schema, values = json_schema(), {"columns": [X]} | change
    assert fits({"columns": [X]}, schema, schema)
    assert not fits(values, schema, schema)
    with pytest.raises(SpecError):
        validate(values, FeatureSpec, "spec")


# -- what holds it together -------------------------------------------------------------------------------------------

HASHED = {"name": "h", "kind": "hashed", "buckets": 10}


@pytest.mark.parametrize(
    ("fields", "what", "expected"),
    [
        ({"columns": [X, X]}, "'x' names two columns or labels", "a name of its own for each"),
        ({"columns": [X], "labels": [{"name": "x"}]}, "'x' names two columns or labels", "a name of its own"),
        ({"columns": [X | {"source": "y"}], "labels": [{"name": "y"}]},
         "labels.y: columns.x reads an input of this name", "another name; `source` says"),
        ({"columns": []}, "columns: is not right", "a list of at least 1 item, not 0"),
        ({"columns": [X | {"name": "2nd"}]}, "columns.0.name: is not right", "String should match pattern"),
        ({"columns": [{"name": "x"}]}, "columns.0.kind: is missing", "one of bucketized, "),
        ({"columns": [X | {"kind": "numerc"}]}, "columns.0.kind: there is no 'numerc'", "'numeric', or another of: "),
        ({"columns": [X, HASHED, {"name": "e", "kind": "embedded", "of": "hh", "dimension": 2}]},
         "columns.e.of: there is no column 'hh'", "'h', or another of: e, h, x"),
        ({"columns": [X, {"name": "e", "kind": "embedded", "of": "x", "dimension": 2}]},
         "columns.e.of: 'x' has no ids", "a categorical column"),
        ({"columns": [{"name": "a", "kind": "crossed", "of": ["b", "h"], "buckets": 9}, HASHED,
                      {"name": "b", "kind": "crossed", "of": ["h", "a"], "buckets": 9}]},
         "columns: a column is made of itself", "columns made of others, without a cycle"),
        ({"columns": [X], "groups": {"wide": ["y"]}}, "groups.wide: there is no column 'y'", "one of: x"),
        ({"columns": [X], "groups": {"wide": []}}, "groups.wide: is not right", "a list of at least 1 item"),
        ({"columns": [X], "groups": {"wide": ["x", "x"]}}, "groups.wide: names 'x' more than once", "each column once"),
        ({"columns": [X], "groups": {"wide": "x"}}, "groups.wide: is not right", "a list"),
        ({"columns": [X], "inputs": {"z": {}}}, "inputs.z: no column reads it", "one of: x"),
        ({"columns": [X], "inputs": {"x": {"dtyp": "int64"}}}, "inputs.x.dtyp: there is no 'dtyp'", "'dtype', or "),
        ({"columns": [X], "version": 2}, "version: is not right", "1"),
        ({"columns": [X], "where": "x ="}, "where: not an expression of its grammar", "comparisons of a column"),
        ({"columns": [X], "lables": []}, "lables: there is no 'lables'", "'labels', or another of: columns, groups"),
        ({"columns": [X, {"name": "y", "kind": "numeric", "source": "X"}]},
         "columns: the inputs 'x' and 'X' are one name to a client", "and not in case alone"),
        ({"columns": [X | {"source": "a b"}, {"name": "y", "kind": "numeric", "source": "a-b"}]},
         "columns: the inputs 'a b' and 'a-b' are one name to a client", "names that differ in letters, digits or _"),
    ],
)  # fmt: skip
def test_what_it_cannot_be(fields, what, expected):
    with pytest.raises(SpecError) as error:
        validate(fields, FeatureSpec, "spec")
    assert error.value.what == f"spec: {what}"
    assert error.value.expected.startswith(expected) or error.value.expected.endswith(expected)


def test_a_cycle_is_told_in_its_order():
    cross = {"kind": "crossed", "buckets": 9}
    columns = [cross | {"name": "a", "of": ["b", "h"]}, HASHED, cross | {"name": "b", "of": ["h", "a"]}]
    with pytest.raises(SpecError) as error:
        validate({"columns": columns}, FeatureSpec, "spec")
    assert error.value.received in ("a -> b -> a", "b -> a -> b")


@pytest.mark.parametrize(
    ("name", "served"),
    [
        ("age", "age"), ("hours-per-week", "hours-per-week"), ("a.b", "a.b"), ("home town", "home_town"),
        ("2nd", "input_2nd"), ("_x", "input__x"), ("Größe (m²)", "Gr__e__m__"), ("class", "input_class"),
        ("None", "input_None"), ("self", "input_self"), ("", "input_"),
    ],
)  # fmt: skip
def test_what_a_client_calls_an_input(name, served):
    assert served_name(name) == served


@given(st.text())
def test_a_client_can_call_every_input_by_a_name_of_tensorflow(name):
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", served_name(name))


# -- what follows from it ---------------------------------------------------------------------------------------------


def test_a_column_comes_after_those_it_is_made_of(full):
    order = [column.name for column in full.in_order]
    assert sorted(order) == sorted(column.name for column in full.columns)
    assert order.index("route") > max(order.index("dest"), order.index("hour"))
    assert order.index("dest_vec") > order.index("dest")


def test_what_it_reads(full):
    assert full.input_names == ("hours-per-week", "origin", "tags", "time", "dest")
    labels = ("arr_delay", "income", "size")
    assert full.data_names == (*full.input_names, *labels, "cancelled", "date", "flight")
    assert full.columns_read == full.data_names


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"key": ["id"]}, ("x", "id")),
        ({"key": ["id"], "split": {"by": "hash", "of": ["day"]}}, ("x", "day", "id")),
        ({"key": ["id"], "split": {"by": "column", "source": "fold"}}, ("x", "fold", "id")),
        ({"weight": {"source": "w"}, "split": {"by": "column", "source": "fold"}}, ("x", "w", "fold")),
        ({"split": {"by": "hash", "of": ["x"]}, "where": "y == 1 or x == 2"}, ("x", "y")),
    ],
)
def test_the_columns_of_the_data_that_are_read(fields, expected):
    assert spec_of(X, **fields).columns_read == expected


def test_groups(full):
    assert {group: [c.name for c in members] for group, members in full.model_groups.items()} == {
        "wide": ["route", "tags"], "deep": ["hours", "dest_vec"],
    }  # fmt: skip
    assert [column.name for column in full.model_inputs] == ["route", "tags", "hours", "dest"]
    assert [column.name for column in full.materialised] == ["hours", "route", "tags", "hour", "dest"]


def test_without_groups_there_is_one_of_what_no_other_is_made_of(full):
    alone = full.model_copy(update={"groups": {}})
    assert {g: [c.name for c in m] for g, m in alone.model_groups.items()} == {
        "features": ["hours", "route", "tags", "dest_vec"]
    }


def test_the_label_that_is_asked_for(full):
    assert full.label("rich").input == "income"
    assert spec_of(X, labels=[{"name": "y"}]).label().name == "y"
    with pytest.raises(
        SpecError, match="there is no label 'ritch'\n  expected: 'rich', or another of: late, rich, size"
    ):
        full.label("ritch")
    with pytest.raises(SpecError, match=r"labels: not exactly one\n.*\n  received: late, rich, size"):
        full.label()
    with pytest.raises(SpecError, match=r"labels: not exactly one\n.*\n  received: no labels"):
        spec_of(X).label()


@pytest.mark.parametrize(
    ("column", "rows"),
    [
        ({"kind": "numeric"}, 1_000),
        ({"kind": "image", "height": 8, "width": 8}, 1_000),
        ({"kind": "image", "height": 224, "width": 224}, 55),
        ({"kind": "video", "frames": 8, "height": 224, "width": 224}, 6),
        ({"kind": "video", "frames": 8, "height": 224, "width": 224, "test_clips": 10}, 1),
    ],
)
def test_a_model_is_asked_for_as_many_rows_as_have_room(column, rows):
    assert FeatureSpec.model_validate({"columns": [{"name": "x"} | column]}).batch_rows == rows
