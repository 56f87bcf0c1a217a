"""Flink and Spark by Beam's job servers, whose jars are to be given: the files of the local engine."""

import contextlib
import os

import pyarrow.csv as pa_csv
import pytest

from tests.conftest import FLIGHTS, flights
from tests.pipeline.test_engines import files
from tfloom.feature_specs.spec import load_spec
from tfloom.pipeline.preprocess import preprocess

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("runner", ["flink", "spark"])
def test_the_same_bytes(runner, tmp_path):
    variable = f"TFLOOM_{runner.upper()}_JOB_SERVER_JAR"
    if variable not in os.environ:
        pytest.skip(f"{variable} names no jar of Beam's job server for {runner.capitalize()}")
    (tmp_path / "flights.yaml").write_text(FLIGHTS)
    pa_csv.write_csv(flights(), tmp_path / "flights.csv")
    options = [f"--runner={runner}", f"--{runner}_job_server_jar={os.environ[variable]}", "--environment_type=LOOPBACK"]
    with contextlib.chdir(tmp_path):
        spec, data = load_spec("flights.yaml"), {None: "flights.csv"}
        made = files(preprocess(spec, data, "there", beam_options=options))
        assert made == files(preprocess(spec, data, "here"))
