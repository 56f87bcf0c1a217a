"""Beam's options: told from ours, known to Beam, and such that a job can run by them."""

import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions, StandardOptions, WorkerOptions

from tfloom.feature_specs.errors import SpecError
from tfloom.pipeline.engines.beam_options import COMMON, RUNNERS, checked, divided, help_of, names

OURS = {"--output": True, "-o": True, "--examples": True, "--overwrite": False}
DATAFLOW = ["--runner=DataflowRunner", "--project=p", "--region=r", "--temp_location=gs://b/t"]


def refused(function, *arguments):
    with pytest.raises(SpecError) as told:
        function(*arguments)
    return told.value.what, told.value.expected, told.value.received


def test_options_are_told_apart():
    arguments = (
        "spec.yaml --runner dataflow a.csv --overwrite b.csv -o out --labels a=1 --no_use_public_ips --labels=b=2"
    )
    assert divided([*arguments.split(), "--examples", "--odd"], OURS) == (
        ["spec.yaml", "a.csv", "--overwrite", "b.csv", "-o", "out", "--examples", "--odd"],
        ["--runner", "dataflow", "--labels", "a=1", "--no_use_public_ips", "--labels=b=2"],
    )


def test_what_stands_behind_two_dashes_is_ours():
    assert divided(["--project", "p", "--", "--project"], OURS) == (["--", "--project"], ["--project", "p"])


@pytest.mark.parametrize(
    ("typo", "nearest"),
    [
        ("--exmaples", "--examples"),
        ("--machine_typ=n2", "--machine_type"),
        ("--machine-type", "--machine_type"),
        ("--num_worker", "--num_workers"),
    ],
)
def test_a_typo_is_an_error(typo, nearest):
    what, expected, received = refused(divided, ["spec.yaml", typo, "x"], OURS)
    assert what == f"{typo.partition('=')[0]}: there is no such option"
    assert expected.startswith(f"'{nearest}', or another of: ")
    assert received == typo


def test_an_option_without_its_value():
    what, expected, _ = refused(divided, ["spec.yaml", "--project"], OURS)
    assert (what, expected) == ("--project: lacks its value", "--project VALUE")


def test_they_are_beams_own():
    options = checked([*DATAFLOW, "--machine_type", "n2-standard-4", "--labels=a=1", "--setup_file=./setup.py"])
    assert options.view_as(WorkerOptions).machine_type == "n2-standard-4"
    assert options.view_as(GoogleCloudOptions).labels == ["a=1"]


@pytest.mark.parametrize("given", [*RUNNERS, "flink", "Portable", "PRISMRUNNER", "Direct", "DirectRunner"])
def test_runners_as_beam_spells_them(given):
    needed = [*DATAFLOW[1:], "--sdk_container_image=i"] if given == "DataflowRunner" else []
    runner = checked(["--runner", given, *needed]).view_as(StandardOptions).runner
    # DirectRunner would first try a runner that it must download.
    assert runner == {"flink": "FlinkRunner", "Portable": "PortableRunner", "PRISMRUNNER": "PrismRunner"}.get(
        given, "FnApiRunner" if given.startswith("Direct") else given
    )


@pytest.mark.parametrize(
    ("options", "what", "expected"),
    [
        (["--project=p"], "--runner: is missing", "--runner with one of: DataflowRunner"),
        (["--runner=dask"], "--runner: DaskRunner of Beam cannot run the job: it fails even", "one of: DataflowRunner"),
        (["--runner=FlinkRuner"], "--runner: 'FlinkRuner' is none that we run on", "'FlinkRunner', or another of"),
        (["--runner=flink", "--paralelism=2"], "--paralelism: is no option of Beam", "'--parallelism', or another of"),
        (["--runner=flink", "--parallelism=all"], "--parallelism: cannot be read", "a whole number"),
        (["--runner=flink", "--flink_version=1"], "--flink_version: cannot be read", "one of: 1.19"),
        (["--runner=flink", "--streaming"], "--streaming: is not for this job", "the job is a batch job"),
        (DATAFLOW[:2], "--runner DataflowRunner: needs --temp_location and --region too", "--project PROJECT"),
        (DATAFLOW, "--runner DataflowRunner: its workers would have no tfloom", "--sdk_container_image IMAGE"),
    ],
)
def test_a_job_that_could_not_run(options, what, expected, monkeypatch):
    monkeypatch.delenv("CLOUDSDK_COMPUTE_REGION", raising=False)
    told = refused(checked, options)
    assert told[0].startswith(what)
    assert told[1].startswith(expected)
    assert told[2]


def test_the_help_knows_every_option_that_it_shows():
    for name in (name for group in COMMON.values() for name in group):
        assert f"--{name}" in names()
        assert help_of(name).endswith((".", ")"))


def test_beam_has_none_of_our_options():
    from typer.main import get_command

    from tfloom.cli import app

    ours = {name for one in get_command(app).commands["preprocess"].params for name in one.opts} - {"--help"}
    assert ours & set(names()) == set()
