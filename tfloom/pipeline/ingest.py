"""From raw rows to parsed rows: the value a client would send for every input, the labels, the split, the origin."""

from __future__ import annotations

import base64
import datetime
import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfloom.feature_specs import where
from tfloom.feature_specs.column import Column
from tfloom.feature_specs.columns.crossed import Crossed
from tfloom.feature_specs.directories import ORIGIN, WEIGHT, key_feature
from tfloom.feature_specs.inputs import Input
from tfloom.feature_specs.numbers import is_missing, is_text, numbers
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.split import SPLITS, key_texts
from tfloom.feature_specs.values import texts
from tfloom.feature_specs.weight import Weight
from tfloom.pipeline.formats import Damage
from tfloom.pipeline.lists import from_counts, of_values
from tfloom.pipeline.sources import Chunk

_ARROW = {"int64": pa.int64(), "float32": pa.float32(), "string": pa.binary(), "bytes": pa.binary()}


@dataclass(frozen=True)
class Ingested:
    """What became of a chunk.

    rows: the parsed rows: list columns of inputs, ORIGIN, and where they are labelled of labels (one value, or one for
      each class; NaN and -1 where missing and kept), WEIGHT and key_feature.
    positions: int64 [rows], where they stand in the chunk.
    splits: int8 [rows], index into SPLITS.
    rejected: for each rejected row its origin, line or offset, the column at fault, the reason and its values. Where
      rows have a place it is yet to be told; until then `line` is the record that Damage has, if any.
    account: rows in, out, filtered, unlabelled and rejected.
    """

    rows: pa.RecordBatch
    positions: np.ndarray
    splits: np.ndarray
    rejected: tuple[dict[str, Any], ...]
    account: Counter[str]


def ingest(spec: FeatureSpec, chunk: Chunk, labelled: bool = True) -> Ingested:
    """Parse a chunk by a resolved spec.

    labelled: without it labels, weight, key, `where` and splits are left alone: rows to predict for need none of them.
    """
    rows, count = chunk.rows, chunk.rows.num_rows
    table = {name: rows.column(name) for name in rows.schema.names}
    table |= {name: pa.nulls(count, pa.string()) for name in spec.input_sources if name not in table}
    taken = np.ones(count, bool)
    if labelled and spec.where is not None:
        taken = _bools(where.evaluate(where.parse(spec.where), table))
    reasons: defaultdict[str, dict[int, str]] = defaultdict(dict)
    """By column, the one that counts first, and row."""
    parsed = {
        name: _parse(spec, name, table[source], chunk.source.folder, reasons[source])
        for name, source in zip(spec.input_names, map(spec.source, spec.input_names), strict=True)
    }
    for weights, of in _parallel(spec).items():
        parsed[weights] = _beside(of, parsed[of], weights, parsed[weights], reasons[spec.source(weights)])
    parsed = {name: _present(values) for name, values in parsed.items()}
    unlabelled = np.zeros(count, bool)
    if labelled:
        for label in spec.labels:
            target, known = label.targets(table[label.input])
            for row in np.flatnonzero(~_bools(known)):
                reasons[label.input].setdefault(
                    int(row), f"label {label.name}: {table[label.input][row].as_py()!r} is none of its values"
                )
            missing = _bools(pc.is_null(target)) & _bools(known)
            if label.missing == "reject":
                for row in np.flatnonzero(missing):
                    reasons[label.input].setdefault(int(row), f"label {label.name}: {label.input} is missing")
            elif label.missing == "drop":
                unlabelled |= missing
            parsed[label.name] = _targets(target)
        if spec.weight is not None:
            parsed[WEIGHT] = _weights(spec.weight, table[spec.weight.source], reasons[spec.weight.source])
        for name in spec.key:
            parsed[key_feature(name)] = of_values(pc.cast(pc.fill_null(key_texts(table[name]), ""), pa.binary()))
    origins = _origins(chunk)
    parsed[ORIGIN] = of_values(origins)
    splits = np.zeros(count, np.int8)
    if labelled:
        splits = _splits(spec, chunk)
        for row in np.flatnonzero(splits < 0):
            source = spec.split.source  # type: ignore[union-attr]  # a hash splits every row
            reasons[source].setdefault(int(row), f"split: {table[source][int(row)].as_py()!r} is no time")
    told = {row: Damage(why, row, column=name) for name in reversed(reasons) for row, why in reasons[name].items()}
    damaged = {one.row: one for one in reversed(chunk.damages) if one.row is not None}
    told |= damaged
    taken[list(damaged)] = True  # what `where` makes of such a row means nothing
    bad = np.zeros(count, bool)
    bad[list(told)] = True
    bad &= taken
    kept = taken & ~bad & ~unlabelled
    rejected: list[dict[str, Any]] = [
        _told(told[row], origins[row].as_py().decode(), _plain(rows, row)) for row in np.flatnonzero(bad).tolist()
    ]
    of_none = [one for one in chunk.damages if one.row is None]
    rejected += [_told(one, chunk.source.label, None) for one in of_none]
    account = Counter({
        "in": count + len(of_none), "out": int(kept.sum()), "filtered": int((~taken).sum()),
        "unlabelled": int((taken & ~bad & unlabelled).sum()), "rejected": len(rejected),
    })  # fmt: skip
    batch = pa.RecordBatch.from_pydict(parsed)
    batch = batch if kept.all() else batch.filter(pa.array(kept))
    return Ingested(batch, np.flatnonzero(kept), splits[kept], tuple(rejected), account)


def _targets(target: pa.Array) -> pa.ListArray:
    """What a label is materialised as: a value a row, or as many as there are classes; NaN or -1 where missing."""
    if pa.types.is_fixed_size_list(target.type):
        width, missing = target.type.list_size, _bools(pc.is_null(target))
        flat = np.where(np.repeat(missing, width), -1, target.values.to_numpy())
        return from_counts(np.full(len(target), width), pa.array(flat))
    fill = float("nan") if pa.types.is_floating(target.type) else -1
    return of_values(pc.fill_null(target, pa.scalar(fill, target.type)))


def _told(damage: Damage, origin: str, row: Mapping[str, Any] | None) -> dict[str, Any]:
    """As it is written."""
    return {
        "origin": origin, "line": damage.record, "offset": damage.offset, "column": damage.column,
        "reason": damage.reason, "row": row if damage.shown is None else damage.shown,
    }  # fmt: skip


def _parse(spec: FeatureSpec, name: str, values: pa.Array, folder: str, reasons: dict[int, str]) -> pa.Array:
    """One input as a list column, null where one of several values is missing; rows that cannot be are noted.

    folder: where relative paths start.
    """
    declared = spec.inputs[name]
    readers = [column for column in spec.columns if name in column.inputs()]
    values = declared.without_na(values)
    made_many = any(column.makes_many for column in readers)
    if declared.multi_valued and not made_many:
        if (vectors := next((column for column in readers if column.vector_size(name)), None)) is not None:
            return _vectors(name, declared, values, vectors, _who_needs(name, declared, readers), reasons)
        return _multi_valued(name, declared, values, reasons)
    is_made = made_many and pa.types.is_list(values.type)
    result, bad = (values, pa.array(np.zeros(len(values), bool))) if is_made else _cast(declared, values)
    if any(column.reads_files for column in readers):
        result = _within(folder, result)
    for column in {column.kind: column for column in readers}.values():  # those of a kind make the same of it
        result, why = column.ingest(result)
        for rejected, reason in why.items():
            reasons.setdefault(rejected, reason)
    for row in np.flatnonzero(_bools(bad)):
        reasons.setdefault(int(row), f"{name}: {values[int(row)].as_py()!r} is no {declared.dtype}")
    counts = pc.fill_null(pc.list_value_length(result), 0) if made_many else pc.is_valid(result).cast(pa.int32())
    if (needed := _who_needs(name, declared, readers)) is not None:
        for row in np.flatnonzero(counts.to_numpy() == 0):
            reasons.setdefault(int(row), f"{name} is missing, and {needed}")
    return from_counts(counts.to_numpy(), result.flatten()) if made_many else of_values(result)


def _weights(weight: Weight, values: pa.Array, reasons: dict[int, str]) -> pa.Array:
    """One weight a row; rows that have none are noted in `reasons`."""
    result, known = weight.weights(values)
    for row in np.flatnonzero(~_bools(known)):
        value = values[int(row)].as_py()
        reasons.setdefault(int(row), f"weight: {weight.source}, {value!r}, is no number of 0 or more")
    for row in np.flatnonzero(_bools(pc.is_null(result)) & _bools(known)):
        reasons.setdefault(int(row), f"weight: {weight.source} is missing")
    return of_values(result)


def _within(folder: str, paths: pa.Array) -> pa.Array:
    """Paths, the relative ones within a folder; a missing one stays so."""
    of = [path and path.decode() for path in paths.to_pylist()]
    whole = [path if not path or "://" in path else os.path.join(folder, path) for path in of]
    return pa.array([path and path.encode() for path in whole], pa.binary())


def _who_needs(name: str, declared: Input, readers: list[Column]) -> str | None:
    for column in readers:
        if column.needs_value(name):
            return f"columns.{column.name} says nothing of missing values"
    crossed = any(isinstance(column, Crossed) for column in readers)
    if not declared.optional and (declared.dtype == "int64" or (declared.dtype == "string" and crossed)):
        return f"inputs.{name} is not optional"
    return None


def _cast(declared: Input, values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """(values, bad): null where missing."""
    if declared.dtype == "float32":
        # By way of float64: a text is rounded once, as a client's JSON number is.
        result, bad = numbers(values, pa.float64())
        return pc.cast(result, pa.float32(), safe=False), bad
    if declared.dtype == "int64":
        return numbers(values, pa.int64())
    written = values if pa.types.is_binary(values.type) else pc.cast(texts(values), pa.binary())
    return written, pa.array(np.zeros(len(values), bool))


def _multi_valued(name: str, declared: Input, values: pa.Array, reasons: dict[int, str]) -> pa.Array:
    result, parents = _elements(name, declared, values, reasons)
    if declared.dtype == "string":
        result = pc.if_else(pc.equal(result, b""), None, result)
    return from_counts(np.bincount(parents, minlength=len(values)), pc.cast(result, _ARROW[str(declared.dtype)]))


def _vectors(
    name: str, declared: Input, values: pa.Array, column: Column, needed: str | None, reasons: dict[int, str]
) -> pa.Array:
    """Rows of as many numbers as a column's shape says, or of none; a missing one stays in its place, as NaN."""
    if is_text(values.type):
        values = pc.if_else(is_missing(values), None, values)
    result, parents = _elements(name, declared, values, reasons)
    counts, size = np.bincount(parents, minlength=len(values)), column.vector_size(name)
    for row in np.flatnonzero((counts > 0) & (counts != size)):
        held = f"{counts[row]} number{'s' if counts[row] > 1 else ''}"
        reasons.setdefault(int(row), f"{name} holds {held}, and columns.{column.name}.shape says {size}")
    if needed is not None:
        for row in np.flatnonzero(counts == 0):
            reasons.setdefault(int(row), f"{name} is missing, and {needed}")
    elif declared.dtype == "int64":
        needed = "an int64 cannot be"
    if needed is not None:
        first = np.cumsum(counts) - counts
        for index in np.flatnonzero(_bools(pc.is_null(result))):
            row = parents[index]
            reasons.setdefault(int(row), f"{name}: number {index - first[row] + 1} is missing, and {needed}")
    result = pc.fill_null(result, pa.scalar(float("nan") if declared.dtype == "float32" else 0, result.type))
    return from_counts(counts, pc.cast(result, _ARROW[str(declared.dtype)]))


def _elements(name: str, declared: Input, values: pa.Array, reasons: dict[int, str]) -> tuple[pa.Array, np.ndarray]:
    """Every value of a multi-valued input, null where missing, and its row."""
    if not pa.types.is_list(values.type):
        texts = pc.cast(values, pa.string())
        empty = pc.equal(pc.utf8_trim_whitespace(texts), "")
        values = pc.split_pattern(pc.if_else(empty, None, texts), declared.delimiter or "|")
    parents = np.asarray(pc.list_parent_indices(values))
    flat = values.flatten()
    if pa.types.is_string(flat.type):
        flat = declared.without_na(pc.utf8_trim_whitespace(flat))
    result, bad = _cast(declared, flat)
    for index in np.flatnonzero(_bools(bad)):
        reasons.setdefault(int(parents[index]), f"{name}: {flat[int(index)].as_py()!r} is no {declared.dtype}")
    return result, parents


def _parallel(spec: FeatureSpec) -> dict[str, str]:
    """By input the other whose values, place by place, its own belong to; one of the two is multi-valued."""
    pairs = (column.parallel(spec.by_name) for column in spec.columns)
    return {second: first for first, second in filter(None, pairs)
            if spec.inputs[first].multi_valued or spec.inputs[second].multi_valued}  # fmt: skip


def _beside(of: str, values: pa.Array, name: str, beside: pa.Array, reasons: dict[int, str]) -> pa.Array:
    """`beside` without what belongs to missing `values`; what is missing among the rest is NaN, or 0 of integers."""
    count, own = (np.diff(lists.offsets.to_numpy()) for lists in (values, beside))
    for row in np.flatnonzero(count != own):
        reasons.setdefault(int(row), f"{of} has {_values(count[row])} and {name}, which runs beside it, {own[row]}")
    rows = np.repeat(np.arange(len(own)), own)
    place = np.arange(len(rows)) - beside.offsets.to_numpy()[rows]
    known = np.append(_bools(pc.is_valid(values.values)), False)
    kept = known[np.where(place < count[rows], values.offsets.to_numpy()[rows] + place, -1)]
    missing = float("nan") if pa.types.is_floating(beside.values.type) else 0
    flat = pc.fill_null(beside.values, pa.scalar(missing, beside.values.type))
    return from_counts(np.bincount(rows[kept], minlength=len(own)), flat.filter(pa.array(kept)))


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _present(lists: pa.ListArray) -> pa.ListArray:
    """Lists without the nulls in them."""
    if not lists.values.null_count:
        return lists
    valid = _bools(pc.is_valid(lists.values))
    rows = np.repeat(np.arange(len(lists)), np.diff(lists.offsets.to_numpy()))
    return from_counts(np.bincount(rows[valid], minlength=len(lists)), lists.values.drop_null())


def _origins(chunk: Chunk) -> pa.Array:
    """binary [rows]: the source and the place in it."""
    rows = pa.array(np.arange(chunk.first_row, chunk.first_row + chunk.rows.num_rows))
    return pc.cast(pc.binary_join_element_wise(f"{chunk.source.label}:", pc.cast(rows, pa.string()), ""), pa.binary())


def _splits(spec: FeatureSpec, chunk: Chunk) -> np.ndarray:
    """int8 [rows], -1 where the rule cannot tell.

    Of rows named train, those that the rule would hold out are eval where no eval was named.
    """
    count = chunk.rows.num_rows
    if chunk.source.split in (None, "train+eval"):
        rows = chunk.rows
        of = getattr(spec.split, "of", None)
        if of == () and spec.key:
            rows = rows.select(list(spec.key))
        assigned = spec.split.assign(rows)
        return assigned if chunk.source.split is None else np.minimum(assigned, 1)
    return np.full(count, SPLITS.index(chunk.source.split), np.int8)


def _plain(rows: pa.RecordBatch, row: int) -> Mapping[str, Any]:
    return {name: _json(rows.column(name)[row].as_py()) for name in rows.schema.names}


def _json(value: Any) -> Any:
    """A value of the data as strict JSON has it."""
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value[:300]).decode()}
    if isinstance(value, Mapping):
        return {str(key): _json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_json(part) for part in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if isinstance(value, str | int | float | None) else str(value)


def _bools(values: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), bool)
