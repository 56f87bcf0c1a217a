"""What the columns hold: each input as it came in, and what it was turned into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfloom.feature_specs.column import CategoricalColumn, Column
from tfloom.feature_specs.directories import TransformOutput
from tfloom.feature_specs.labels import Label
from tfloom.feature_specs.weighted_ids import WeightedIds
from tfloom.reporting.page import Html, number, tag
from tfloom.reporting.pictures import ACCENT, BARS, FAINT, bars, figure, histogram, shortened, thumbnail

ROWS = 2_000
"""About so many materialised rows are looked at, evenly spread over FILES files and the first REACH rows of each."""

FILES = 8
REACH = 20_000
PICTURES = 6


class Columns:
    """The columns of a transform output, drawn from a sample of the rows that came in and of those that went out."""

    def __init__(self, output: TransformOutput) -> None:
        self.spec, self.output = output.spec, output

    @cached_property
    def sample(self) -> pa.Table | None:
        """Rows as they were parsed, list columns; None where the output has no sample."""
        path = self.output.path / "stats" / "sample.parquet"
        return pq.read_table(path) if path.is_file() else None

    @cached_property
    def rows(self) -> list[dict[str, list[Any]]]:
        """Materialised rows of the training split."""
        files = self.output.shards("train-*.tfrecord.gz")
        within = min(REACH, self.output.report["splits"]["train"] // max(len(files), 1))
        files = files[:: -(-len(files) // FILES)] if files else []
        return [row for file in files for row in _read(file, max(1, within * len(files) // ROWS))]

    def cards(self) -> list[Html]:
        """One of each label and each input, with the columns that read it alone; then one of each other column."""
        labels = [self._label(label) for label in self.spec.labels]
        alone: dict[str, list[Column]] = {name: [] for name in self.spec.input_names}
        others: list[Column] = []
        for column in self.spec.materialised:
            inputs = column.inputs()
            (alone[inputs[0]] if len(inputs) == 1 and not column.parents() else others).append(column)
        cards = [self._input(name, columns) for name, columns in alone.items()]
        return [*labels, *cards, *(self._other(column) for column in others)]

    def _label(self, label: Label) -> Html:
        values = self._raw(label.name)
        shown: Html = tag("p", "No sample of it is at hand.")
        if values is not None and len(values):
            if label.class_names:
                shown = _shares(f"Classes of {label.name}", _classes(label, values))
            else:
                shown = _numbers(f"Distribution of {label.name}", values)
        what = f"{label.task.replace('_', ' ')}, made from {label.input}"
        return tag("article", tag("h3", f"{label.name} (label)"), tag("p", what, class_="faint"),
                   tag("div", shown, class_="pair"), class_="card")  # fmt: skip

    def _input(self, name: str, columns: Sequence[Column]) -> Html:
        said = self.spec.inputs.get(name)
        values = self._raw(name)
        facts = [str(said.dtype) if said and said.dtype else "of any type"]
        if said and said.multi_valued:
            facts.append("any number of values a row")
        raw: Html | str | None = None
        if values is not None and self.sample is not None:
            empty = int(pc.sum(pc.equal(pc.list_value_length(self.sample.column(name)), 0)).as_py() or 0)
            facts.append(f"missing in {empty / max(len(self.sample), 1):.1%} of the rows" if empty else "never missing")
            raw = _raw_picture(name, said.dtype if said else None, values)
        shown = [tag("div", raw or "No sample of it is at hand."), *(self._transformed(column) for column in columns)]
        return tag("article", tag("h3", name), tag("p", ", ".join(facts), class_="faint"),
                   tag("div", *shown, class_="pair"), *map(self._told, columns), class_="card")  # fmt: skip

    def _other(self, column: Column) -> Html:
        made_of = " × ".join([*column.parents(), *column.inputs()]) or "nothing in the data"
        return tag("article", tag("h3", column.name), tag("p", f"of {made_of}", class_="faint"),
                   tag("div", self._transformed(column), class_="pair"), self._told(column), class_="card")  # fmt: skip

    def _raw(self, name: str) -> list[Any] | None:
        if self.sample is None or name not in self.sample.column_names:
            return None
        return pc.list_flatten(self.sample.column(name)).to_pylist()

    # -- what it was turned into ------------------------------------------------------------------------------------

    def _transformed(self, column: Column) -> Html:
        values = [value for row in self.rows for value in row.get(column.name, ())]
        caption = f"{column.name}: {column.kind}"
        if not values:
            why = "No row of the training split is at hand." if not self.rows else "No row has a value of it."
            return tag("div", tag("p", caption), tag("p", why, class_="faint"))
        kind = column.transformed_type
        if kind is not None and kind.dtype == "bytes":
            return tag("div", tag("p", caption), _pictures(values, column.name))
        if isinstance(column, CategoricalColumn):
            if edges := self._edges(column):
                return _buckets(column.name, caption, values, edges)
            words = self._words(column)
            named = Counter(_id(one, words) for one in values)
            return _shares(f"Most frequent ids of {column.name}", named, caption)
        if kind is not None and kind.dimension is None:
            return _numbers(f"Distribution of {column.name}, transformed", values, caption)
        vectors, _ = self._vectors(column)
        if len(vectors[0]) > 1:
            return _positions(column.name, caption, vectors)
        return _numbers(f"Distribution of {column.name}, transformed", [value for (value,) in vectors], caption)

    def _vectors(self, column: Column) -> tuple[list[list[float]], list[float]]:
        """The numbers of each row, and apart the last one, where it tells whether a value was missing."""
        rows = [list(row[column.name]) for row in self.rows if row.get(column.name)]
        told = [row.pop() for row in rows] if getattr(column, "indicator", False) else []
        return rows, told

    def _told(self, column: Column) -> Html:
        """What the pictures cannot say: how many ids, how the model sees them, some rows."""
        parts = []
        values = [row.get(column.name, ()) for row in self.rows]
        if isinstance(column, CategoricalColumn):
            seen = len({one for row in values for one in row if one >= 0})
            of = number(self.output.num_buckets.get(column.name, "an unknown number of"))
            parts.append(f"{seen:,} of {of} ids in the {len(self.rows):,} rows looked at" if values else f"{of} ids")
            if not getattr(column, "boundaries", True) and self._edges(column):
                parts.append("boundaries are those of the sample, near the learned ones")
            words = self._words(column)
            some = ["·".join(_id(one, words) for one in row) or "none" for row in values[:5]]
        elif isinstance(column, WeightedIds):
            parts.append(f"weights of the ids of {column.of}")
            words = self._words(self.spec.by_name[column.of])
            pairs = [zip(row.get(column.of, ()), row.get(column.name, ()), strict=True) for row in self.rows[:5]]
            some = ["·".join(f"{_id(one, words)} x {weight:.4g}" for one, weight in row) or "none" for row in pairs]
        elif column.transformed_type is not None and column.transformed_type.dtype == "float32":
            vectors, missing = self._vectors(column)
            some = ["·".join(f"{one:.4g}" for one in row[:4]) + ("…" if len(row) > 4 else "") for row in vectors[:5]]
            if missing:
                parts.append(f"with a number more, whether it was missing: {np.mean(missing):.1%} were")
        else:
            some = []
        readers = [f"{c.kind} as {c.name}" for c in self.spec.columns if column.name in c.parents()]
        parts += [", ".join(readers)] * bool(readers)
        parts += ["for example " + ", ".join(shortened(one, 40) for one in some)] * bool(some)
        return tag("p", tag("b", f"{column.name}: "), "; ".join(parts))

    def _edges(self, column: Column) -> Sequence[float]:
        """The boundaries of a bucketized column; those that it learned are near the quantiles of the sample.

        None where they are of weighted rows or of each key, which the sample does not tell.
        """
        boundaries, quantiles = getattr(column, "boundaries", None), getattr(column, "quantiles", None)
        raw = self._raw(column.inputs()[0]) if quantiles and len(column.inputs()) == 1 else None
        if boundaries or not raw:
            return boundaries or ()
        return [float(edge) for edge in np.quantile(np.asarray(raw, np.float64), np.arange(1, quantiles) / quantiles)]

    def _words(self, column: Column) -> list[str]:
        """The words of its ids, learned or given; none where an id has no word."""
        if edges := self._edges(column):
            inner = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
            return [f"< {edges[0]:.4g}", *inner, f"≥ {edges[-1]:.4g}"]
        if given := column.words():
            return list(given)
        learned = column.learned_vocabulary()
        path = self.output.path / "transform_fn" / "assets" / (learned or "")
        return path.read_text("utf-8", errors="replace").split("\n")[:-1] if learned and path.is_file() else []


def _read(file: Path, step: int) -> list[dict[str, list[Any]]]:
    """Every step-th row of a file, as lists by feature."""
    import tensorflow as tf

    rows = []
    for record in tf.data.TFRecordDataset(str(file), "GZIP").take(REACH).shard(step, 0).as_numpy_iterator():
        features: Mapping[str, Any] = tf.train.Example.FromString(record).features.feature
        lists = {name: getattr(one, one.WhichOneof("kind") or "int64_list") for name, one in features.items()}
        rows.append({name: list(one.value) for name, one in lists.items()})
    return rows


def _raw_picture(name: str, dtype: str | None, values: Sequence[Any]) -> Html | str:
    if not values:
        return "No row of the sample has a value."
    if dtype == "bytes":
        return _pictures(values, name)
    if isinstance(values[0], bytes):
        return _shares(f"Most frequent values of {name}", Counter(map(_text, values)), "raw", FAINT)
    if len(set(values)) <= BARS:
        return _shares(f"Values of {name}", Counter(f"{value:.6g}" for value in values), "raw", FAINT)
    return _numbers(f"Distribution of {name}, raw", values, "raw", FAINT)


def _numbers(alt: str, values: Sequence[float], caption: str | None = None, colour: str = ACCENT) -> Html:
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return tag("p", f"{caption or alt}: no finite number", class_="faint")
    low, middle, high = np.quantile(finite, [0, 0.5, 1])
    alt = f"{alt}: from {low:.6g} to {high:.6g}, median {middle:.6g}"
    return figure(alt, lambda axes: histogram(axes, finite, colour), caption)


def _positions(name: str, caption: str, rows: Sequence[Sequence[float]]) -> Html:
    """The mean of each number of a vector."""
    numbers = np.asarray(rows, np.float64)
    finite = np.isfinite(numbers)
    means = np.where(finite, numbers, 0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1)

    def draw(axes: Any) -> None:
        axes.bar(np.arange(len(means)), means, width=0.92, color=ACCENT)
        axes.axhline(0, color=FAINT, linewidth=0.5)
        axes.set_xticks([])
        axes.spines["left"].set_visible(False)

    told = ", ".join(f"{mean:.3g}" for mean in means[:20]) + (", …" if len(means) > 20 else "")
    return figure(f"Means of the {len(means)} numbers of {name}: {told}", draw, f"{caption}, the mean of each number")


def _classes(label: Label, values: Sequence[Any]) -> Counter[str]:
    """Rows by class, of any number of classes by each of them."""
    if not label.width:
        names = {str(i): name for i, name in enumerate(label.class_names)}
        return Counter(names.get(str(value), "missing") for value in values)
    rows = np.reshape(values, (-1, label.width))
    counts = Counter(dict(zip(label.class_names, (rows == 1).sum(axis=0).tolist(), strict=True)))
    return counts + Counter(
        {"none of them": int((rows == 0).all(axis=1).sum()), "missing": int((rows < 0).any(axis=1).sum())}
    )


def _shares(alt: str, counts: Counter[str], caption: str | None = None, colour: str = ACCENT) -> Html:
    total = sum(counts.values())
    shown = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: BARS if len(counts) <= BARS else BARS - 1]
    rest = len(counts) - len(shown)
    names = [name for name, _ in shown] + [f"{rest:,} others"] * bool(rest)
    shares = [n / total for _, n in shown] + [(total - sum(n for _, n in shown)) / total] * bool(rest)
    told = ", ".join(f"{shortened(name)} {share:.1%}" for name, share in zip(names, shares, strict=True))
    return figure(f"{alt}: {told}", lambda axes: bars(axes, names, shares, colour), caption)


def _buckets(name: str, caption: str, ids: Sequence[int], edges: Sequence[float]) -> Html:
    """Rows by bucket, the boundaries between the bars."""
    rows = np.bincount(np.asarray(ids), minlength=len(edges) + 1)

    def draw(axes: Any) -> None:
        axes.bar(np.arange(len(rows)), rows, width=0.92, color=ACCENT)
        step = -(-len(edges) // 4)
        axes.set_xticks(np.arange(len(edges))[::step] + 0.5, [f"{edge:.4g}" for edge in edges[::step]])
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)

    told = ", ".join(f"{edge:.4g}" for edge in edges)
    return figure(f"Rows by bucket of {name}, boundaries {told}", draw, caption)


def _id(one: int, words: Sequence[str]) -> str:
    if one < 0:
        return "out of vocabulary"
    if one < len(words):
        return f"{words[one]} ({one})"
    return f"out of vocabulary ({one})" if words else f"#{one}"


def _pictures(values: Sequence[bytes], name: str) -> Html:
    shown = [thumbnail(value, f"{name}, picture {i + 1}") for i, value in enumerate(values[:PICTURES])]
    if not any(shown):
        return tag("p", f"{len(values):,} values of {np.median([len(v) for v in values]):,.0f} bytes", class_="faint")
    return tag("div", *shown, class_="pictures")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace") or "(empty)"
