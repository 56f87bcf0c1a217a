"""The three kinds of directory in which the rooms meet: transform output, model and export."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from tfloom.feature_specs import staging, storage
from tfloom.feature_specs.errors import ArtefactError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import load

ORIGIN = "__origin__"
"""The feature of every materialised row that says where it came from: ``<source>:<row>``, rows counted from 0."""

WEIGHT = "__weight__"
"""The feature of a materialised row that says how much it counts, one float, where the spec has a weight."""


def key_feature(name: str) -> str:
    """The feature of every materialised row that has a column of the spec's key, as text, '' where missing."""
    return f"__key__.{name}"


def training_feature(name: str) -> str:
    """The feature of rows of the training split alone that has the training form of a column."""
    return f"__training__.{name}"


Form = Literal["tfrecord", "parquet", "both"]
"""What materialised rows are written as: TFRecord of tf.Example, which trainers read, and Parquet."""


@dataclass(frozen=True)
class TransformOutput:
    """What preprocessing made: materialised rows and the graph that made them.

    path: on this machine; of one in Cloud Storage its copy, into which `shards` brings rows.
    """

    path: Path

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> TransformOutput:
        """Raises ArtefactError where `path` is no transform output."""
        files = ("report.json", "transform_fn/saved_model.pb")
        return cls(_opened(path, "a transform output", "tfloom preprocess", *files, but=("examples/",)))

    @cached_property
    def spec(self) -> FeatureSpec:
        """The spec, with every input resolved against the data."""
        return load(self.path / "feature_spec.json", FeatureSpec)

    @cached_property
    def report(self) -> dict[str, Any]:
        """Rows, splits, rejected, num_buckets and fingerprint."""
        return _json(self.path / "report.json")

    @property
    def num_buckets(self) -> dict[str, int]:
        """The number of ids of every categorical column."""
        return dict(self.report["num_buckets"])

    @property
    def fingerprint(self) -> str:
        """Names this output: a hash of its spec, its graph and its examples' names."""
        return str(self.report["fingerprint"])

    def examples(self, split: str) -> list[str]:
        """The gzip TFRecord files of a split, in the order of the data. Raises ArtefactError where it has no rows."""
        found = [str(path) for path in self.shards(f"{split}-*.tfrecord.gz")]
        if not found and self.shards(f"{split}-*.parquet"):
            raise ArtefactError(f"{self.path}: its rows are written as Parquet alone",
                                expected="TFRecord, which trainers read: tfloom preprocess --examples both",
                                received="examples/*.parquet")  # fmt: skip
        if not found:
            raise ArtefactError(f"{self.path}: the split {split!r} has no rows",
                                expected=f"one of {', '.join(k for k, n in self.report['splits'].items() if n)}",
                                received=repr(split))  # fmt: skip
        return found

    def shards(self, pattern: str) -> list[Path]:
        """The files of materialised rows that match, in order."""
        with _reached(self.path):
            return storage.fetch_files(self.path / "examples", pattern)


@dataclass(frozen=True)
class ModelDirectory:
    """What training made: checkpoints, and where it learned."""

    path: Path

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> ModelDirectory:
        """Raises ArtefactError where `path` is no model."""
        return cls(_opened(path, "a model", "tfloom train", "train_spec.json", "provenance.json"))

    @cached_property
    def spec(self) -> FeatureSpec:
        """The spec of the transform output it learned from."""
        return load(self.path / "feature_spec.json", FeatureSpec)

    @property
    def transformed(self) -> TransformOutput:
        """The transform output it learned from. Raises ArtefactError where that is gone or was made anew since."""
        provenance = _json(self.path / "provenance.json")
        output = TransformOutput.open(storage.within(self.path, provenance["transformed"]))
        if output.fingerprint != provenance["fingerprint"]:
            raise ArtefactError(f"{output.path}: is not the transform output that {self.path} learned from",
                                expected=f"fingerprint {provenance['fingerprint'][:12]}",
                                received=output.fingerprint[:12])  # fmt: skip
        return output

    def read(self, name: str) -> Any:
        """A JSON file of it, such as metrics.json."""
        return _json(self.path / name)


@dataclass(frozen=True)
class ExportDirectory:
    """One version of an exported model: a SavedModel and what proves it."""

    path: Path

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> ExportDirectory:
        """The newest version where `path` holds versions. Raises ArtefactError where it is no export."""
        of_path = versions(path)
        newest = storage.local(path) / str(max(of_path)) if of_path else storage.local(path)
        return cls(_opened(newest, "an export", "tfloom export", "saved_model.pb", "feature_spec.json"))

    @cached_property
    def spec(self) -> FeatureSpec:
        """The spec of what it was trained on."""
        return load(self.path / "feature_spec.json", FeatureSpec)

    @property
    def name(self) -> str:
        """What clients call the model: the name of the folder with its versions, or its own where it is no version."""
        path = self.path.resolve()
        return path.parent.name if path.name.isdigit() else path.name

    @property
    def model_card(self) -> dict[str, Any]:
        """Where it came from and where it was tried."""
        return dict(_json(self.path / "model_card.json"))

    def named(self, entry: str) -> Path:
        """A directory that the model card names relative to the export."""
        return storage.within(self.path, self.model_card[entry])


def versions(path: str | os.PathLike[str]) -> list[int]:
    """The versions of the exports in a folder."""
    with _reached(path):
        return [int(name) for name in storage.folders(storage.named(path)) if name.isdigit()]


def fetched(path: str | os.PathLike[str], but: tuple[str, ...] = ("examples/",)) -> Path:
    """A folder on this machine, brought here without the folders `but` where it is in Cloud Storage.

    Raises ArtefactError where it cannot be.
    """
    with _reached(path):
        return storage.fetch(path, but)


@contextlib.contextmanager
def whole_or_absent(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """A folder to write in, beside `path`, which becomes `path` on leaving and vanishes on an error.

    Of a path in Cloud Storage it is beside its copy. What killed runs left beside `path` is removed first.

    Raises ArtefactError at once where `path` is there and is not to be overwritten, or where no folder can be.
    """
    path = storage.local(path)
    staging.mend(path)
    absent(path, overwrite)
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(staging.beside(path))
        except OSError as error:
            raise no_folder(path, error) from None
        stack.callback(storage.remove, folder)
        yield folder
        staging.publish(folder, path)
        with stored(path):
            storage.publish(path, folder)


def absent(path: Path, overwrite: bool) -> None:
    """Raise ArtefactError where `path` is there and is not to be overwritten."""
    with _reached(path):
        if not overwrite and not storage.is_free(storage.named(path)):
            raise ArtefactError(f"{path}: is there already", expected="a new path, or --overwrite", received=str(path))


def fingerprint(path: Path) -> str:
    """sha256 of a transform output's spec, graph and example files (names and sizes)."""
    digest = hashlib.sha256((path / "feature_spec.json").read_bytes())
    for file in sorted(p for p in (path / "transform_fn").rglob("*") if p.is_file()):
        digest.update(str(file.relative_to(path)).encode())
        # A graph's serialization is not canonical, and fingerprint.pb is of it; spec, vocabularies and variables are.
        if file.name not in ("saved_model.pb", "fingerprint.pb"):
            digest.update(file.read_bytes())
    for name, size in sorted(storage.sizes(path / "examples").items()):
        digest.update(f"{name}:{size}".encode())
    return digest.hexdigest()


def no_folder(path: Path, error: OSError) -> ArtefactError:
    """That no folder can be made at `path`."""
    return ArtefactError(f"{path}: cannot be written", expected="the name of a new folder, in a folder to write in",
                         received=error.strerror or str(error))  # fmt: skip


@contextlib.contextmanager
def stored(path: str | os.PathLike[str]) -> Iterator[None]:
    """What Cloud Storage does not take, in three parts."""
    try:
        yield
    except OSError as error:
        raise no_folder(Path(path), error) from None


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file to write, beside `path`, which becomes `path` on leaving and vanishes on an error.

    Raises ArtefactError where no file can be there.
    """
    path = storage.local(path)
    with _written(path) as part:
        yield part
    with stored(path):
        storage.publish(path)


def write_json(path: Path, value: Any) -> None:
    """Whole or not at all, and on this machine alone."""
    with _written(path) as part:
        part.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _written(path: Path) -> Iterator[Path]:
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise _no_file(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _no_file(path: Path, error: OSError) -> ArtefactError:
    return ArtefactError(f"{path}: cannot be written", expected="the name of a file, in a folder to write in",
                         received=error.strerror or str(error))  # fmt: skip


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ArtefactError(f"{path}: cannot be read", expected="a JSON file", received=str(error)) from None


def _opened(path: str | os.PathLike[str], what: str, command: str, *files: str, but: tuple[str, ...] = ()) -> Path:
    path = fetched(path, but)
    for file in files:
        if not (path / file).is_file():
            raise ArtefactError(f"{path}: is not {what}" if path.exists() else f"{path}: there is no such folder",
                                expected=f"{what}, as `{command}` writes it, with {file}",
                                received=_listing(path))  # fmt: skip
    return path


@contextlib.contextmanager
def _reached(path: str | os.PathLike[str]) -> Iterator[None]:
    """What Cloud Storage refuses, in three parts."""
    try:
        yield
    except OSError as error:
        raise ArtefactError(f"{os.fspath(path)}: cannot be read",
                            expected="a folder of Cloud Storage that may be read, by who is signed in: "
                            "`gcloud auth application-default login`",
                            received=str(error).splitlines()[0][:300]) from None  # fmt: skip


def _listing(path: Path) -> str:
    if not path.is_dir():
        return "a file" if path.exists() else "nothing"
    return "a folder with " + (", ".join(sorted(p.name for p in path.iterdir())[:8]) or "nothing in it")
