"""The job as Dataflow gets it, and what is told of it: no Google, but the pipeline that was submitted really runs."""

import contextlib
import importlib.util
import io
import json
import logging
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import apache_beam as beam
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.dataflow import dataflow_runner

import tfloom
from tests.cli.conftest import run
from tests.conftest import FLIGHTS, flights
from tests.pipeline import dataflow_service
from tests.pipeline.test_engines import files
from tfloom.feature_specs.directories import ORIGIN, TransformOutput
from tfloom.feature_specs.errors import DataError, JobError, SpecError
from tfloom.feature_specs.spec import load_spec
from tfloom.pipeline.engines import beam_job, beam_template
from tfloom.pipeline.engines.beam_options import names
from tfloom.pipeline.preprocess import preprocess

ROOT = Path(__file__).parents[2]
_launcher = importlib.util.spec_from_file_location("launcher", ROOT / "docs/dataflow/launcher.py")
launcher = importlib.util.module_from_spec(_launcher)
_launcher.loader.exec_module(launcher)
IMAGE = "us-docker.pkg.dev/project/images/tfloom:1"
WORKERS = [
    "--machine_type", "n2-standard-4", "--num_workers=2", "--max_num_workers", "8", "--disk_size_gb=50",
    "--autoscaling_algorithm=THROUGHPUT_BASED", "--network=net", "--subnetwork=regions/us-central1/subnetworks/sub",
    "--no_use_public_ips", "--service_account_email=worker@project.iam.gserviceaccount.com", "--labels", "team=growth",
    "--labels=env=test", "--dataflow_service_options=enable_prime", "--experiments=shuffle_mode=service",
    "--flexrs_goal=COST_OPTIMIZED", "--job_name=flights-nightly",
]  # fmt: skip
URL = f"https://console.cloud.google.com/dataflow/jobs/us-central1/{dataflow_service.JOB_ID}?project=project"


@pytest.fixture(scope="module")
def service():
    with pytest.MonkeyPatch.context() as patch, dataflow_service.serving(patch) as serving:
        patch.setattr(beam_job, "PERIOD", 0.2)
        # Beam looks every 5 seconds.
        patch.setattr(dataflow_runner, "time", SimpleNamespace(time=time.time, sleep=lambda _: time.sleep(0.2)))
        yield serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataflow")
    (folder / "flights.yaml").write_text(FLIGHTS)
    pa_csv.write_csv(flights(), folder / "flights.csv")
    return folder


@pytest.fixture(scope="module")
def ran(service, folder):
    """What the command said of a job with all that a user sets, and what the service got: (said, job, pipeline)."""
    dataflow, options = service
    with contextlib.chdir(folder):
        options = [*options, f"--sdk_container_image={IMAGE}", "--sdk_location=container", *WORKERS]
        said = run("preprocess", "flights.yaml", "flights.csv", "-o", "transformed", *options)
    return said, dataflow.jobs[-1], dataflow.pipelines[-1]


def test_the_output_is_that_of_the_local_engine(ran, folder):
    said, *_ = ran
    assert said.lines[:2] == ["rows: 120 in, 118 out, 0 filtered, 2 unlabelled, 0 rejected",
                              "splits: 72 train, 24 eval, 22 test"]  # fmt: skip
    with contextlib.chdir(folder):
        local = files(preprocess(load_spec("flights.yaml"), {None: "flights.csv"}, "local"))
    assert files(TransformOutput.open(folder / "transformed")) == local


def test_what_is_told_of_the_job(ran):
    # Nothing of rows: Beam's counters agree with the accounts of the chunks.
    told = ran[0].err.splitlines()
    assert told[0] == f"job: {URL}"
    assert [line for line in told[1:] if line not in ("job: running", "job: done")] == []


def test_the_workers(ran):
    _, job, _ = ran
    assert (job["name"], job["labels"]) == ("flights-nightly", {"team": "growth", "env": "test"})
    environment = job["environment"]
    (pool,) = environment["workerPools"]
    assert (pool["machineType"], pool["numWorkers"], pool["diskSizeGb"]) == ("n2-standard-4", 2, 50)
    assert pool["autoscalingSettings"] == {"algorithm": 2, "maxNumWorkers": 8}  # AUTOSCALING_ALGORITHM_BASIC
    assert (pool["network"], pool["subnetwork"]) == ("net", "regions/us-central1/subnetworks/sub")
    assert pool["ipConfiguration"] == 2  # WORKER_IP_PRIVATE
    assert pool["workerHarnessContainerImage"] == IMAGE
    assert [image["containerImage"] for image in pool["sdkHarnessContainerImages"]] == [IMAGE]
    assert environment["serviceAccountEmail"] == "worker@project.iam.gserviceaccount.com"
    assert environment["flexResourceSchedulingGoal"] == 2  # FLEXRS_COST_OPTIMIZED
    assert "enable_prime" in environment["serviceOptions"]
    assert {"shuffle_mode=service", "use_runner_v2"} <= set(environment["experiments"])
    assert environment["tempStoragePrefix"].startswith(f"storage.googleapis.com/{dataflow_service.BUCKET}/tmp/")


def test_the_pipeline(ran):
    *_, pipeline = ran
    transforms = pipeline.components.transforms
    steps = [transforms[step].unique_name for root in pipeline.root_transform_ids
             for step in transforms[root].subtransforms]  # fmt: skip
    assert {"Read", "Ingest", "Write graph"} <= set(steps)
    assert [step for step in steps if re.search(r"lambda|Map\(|ParDo\(|\.py", step)] == []
    images = {
        beam_runner_api_pb2.DockerPayload.FromString(one.payload).container_image
        for one in pipeline.components.environments.values()
    }
    assert images == {IMAGE}


def test_scoring(service, folder, trained):
    """The same command predicts: what this machine predicts, and its steps have names for people."""
    dataflow, options = service
    options = [*options, f"--sdk_container_image={IMAGE}", "--sdk_location=container"]
    with contextlib.chdir(folder):
        said = run("predict", trained.export.path, "flights.csv", "-o", "scores", "--key", "carrier", *options)
        expected = tfloom.predict(trained.export, "flights.csv", key=["carrier"])
    assert said.lines[0] == "rows: 120 in, 120 out, 0 rejected", said
    assert said.err.splitlines()[0] == f"job: {URL}"
    (shard,) = (folder / "scores/predictions").iterdir()
    assert pq.read_table(shard).drop_columns([ORIGIN]).equals(expected)
    transforms = dataflow.pipelines[-1].components.transforms
    (root,) = dataflow.pipelines[-1].root_transform_ids
    steps = [transforms[step].unique_name for step in transforms[root].subtransforms]
    assert steps == ["Read", "Ingest", "Spread", "Read chunk", "Predict", "Write"]


def test_a_flex_template(service, folder):
    """Its launcher stages the job and ends; started by others, the job publishes what the local engine makes."""
    dataflow, options = service
    location = f"gs://{dataflow_service.BUCKET}/launches/job_object"
    parameters = ["--spec=flights.yaml", "--data=flights.csv", "--output=launched", "--max_rejected=0.5"]
    options = [*options, f"--template_location={location}", f"--sdk_container_image={IMAGE}"]
    dataflow.requests.clear()
    with contextlib.chdir(folder):
        told = run(*launcher.arguments(parameters + options))
        assert told.lines == [f"staged: {location}; the job publishes launched itself"], told
        local = files(preprocess(load_spec("flights.yaml"), {None: "flights.csv"}, "beside"))
    assert dataflow.requests == []
    assert not (folder / "launched").exists()
    dataflow.created(json.loads(dataflow.objects[location]))
    while dataflow.state == "JOB_STATE_RUNNING":
        time.sleep(0.1)
    assert dataflow.state == "JOB_STATE_DONE", dataflow.error
    launched = files(TransformOutput.open(folder / "launched"))
    # Relative to a folder that a worker need not have.
    launched["report.json"] = launched["report.json"].replace(f"{folder}/".encode(), b"")
    assert launched == local
    assert list(folder.glob(".launched*")) == []


def test_its_parameters_are_the_commands():
    metadata = json.loads((ROOT / "docs/dataflow/metadata.json").read_text())
    named = [one["name"] for one in metadata["parameters"]]
    ours = {"spec", "data", *launcher.FILES, *launcher.OURS, "overwrite"}
    assert len(named) == len(set(named))
    assert ours < set(named)
    assert [name for name in named if name not in ours and f"--{name}" not in names()] == []
    required = {one["name"] for one in metadata["parameters"] if not one["isOptional"]}
    assert required == {"spec", "output", "sdk_container_image"}
    assert all(one["helpText"] and one["label"] for one in metadata["parameters"])
    given = ["--spec=s.yaml", "--train=a b", "--overwrite=true", "--max_rejected=.1", "--project=p"]
    passed_on = ["--train=a", "--train=b", "--overwrite", "--max-rejected=.1", "--project=p"]
    assert launcher.arguments(given) == ["preprocess", "s.yaml", *passed_on]


def test_a_job_that_is_held_is_started_by_others(service):
    """A job that somebody waits for cannot be held, and one that is held has to say where."""
    options = [*service[1], f"--sdk_container_image={IMAGE}"]
    with pytest.raises(SpecError, match="--template_location: "):
        beam_job.Run([*options, "--template_location=gs://b/t"])
    with pytest.raises(SpecError, match="--template_location: "), beam_template.held(options, print):
        pass


def test_an_error_of_the_data_on_a_worker(service):
    """As it was raised, whatever the service makes of it."""

    def read(_):
        raise DataError("a.csv: cannot be read", expected="a CSV file", received="nothing, in\nno line")

    with pytest.raises(DataError) as told, job(service).pipeline() as pipeline:
        _ = pipeline | beam.Create([1]) | beam.Map(read)
    assert (told.value.what, told.value.expected) == ("a.csv: cannot be read", "a CSV file")
    assert told.value.received == "nothing, in"


def test_another_error_on_a_worker(service):
    with pytest.raises(JobError) as told, job(service).pipeline() as pipeline:
        _ = pipeline | beam.Create([1]) | beam.Map(lambda _: {}["never"])
    assert told.value.what == "DataflowRunner: the job failed, and nothing is published"
    assert re.search("KeyError: .never", told.value.received)


@pytest.mark.parametrize("answer", [True, False, None], ids=["yes", "no", "nobody is asked"])
def test_ctrl_c(service, answer):
    """Yes cancels the job, no watches it further; where nobody is asked it is left alone, and how to cancel it told."""
    asked = []

    def interrupted(job):
        asked.append(job)
        if not answer:
            dataflow.released.set()
        return answer

    dataflow, _ = service
    dataflow.released.clear()
    dataflow.requests.clear()
    made = job(service, interrupted=None if answer is None else interrupted)
    with said() as told, contextlib.ExitStack() as stack:
        if answer is not False:
            stack.enter_context(pytest.raises(KeyboardInterrupt))
        watch = stack.enter_context(made.pipeline())
        _ = watch | beam.Create([1]) | beam.Map(lambda _: beam_job.count({"in": 7}))
        when(lambda: any(path.endswith("/executionDetails") for _, path, _ in dataflow.requests), interrupt)
    dataflow.released.set()
    cancelled = [path for method, path, _ in dataflow.requests if method == "PUT"]
    assert len(asked) == (answer is not None)
    assert len(cancelled) == (answer is True)
    if answer is False:
        assert made.counts == {"in": 7}
    if answer is None:
        assert told()[-1] == (
            "job: goes on, but what it writes will not be published; to cancel it: "
            f"gcloud dataflow jobs cancel {dataflow_service.JOB_ID} --project=project --region=us-central1"
        )


def test_progress(service):
    dataflow, _ = service
    dataflow.released.clear()
    told = []

    def report(*progress):
        told.append(progress)
        if progress[1]:
            dataflow.released.set()

    with job(service, report=report, rows=9).pipeline() as pipeline:
        _ = pipeline | beam.Create([1]) | beam.Map(lambda _: beam_job.count({"in": 7}))
    assert ("running (1 of 2 stages)", 7, 9) in told


@pytest.mark.slow
@pytest.mark.parametrize("by", ["setup_file", "extra_package"])
def test_workers_get_all_of_ours(service, by, folder, tmp_path):
    """What Beam staged of us has every file of the package."""
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, source], check=True)
    if by == "setup_file":
        option = source / "setup.py"
    else:
        build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path, source]
        subprocess.run(build, check=True, capture_output=True)
        (option,) = tmp_path.glob("*.whl")
    dataflow, options = service
    dataflow.objects.clear()
    with contextlib.chdir(source), beam_job.Run([*options, f"--{by}={option}"]).pipeline() as pipeline:
        _ = pipeline | beam.Create([1])
    (staged,) = (content for url, content in dataflow.objects.items() if url.endswith((".whl", ".tar.gz")))
    if by == "setup_file":
        with tarfile.open(fileobj=io.BytesIO(staged)) as archive:
            found = {name.partition("/")[2] for name in archive.getnames()}
    else:
        with zipfile.ZipFile(io.BytesIO(staged)) as archive:
            found = set(archive.namelist())
    ours = {path.relative_to(source).as_posix() for path in (source / "tfloom").rglob("*.py")}
    assert ours - found == set()


def job(service, **options):
    return beam_job.Run([*service[1], f"--sdk_container_image={IMAGE}", "--sdk_location=container"], **options)


@contextlib.contextmanager
def said():
    """What the log of jobs says: a function that gives its lines."""
    out = io.StringIO()
    handler, log = logging.StreamHandler(out), logging.getLogger(beam_job.__name__)
    log.addHandler(handler)
    try:
        yield lambda: out.getvalue().splitlines()
    finally:
        log.removeHandler(handler)


def when(condition, act):
    """`act` as soon as `condition()` is true, in a thread of its own."""

    def wait():
        while not condition():
            time.sleep(0.01)
        act()

    threading.Thread(target=wait, daemon=True).start()


def interrupt():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
