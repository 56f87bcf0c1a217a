"""`feature_columns`: tf.feature_column objects, given as module:attribute.

The attribute is a list of columns, a mapping of group names to lists, the two lists of a wide and a deep part, or a
function without arguments that returns one of these. What a column of ours cannot say is left out, with the reason.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tfloom.feature_specs.converters._writer import RefusedError, Writer, legal_name
from tfloom.feature_specs.draft import Draft
from tfloom.feature_specs.errors import SpecError, nearest


def convert(source: Any) -> Draft:
    """The spec of tf.feature_columns: the objects themselves, or where they are, as module:attribute.

    Raises SpecError where there are none, or where not one of them can be said.
    """
    return draft(by_group(source), "From tf.feature_column objects.")


def draft(groups: Mapping[str, Iterable[Any]], remark: str, labels: Iterable[Mapping[str, Any]] = ()) -> Draft:
    """The spec of columns by group. labels: its labels, as they are written."""
    writer, names = written(groups)
    members = {group: of_group.values() for group, of_group in names.items()}
    remark = f"{remark} An input that holds several values a row needs multi_valued: true."
    return writer.draft("tf.feature_column objects", remark, members, labels)


def by_group(source: Any) -> dict[str, list[Any]]:
    """The columns that `convert` is given, by group; a plain list is the group `features`."""
    columns = _loaded(source) if isinstance(source, str) else source
    return _groups(_built(columns) if callable(columns) else columns)


def written(groups: Mapping[str, Iterable[Any]]) -> tuple[Writer, dict[str, dict[Any, str]]]:
    """What is written of columns; and by group those that can be said, with the name of each in the spec."""
    writer = _Writer()
    names = {
        group: {column: name for column in columns if (name := writer.write(column, group)) is not None}
        for group, columns in groups.items()
    }
    writer.mark_sequences()
    return writer, names


def own_name(column: Any) -> str:
    """The name that a column would have in a spec, were there no other of that name."""
    return legal_name(column.name)


def _loaded(place: str) -> Any:
    """module:attribute, the module from the folder that one is in, or installed."""
    module, _, attribute = place.partition(":")
    if not module or not attribute:
        raise SpecError("convert: is not module:attribute", expected="such as census.columns:build", received=place)
    if "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise SpecError(f"convert: cannot import {module}", expected="a module of this folder, or an installed one",
                        received=str(error)) from None  # fmt: skip
    if not hasattr(found, attribute):
        names = [name for name in vars(found) if not name.startswith("_")]
        raise SpecError(f"convert: {module} has no {attribute!r}", expected=nearest(attribute, names),
                        received=repr(attribute))  # fmt: skip
    return getattr(found, attribute)


def _built(columns: Callable[[], Any]) -> Any:
    """What a function returns that makes columns."""
    import tensorflow as tf

    # TensorFlow makes columns that share a table in no program that runs eagerly.
    with tf.Graph().as_default():
        return columns()


def _groups(columns: Any) -> dict[str, list[Any]]:
    """By group; a plain list is one nameless group, which the spec does not have to say."""
    if isinstance(columns, Mapping):
        return {str(group): list(members) for group, members in columns.items()}
    if not isinstance(columns, Iterable):
        raise SpecError("convert: is no list of columns", expected="tf.feature_column objects",
                        received=repr(columns)[:80])  # fmt: skip
    columns = list(columns)
    if len(columns) == 2 and all(isinstance(one, list) for one in columns):
        return {"wide": columns[0], "deep": columns[1]}
    return {"features": columns}


class _Writer(Writer):
    """Writes columns, those they are made of first, each once."""

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[Any, str] = {}
        self._sequences: set[str] = set()

    def mark_sequences(self) -> None:
        """Say of the inputs whose values are steps that they hold several a row, whatever else reads them."""
        for name in self._sequences:
            self.inputs[name]["multi_valued"] = True

    def write(self, column: Any, group: str) -> str | None:
        """The name of the column of ours that is the same; None where there is none, and `left_out` says why."""
        before = {**self.columns}, {**self._names}, {**self.left_out}, {*self._sequences}
        try:
            name = self._name(column)
            # tf.feature_column hands buckets to dense layers as an indicator of them.
            return self._indicator_of(name) if group == "deep" and self.columns[name]["kind"] == "bucketized" else name
        except RefusedError as refused:
            # What it is made of is not there for itself.
            self.columns, self._names, self.left_out, self._sequences = before
            self.left_out[getattr(column, "name", repr(column)[:80])] = str(refused)
            return None

    def _name(self, column: Any) -> str:
        if column not in self._names:
            self._names[column] = self.add(column.name, self._told(column))
        return self._names[column]

    def _indicator_of(self, name: str) -> str:
        told = {"kind": "indicator", "of": name}
        same = (one for one, fields in self.columns.items() if fields == told)
        return next(same, None) or self.add(f"{name}_indicator", told)

    def _told(self, column: Any) -> dict[str, Any]:
        of_kind = _KINDS.get(type(column).__name__)
        if of_kind is None:
            raise RefusedError(f"there is no kind for {type(column).__name__}")
        return of_kind(self, column)

    # -- one method for each kind -----------------------------------------------------------------------------------

    def _numeric(self, column: Any) -> dict[str, Any]:
        _only(column, normalizer_fn=None)
        told = {"kind": "numeric"} | self._vector(column)
        default = _flat(column.default_value)
        if default and len(set(default)) == 1:
            return told | {"missing": default[0]}
        return told | ({"missing": default} if default else {})

    def _bucketized(self, column: Any) -> dict[str, Any]:
        number = column.source_column
        _only(number, normalizer_fn=None)
        if not all(map(math.isnan, _flat(number.default_value))):  # a missing number is in the last bucket, as NaN is
            _only(number, default_value=None)
        return {"kind": "bucketized", "boundaries": [float(b) for b in column.boundaries]} | self._vector(number)

    def _vector(self, column: Any) -> dict[str, Any]:
        """The source of a numeric column, and its shape where that is not one number."""
        if column.shape == (1,):
            return {"source": column.key}
        shape = column.shape[0] if len(column.shape) == 1 else list(column.shape)
        return {"source": self.input(column.key, "float32", multi_valued=True), "shape": shape}

    def _vocabulary(self, column: Any, entries: dict[str, Any]) -> dict[str, Any]:
        oov = {"oov_buckets": column.num_oov_buckets} if column.num_oov_buckets else {}
        if not oov and column.default_value not in (-1, None):
            oov = {"default": column.default_value}
        source = self.input(column.key, "int64" if column.dtype.is_integer else "string")
        return {"kind": "vocabulary", "source": source} | entries | oov

    def _vocabulary_list(self, column: Any) -> dict[str, Any]:
        return self._vocabulary(column, {"vocabulary": list(column.vocabulary_list)})

    def _vocabulary_file(self, column: Any) -> dict[str, Any]:
        path = Path(column.vocabulary_file)
        lines = len(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else None
        if column.vocabulary_size not in (None, lines):
            raise RefusedError(
                f"it reads {column.vocabulary_size} lines of {path}, and a vocabulary_file is read whole"
            )
        return self._vocabulary(column, {"vocabulary_file": str(path.resolve())})

    def _hashed(self, column: Any) -> dict[str, Any]:
        source = self.input(column.key, "int64" if column.dtype.is_integer else "string")
        return {"kind": "hashed", "source": source, "buckets": column.hash_bucket_size}

    def _identity(self, column: Any) -> dict[str, Any]:
        default = {} if column.default_value is None else {"default": column.default_value}
        source = self.input(column.key, "int64")
        return {"kind": "identity", "source": source, "buckets": column.number_buckets} | default

    def _crossed(self, column: Any) -> dict[str, Any]:
        of = [{"input": self.input(k, "string")} if isinstance(k, str) else self._part(k) for k in column.keys]
        key = {} if column.hash_key is None else {"hash_key": column.hash_key}
        return {"kind": "crossed", "of": of, "buckets": column.hash_bucket_size} | key

    def _weighted(self, column: Any) -> dict[str, Any]:
        of = self._part(column.categorical_column)
        weights = self.input(column.weight_feature_key, "int64" if column.dtype.is_integer else "float32")
        self.weigh(self.columns[of]["kind"], self.columns[of].get("source", of), weights)
        return {"kind": "weighted", "of": of, "weights": weights}

    def _indicator(self, column: Any) -> dict[str, Any]:
        if _is_sequence(of := column.categorical_column):
            return {"kind": "sequence_indicator", "of": self._steps(of)}
        return {"kind": "indicator", "of": self._part(of)}

    def _embedded(self, column: Any) -> dict[str, Any]:
        return self._looked_up(column) | self._table(column)

    def _shared(self, column: Any) -> dict[str, Any]:
        """Of tf.compat.v1.feature_column.shared_embedding_columns."""
        looked_up, table = self._looked_up(column), self._table(column)
        return looked_up | table | {"shared": self.shared(column.shared_embedding_collection_name, table)}

    def _shared_v2(self, column: Any) -> dict[str, Any]:
        """Of tf.feature_column.shared_embeddings, whose columns have the object that makes their table."""
        made = column.shared_embedding_column_creator
        looked_up = self._looked_up(column)
        table = self._table(
            SimpleNamespace(
                name=column.name,
                dimension=made.dimension,
                initializer=made._initializer,
                trainable=made._trainable,
                ckpt_to_load_from=made._ckpt_to_load_from,
                tensor_name_in_ckpt=made._tensor_name_in_ckpt,
            )
        )
        return looked_up | table | {"shared": self.shared(made._name, table)}

    def _looked_up(self, column: Any) -> dict[str, Any]:
        """What an embedding says beside its table."""
        norm = {} if column.max_norm is None else {"max_norm": float(column.max_norm)}
        if _is_sequence(of := column.categorical_column):
            # Each step has one id, so that all combiners are the same.
            told = {"kind": "sequence_embedded", "of": self._steps(of)} | norm
        else:
            told = {"kind": "embedded", "of": self._part(of), "combiner": column.combiner} | norm
        if not column.use_safe_embedding_lookup:
            safe = "a row without ids gives zeros, and so do ids of -1, which have no vector"
            self.left_out[f"{column.name}.use_safe_embedding_lookup"] = safe
        return told

    def _table(self, column: Any) -> dict[str, Any]:
        """What an embedding says of its table."""
        told: dict[str, Any] = {"dimension": column.dimension} | ({} if column.trainable else {"trainable": False})
        if (path := column.ckpt_to_load_from) is not None:
            if Path(f"{path}.index").is_file():
                # A table that starts from a checkpoint has no use for an initializer.
                saved = {"checkpoint": str(Path(path).resolve()), "checkpoint_variable": column.tensor_name_in_ckpt}
                return told | saved
            none = f"{path} is not what the files of a checkpoint begin with"
            self.left_out[f"{column.name}.ckpt_to_load_from"] = none
        return told | self._start(column)

    def _start(self, column: Any) -> dict[str, Any]:
        """How a table starts, nothing where that is the default; a start that cannot be said is listed."""
        place, kind = f"{column.name}.initializer", type(column.initializer).__name__
        name, fields = _INITIALIZERS.get(kind, (None, ()))
        config = column.initializer.get_config() if name else {}
        numbers: dict[str, Any] = {field: config.get(field) for field in fields}
        if name is None or not all(isinstance(number, Real) for number in numbers.values()):
            self.left_out[place] = f"{kind} cannot be said, a table starts as embedding_column's own default has it"
            return {}
        if config.get("seed") is not None:
            self.left_out[f"{place}.seed"] = "a table starts from the seed of the training"
        usual = {"mean": 0, "stddev": column.dimension**-0.5}
        if name == "truncated_normal" and all(math.isclose(numbers[field], usual[field]) for field in fields):
            return {}
        return {"initializer": {"name": name} | {field: float(number) for field, number in numbers.items()}}

    def _sequence_numeric(self, column: Any) -> dict[str, Any]:
        _only(column, normalizer_fn=None)
        source = self.input(column.key, "float32", multi_valued=True)
        padding = {"padding": float(column.default_value)} if column.default_value else {}
        return {"kind": "sequence_numeric", "source": source, "dimension": math.prod(column.shape)} | padding

    def _sequence(self, column: Any) -> dict[str, Any]:
        raise RefusedError("its ids are steps, which an embedding_column or an indicator_column of it reads")

    def _steps(self, column: Any) -> str:
        """The column whose ids are the steps of a sequence."""
        categorical = column.categorical_column
        if type(categorical).__name__ == "WeightedCategoricalColumn":
            raise RefusedError(f"of {column.name}: its ids have weights, and a step is an id alone")
        of = self._part(categorical)
        told = self.columns[of]
        self._sequences.add(told.get("source", of))
        if told["kind"] == "vocabulary" and not told.keys() & {"oov_buckets", "default"}:
            self.left_out[f"{of}.default_value"] = "a value out of the vocabulary is no step, and not one of zeros"
        return of

    def _part(self, column: Any) -> str:
        try:
            return self._name(column)
        except RefusedError as refused:
            raise RefusedError(f"of {column.name}: {refused}") from None


def _is_sequence(column: Any) -> bool:
    return type(column).__name__ == "SequenceCategoricalColumn"


def _flat(default: Any) -> list[float]:
    """The numbers of a default_value, nested as a shape is; none where there is no default."""
    if isinstance(default, tuple):
        return [number for part in default for number in _flat(part)]
    return [] if default is None else [float(default)]


def _only(column: Any, **values: Any) -> None:
    """Refuse a column whose fields have other values than these, which are all that we can say."""
    for field, value in values.items():
        if (found := getattr(column, field)) != value:
            told = getattr(found, "__name__", "a function") if callable(found) else repr(found)
            raise RefusedError(f"its {field}, {told}, cannot be said")


_KINDS: Mapping[str, Callable[[_Writer, Any], dict[str, Any]]] = {
    "NumericColumn": _Writer._numeric,
    "BucketizedColumn": _Writer._bucketized,
    "VocabularyListCategoricalColumn": _Writer._vocabulary_list,
    "VocabularyFileCategoricalColumn": _Writer._vocabulary_file,
    "HashedCategoricalColumn": _Writer._hashed,
    "IdentityCategoricalColumn": _Writer._identity,
    "CrossedColumn": _Writer._crossed,
    "WeightedCategoricalColumn": _Writer._weighted,
    "IndicatorColumn": _Writer._indicator,
    "EmbeddingColumn": _Writer._embedded,
    "_SharedEmbeddingColumn": _Writer._shared,
    "SharedEmbeddingColumn": _Writer._shared_v2,
    "SequenceCategoricalColumn": _Writer._sequence,
    "SequenceNumericColumn": _Writer._sequence_numeric,
}
"""By the name of the class, so that this module reads them without importing TensorFlow."""

_INITIALIZERS = {
    "TruncatedNormal": ("truncated_normal", ("mean", "stddev")),
    "RandomNormal": ("random_normal", ("mean", "stddev")),
    "RandomUniform": ("random_uniform", ("minval", "maxval")),
    "Constant": ("constant", ("value",)),
    "Zeros": ("zeros", ()),
}
"""By the name of the class, tf.compat.v1's and Keras': the initializer of ours, and its numbers."""
