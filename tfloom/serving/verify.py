"""Proof that what is served is what was trained: rows through the export, against the same rows as materialised.

Rows are joined by their origin. Transformed values have to be the materialised ones bit for bit at every batch size.
Predictions have to be the trainer's bit for bit where both see the same batch, of `batch_rows`; the trainer's are made
from the materialised values, so the two take different ways. At other batch sizes, where a sum may be taken in another
order, and from a server, they have to agree to 1e-6 (see `equality.TOLERANCE`).

At that batch size, 1,000 or of pictures fewer, every row is compared. At the others it is a sample of every chunk (at
most 65,536 rows), spread evenly over it: 32 batches, or as many as hold 2,000 rows, at least one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfloom.feature_specs import parsed_rows, tensor_json
from tfloom.feature_specs.directories import ORIGIN, ExportDirectory, TransformOutput
from tfloom.feature_specs.errors import ArtefactError, DataError
from tfloom.feature_specs.spec import BATCH_ROWS
from tfloom.serving import client, materialised, signatures
from tfloom.serving.equality import differing, same_width

SAMPLE_BATCHES, SAMPLE_ROWS = 32, 2_000
FIRST = 10
"""How many differences are told."""

Columns = Mapping[str, np.ndarray]
Predict = Callable[[Columns], Columns]


@dataclass(frozen=True)
class Difference:
    """One value that is not what it has to be.

    origin: the row. name: the column or output, with an index where a row has several values. signature, batch_size:
    how it was asked. expected: the materialised value, or the trainer's. received: the served one.
    """

    origin: str
    name: str
    signature: str
    batch_size: int
    expected: str
    received: str

    def __str__(self) -> str:
        return (f"{self.origin}: {self.name} is {self.received}, not {self.expected} "
                f"({self.signature}, batches of {self.batch_size:,})")  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """What was compared: a value for each row, column and batch size.

    compared, differing: how many values. first: some of those that differ.
    """

    compared: int
    differing: int
    first: tuple[Difference, ...]

    def __repr__(self) -> str:
        return "\n    ".join([f"{self.compared:,} compared, {self.differing:,} differ", *map(str, self.first)])


@dataclass(frozen=True)
class Verified:
    """What `verify` found. rows: of the data, each compared; url: of the server asked, if any."""

    rows: int
    transformed: Comparison
    predictions: Comparison
    batch_sizes: tuple[int, ...]
    url: str | None

    @property
    def mismatches(self) -> int:
        """Transformed values and predictions that differ."""
        return self.transformed.differing + self.predictions.differing

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in verify.json."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    def __repr__(self) -> str:
        sizes = ", ".join(f"{size:,}" for size in self.batch_sizes)
        asked = f", and over {self.url}" if self.url else ""
        return (f"{self.rows:,} rows at batch sizes {sizes}{asked}\n"
                f"  transformed values: {self.transformed!r}\n"
                f"  predictions: {self.predictions!r}")  # fmt: skip


def verify(
    export: ExportDirectory,
    parsed: Iterable[tuple[int, int, pa.RecordBatch]],
    transformed: TransformOutput,
    predict: Predict,
    *,
    url: str | None = None,
    batch_sizes: Sequence[int] = (1, 7, 1_000, 1_001),
) -> Verified:
    """Run rows through an export and compare with the same rows as materialised; see the module.

    Args:
      parsed: (file, chunk, rows): parsed rows, list columns of the inputs and ORIGIN, with the file's index in the
        sources of `transformed` and the chunk's number there, in whose shards their counterparts lie.
      predict: the trainer's predictions by name for materialised columns, as the signature `transform` gives them.
      url: of a model in TF Serving's REST API, such as ``http://localhost:8501/v1/models/flights``, or in its gRPC API,
        such as ``grpc://localhost:8500/flights``; it too is asked for every row, in the signature serving_default.

    Raises:
      ArtefactError: the export lacks a signature, or its outputs are not those of the spec or of `predict`.
      DataError: there is no row to compare.
    """
    needed = ["transform", "serving_examples", *(["serving_default"] if url else [])]
    job = _Job(_Served(export, needed), transformed, predict, url, batch_sizes)
    for file, chunk, rows in parsed:
        job.chunk(materialised.read(transformed, file, chunk), rows)
    if not job.rows:
        raise DataError("verify: there is no row to compare", expected="data with rows", received="none")
    return Verified(job.rows, job.transformed.done(), job.predictions.done(), job.batch_sizes, url)


class _Served:
    """The signatures of the export; those that take tf.Examples can be called."""

    def __init__(self, export: ExportDirectory, needed: Sequence[str]) -> None:
        import tensorflow as tf

        self.infos = signatures.read(export.path)
        for name in needed:
            if name not in self.infos:
                raise ArtefactError(f"{export.path}: has no signature {name!r}", expected="an export of tfloom",
                                    received=", ".join(self.infos))  # fmt: skip
        self._loaded = tf.saved_model.load(str(export.path))

    def __call__(self, signature: str, examples: np.ndarray) -> dict[str, np.ndarray]:
        import tensorflow as tf

        outputs = self._loaded.signatures[signature](examples=tf.constant(examples, tf.string))
        return {name: tensor.numpy() for name, tensor in outputs.items()}


@dataclass
class _Tally:
    """A Comparison in the making."""

    batch: int
    compared: int = 0
    differing: int = 0
    first: list[Difference] = field(default_factory=list)

    def compare(
        self, expected: Columns, received: Columns, origins: np.ndarray, asked: tuple[str, int], exact: bool = True
    ) -> None:
        """Count, by row and name, where two sets of columns differ; asked: signature and batch size."""
        for name, wanted in expected.items():
            a, b = same_width(wanted, received[name])
            if a.shape != b.shape or a.dtype != b.dtype:
                raise ArtefactError(f"{name!r} of signature {asked[0]!r} has another form than was trained",
                                    expected=f"{a.dtype} {list(a.shape)}",
                                    received=f"{b.dtype} {list(b.shape)}")  # fmt: skip
            wrong = differing(a, b, exact=exact)
            rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(1)) if wrong.size else np.zeros(0, int)
            self.compared += len(wrong)
            self.differing += len(rows)
            for row in rows[: FIRST - len(self.first)]:
                at = tuple(int(i) for i in np.argwhere(wrong[row])[0])
                place = f"{name}{list(at)}" if wrong[row].size > 1 else name
                told = _told(a[row, *at]), _told(b[row, *at])
                self.first.append(Difference(_text(origins[row]), place, *asked, *told))

    def without_counterpart(self, origins: np.ndarray, signature: str, values: int) -> None:
        """Count rows that were not materialised, of so many values each."""
        self.compared += len(origins) * values
        self.differing += len(origins) * values
        for origin in origins[: FIRST - len(self.first)]:
            told = Difference(_text(origin), "the row", signature, self.batch, "materialised", "served")
            self.first.append(told)

    def done(self) -> Comparison:
        return Comparison(self.compared, self.differing, tuple(self.first))


@dataclass(frozen=True)
class _Chunk:
    """Rows of a chunk that have a counterpart: parsed, and where it is in `found`, the materialised rows."""

    rows: pa.RecordBatch
    origins: np.ndarray
    examples: np.ndarray
    found: materialised.Rows
    place: np.ndarray


class _Job:
    """What `verify` does to each chunk, and what it has found so far."""

    def __init__(
        self,
        served: _Served,
        transformed: TransformOutput,
        predict: Predict,
        url: str | None,
        batch_sizes: Sequence[int],
    ) -> None:
        self.served, self.predict, self.url, self.batch = served, predict, url, transformed.spec.batch_rows
        if self.batch < BATCH_ROWS:  # of pictures so many are too many: 7 instead of 1,000, and 8 instead of 1,001
            batch_sizes = [min(size, self.batch + (size > BATCH_ROWS)) for size in batch_sizes]
        self.batch_sizes = tuple(sorted({self.batch, *batch_sizes}))
        self.inputs = transformed.spec.input_names
        self.rows, self.transformed, self.predictions = 0, _Tally(self.batch), _Tally(self.batch)
        columns = {column.name for column in transformed.spec.materialised}
        _same_names("transform", columns, served.infos["transform"].outputs)

    def chunk(self, found: materialised.Rows, rows: pa.RecordBatch) -> None:
        """Compare the rows of a chunk with those found materialised."""
        self.rows += rows.num_rows
        chunk = self._joined(found, rows)
        count = len(chunk.place)
        samples = {size: _sample(count, size) for size in self.batch_sizes if size != self.batch}
        sampled = np.unique(np.concatenate([np.zeros(0, int), *samples.values()]))
        trained = self._every_row(chunk, sampled)
        for size, sample in samples.items():
            for start in range(0, len(sample), size):
                batch = sample[start : start + size]
                places = np.searchsorted(sampled, batch)
                self._one_batch(chunk, batch, size, {name: value[places] for name, value in trained.items()})

    def _joined(self, found: materialised.Rows, rows: pa.RecordBatch) -> _Chunk:
        of = rows.column(ORIGIN).flatten()
        place = pc.fill_null(pc.index_in(of, value_set=found.origins), -1).to_numpy()
        origins = of.to_numpy(zero_copy_only=False)
        for tally, name in ((self.transformed, "transform"), (self.predictions, "serving_examples")):
            tally.without_counterpart(origins[place < 0], name, len(self.served.infos[name].outputs))
        there = place >= 0
        rows = rows.filter(pa.array(there))
        return _Chunk(rows, origins[there], parsed_rows.examples(rows, self.inputs), found, place[there])

    def _every_row(self, chunk: _Chunk, sampled: np.ndarray) -> Columns:
        """Compare every row at one batch size; the trainer's predictions for those of these indices."""
        kept: list[Columns] = []
        for start in range(0, len(chunk.place), self.batch):
            batch = np.arange(start, min(start + self.batch, len(chunk.place)))
            trained = self._one_batch(chunk, batch, self.batch)
            if self.url:
                self._from_a_server(chunk.rows.slice(start, len(batch)), trained, chunk.origins[batch])
            wanted = sampled[(sampled >= start) & (sampled < start + self.batch)] - start
            kept.append({name: value[wanted] for name, value in trained.items()})
        return {name: np.concatenate([part[name] for part in kept]) for name in kept[0]} if kept else {}

    def _one_batch(self, chunk: _Chunk, batch: np.ndarray, size: int, trained: Columns | None = None) -> Columns:
        """Compare one batch with the materialised values and the trainer's predictions, and return these.

        trained: the trainer's predictions of another batch size; without them it predicts for this batch.
        """
        columns = self.served("transform", chunk.examples[batch])
        # Padded as the served ids are, so that the trainer sums over what the served model sums over.
        widths = {name: value.shape[1] for name, value in columns.items() if value.ndim == 2}
        expected = chunk.found.take(chunk.place[batch], widths)
        self.transformed.compare(expected, columns, chunk.origins[batch], ("transform", size))
        exact = trained is None
        if trained is None:
            trained = self.predict(expected)
            _same_names("serving_examples", set(trained), self.served.infos["serving_examples"].outputs)
        predictions = self.served("serving_examples", chunk.examples[batch])
        self.predictions.compare(trained, predictions, chunk.origins[batch], ("serving_examples", size), exact)
        return trained

    def _from_a_server(self, rows: pa.RecordBatch, trained: Columns, origins: np.ndarray) -> None:
        assert self.url is not None
        infos = self.served.infos["serving_default"]
        named = parsed_rows.named(rows, {name: info.rank for name, info in infos.inputs.items()})
        signature = f"serving_default of {self.url}"
        if self.url.startswith("grpc:"):
            from tfloom.serving import rpc_client

            predictions = rpc_client.predict(self.url, named)
            _same_names(signature, set(trained), predictions)
        else:
            answer = client.predict(self.url, named)
            _same_names(signature, set(trained), answer)
            predictions = {
                name: tensor_json.decode(answer[name], info.dtype, info.shape, name)
                for name, info in infos.outputs.items()
            }
        self.predictions.compare(trained, predictions, origins, (signature, self.batch), exact=False)


def _sample(rows: int, size: int) -> np.ndarray:
    """The indices of some of so many rows, for batches of this size."""
    count = min(rows, size * max(1, min(SAMPLE_BATCHES, SAMPLE_ROWS // size)))
    return np.linspace(0, max(rows - 1, 0), count).astype(int)


def _same_names(signature: str, expected: set[str], received: Iterable[str]) -> None:
    if expected != set(received):
        raise ArtefactError(f"the outputs of signature {signature!r} are not those that were trained",
                            expected=", ".join(sorted(expected)), received=", ".join(sorted(received)))  # fmt: skip


def _text(origin: bytes) -> str:
    return origin.decode(errors="replace")


def _told(value: Any) -> str:
    return json.dumps(tensor_json.encode(np.asarray(value)))[:80]
