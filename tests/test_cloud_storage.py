"""The whole way in Cloud Storage: from gs:// to gs://, as on this machine."""

import dataclasses
import gzip
import json
import os
import urllib.request
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import tfloom
from tests.cli.conftest import run
from tests.conftest import FLIGHTS, flights
from tests.pipeline.reading import rows
from tests.pipeline.test_tfrecord import example
from tests.pipeline.test_tfrecord import written as written_records
from tests.trainers.test_keras_trainer import assert_same
from tfloom.feature_specs import storage
from tfloom.feature_specs.directories import ORIGIN, ModelDirectory, TransformOutput
from tfloom.feature_specs.errors import ArtefactError, DataError, SpecError
from tfloom.pipeline.progress import about
from tfloom.pipeline.sources import find, schema

NOT_CANONICAL = ("saved_model.pb", "fingerprint.pb")
SPEC = FLIGHTS.replace(
    "columns:\n", "columns:\n  - {name: known, kind: vocabulary, source: carrier, vocabulary_file: carriers.txt}\n"
)
TRAIN = {"epochs": 2, "batch_size": 16, "backbone": {"name": "wide_deep", "hidden": [4], "dropout": 0.0}}


def uploaded(file, path):
    storage._upload(file, storage._key(path))
    return path


def objects(path):
    """Every object in a folder, by its name there."""
    return {name: storage.read(f"{path}/{name}") for name in storage._listing(storage._key(path))}


def files(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# -- raw data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl", "parquet", "tfrecord"])
def test_raw_data_is_read_where_it_lies(suffix, bucket, tmp_path):
    table = pa.table({"n": list(range(1_000)), "text": [f"row {i}" for i in range(1_000)]})
    file = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, file)
    elif suffix == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    elif suffix == "tfrecord":
        written_records(file, [example({"n": [row["n"]], "text": [row["text"].encode()]}) for row in table.to_pylist()])
    else:
        pyarrow.csv.write_csv(table, file)
    if suffix == "csv.gz":
        file.write_bytes(gzip.compress(file.read_bytes()))
    (here,) = find({None: file}, tmp_path / "staging")
    (there,) = find({None: uploaded(file, f"{bucket}/data/a.{suffix}")}, tmp_path / "staging")
    assert (there.label, there.place, there.format) == (here.label, f"{bucket}/data/a.{suffix}", here.format)
    assert schema(there) == schema(here)
    assert rows(there) == rows(here)
    assert rows(there, columns=["text"]) == rows(here, columns=["text"])
    assert about([there]) == about([here])
    assert not storage.local(f"{bucket}/data").exists()


def test_globs(bucket, tmp_path):
    (tmp_path / "a").write_text("x\n1\n")
    for name in ("2024/a.csv", "2025/a.csv", "2025/b.csv", "2025/c.txt"):
        uploaded(tmp_path / "a", f"{bucket}/{name}")
    found = find({None: f"{bucket}/*/*.csv"}, tmp_path / "staging")
    assert [(one.label, one.path) for one in found] == [
        ("2024/a.csv", f"{bucket}/2024/a.csv"),
        ("2025/a.csv", f"{bucket}/2025/a.csv"),
        ("b.csv", f"{bucket}/2025/b.csv"),
    ]
    for name, what in (("2024", "there is no such file"), ("*.txt", "no file matches")):
        with pytest.raises(DataError, match=what) as error:
            find({None: f"{bucket}/{name}"}, tmp_path / "staging")
        assert error.value.what.startswith(f"{bucket}/{name}: ")
        assert error.value.received == ("a folder" if name == "2024" else "nothing")


def test_a_spec_that_is_absent(bucket):
    with pytest.raises(SpecError, match=f"{bucket}/spec.yaml: cannot be read"):
        tfloom.load_spec(f"{bucket}/spec.yaml")


# -- the whole way ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """What becomes of the flights on this machine."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "flights.yaml").write_text(SPEC)
    (folder / "carriers.txt").write_text("UA\nAA\n")
    pq.write_table(flights(), folder / "flights.parquet")
    tfloom.preprocess(folder / "flights.yaml", folder / "flights.parquet", folder / "transformed", examples="both")
    return folder


def raw(here, bucket):
    for name in ("flights.yaml", "carriers.txt", "flights.parquet"):
        uploaded(here / name, f"{bucket}/{name}")


def another_process():
    """Nothing of what this one has fetched is there."""
    storage._gone(storage._mirror(), os.getpid())


def test_preprocess_writes_there_what_it_writes_here(here, bucket):
    raw(here, bucket)
    said = run("preprocess", f"{bucket}/flights.yaml", f"{bucket}/flights.parquet", "-o", f"{bucket}/out/transformed",
               "--examples", "both")  # fmt: skip
    assert said.code == 0, said.err
    assert said.lines[-1].startswith(f"written: {bucket}/out/transformed in ")
    ours, theirs = files(here / "transformed"), objects(f"{bucket}/out/transformed")
    assert ours.keys() == theirs.keys()
    told = {"report.json", "feature_spec.json"}  # which name the paths
    differ = [name for name in ours.keys() - told if ours[name] != theirs[name]]
    assert [name for name in differ if not name.endswith(NOT_CANONICAL)] == []
    spec = json.loads(theirs["feature_spec.json"])
    assert spec["columns"][0]["vocabulary_file"] == f"{bucket}/carriers.txt"
    assert storage.folders(f"{bucket}/out") == ["transformed"]


def test_rejected_rows_are_kept_there(here, bucket):
    raw(here, bucket)
    table = flights()
    delays = pa.array([str(value) if i % 2 else "late" for i, value in enumerate(table.column("delay").to_pylist())])
    table = table.set_column(table.schema.names.index("delay"), "delay", delays)
    with pytest.raises(DataError, match=f"they lie with their reasons in {bucket}/out.rejected"):
        tfloom.preprocess(f"{bucket}/flights.yaml", table, f"{bucket}/out")
    assert list(objects(f"{bucket}/out.rejected")) == ["00000-00000.jsonl"]
    tfloom.preprocess(f"{bucket}/flights.yaml", flights(), f"{bucket}/out")
    assert storage.folders(bucket) == ["out"]


def uploaded_folder(folder, path):
    for name in files(folder):
        uploaded(folder / name, f"{path}/{name}")
    return path


def test_train_export_verify_and_predict(trained, bucket):
    transformed = uploaded_folder(trained.folder / "transformed", f"{bucket}/transformed")
    model = tfloom.train(transformed, f"{bucket}/models/model", TRAIN)
    assert_same(model, trained.model)
    assert model.read("provenance.json")["transformed"] == "../../transformed"
    assert storage.folders(f"{bucket}/models") == ["model"]
    another_process()
    assert tfloom.evaluate(f"{bucket}/models/model") == tfloom.evaluate(trained.model)
    assert "metrics.json" in objects(f"{bucket}/models/model")
    tfloom.export(f"{bucket}/models/model", f"{bucket}/export")
    another_process()
    verified = tfloom.verify(f"{bucket}/export", trained.rows)
    assert (verified.rows, verified.mismatches) == (118, 0)
    assert "verify.json" in objects(f"{bucket}/export/1")
    scores = tfloom.predict(f"{bucket}/export", trained.rows, f"{bucket}/scores/a.parquet")
    assert scores.equals(tfloom.predict(trained.export, trained.rows))
    assert pq.read_table(storage.fetch(f"{bucket}/scores/a.parquet")).equals(scores)


@pytest.mark.slow
def test_the_other_commands(trained, bucket, tmp_path):
    for folder in ("transformed", "model", "export"):
        uploaded_folder(trained.folder / folder, f"{bucket}/{folder}")
    pq.write_table(trained.rows, tmp_path / "memory.parquet")
    data = uploaded(tmp_path / "memory.parquet", f"{bucket}/memory.parquet")
    said = run("export", f"{bucket}/model", "-o", f"{bucket}/export")
    assert (said.code, said.lines[-1]) == (0, f"written: {bucket}/export/2")
    assert storage.folders(f"{bucket}/export") == ["1", "2"]
    for command, there, here in (
        ("verify", f"{bucket}/export", trained.folder / "export"),
        ("transform", f"{bucket}/transformed", trained.folder / "transformed"),
        ("predict", f"{bucket}/export", trained.folder / "export"),
        ("evaluate", f"{bucket}/model", trained.folder / "model"),
    ):
        said, ours = run(command, there, data), run(command, here, tmp_path / "memory.parquet")
        assert (said.code, said.out) == (0, ours.out), said.err
    said = run("report", bucket, "-o", f"{bucket}/report.html")
    assert said.lines[-1].startswith(f"written: {bucket}/report.html, ")
    assert storage.read(f"{bucket}/report.html").lower().startswith(b"<!doctype html>")
    said = run("infer", data, "--label", "delay", "-o", f"{bucket}/spec.yaml")
    assert said.code == 0, said.err
    assert run("check", f"{bucket}/spec.yaml", data).code == 0
    with tfloom.serve(f"{bucket}/export", port=0) as server:
        assert urllib.request.urlopen(f"{server.url}/v1/models/export", timeout=30).status == 200


def test_a_run_that_was_cut_off_goes_on_elsewhere(here, bucket, tmp_path):
    def cut_off(epoch, step, steps, loss):
        if epoch == 2:
            raise KeyboardInterrupt

    out = f"{bucket}/model"
    with pytest.raises(KeyboardInterrupt):
        tfloom.train(here / "transformed", out, TRAIN, report=cut_off)
    assert list(objects(bucket)) == ["model.training.tar"]
    another_process()
    epochs = []
    resumed = tfloom.train(here / "transformed", out, TRAIN, report=lambda epoch, *_: epochs.append(epoch))
    assert set(epochs) == {2}
    assert_same(resumed, tfloom.train(here / "transformed", tmp_path / "model", TRAIN))
    assert storage.is_free(f"{bucket}/model.training.tar")
    assert resumed.transformed.path == (here / "transformed").resolve()
    with pytest.raises(ArtefactError, match=f"{out}: is there already"):
        tfloom.train(here / "transformed", out, TRAIN)


def test_workers_elsewhere_write_beside_the_output(here, bucket, tmp_path):
    """Beam gets a folder in Cloud Storage; its rows do not come here."""
    raw(here, bucket)

    def run(spec, sources, folder, *_):  # as an engine does, on workers elsewhere
        assert folder.startswith(f"{bucket}/.out.")
        for name in ("examples", "accounts", "rejected"):
            (tmp_path / "elsewhere" / name).mkdir(parents=True, exist_ok=True)
        from tfloom.pipeline.engines import local

        local.run(spec, sources, str(tmp_path / "elsewhere"), 1, 1 << 30, "tfrecord")
        for name in files(tmp_path / "elsewhere"):
            uploaded(tmp_path / "elsewhere" / name, f"{folder}/{name}")

    from tfloom.pipeline.engines import beam

    with mock.patch.object(beam, "run", run), mock.patch.object(beam, "clear"):
        made = tfloom.preprocess(f"{bucket}/flights.yaml", f"{bucket}/flights.parquet", f"{bucket}/out",
                                 beam_options=["--runner=FnApiRunner"])  # fmt: skip
    assert not list((made.path / "examples").glob("*"))
    ours = tfloom.preprocess(f"{bucket}/flights.yaml", here / "flights.parquet", tmp_path / "out")
    assert made.fingerprint == ours.fingerprint
    assert made.report["rows"] == TransformOutput.open(here / "transformed").report["rows"]
    assert [Path(path).name for path in made.examples("train")] == ["train-00000-00000.tfrecord.gz"]
    assert storage.folders(bucket) == ["out"]


def test_a_job_that_scores_from_there_to_there(trained, bucket, tmp_path):
    """Workers load the export from there, and write beside the output; predictions do not come here."""
    for name, content in files(trained.export.path).items():
        (tmp_path / "one").write_bytes(content)
        uploaded(tmp_path / "one", f"{bucket}/export/1/{name}")
    pq.write_table(flights(), tmp_path / "flights.parquet")
    data = uploaded(tmp_path / "flights.parquet", f"{bucket}/flights.parquet")
    from tfloom.pipeline.engines import inference

    scored = inference.run

    def run(job, sources, running):
        assert job.folder.startswith(f"{bucket}/.scores.")
        scored(dataclasses.replace(job, folder=str(tmp_path / "elsewhere")), sources, running)
        for name in files(tmp_path / "elsewhere"):
            if not name.startswith("parsed/"):  # which TensorFlow's own file system clears away, and it knows no fake
                uploaded(tmp_path / "elsewhere" / name, f"{job.folder}/{name}")

    with mock.patch.object(inference, "run", run):
        told = tfloom.score(f"{bucket}/export", data, f"{bucket}/scores", ["--runner=FnApiRunner"], key=["carrier"])
    assert told["rows"] == {"in": 120, "out": 120, "rejected": 0}
    written = objects(f"{bucket}/scores")
    (shard,) = [name for name in written if name.startswith("predictions/")]
    assert {"report.json", shard} == set(written)
    there = pq.read_table(pa.BufferReader(written[shard])).drop_columns([ORIGIN])
    assert there.equals(tfloom.predict(trained.export, flights(), key=["carrier"]))


@pytest.mark.parametrize("open_", [TransformOutput.open, ModelDirectory.open])
def test_a_folder_that_is_absent(open_, bucket):
    with pytest.raises(ArtefactError, match=f"{bucket}/none: there is no such folder"):
        open_(f"{bucket}/none")
