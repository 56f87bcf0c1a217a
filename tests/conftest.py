"""One small run of the whole thread, for every test that needs a transform output, a model or an export of it."""

import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

import tfloom
from tfloom.feature_specs.directories import ExportDirectory, ModelDirectory, TransformOutput

FLIGHTS = """
inputs:
  tags: {multi_valued: true, delimiter: "|"}
columns:
  - {name: distance_z, kind: numeric, source: distance, scale: z_score, missing: mean}
  - {name: carrier, kind: vocabulary, oov_buckets: 1}
  - {name: tags, kind: hashed, buckets: 7}
  - {name: stops, kind: identity, buckets: 3}
  - {name: carrier_vec, kind: embedded, of: carrier, dimension: 2}
labels:
  - {name: late, source: delay, above: 15, missing: drop}
split: {by: column, source: part}
groups:
  wide: [carrier, tags, stops]
  deep: [distance_z, carrier_vec]
"""


def pytest_collection_modifyitems(items):
    """First the file that materialises every column, last those that read what it made: no worker waits for another.

    Else the files with more tests come first, so that workers end together.
    """
    columns, counts = Path(__file__).parent / "feature_specs/columns", Counter(item.path for item in items)
    after = {path: (path.parent == columns) - 2 * (path.name == "test_every_kind.py") for path in counts}
    items.sort(key=lambda item: (after[item.path], -counts[item.path]))


def flights() -> pa.Table:
    """120 rows: 72 of the split train, 24 of eval, 24 of test, two of which have no label.

    Training rows have distances 100 and 300, 36 each, so their mean is 200 and their standard deviation 100; carriers
    AA 36 times, B6 24 and UA 12. The first eval row has no distance, the first test row a carrier that training never
    saw. Every fourth row has no stops.
    """
    numbers = range(120)
    part = [("train", "train", "train", "eval", "test")[i % 5] for i in numbers]
    return pa.table(
        {
            "distance": [None if i == 3 else 100.0 + 200 * (i // 5 % 2) for i in numbers],
            "carrier": ["ZZ" if i == 4 else ("AA", "B6", "AA", "UA", "AA", "B6")[i // 5 % 6] for i in numbers],
            "tags": ["|".join(("rain", "snow", "wind")[: i % 4]) for i in numbers],
            "stops": [None if i % 4 == 3 else i % 3 for i in numbers],
            "delay": [None if i in (14, 64) else (i * 7 % 60) - 10.0 for i in numbers],
            "part": part,
        }
    )


@dataclass(frozen=True)
class Trained:
    """rows: raw data. folder: where the transform output, the model and the export lie that were made of it."""

    rows: pa.Table
    folder: Path

    @property
    def transformed(self) -> TransformOutput:
        return TransformOutput.open(self.folder / "transformed")

    @property
    def model(self) -> ModelDirectory:
        return ModelDirectory.open(self.folder / "model")

    @property
    def export(self) -> ExportDirectory:
        return ExportDirectory.open(self.folder / "export" / "1")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    (folder / "flights.yaml").write_text(FLIGHTS)
    rows = flights()
    transformed = tfloom.preprocess(folder / "flights.yaml", rows, folder / "transformed")
    train_spec = {"epochs": 2, "batch_size": 16, "backbone": {"name": "wide_deep", "hidden": [4], "dropout": 0.0}}
    tfloom.export(tfloom.train(transformed, folder / "model", train_spec), folder / "export")
    return Trained(rows, folder)


@pytest.fixture
def bigquery(monkeypatch):
    """A BigQuery of our own."""
    from tests.pipeline.bigquery_fake import BigQuery, serving

    fake = BigQuery()
    with serving(fake) as (host, url):
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", host)
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", url)
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
        yield fake


@pytest.fixture(scope="session")
def _cloud_storage():
    program = [sys.executable, "-m", "tests.gcs_fake"]
    with subprocess.Popen(program, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


@pytest.fixture
def bucket(_cloud_storage, monkeypatch, tmp_path):
    """gs://..., a bucket of a Cloud Storage of our own."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", _cloud_storage)
    return f"gs://bucket-{hashlib.blake2b(str(tmp_path).encode(), digest_size=8).hexdigest()}"
