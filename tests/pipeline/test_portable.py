"""Beam's portable protocol, on Prism: workers in this process and in processes of their own, and one that dies."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.csv as pa_csv
import pytest

import tfloom
from tests.conftest import FLIGHTS, flights
from tests.pipeline.test_engines import files
from tests.test_packaging import install, run
from tests.test_packaging import source as copied  # noqa: F401  # a fixture
from tfloom.feature_specs.directories import TransformOutput
from tfloom.feature_specs.spec import load_spec
from tfloom.pipeline.preprocess import preprocess

GO = shutil.which("go", path=f"{os.environ['PATH']}:/usr/local/go/bin")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(GO is None, reason="there is no Go, by which Prism is built: https://go.dev/doc/install"),
]

PRISM = "github.com/apache/beam/sdks/v2/go/cmd/prism"


@pytest.fixture(scope="module")
def prism(tmp_path_factory):
    """Beam's runner in Go, of Beam's own version: built once, and kept. Gives the address of its job service."""
    import apache_beam

    version = apache_beam.__version__
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tfloom" / f"prism-{version}"
    if not (cache / "prism").exists():
        environment = os.environ | {"GOBIN": str(cache)}
        subprocess.run([GO, "install", f"{PRISM}@v{version}"], env=environment, check=True)
    log = tmp_path_factory.mktemp("prism") / "prism.log"
    with service([cache / "prism", "--serve_http=false", "--job_port"], log) as (_, port):
        yield f"localhost:{port}"


@pytest.fixture
def pool(tmp_path):
    """Beam's worker pool, which starts workers in processes of their own: (its process, its address)."""
    # It starts `python`, which has to be the one that has tfloom.
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    program = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", "--service_port"]
    with service(program, tmp_path / "pool.log", environment) as (process, port):
        yield process, f"localhost:{port}"


@contextlib.contextmanager
def service(program, log, environment=None):
    """Starts a program at a port that is free, and ends it, whatever it started with it."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    with open(log, "wb") as told:
        process = subprocess.Popen([*program, str(port)], stdout=told, stderr=told, env=environment,
                                   start_new_session=True)  # fmt: skip
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("localhost", port)):
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield process, port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("portable")
    (folder / "flights.yaml").write_text(FLIGHTS)
    pa_csv.write_csv(flights(), folder / "flights.csv")
    return folder


@pytest.fixture(scope="module")
def local(folder):
    """The files that the local engine writes."""
    with contextlib.chdir(folder):
        return files(preprocess(load_spec("flights.yaml"), {None: "flights.csv"}, "local"))


def begun(folder, *options, command="preprocess"):
    program = "import sys, tfloom.cli; sys.argv[0] = 'tfloom'; tfloom.cli.main()"
    return subprocess.Popen([sys.executable, "-c", program, command, *map(str, options)], cwd=folder,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip


def external(prism, pool):
    return ["--runner", "PortableRunner", "--job_endpoint", prism, "--environment_type", "EXTERNAL",
            "--environment_config", pool, "--sdk_worker_parallelism", "2"]  # fmt: skip


def test_workers_in_this_process(prism, folder, local):
    options = ["--runner", "PortableRunner", "--job_endpoint", prism, "--environment_type", "LOOPBACK"]
    command = begun(folder, "flights.yaml", "flights.csv", "-o", "loopback", *options)
    out, err = command.communicate()
    assert command.returncode == 0, err
    assert "rows: 120 in, 118 out, 0 filtered, 2 unlabelled, 0 rejected" in out
    assert files(TransformOutput.open(folder / "loopback")) == local


def test_workers_in_processes_of_their_own(prism, pool, folder, local):
    command = begun(folder, "flights.yaml", "flights.csv", "-o", "external", *external(prism, pool[1]))
    _, err = command.communicate()
    assert command.returncode == 0, err
    assert files(TransformOutput.open(folder / "external")) == local


def test_workers_in_an_environment_of_what_beam_stages(prism, copied, folder, local, tmp_path):  # noqa: F811
    """A wheel of ours as Beam's stager hands it to workers, installed where nothing of this environment is."""
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.portability.api import beam_runner_api_pb2
    from apache_beam.runners.portability.stager import Stager

    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "dist", copied)
    (wheel,) = (tmp_path / "dist").iterdir()
    (tmp_path / "staging").mkdir()
    resources = Stager.create_job_resources(PipelineOptions([f"--extra_package={wheel}"]), str(tmp_path / "staging"))
    paths = [beam_runner_api_pb2.ArtifactFilePayload.FromString(one.type_payload).path for one in resources]
    staged = {Path(path).name: Path(path) for path in paths}
    named = staged["extra_packages.txt"].read_text().split()
    programs = install(tmp_path / "environment", *(staged[name] for name in named))
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    program = [programs / "python", "-m", "apache_beam.runners.worker.worker_pool_main", "--service_port"]
    with contextlib.chdir(tmp_path), service(program, tmp_path / "pool.log", environment) as (_, port):
        command = begun(folder, "flights.yaml", "flights.csv", "-o", "staged", *external(prism, f"localhost:{port}"))
        _, err = command.communicate()
    assert command.returncode == 0, err
    assert files(TransformOutput.open(folder / "staged")) == local


def test_scoring_by_workers_in_processes_of_their_own(prism, pool, folder, trained):
    """Each loads the model, of which it knows where it lies."""
    data = ["flights.csv", "more.csv"]
    pa_csv.write_csv(flights().slice(0, 50), folder / "more.csv")
    arguments = [trained.export.path, *data, "-o", "scored", "--key", "carrier", *external(prism, pool[1])]
    command = begun(folder, *arguments, command="predict")
    out, err = command.communicate()
    assert command.returncode == 0, err
    assert "rows: 170 in, 170 out, 0 rejected" in out
    with contextlib.chdir(folder):
        tfloom.score(trained.export, data, "here", ["--runner=FnApiRunner"], key=["carrier"])
    there, here = ({file.relative_to(of).as_posix(): file.read_bytes() for file in of.rglob("*.*")}
                   for of in (folder / "scored", folder / "here"))  # fmt: skip
    assert there == here
    assert len(there) == 3


def test_a_worker_dies(prism, pool, folder):
    """The job ends with an error, nothing is published, and the same command again makes all of it."""
    process, address = pool
    # A row for every digit: enough of them that the worker is at work when it is killed.
    with open(folder / "many.csv", "w") as many:
        many.write("digit,late\n")
        many.writelines(f"{row % 10},{row % 2}\n" for row in range(3_000_000))
    (folder / "many.yaml").write_text(
        "columns:\n- {name: digit, kind: vocabulary}\nlabels:\n- {name: late, positive: '1', negative: '0'}\n"
        "split: {by: hash, of: [digit], eval: 0, test: 0}\n"
    )
    arguments = ["many.yaml", "many.csv", "-o", "many", *external(prism, address)]
    command = begun(folder, *arguments)
    while not list(folder.glob(".many.*.part/accounts/*.json")):
        assert command.poll() is None, command.communicate()
        time.sleep(0.01)
    workers = children(process.pid)
    assert workers
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    out, err = command.communicate(timeout=300)
    assert (command.returncode, out) == (2, "")
    *_, what, expected, received = err.strip().splitlines()
    assert what == "PortableRunner: the job failed, and nothing is published"
    assert expected == "  expected: a job that ends well; the same command again makes the whole output"
    assert received.startswith("  received: ")
    assert [path.name for path in folder.glob("*many*")] == ["many.csv", "many.yaml"]

    again = begun(folder, *arguments)
    assert again.wait() == 0, again.communicate()
    assert TransformOutput.open(folder / "many").report["rows"]["out"] == 3_000_000


def children(pid):
    """Of each of its threads."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
