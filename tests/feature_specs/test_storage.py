"""Paths in Cloud Storage, and the copies of what is there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfloom.feature_specs import storage
from tfloom.feature_specs.directories import TransformOutput, whole_file, whole_or_absent
from tfloom.feature_specs.errors import ArtefactError, DataError


def put(path, content="x"):
    with whole_file(path) as file:
        file.write_text(content)


def test_a_path_that_pathlib_has_changed(bucket):
    path = f"{bucket}/a/b.txt"
    assert storage.is_remote(path)
    assert storage.is_remote(Path(path))
    assert storage.local(Path(path)) == storage.local(path)
    assert storage.named(Path(path)) == storage.named(storage.local(path)) == path
    assert not storage.is_remote("a/gs:/b")
    assert storage.named(Path("a/b")) == "a/b"


def test_an_error_names_the_place_and_not_its_copy(bucket):
    error = DataError(f"{storage.local(bucket)}/a: is not", received=str(storage.local(f"{bucket}/b")))
    assert str(error) == f"{bucket}/a: is not\n  received: {bucket}/b"


def test_paths_among_each_other(bucket, tmp_path):
    model, other = f"{bucket}/models/m", bucket.replace("bucket", "another")
    for path, told in (
        (f"{bucket}/data/t", "../../data/t"),
        (f"{other}/t", f"../../../{other[5:]}/t"),
        (str(tmp_path), str(tmp_path)),
    ):
        assert storage.relative(path, model) == told
        assert storage.within(model, told) == storage.local(path)
    assert storage.relative(f"{bucket}/t", tmp_path) == f"{bucket}/t"
    assert storage.within(tmp_path, f"{bucket}/t") == storage.local(f"{bucket}/t")


def test_files(bucket):
    for name in ("a/1.csv", "a/2.csv", "a/b/3.csv", "a/4.txt"):
        put(f"{bucket}/{name}", name)
    assert storage.glob(f"{bucket}/a/*.csv") == [f"{bucket}/a/1.csv", f"{bucket}/a/2.csv"]
    assert storage.glob(f"{bucket}/*/*/[1-3].csv") == [f"{bucket}/a/b/3.csv"]
    assert storage.glob(f"{bucket}/none/*") == []
    assert storage.read(f"{bucket}/a/b/3.csv") == b"a/b/3.csv"
    assert storage.stat(f"{bucket}/a/4.txt")[1] == 7
    assert (storage.is_file(f"{bucket}/a/4.txt"), storage.is_folder(f"{bucket}/a")) == (True, True)
    assert (storage.is_free(f"{bucket}/a/none"), storage.folders(f"{bucket}/a")) == (True, ["b"])
    assert storage.glob(f"{bucket}/*") == []


def contents(folder):
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_a_folder_and_its_copy(bucket):
    there = f"{bucket}/folder"
    for name in ("a", "b/c", "left/d"):
        put(f"{there}/{name}", name)
    copy = storage.fetch(there, ("left/",))
    storage.remove(f"{there}/left")
    assert contents(copy) == {"a": "a", "b/c": "b/c"}
    changed = (copy / "b/c").stat().st_mtime_ns
    put(f"{bucket}/other/c", "new")
    storage._service().move(f"{bucket[5:]}/other/c", f"{bucket[5:]}/folder/b/c")
    storage._service().delete_file(f"{bucket[5:]}/folder/a")
    assert contents(storage.fetch(there)) == {"b/c": "new"}
    assert (copy / "b/c").stat().st_mtime_ns > changed


def listed(path):
    key = storage._key(path)
    return sorted(storage._listing(key), key=lambda name: storage._listing(key)[name])


def test_a_folder_is_whole_with_the_last_of_its_objects(bucket):
    with whole_or_absent(f"{bucket}/out") as folder:
        (folder / "sub").mkdir()
        for name in ("report.json", "zzz", "sub/x", "sub/report.json"):
            (folder / name).write_text(name)
        assert not storage.is_folder(f"{bucket}/out")
    assert listed(f"{bucket}/out")[-1] == "report.json"
    assert storage.folders(bucket) == ["out"]


def test_a_folder_that_is_written_over(bucket):
    for names in (("report.json", "old"), ("report.json", "new")):
        with whole_or_absent(f"{bucket}/out", overwrite=True) as folder:
            for name in names:
                (folder / name).write_text(names[1])
    assert contents(storage.fetch(f"{bucket}/out")) == {"report.json": "new", "new": "new"}
    assert listed(f"{bucket}/out")[-1] == "report.json"
    assert storage.folders(bucket) == ["out"]
    with pytest.raises(ArtefactError, match=f"{bucket}/out: is there already"), whole_or_absent(f"{bucket}/out"):
        pass


def test_what_others_write_beside_a_folder_is_gathered_and_moved(bucket):
    with whole_or_absent(f"{bucket}/out") as folder:
        where = storage.named(folder)
        put(f"{where}/examples/1", "row")
        put(f"{where}/accounts/1", "account")
        (folder / "examples" / "1").unlink()  # as if another machine had written it
        storage.gather(folder, but="examples/")
        assert contents(folder) == {"accounts/1": "account"}
        assert storage.sizes(folder / "examples") == {"1": 3}
        (folder / "report.json").write_text("report")
    assert contents(storage.fetch(f"{bucket}/out")) == {
        "accounts/1": "account", "examples/1": "row", "report.json": "report",
    }  # fmt: skip
    assert storage.folders(bucket) == ["out"]


def test_a_folder_that_a_killed_run_has_left_is_made_anew(bucket, monkeypatch):
    class Killed(BaseException):
        pass

    def make():
        with whole_or_absent(f"{bucket}/out") as folder:
            for name in ("a", "b", "report.json"):
                (folder / name).write_text(name)

    upload = storage._upload

    def killed_at_the_end(file, key):
        if file.name == "report.json":
            raise Killed
        upload(file, key)

    monkeypatch.setattr(storage, "_upload", killed_at_the_end)
    with pytest.raises(Killed):
        make()
    monkeypatch.setattr(storage, "_upload", upload)
    assert sorted(listed(f"{bucket}/out")) == [".part", "a", "b"]
    with pytest.raises(ArtefactError, match="is not a transform output"):
        TransformOutput.open(f"{bucket}/out")
    make()
    assert sorted(listed(f"{bucket}/out")) == ["a", "b", "report.json"]
    with pytest.raises(ArtefactError, match=f"{bucket}/out: is there already"):
        make()


def test_what_is_not_ours_is_not_written_over(bucket):
    put(f"{bucket}/out/precious")
    with pytest.raises(ArtefactError, match=f"{bucket}/out: is there already"), whole_or_absent(f"{bucket}/out"):
        pass
    assert listed(f"{bucket}/out") == ["precious"]


def test_a_folder_in_which_something_fails_leaves_nothing(bucket):
    def fails():
        with whole_or_absent(f"{bucket}/out") as folder:
            put(f"{storage.named(folder)}/examples/1", "row")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert listed(bucket) == []


def test_a_folder_in_the_making_is_kept(bucket):
    folder = storage.local(f"{bucket}/model.training")
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last").write_text("epoch 1")
    storage.keep(folder)
    (folder / "checkpoints" / "last").write_text("epoch 2, cut off")
    storage.resume(folder)  # there is a better one here
    assert contents(folder) == {"checkpoints/last": "epoch 2, cut off"}
    storage.remove(folder)
    storage.resume(folder)
    assert contents(folder) == {"checkpoints/last": "epoch 1"}
    storage.forget(folder)
    assert listed(bucket) == []


def test_what_is_refused(bucket):
    with pytest.raises(ArtefactError) as error:
        put(f"{bucket}/refused/x")
    assert error.value.what == f"{bucket}/refused/x: cannot be written"
    assert "denied" in error.value.received
    with (
        pytest.raises(ArtefactError, match=f"{bucket}/refused/y: cannot be written"),
        whole_or_absent(f"{bucket}/refused/y") as folder,
    ):
        (folder / "report.json").write_text("x")
    assert listed(bucket) == []


def test_the_copies_go_with_the_process(bucket, tmp_path):
    code = f"from tfloom.feature_specs import storage; print(storage.local('{bucket}/x').parents[1])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ)
    assert done.stdout.strip()
    assert not Path(done.stdout.strip()).exists()


def test_without_credentials_it_is_asked_as_nobody(monkeypatch, tmp_path):
    """At once, and not after minutes of trying to be somebody."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    assert not storage._signed_in()
    key = {"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}
    (tmp_path / "some.json").write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "some.json"))
    assert storage._signed_in()
