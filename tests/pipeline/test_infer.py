"""Rows in, spec out; and the spec preprocesses the rows it was made from."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf
import yaml

from tfloom.feature_specs.errors import DataError
from tfloom.feature_specs.spec import FeatureSpec, load_spec
from tfloom.pipeline.infer import infer, survey
from tfloom.pipeline.preprocess import preprocess

ROWS = 3_000


@pytest.fixture(scope="module")
def census(tmp_path_factory):
    """A train file, and a test file whose labels end in a dot and whose first rows lack a power."""
    rng = np.random.default_rng(5)
    folder = tmp_path_factory.mktemp("census")
    table = pd.DataFrame({
        "id": [f"p{i:05d}" for i in range(ROWS)],
        "born": [str(datetime.date(1950, 1, 1) + datetime.timedelta(int(d))) for d in rng.integers(9_000, size=ROWS)],
        "planet": "earth",
        "nothing": None,
        "age": rng.integers(17, 90, ROWS),
        "work class": rng.choice(["Private", "State-gov", "?"], ROWS),
        "employer": [f"e{i}" for i in rng.integers(1_500, size=ROWS)],
        "month": rng.integers(1, 13, ROWS),
        "power": rng.normal(100, 10, ROWS).round(1).astype(str),
        "height": np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(170, 9, ROWS)),
        "income": rng.choice(["<=50K", ">50K"], ROWS, p=[0.4, 0.6]),
    })  # fmt: skip
    table.to_csv(folder / "a.data", index=False, sep=",")
    table["income"] += "."
    table["id"] = "q" + table["id"]
    table.loc[:9, "power"] = "?"
    table.to_csv(folder / "a.test", index=False)
    return folder


@pytest.fixture(scope="module")
def found(census):
    return survey([census / "a.data", census / "a.test"], "income")


def column(spec, name):
    return {k: v for k, v in spec.to_dict()["columns"][list(spec.by_name).index(name)].items() if k != "name"}


def test_what_becomes_of_each_column(found):
    spec = found.spec
    assert column(spec, "age") == {"kind": "numeric", "scale": "z_score"}
    assert column(spec, "age_q") == {"kind": "bucketized", "source": "age", "quantiles": 10}
    assert column(spec, "age_q_in") == {"kind": "indicator", "of": "age_q"}
    assert column(spec, "work_class") == {"kind": "vocabulary", "source": "work class", "oov_buckets": 1}
    assert column(spec, "work_class_in") == {"kind": "indicator", "of": "work_class"}
    assert column(spec, "employer") == {"kind": "hashed", "buckets": 4096}
    assert column(spec, "employer_vec") == {"kind": "embedded", "of": "employer", "dimension": 16}
    assert column(spec, "month_in") == {"kind": "indicator", "of": "month"}
    assert column(spec, "power") == {"kind": "numeric", "scale": "z_score", "missing": "mean"}
    assert column(spec, "height") == {"kind": "numeric", "scale": "z_score", "missing": "mean", "indicator": True}
    assert spec.to_dict()["inputs"] == {"power": {"dtype": "float32", "na_values": ["?"]}}
    assert spec.groups == {
        "wide": ("born_month", "born_weekday", "age_q", "work_class", "employer", "month", "power_q", "height_q"),
        "deep": (
            "born_cycles", "born_days_share", "age", "age_q_in", "work_class_in", "employer_vec", "month_in", "power",
            "power_q_in", "height", "height_q_in",
        ),
    }  # fmt: skip


def test_what_the_data_says_stands_in_comments(found):
    """Each line before the first column made of what it tells of."""
    lines = found.to_yaml().splitlines()

    def above(name):
        at = next(i for i, line in enumerate(lines) if line.startswith((f"- {{name: {name},", f"- name: {name}")))
        return lines[at - 1]

    assert above("age") == "# age: whole numbers from 17 to 89, 73 different"
    assert above("work_class").startswith("# work class: text, 3 different, 3")
    assert above("employer").startswith("# employer: text, 1,")
    assert above("power").endswith(", 0.2% missing")
    assert above("height").endswith("% missing")
    assert above("born_cycles").startswith("# born: times from 1950-01-0")
    assert above("income") == "# income: 29.9% '>50K', 29.9% '>50K.', 20.1% '<=50K', 20.1% '<=50K.'"


def test_a_text_alike_but_for_a_dot_is_one_class(found, census):
    label = found.spec.label()
    assert (label.positive, label.negative, label.missing) == ((">50K", ">50K."), ("<=50K", "<=50K."), "drop")
    alone = infer(census / "a.data", "income").label()
    assert (alone.positive, alone.negative) == (">50K", "<=50K")


def test_names_that_no_column_may_have():
    """Each keeps what a name may have of it, and what is derived of it follows."""
    numbers, words = [i / 7 for i in range(40)], ["yes", "no"] * 20
    table = {"price (USD)": numbers, "2nd": numbers, "größe": words, "?": words, "column": words, "y": numbers}
    spec = infer(pa.table(table), "y")
    assert {name: column.kind for name, column in spec.by_name.items()} == {
        "price_USD": "numeric", "price_USD_q": "bucketized", "price_USD_q_in": "indicator",
        "column_2nd": "numeric", "column_2nd_q": "bucketized", "column_2nd_q_in": "indicator",
        "gr_e": "vocabulary", "gr_e_in": "indicator", "column": "vocabulary", "column_in": "indicator",
        "column_2": "vocabulary", "column_2_in": "indicator",
    }  # fmt: skip


def test_names_that_are_one_to_tensorflow():
    """Such a spec could not be served: the first is taken. A label gives way to an input of its name."""
    words = ["yes", "no"] * 20
    found = survey(pa.table(dict.fromkeys(["home town", "home_town", "is rich", "is_rich"], words)), "is rich")
    assert [column.source for column in found.spec.columns if column.kind == "vocabulary"] == ["home town", None]
    assert found.left_out == {
        "home_town": "one name with 'home town' to TensorFlow; give one of them another in the data"
    }
    label = found.spec.label()
    assert (label.name, label.input, label.positive) == ("is_rich_label", "is rich", "yes")


def test_what_is_left_out_is_told_in_comments(census):
    found = survey(census / "a.data", "income")
    assert list(found.left_out) == ["id", "planet", "nothing"]
    (census / "spec.yaml").write_text(found.to_yaml())
    assert load_spec(census / "spec.yaml") == found.spec
    assert "#   id: distinct in 100% of rows, as an id is\n" in found.to_yaml()
    assert "#   planet: the same value in every row\n" in found.to_yaml()


def test_the_same_spec_from_a_csv_and_a_frame(census):
    assert infer(pd.read_csv(census / "a.data"), "income") == infer(census / "a.data", "income")


def test_it_preprocesses(found, census, tmp_path):
    files = [census / "a.data", census / "a.test"]
    output = preprocess(found.spec, {None: files}, tmp_path / "out")
    assert output.report["rows"] == {"in": 2 * ROWS, "out": 2 * ROWS, "filtered": 0, "unlabelled": 0, "rejected": 0}
    assert output.num_buckets["work_class"] == 4


def frame(label, **columns):
    return pd.DataFrame({"x": np.arange(len(label)) % 7, "y": label} | columns)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ([0, 1, 1, 1], {"positive": 1, "negative": 0}),
        ([True, False, True, True], {"positive": "true", "negative": "false"}),
        (["no", "Yes", "Yes", None], {"positive": "Yes", "negative": "no"}),
        (["ham", "spam", "ham"], {"positive": "spam", "negative": "ham"}),
        ([2.0, 1.0, 1.0, np.nan], {"positive": 2, "negative": 1}),
        ([0.5, 0.25, 0.5], {"above": 0.375}),
        ([" cat", "dog", "cat.", "cow"], {"classes": [[" cat", "cat."], "cow", "dog"]}),
        ([0, 1, 2, 2], {"classes": 3}),
        ([5, 3, 1, 3], {"classes": [1, 3, 5]}),
        (["a", "7", "b"], {"classes": ["7", "a", "b"]}),
        (list(range(60)), {"classes": 60}),
        (list(range(30, 90)), {}),
        ([1.5, 2.0, 3.25], {}),
    ],
)
def test_labels(values, rule):
    label = infer(frame(values), "y").to_dict()["labels"][0]
    assert label == {"name": "y", "missing": "drop"} | rule


def test_targets_of_an_inferred_label_are_known():
    values = pa.array([" cat", "dog", "cat.", "cow", None])
    target, known = infer(frame(values.to_pylist()), "y").label().targets(values)
    assert target.to_pylist() == [0, 2, 0, 1, None]
    assert all(known.to_pylist())


@pytest.mark.parametrize(
    ("values", "received"),
    [
        ([1, 1, 1], "only 1"),
        ([None, None], "only missing values"),
        ([f"t{i}" for i in range(101)], "101 different texts"),
        ([datetime.datetime(2020, 1, 1 + i) for i in range(3)], "time values"),
    ],
)
def test_a_label_that_cannot_be_learned(values, received):
    with pytest.raises(DataError, match="label: 'y' cannot be learned") as error:
        infer(frame(values), "y")
    assert error.value.received == received


def test_a_label_that_is_no_column():
    with pytest.raises(
        DataError, match="label: the data has no column 'incme'\n  expected: 'income', or another of: income, x"
    ):
        infer(pd.DataFrame({"x": [1, 2], "income": [0, 1]}), "incme")


def test_nothing_to_learn_from():
    with pytest.raises(DataError, match=r"no column is left to learn from[^$]*x: the same value in every row"):
        infer(pd.DataFrame({"x": [1, 1], "y": [0, 1]}), "y")


def test_pictures_lists_and_odd_types():
    png = tf.io.encode_png(tf.zeros([6, 4, 1], tf.uint8)).numpy()
    table = pa.table({
        "image": [png] * 40,
        "noise": [b"no picture"] * 40,
        "tags": [["a", "b"], ["a"]] * 20,
        "vector": [[0.5, 1.5]] * 40,
        "when": pa.array([datetime.datetime(2020, 1, 1)] * 40),
        "2nd": [0, 1] * 20,
        "column_2nd": ["u", "v"] * 20,
        "y": [0, 1] * 20,
    })  # fmt: skip
    found = survey(table, "y")
    assert column(found.spec, "image") == {"kind": "image", "height": 6, "width": 4, "channels": 1}
    assert column(found.spec, "tags") == {"kind": "vocabulary", "oov_buckets": 1}
    assert column(found.spec, "column_2nd") == {"kind": "vocabulary", "source": "2nd", "oov_buckets": 1}
    assert column(found.spec, "column_2nd_2") == {"kind": "vocabulary", "source": "column_2nd", "oov_buckets": 1}
    assert found.spec.groups["images"] == ("image",)
    assert list(found.left_out) == ["noise", "vector", "when"]
    assert found.left_out["when"] == "the same value in every row"


def of(values, name="x"):
    """What a column of these values becomes, in a table with a label that it does not tell."""
    y = np.random.default_rng(3).integers(2, size=len(values))
    return survey(pa.table({name: values, "y": y, "z": y * 0 + np.arange(len(y)) % 5}), "y")


ZEROS = [0.0] * 900 + [1.0 + i / 4 for i in range(100)]


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        (np.random.default_rng(0).normal(size=2_000), {"scale": "z_score"}),
        (np.random.default_rng(0).lognormal(size=2_000), {"log1p": True, "scale": "z_score"}),
        (np.random.default_rng(0).standard_t(2.5, size=2_000).clip(-40, 40), {"scale": "gaussian"}),
        ([None, *range(1, 120)] * 2, {"scale": "z_score", "missing": "mean"}),
        ([None] * 9 + list(np.random.default_rng(0).lognormal(size=200)),
         {"log1p": True, "scale": "z_score", "missing": "median", "indicator": True}),
    ],
)  # fmt: skip
def test_how_a_number_is_scaled(values, fields):
    assert column(of(list(values)).spec, "x") == {"kind": "numeric"} | fields


@pytest.mark.parametrize(
    ("values", "first", "last"),
    [
        (ZEROS, 1.0, 24.5),  # of nine zeros in ten quantiles would make one bucket
        ([-x for x in ZEROS], -24.5, 0.0),
        (ZEROS[:900] + [i / 4 - 12.375 for i in range(100)], -11.0, 11.0),
    ],
)
def test_a_value_of_most_rows_has_a_bucket_of_its_own(values, first, last):
    """And the others share the rest: as many rows each, near enough."""
    edges = column(of(values).spec, "x_q")["boundaries"]
    assert (edges[0], edges[-1]) == pytest.approx((first, last), abs=1.5)
    commonest = max(set(values), key=values.count)
    bucket = np.searchsorted(edges, values, side="right")
    assert set(np.asarray(values)[bucket == np.searchsorted(edges, commonest, side="right")]) == {commonest}
    assert max(np.bincount(bucket[np.asarray(values) != commonest])) <= 60


def test_a_number_of_one_value_is_told_from_a_missing_one():
    spec = of([0.5, None] * 50).spec
    assert column(spec, "x") == {"kind": "numeric", "scale": "z_score", "missing": "mean", "indicator": True}
    assert column(spec, "x_q")["quantiles"] == 10


def test_a_large_vocabulary_of_few_common_values_keeps_those():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in rng.integers(50, size=60_000)] + [f"rare{i}" for i in range(2_000)]
    kept = column(of(words).spec, "x")
    assert kept == {"kind": "vocabulary", "top_k": 50, "oov_buckets": 1}


def test_texts_of_several_values_are_taken_apart():
    rng = np.random.default_rng(0)
    tags = ["rain", "snow", "wind", "sun", "hail", "fog"]
    values = ["|".join(rng.choice(tags, n, replace=False)) for n in rng.integers(1, 5, size=300)]
    spec = of(values).spec
    assert spec.to_dict()["inputs"]["x"] == {"dtype": "string", "delimiter": "|"}
    assert column(spec, "x") == {"kind": "vocabulary", "oov_buckets": 1}
    assert column(spec, "x_in") == {"kind": "indicator", "of": "x"}


def test_a_comma_in_a_name_separates_nothing():
    values = [f"{i % 40} Main Street, Town {i % 37}" for i in range(400)]
    assert "x" not in of(values).spec.inputs


def test_free_text_is_left_to_a_person():
    values = [f"the quick brown fox number {i} jumps over {i % 7} dogs" for i in range(100)]
    assert of(values).left_out == {"x": "free text, about 10 words each: a kind of column that reads words may help"}


HOURS = [datetime.datetime(2020, 1, 1) + datetime.timedelta(hours=7 * i) for i in range(500)]


@pytest.mark.parametrize("as_text", [False, True])
def test_a_time_becomes_its_cycles_and_how_late_it_is(as_text, tmp_path):
    found = of([time.isoformat() for time in HOURS] if as_text else pa.array(HOURS), "when")
    spec = found.spec
    assert column(spec, "when_cycles") == {
        "kind": "date", "source": "when", "parts": ["month", "weekday", "hour"], "cyclical": True,
    }  # fmt: skip
    assert column(spec, "when_hour") == {"kind": "date_part", "source": "when", "part": "hour"}
    assert column(spec, "when_days") == {"kind": "date", "source": "when", "since": "2020-01-01T00:00:00"}
    assert column(spec, "when_days_share") == {"kind": "expression", "of": "when_days / 145", "missing": 0.0}
    assert "when_days" not in spec.groups["deep"]
    assert "# when: times from 2020-01-01 00:00:00 to 2020-05-25 13:00:00, 500 different\n" in found.to_yaml()


def test_a_time_that_rows_lack():
    spec = of([None, "2020-01-01", "2020-01-02", "2020-01-03"] * 20, "when").spec
    assert "when_cycles" not in spec.by_name  # three days tell neither month nor weekday nor hour
    assert column(spec, "when_days")["missing"] == 1.0


def test_places_are_noted():
    rng = np.random.default_rng(0)
    degrees = {
        "pickup_lat": rng.uniform(40.4, 40.9, 200), "pickup_lon": rng.uniform(-74.2, -73.7, 200),
        "dropoff_lat": rng.uniform(40.4, 40.9, 200), "dropoff_lon": rng.uniform(-74.2, -73.7, 200),
        "lat": rng.uniform(100, 120, 200), "lon": rng.uniform(0, 1, 200), "y": rng.integers(2, size=200),
    }  # fmt: skip
    found = survey(pa.table(degrees), "y")
    notes = "\n".join(found.notes["pickup_lat"])
    assert notes.startswith("pickup_lat, pickup_lon: a place, of which could be made\n")
    cell, distance = (yaml.safe_load(line)[0] for line in found.notes["pickup_lat"][1:3])
    assert {key: cell[key] for key in ("kind", "source", "degrees")} == {
        "kind": "geo_cell", "source": ["pickup_lat", "pickup_lon"], "degrees": 0.02,
    }  # fmt: skip
    assert "\n# - {name: pickup_lat_cell, kind: geo_cell, source: [pickup_lat, pickup_lon], " in found.to_yaml()
    assert distance["to"] == ["dropoff_lat", "dropoff_lon"]
    FeatureSpec.model_validate({"columns": [cell, distance]})  # to be taken as they are
    assert len(found.notes["lat"]) == 1  # 120 degrees north is no place


def test_what_may_be_a_leak_is_flagged_and_kept():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=2_000)
    table = {"paid": np.where(y == 1, rng.normal(9, 1, 2_000), np.nan), "age": rng.integers(17, 90, 2_000), "y": y}
    found = survey(pa.table({name: pa.array(x, from_pandas=True) for name, x in table.items()}), "y")
    assert found.suspects == {"paid": "it alone has an AUC of 1.0000"}
    assert "paid" in found.spec.by_name
    assert "# Suspected leaks:\n#   paid: it alone has an AUC of 1.0000\n" in found.to_yaml()


def test_a_late_oddity_is_seen_after_values_are_no_longer_counted(monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.profile.DISTINCT", 10)
    monkeypatch.setattr("tfloom.pipeline.sources.CHUNK_ROWS", 50)
    x = [f"{i}.5" for i in range(400)] + ["?", "NA"]
    spec = infer(pd.DataFrame({"x": x, "y": [0, 1] * 201}), "y")
    assert column(spec, "x") == {"kind": "numeric", "scale": "z_score", "missing": "mean"}
    assert spec.inputs["x"].na_values == ("?",)


@pytest.mark.parametrize("strays", [["?"] * 60, ["A7"], list("abcdef")])
def test_texts_that_are_no_stray_marks_make_a_column_of_texts(strays):
    x = [str(i % 40) for i in range(100 - len(strays))] + strays
    assert column(infer(pd.DataFrame({"x": x, "y": [0, 1] * 50}), "y"), "x")["kind"] == "vocabulary"
