"""A job that Beam runs: its rows are those of its chunks' accounts, however often Beam counted them."""

import logging

import pytest

from tests.conftest import FLIGHTS, flights
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import load_spec
from tfloom.pipeline import accounts
from tfloom.pipeline import preprocess as job
from tfloom.pipeline.engines import beam_job

ROWS = {"in": 120, "out": 118, "filtered": 0, "unlabelled": 2, "rejected": 0}


def test_counters(tmp_path, caplog, monkeypatch):
    """A bundle that ran twice is counted twice, and that is told; the report has each row once."""
    monkeypatch.setattr(beam_job, "count", lambda account, once=beam_job.count: [once(account), once(account)])
    (tmp_path / "flights.yaml").write_text(FLIGHTS)
    with caplog.at_level(logging.WARNING):
        made = job.preprocess(load_spec(tmp_path / "flights.yaml"), {None: flights()}, tmp_path / "out",
                              beam_options=["--runner=FnApiRunner"])  # fmt: skip
    assert made.report["rows"] == ROWS
    assert "rows: Beam counts in 240 (120), out 236 (118), unlabelled 4 (2); " in caplog.text


@pytest.mark.parametrize(
    ("counts", "told"),
    [(ROWS, ""), ({}, ""), (ROWS | {"in": 130}, "Beam counts in 130 (120);"), ({"in": 120}, "out 0 (118)")],
    ids=["they agree", "the runner tells none", "tried again", "some are missing"],
)
def test_counters_are_compared(counts, told, caplog):
    accounts.compare(counts, ROWS)
    assert told in caplog.text
    assert bool(caplog.text) == bool(told)


def test_values_that_beam_refuses():
    run = beam_job.Run(["--runner=PortableRunner", "--environment_type=LOOPBACK", "--environment_config=localhost:1"])
    with pytest.raises(SpecError) as told, run.pipeline():
        pass
    assert told.value.what == "--runner: Beam refuses its options"
    assert "environment_config is not compatible with environment type LOOPBACK" in told.value.received
