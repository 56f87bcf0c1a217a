"""What the spec leaves open about its inputs, answered by the data: dtype, and whether a row may lack it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tfloom.feature_specs.column import Dtype
from tfloom.feature_specs.errors import DataError, SpecError, nearest
from tfloom.feature_specs.inputs import Input
from tfloom.feature_specs.numbers import is_missing, is_text, numbers
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.formats import parquet
from tfloom.pipeline.in_order import in_order
from tfloom.pipeline.sources import Chunk, Source, chunks, schema


@dataclass(frozen=True)
class Seen:
    """What a column of the data holds. dtype: None where it has no value at all."""

    dtype: Dtype | None
    missing: bool
    integral: bool = False
    """Whether every float is a whole number."""


def resolve(spec: FeatureSpec, sources: Sequence[Source], threads: int = 1) -> FeatureSpec:
    """The spec with every input's dtype, multi_valued and optional said.

    Raises:
      DataError: where a source lacks a column.
      SpecError: where a column cannot take what the data holds.
    """
    check_columns(spec, sources)
    said = {name: spec.inputs.get(name, Input()) for name in spec.input_names}
    open_ones = dict.fromkeys(spec.source(name) for name, i in said.items() if i.dtype is None or i.optional is None)
    seen = look(sources, list(open_ones), threads)
    lists = {field.name for source in sources for field in schema(source) if pa.types.is_list(field.type)}
    inputs = {
        name: _resolved(spec, name, one, seen.get(spec.source(name)), spec.source(name) in lists)
        for name, one in said.items()
    }
    for column in spec.columns:
        column.check_inputs(inputs)
    return spec.model_copy(update={"inputs": inputs})


def check_columns(spec: FeatureSpec, sources: Sequence[Source], wanted: Sequence[str] | None = None) -> None:
    """Raise DataError where a source lacks a column of `wanted`, or of all that the spec reads, or has it in parts.

    An input that the spec says is optional may be absent from some sources; one that has no column has no row either.
    """
    schemas = [(source, found) for source in sources if len(found := schema(source))]
    for name in spec.data_names if wanted is None else wanted:
        made_of_it = [one for one in spec.input_names if spec.source(one) == name]
        having = next((source.label for source, found in schemas if name in found.names), None)
        if name in spec.other_names or not made_of_it:
            having = None
        for source, found in schemas:
            if name in found.names:
                _check_kind(spec, source, name, found.field(name).type)
            elif having is None or not all(spec.inputs.get(one, Input()).optional for one in made_of_it):
                hint = f", or inputs.{name}: {{optional: true}}, as only files like {having} have it" if having else ""
                raise DataError(f"{source.place}: has no column {name!r}, which {_reader(spec, name)} reads",
                                expected=nearest(name, found.names) + hint,
                                received=", ".join(found.names)[:300])  # fmt: skip


def _check_kind(spec: FeatureSpec, source: Source, name: str, kind: pa.DataType) -> None:
    value = kind.value_type if pa.types.is_list(kind) else kind
    if pa.types.is_nested(value) or pa.types.is_interval(value):
        raise DataError(f"{source.place}: column {name!r}, which {_reader(spec, name)} reads, is {kind}",
                        expected="a value a row, or a list of values", received=str(kind))  # fmt: skip


def look(sources: Sequence[Source], names: Sequence[str], threads: int = 1) -> dict[str, Seen]:
    """Say what these columns hold, where a source has them; read no further than it takes to tell."""
    seen: dict[str, Seen] = {}
    for source in sources:
        found = schema(source).names if names else ()
        here = [name for name in names if name in found]
        told = _from_parquet(source, here) if source.format == "parquet" else {}
        left = [name for name in here if name not in told]
        for one in (told, *in_order(_of_chunk, chunks(source, left), threads)) if left else (told,):
            for name, held in one.items():
                seen[name] = _both(seen.get(name), held)
    return seen


def _of_chunk(chunk: Chunk) -> dict[str, Seen]:
    rows = chunk.sound
    return {name: _of(rows.column(name)) for name in rows.schema.names}


def _from_parquet(source: Source, names: Sequence[str]) -> dict[str, Seen]:
    """Of those columns of which the file's schema and statistics, with the first rows, say all."""
    nulls = _nulls(source, names)
    kinds = {field.name: field.type for field in schema(source) if field.name in nulls}
    floats = {name for name, kind in kinds.items() if pa.types.is_floating(kind)}
    open_ones = [name for name, kind in kinds.items() if name in floats or is_text(kind)]
    result = {name: Seen(_dtype(kind), nulls[name]) for name, kind in kinds.items() if name not in open_ones}
    first = _of_chunk(next(chunks(source, open_ones))) if open_ones else {}
    for name, seen in first.items():
        # Texts that are no numbers stay texts; of floats a NaN is missing too, and one that is not whole is enough.
        if seen.dtype == "string" or (name in floats and nulls[name] and seen.dtype and not seen.integral):
            result[name] = Seen(seen.dtype, nulls[name])
    return result


def _nulls(source: Source, names: Sequence[str]) -> dict[str, bool]:
    """Whether a column has any, by the statistics of a Parquet file, where they say so."""
    with parquet.opened(source.path) as file:
        metadata = file.metadata
        paths = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
        result = {}
        for name in names:
            if name in paths and metadata.num_rows:
                groups = [metadata.row_group(g).column(paths[name]) for g in range(metadata.num_row_groups)]
                if all(group.is_stats_set and group.statistics.has_null_count for group in groups):
                    result[name] = any(group.statistics.null_count for group in groups)
        return result


def _of(values: pa.Array) -> Seen:
    kind = values.type
    if pa.types.is_list(kind):
        inner = _of(values.flatten())
        return Seen(inner.dtype, bool(values.null_count), inner.integral)
    missing = is_missing(values)
    present = values.filter(pc.invert(missing))
    any_missing = len(present) < len(values)
    if not len(present):
        return Seen(None, any_missing)
    if is_text(kind):
        distinct = present.unique()
        for number_type, dtype in ((pa.int64(), "int64"), (pa.float64(), "float32")):
            if (read := _all_numbers(distinct, number_type)) is not None:
                return Seen(dtype, any_missing, integral=dtype == "int64" or _integral(read))  # type: ignore[arg-type]
        return Seen("string", bool(values.null_count))
    fractional = pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return Seen(_dtype(kind), any_missing, integral=fractional and _integral(present))


def _all_numbers(texts: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """The texts as numbers, if all of them are. Most that are not show it among the first: the rest is slow to tell."""
    for part in (texts[:100], texts):
        read, bad = numbers(part, kind)
        if pc.any(bad).as_py():
            return None
    return read


def _integral(values: pa.Array) -> bool:
    return bool(pc.all(pc.equal(pc.floor(values), values)).as_py())


def _dtype(kind: pa.DataType) -> Dtype:
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "int64"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "float32"
    return "bytes" if pa.types.is_binary(kind) else "string"


def _both(a: Seen | None, b: Seen) -> Seen:
    if a is None:
        return b
    if a.dtype is None or b.dtype is None:
        one = b if a.dtype is None else a
        return Seen(one.dtype, a.missing or b.missing, one.integral)
    numeric = {"int64", "float32"}
    dtype = a.dtype if a.dtype == b.dtype else ("float32" if {a.dtype, b.dtype} <= numeric else "string")
    whole = (a.integral or a.dtype == "int64") and (b.integral or b.dtype == "int64")
    return Seen(dtype, a.missing or b.missing, whole)


def _resolved(spec: FeatureSpec, name: str, said: Input, seen: Seen | None, is_list: bool) -> Input:
    readers = [column for column in spec.columns if name in column.inputs()]
    possible = [d for d in readers[0].accepted(name) if all(d in column.accepted(name) for column in readers)]
    told = said.dtype or (seen.dtype if seen else None)
    is_list = is_list or any(column.makes_many for column in readers)
    if said.dtype is None and told == "float32" and seen and seen.integral and "float32" not in possible:
        told = "int64"  # whole numbers that were read as floats because some are missing
    if told == "string" and possible == ["bytes"]:
        told = "bytes"  # a path, or encoded bytes
    if possible and possible[0] == "float32" and told == "int64" and said.dtype is None:
        told = "float32"  # every reader wants numbers: a missing one is then NaN for a client
    if told == "string" and said.dtype is None and (said.multi_valued or said.delimiter) and "string" not in possible:
        told = possible[0] if possible else told  # numbers of a row as one text
    if told not in possible and told is not None:
        raise SpecError(_mismatch(spec, name, told), expected=f"an input of dtype {' or '.join(possible) or 'none'}",
                        received=told)  # fmt: skip
    return said.model_copy(update={
        "dtype": told or (possible[0] if possible else "string"),
        "multi_valued": said.multi_valued or said.delimiter is not None or is_list,
        "optional": said.optional if said.optional is not None else bool(said.na_values or (seen and seen.missing)),
    })  # fmt: skip


def _mismatch(spec: FeatureSpec, name: str, told: str) -> str:
    column = next(c for c in spec.columns if name in c.inputs() and told not in c.accepted(name))
    hint = "; make a bucketized column of it first, and cross that" if told == "float32" else ""
    if told == "string" and column.vector_size(name):
        hint = f"; inputs.{name} may say a delimiter, and dtype: float32"
    return f"columns.{column.name}: {column.kind} cannot read {name!r}, which holds {told}{hint}"


def _reader(spec: FeatureSpec, name: str) -> str:
    for column in spec.columns:
        if name in map(spec.source, column.inputs()):
            return f"columns.{column.name}"
    label: Mapping[str, str] = {one.input: one.name for one in spec.labels}
    if name in label:
        return f"labels.{label[name]}"
    return "weight" if spec.weight is not None and spec.weight.source == name else "where, key or split"
