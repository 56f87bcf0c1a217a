"""`easyrec`: an EasyRec pipeline config, in the text format of protocol buffers.

Its feature_config becomes columns, the feature groups of its model_config groups. What a column of ours cannot say is
left out, with the reason, and so is every field that is not about columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tfloom.feature_specs.converters import _text_format
from tfloom.feature_specs.converters._text_format import Message
from tfloom.feature_specs.converters._writer import RefusedError, Writer
from tfloom.feature_specs.draft import Draft

_LOG1P = ("tf.math.log1p", "tf.log1p")
_DTYPES = {"INT32": "int64", "INT64": "int64", "FLOAT": "float32", "DOUBLE": "float32", "STRING": "string"}


def convert(source: str | Path) -> Draft:
    """The spec of a config file. Raises SpecError where it is none, or where not one of its features can be said."""
    config = _text_format.read(Path(source))
    data, model = config.get("data_config", Message()), config.get("model_config", Message())
    features = [f for one in config.messages("feature_config") for f in one.messages("features")]
    features += config.messages("feature_configs")
    groups = model.messages("feature_groups")
    writer = _Writer(data.messages("input_fields"), features, groups)
    for feature in features:
        for name, inputs in _shared(feature):
            writer.write(feature, name, inputs)
        writer.unsaid(feature, _name(feature))
    members = {group: names for one in groups for group, names in writer.members(one)}
    members = members or {"features": writer.read(writer.names)}
    labels = list(writer.labels(data, model))
    writer.unsaid(data, "data_config")
    writer.unsaid(model, "model_config")
    writer.left_out |= dict.fromkeys(config.unread(), "it is not about columns")
    return writer.draft("an EasyRec config with feature_config or feature_configs", "From an EasyRec config.",
                        members, labels)  # fmt: skip


def _name(feature: Message) -> str:
    return str(feature.get("feature_name") or next(iter(feature.all("input_names")), ""))


def _shared(feature: Message) -> Iterator[tuple[str, list[str]]]:
    """(name, inputs) of a feature, and of each input that `shared_names` gives the same config."""
    yield _name(feature), feature.all("input_names")
    yield from ((name, [name]) for name in feature.all("shared_names"))


class _Writer(Writer):
    """Writes features: their values under their own name, their embedding beside it.

    names: of those that are written, the columns of their values.
    """

    def __init__(self, fields: list[Message], features: list[Message], groups: list[Message]) -> None:
        super().__init__()
        self._fields = {field.get("input_name"): field for field in fields}
        self._embedded: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self._tables = Counter(feature.get("embedding_name") for feature in features for _ in _shared(feature))
        # A cross takes the text of a number, so that every column over that input has to.
        combos = [feature for feature in features if feature.get("feature_type") == "ComboFeature"]
        self._texts = {name for feature in combos for name in feature.all("input_names")}
        self._sequences: set[str] = set()
        deep = [group for group in groups if group.get("wide_deep", "DEEP") != "WIDE"]
        wide = [group for group in groups if group.get("wide_deep", "DEEP") != "DEEP"]
        self._wide = {name for group in wide for name in group.all("feature_names")}
        self._deep = {name for group in deep for name in group.all("feature_names")} if groups else None

    def write(self, feature: Message, name: str, inputs: list[str]) -> None:
        """A feature's columns; where there are none, `left_out` says why."""
        kind = str(feature.get("feature_type", "IdFeature"))
        try:
            if kind not in _KINDS:
                raise RefusedError(f"there is no kind for {kind}")
            if feature.get("ev_params") is not None:
                raise RefusedError("its ev_params, a table that grows, cannot be said")
            for one in inputs:
                if self._fields and one not in self._fields:
                    raise RefusedError(f"it reads {one}, which is none of the input_fields")
            told = _KINDS[kind](self, feature, name, inputs)
            self.names[name] = self.add(name, told)
        except RefusedError as refused:
            self.left_out[name] = str(refused)
            for field in ("embedding_dim", "combiner", "embedding_name", "initializer"):
                feature.get(field)
            return
        dimension, combiner = feature.get("embedding_dim", 0), feature.get("combiner", "sum")
        table = feature.get("embedding_name")
        if told["kind"] == "numeric":
            if dimension:
                self.left_out[f"{name}.embedding_dim"] = "a number has no table, and is written as it is"
        elif dimension and kind == "SequenceFeature":
            most = feature.get("max_seq_len")
            self._embed(feature, name, {"kind": "sequence_embedded"} | ({"max_length": most} if most else {}))
        elif dimension and (self._deep is None or name in self._deep):
            self._embed(feature, name, {"kind": "embedded", "combiner": combiner})
        if name in self._wide and table and self._tables[table] > 1:
            own = f"of a wide part its weights are its own, and not {table}'s"
            self.left_out.setdefault(f"{name}.embedding_name", own)
        if name in self._wide and feature.get("initializer"):
            start = "the weights of a wide part start from 0"
            self.left_out.setdefault(f"{name}.initializer", start)

    def _embed(self, feature: Message, name: str, looked_up: dict[str, Any]) -> None:
        """Add the embedding of a feature that is written."""
        table = {"dimension": feature.get("embedding_dim")} | self._start(name, feature.get("initializer"))
        shared = feature.get("embedding_name")
        if shared and self._tables[shared] > 1:
            try:
                looked_up["shared"] = self.shared(shared, table | {"ids": self._number_of_ids(self.names[name])})
            except RefusedError as refused:
                self.left_out[f"{name}.embedding_name"] = f"{refused}; it has a table of its own"
        try:
            self._embedded[name] = self.add(f"{name}_embedding", {"of": self.names[name]} | looked_up | table)
        except RefusedError as refused:
            self.left_out[f"{name}_embedding"] = str(refused)

    def _number_of_ids(self, column: str) -> Any:
        """How many ids a written column has, or the file that says it."""
        told = self.columns[column]
        if told["kind"] == "weighted":
            return self._number_of_ids(told["of"])
        if told["kind"] == "bucketized":
            return (len(told["boundaries"]) + 1) * told.get("shape", 1)
        return told.get("buckets") or told.get("vocabulary_file") or len(told["vocabulary"])

    def _start(self, name: str, initializer: Message | None) -> dict[str, Any]:
        """How a table starts; a start that cannot be said is listed."""
        if initializer is None:
            return {}
        for kind in ("truncated_normal", "random_normal"):
            if (normal := initializer.get(f"{kind}_initializer")) is not None:
                numbers = {"mean": normal.get("mean", 0.0), "stddev": normal.get("stddev", 1.0)}
                return {"initializer": {"name": kind} | numbers}
        constant = initializer.get("constant_initializer", Message())
        if len(values := constant.all("consts")) == 1:
            return {"initializer": {"name": "constant", "value": values[0]}}
        self.left_out[f"{name}.initializer"] = "it cannot be said, the table starts as one without an initializer"
        return {}

    def unsaid(self, message: Message, place: str) -> None:
        """List the fields that no method here has asked for."""
        if place not in self.left_out:
            self.left_out |= {f"{place}.{field}": "it cannot be said" for field in message.unread()}

    def read(self, features: Iterable[str]) -> list[str]:
        """The columns that a deep part reads of written features; no part reads a sequence."""
        return [self._embedded.get(one, self.names[one]) for one in features if one not in self._sequences]

    def members(self, group: Message) -> Iterator[tuple[str, list[str]]]:
        """The groups that a feature group is: what a deep part reads, what a wide one does."""
        name, part = str(group.get("group_name")), group.get("wide_deep", "DEEP")
        features = [one for one in group.all("feature_names") if one in self.names and one not in self._sequences]
        for absent in sorted({*group.all("feature_names")} - {*self.names} - {*self.left_out}):
            self.left_out[f"{name}.{absent}"] = "there is no feature of this name"
        if part != "WIDE":
            yield name, self.read(features)
        if part != "DEEP":
            yield name if part == "WIDE" else f"{name}_wide", [self.names[one] for one in features]
        self.unsaid(group, name)

    def labels(self, data: Message, model: Message) -> Iterator[dict[str, Any]]:
        """The label, where there is one and its loss says what it is."""
        names = data.all("label_fields")
        loss, classes = model.get("loss_type", "CLASSIFICATION"), model.get("num_class", 1)
        read = {one for name in self.names for one in (name, self.columns[self.names[name]].get("source"))}
        if len(names) == 1 and names[0] not in read | {*self.inputs} and loss in ("CLASSIFICATION", "L2_LOSS"):
            two = {"positive": 1, "negative": 0} if classes == 1 else {"classes": classes}
            yield {"name": names[0]} | (two if loss == "CLASSIFICATION" else {})
            return
        self.left_out |= {f"label_fields.{name}": "what is to be learned of it is not told" for name in names}

    # -- inputs -----------------------------------------------------------------------------------------------------

    def _read(self, name: str, dtype: str | None, delimiter: str | None = None) -> str:
        """An input as EasyRec has it, or as the `dtype` that a feature makes of it."""
        field = self._fields.get(name, Message())
        typed = str(field.get("input_type", "STRING"))
        if typed not in _DTYPES:
            raise RefusedError(f"it reads {name}, whose input_type is {typed}")
        if dtype == "string" and _DTYPES[typed] == "float32":
            raise RefusedError(f"it reads the text of {name}, a float")
        if (default := field.get("default_val") or ("" if typed == "STRING" else "0")) and dtype != "float32":
            self.left_out[f"{name}.default_val"] = f"a missing value is absent, and not {default}"
        split = {} if delimiter is None else {"delimiter": delimiter}
        return self.input(name, dtype or _DTYPES[typed], **split)

    def _categorical(self, name: str) -> str:
        """The dtype of an input of ids."""
        integers = _DTYPES.get(self._fields.get(name, Message()).get("input_type", "STRING")) == "int64"
        return "int64" if integers and name not in self._texts else "string"

    def _ids(self, feature: Message, source: str, delimiter: str | None) -> dict[str, Any]:
        dtype = self._categorical(source)
        entries, path = feature.all("vocab_list"), feature.get("vocab_file")
        if buckets := feature.get("hash_bucket_size"):
            return {"kind": "hashed", "source": self._read(source, dtype, delimiter), "buckets": buckets}
        if entries or path:
            given = {"vocabulary": [str(one) for one in entries]} if entries else {"vocabulary_file": str(path)}
            source = self._read(source, dtype, delimiter)
            return {"kind": "vocabulary", "source": source, "default": 0} | given
        if buckets := feature.get("num_buckets"):
            source = self._read(source, "int64", delimiter)
            return {"kind": "identity", "source": source, "buckets": buckets, "default": 0}
        raise RefusedError("it has neither hash_bucket_size, num_buckets, vocab_list nor vocab_file")

    # -- one method for each type of feature ------------------------------------------------------------------------

    def _id(self, feature: Message, name: str, inputs: list[str]) -> dict[str, Any]:
        return self._ids(feature, inputs[0], None)

    def _tag(self, feature: Message, name: str, inputs: list[str]) -> dict[str, Any]:
        if feature.get("kv_separator"):
            raise RefusedError("its tags and their weights are in one input, and weighted reads two")
        separator = feature.get("separator", "|")
        ids = self._ids(feature, inputs[0], separator)
        if len(inputs) == 1:
            return ids
        weights = self._read(inputs[1], "float32", separator)
        if (default := self._fields.get(weights, Message()).get("default_val")) not in (None, "", "0"):
            self.left_out[f"{weights}.default_val"] = f"a missing weight is 0, and not {default}"
        self.weigh(ids["kind"], ids["source"], weights)
        return {"kind": "weighted", "of": self.add(f"{name}_ids", ids), "weights": weights}

    def _sequence(self, feature: Message, name: str, inputs: list[str]) -> dict[str, Any]:
        """The ids of its steps."""
        if (of := feature.get("sub_feature_type", "IdFeature")) != "IdFeature":
            raise RefusedError(f"its sub_feature_type, {of}, cannot be said")
        if feature.get("seq_multi_sep"):
            raise RefusedError("it has several ids a step, which cannot be said")
        ids = self._ids(feature, inputs[0], feature.get("separator", "|"))
        combiner = "".join(f" {one}" for one in feature.get("sequence_combiner", Message()).unread())
        self.left_out[f"{name}.sequence_combiner"] = (
            f"what a model makes of its steps,{combiner or ' its attention'}, cannot be said; no group reads them, and"
            " a pooled column would make one vector of them"
        )
        self._sequences.add(name)
        return ids

    def _raw(self, feature: Message, name: str, inputs: list[str]) -> dict[str, Any]:
        if feature.get("seq_multi_sep"):
            raise RefusedError("it has several vectors a row, which cannot be said")
        size, separator = feature.get("raw_input_dim", 1), feature.get("separator", "|")
        normalizer = feature.get("normalizer_fn")
        low, high = feature.get("min_val", 0.0), feature.get("max_val", 0.0)
        boundaries, buckets = sorted(feature.all("boundaries")), feature.get("num_buckets", 0)
        if normalizer is not None and (normalizer not in _LOG1P or boundaries or high > low):
            raise RefusedError(f"its normalizer_fn, {normalizer}, cannot be said")
        shape = {} if size == 1 else {"shape": size}
        source = self._read(
            inputs[0], "float32" if inputs[0] not in self._texts else "string", separator if shape else None
        )
        default = self._fields.get(inputs[0], Message()).get("default_val") or "0"
        if high > low and (boundaries or buckets > 1):
            shares = boundaries or [i / buckets for i in range(buckets)]
            boundaries = [low + (high - low) * share for share in shares]
        if boundaries:
            self.left_out[f"{inputs[0]}.default_val"] = f"a missing value is in the last bucket, and not {default}"
            return {"kind": "bucketized", "source": source, "boundaries": boundaries} | shape
        if high > low:
            self.left_out[f"{name}.min_val"] = f"the number is not scaled, to (x - {low}) / {high - low}"
        log1p = {"log1p": True} if normalizer else {}
        instead = [float(one) for one in str(default).split(separator)]
        missing = {"missing": instead[0] if len(instead) == 1 else instead}
        return {"kind": "numeric", "source": source} | missing | shape | log1p

    def _combo(self, feature: Message, name: str, inputs: list[str]) -> dict[str, Any]:
        if feature.get("combo_join_sep"):
            raise RefusedError("its combo_join_sep, a hash of the joined texts, cannot be said")
        separators = feature.all("combo_input_seps") or [""] * len(inputs)
        # TensorFlow crosses what is split, and so sparse, before what is not.
        parts = sorted(zip(inputs, separators, strict=True), key=lambda part: not part[1])
        of = [{"input": self._read(one, "string", separator or None)} for one, separator in parts]
        return {"kind": "crossed", "of": of, "buckets": feature.get("hash_bucket_size")}

    def _lookup(self, feature: Message, name: str, inputs: list[str]) -> dict[str, Any]:
        buckets, separator = feature.get("hash_bucket_size"), feature.get("kv_separator")
        if len(inputs) != 2 or not buckets or not separator:
            raise RefusedError("it needs two input_names, the key and the map, a hash_bucket_size and a kv_separator")
        key, source = inputs
        source = self._read(source, "string", feature.get("separator", "|"))
        key = self._read(key, self._categorical(key))
        return {"kind": "lookup", "source": source, "key": key, "separator": separator, "buckets": buckets}


_KINDS: Mapping[str, Callable[[_Writer, Message, str, list[str]], dict[str, Any]]] = {
    "IdFeature": _Writer._id,
    "TagFeature": _Writer._tag,
    "RawFeature": _Writer._raw,
    "ComboFeature": _Writer._combo,
    "LookupFeature": _Writer._lookup,
    "SequenceFeature": _Writer._sequence,
}
