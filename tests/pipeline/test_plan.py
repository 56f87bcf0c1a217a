"""What a job would be: checked, built and not started."""

import pyarrow as pa
import pytest

from tests.conftest import FLIGHTS, flights
from tfloom.feature_specs.errors import DataError, SpecError
from tfloom.feature_specs.spec import FeatureSpec, load_spec
from tfloom.pipeline.plan import plan

DATAFLOW = ["--runner=DataflowRunner", "--project=p", "--region=r", "--temp_location=gs://b/t",
            "--sdk_container_image=i"]  # fmt: skip


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "flights.yaml"
    path.write_text(FLIGHTS)
    return load_spec(path)


def test_steps_stages_and_shuffle(spec):
    told = plan(spec, {None: flights()}, DATAFLOW)
    assert [line.partition(":")[0] for line in told.checked] == [
        "every option is known to Beam, and the runner has those that it needs", "the spec", "data",
        "every column that is read is there",
    ]  # fmt: skip
    assert list(told.steps)[:2] == ["Read", "Ingest"]
    assert "Write graph" in told.steps
    assert all(number > 0 for number in told.steps.values())
    fused = [name for stage in told.stages for name in stage]
    assert set(fused) == set(told.steps)
    assert any({"Read", "Ingest"} <= set(stage) for stage in told.stages)
    assert (told.passes, told.rows) == (1, 72)


def test_what_is_shuffled_grows_with_what_is_learned():
    """A vocabulary of every row's own text is sent about; a mean is a few bytes, however many rows there are."""
    rows = {"id": [f"a text of its own {i}" for i in range(5_000)], "x": [float(i % 10) for i in range(5_000)]}
    table = pa.table(rows)
    mean, texts = (
        plan(FeatureSpec.model_validate({"columns": [column]}), {None: table})
        for column in ({"name": "x", "kind": "numeric", "scale": "z_score"}, {"name": "id", "kind": "vocabulary"})
    )
    assert mean.steps == {}  # this machine would run it
    assert mean.rows == texts.rows
    assert mean.shuffled / 1e6 * mean.rows < 5_000
    assert texts.shuffled / 1e6 * texts.rows > texts.rows * len("a text of its own 0")


@pytest.mark.parametrize(
    ("data", "options", "error", "what"),
    [
        ("flights.csv", [], DataError, "flights.csv: there is no such file"),
        (flights().drop_columns(["carrier"]), [], DataError, "has no column 'carrier'"),
        (flights(), [*DATAFLOW, "--machine_typ=n2"], SpecError, "--machine_typ: is no option of Beam"),
        (flights(), DATAFLOW[:1], SpecError, "--runner DataflowRunner: needs"),
    ],
)
def test_what_could_not_run(spec, data, options, error, what):
    with pytest.raises(error, match=what):
        plan(spec, {None: data}, options)
