"""tf.Transform's analysis without a Beam pipeline: its analyzers, its combiners and its saved graphs, in this process.

An analysis has phases. A phase is one pass over the data: a saved graph is applied to every chunk, and what the chunk
adds to each analyzer is a partial state. A state is a value that pickles, and whoever merges them does it in one order,
that of `Phase.total`; so what is learned does not depend on who makes them, where, or how many do.

What is private to tf.Transform stands in this file and nowhere else.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow.python.eager import wrap_function
from tensorflow.python.trackable import resource as tracking
from tensorflow_transform import (
    analyzer_nodes,
    analyzers,
    annotators,
    graph_context,
    impl_helper,
    schema_inference,
    tf2_utils,
    tf_utils,
)
from tensorflow_transform.beam import analysis_graph_builder, analyzer_impls, beam_nodes, impl
from tensorflow_transform.saved import saved_transform_io_v2
from tensorflow_transform.tf_metadata import metadata_io
from tfx_bsl.tfxio.tensor_adapter import TensorAdapter, TensorAdapterConfig

from tfloom.pipeline.engines.counts import Counted, Pair, Pairs, Room, Tally, ranked, totals
from tfloom.pipeline.engines.tensors import tensors
from tfloom.pipeline.shards import whole

Values = Mapping[str, np.ndarray]
"""What a phase's graph makes of a chunk, by the name of the tensor."""


class UnknownAnalyzerError(Exception):
    """The analysis has an operation that this file does not know."""


# -- what accumulates --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Combined:
    """A combiner of tf.Transform over whole chunks. keys: the tensors that it reads."""

    combiner: Any
    keys: tuple[str, ...]

    def state(self, values: Values) -> Any:
        """Of a chunk."""
        return self.combiner.add_input(self.combiner.create_accumulator(), tuple(values[key] for key in self.keys))

    def merged(self, state: Any, later: Any) -> Any:
        """Of both; the first may be changed."""
        return self.combiner.merge_accumulators([state, later])


@dataclass(frozen=True)
class CombinedPerKey(Combined):
    """A combiner for each key, the first tensor. A state is one of the combiner's by key."""

    def state(self, values: Values) -> dict[Any, Any]:
        """Of a chunk."""
        keys, *arguments = (values[key] for key in self.keys)
        distinct, index = np.unique(keys, return_inverse=True)
        order = np.argsort(index, kind="stable")
        starts = np.searchsorted(index[order], np.arange(len(distinct) + 1))
        result = {}
        for i, key in enumerate(distinct.tolist()):
            rows = order[starts[i] : starts[i + 1]]
            state = self.combiner.create_accumulator()
            if isinstance(self.combiner, analyzers.QuantilesCombiner):  # takes any number of values at once
                state = self.combiner.add_input(state, [argument[rows] for argument in arguments])
            else:
                for row in rows:
                    state = self.combiner.add_input(state, [argument[row] for argument in arguments])
            result[key] = state
        return result

    def merged(self, state: dict[Any, Any], later: dict[Any, Any]) -> dict[Any, Any]:
        """Of both."""
        for key, one in later.items():
            state[key] = self.combiner.merge_accumulators([state[key], one]) if key in state else one
        return state


@dataclass(frozen=True)
class Informed:
    """What tells the mutual information of each entry of a vocabulary with the label; a state is by entry."""

    keys: tuple[str, ...]
    weighted: bool

    @property
    def _combiner(self) -> Any:
        return analyzer_impls._WeightedMeanCombineFn(output_shape=(None,), compute_weighted=self.weighted)

    def state(self, values: Values) -> dict[Any, Any]:
        """Of a chunk."""
        given = tuple(values[key] for key in self.keys)
        pairs = analyzer_impls._flatten_to_key_and_means_accumulator_list(given, compute_weighted=self.weighted)
        combiner = self._combiner
        result: dict[Any, Any] = {}
        for entry, one in pairs:
            result[entry] = combiner.add_input(result.get(entry) or combiner.create_accumulator(), one)
        return result

    def merged(self, state: dict[Any, Any], later: dict[Any, Any]) -> dict[Any, Any]:
        """Of both."""
        combiner = self._combiner
        for entry, one in later.items():
            state[entry] = combiner.merge_accumulators([state[entry], one]) if entry in state else one
        return state


Accumulator = Combined | Counted | Informed

BLOCK = 64
"""Chunks of a source whose states are merged by themselves, so that blocks may be merged side by side."""


def closed(one: Accumulator, state: Any) -> Any:
    """The state of a block, all of whose chunks were merged in order, as it is merged with those of other blocks."""
    return one.closed(state) if isinstance(one, Counted) else state


@dataclass(frozen=True)
class Phase:
    """A pass over the data. graph: what is applied to each chunk."""

    graph: Graph
    accumulators: tuple[Accumulator, ...]

    def states(self, rows: pa.RecordBatch) -> list[Any]:
        """Those of a chunk, one an accumulator. It may be called by several threads."""
        values = {name: np.asarray(v) if isinstance(v, tf.Tensor) else v for name, v in self.graph(rows).items()}
        return [one.state(values) for one in self.accumulators]

    def total(self, chunks: Iterable[tuple[int, int, list[Any]]]) -> list[Any] | None:
        """(source, number, states) of chunks, in the order of the data -> the states of all; None where there is none.

        No more than three states of each accumulator are in memory.
        """
        whole = None
        for _, block in itertools.groupby(chunks, key=lambda chunk: (chunk[0], chunk[1] // BLOCK)):
            states = functools.reduce(self._merged, (states for *_, states in block))
            states = [closed(one, state) for one, state in zip(self.accumulators, states, strict=True)]
            whole = states if whole is None else self._merged(whole, states)
        return whole

    def _merged(self, states: list[Any], later: list[Any]) -> list[Any]:
        return [one.merged(a, b) for one, a, b in zip(self.accumulators, states, later, strict=True)]


class Graph:
    """A graph of tf.Transform over RecordBatches of parsed rows; it may be called by several threads.

    schema: of the rows.
    """

    def __init__(
        self,
        apply: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        adapter: TensorAdapterConfig,
        holding: object = None,
    ) -> None:
        """holding: what `apply` needs to be there."""
        self._apply, self._specs, self._holding = apply, TensorAdapter(adapter).OriginalTypeSpecs(), holding
        self.schema: pa.Schema = adapter.arrow_schema

    @classmethod
    def loaded(cls, transform_fn: str, adapter: TensorAdapterConfig) -> Graph:
        """That of a transform output."""
        loader = saved_transform_io_v2.SavedModelLoader(transform_fn)
        loader.finalize(set(adapter.tensor_representations), set(loader.structured_outputs))
        return cls(loader.apply_transform_model, adapter)

    def __call__(self, rows: pa.RecordBatch) -> Mapping[str, Any]:
        """Its outputs by name: tensors, dense or sparse."""
        return self._apply(tensors(rows, self._specs))


def to_arrow(schema: Any) -> Callable[[Mapping[str, Any]], pa.RecordBatch]:
    """What makes a RecordBatch of list columns of a transform graph's outputs."""
    convert: Callable[[Mapping[str, Any]], pa.RecordBatch] = impl_helper.make_tensor_to_arrow_converter(schema).convert
    return convert


# -- the analysis ------------------------------------------------------------------------------------------------------

Run = Callable[[Phase], list[Any]]
"""Passes over the data: gives the merged states of all chunks."""

Learned = Mapping[str, Any]
"""What phases have given, by the label of the operation: values that pickle, vocabularies as the paths of files."""


def analyze(
    preprocessing_fn: Callable[..., Any], adapter: TensorAdapterConfig, folder: str, memory: int, run: Run
) -> None:
    """Learn what a preprocessing_fn asks for; write transform_fn and transformed_metadata into `folder`, as Beam does.

    memory: bytes that vocabularies may take while they are counted; what is more lies in `folder`.

    Raises:
      UnknownAnalyzerError: before any pass, where only Beam can.
    """
    scratch = f"{folder}/analysis"
    analysis = Analysis(preprocessing_fn, adapter, scratch)
    room = analysis.room(memory, scratch)
    learned: Learned = {}
    for number in range(analysis.phases):
        states = run(analysis.phase(number, learned, room))
        learned = {**learned, **analysis.learned(number, states, room, scratch)}
    analysis.write(learned, folder)
    shutil.rmtree(scratch)


class Analysis:
    """What a preprocessing_fn asks of the data, phase by phase. Made anew in another process it is the same.

    phases: how many.

    Raises:
      UnknownAnalyzerError: where only Beam can learn it.
    """

    def __init__(self, preprocessing_fn: Callable[..., Any], adapter: TensorAdapterConfig, scratch: str) -> None:
        """scratch: a folder of this machine, which stays as long as this does."""
        tf.io.gfile.makedirs(scratch)
        self._preprocessing_fn, self._adapter, self._scratch = preprocessing_fn, adapter, scratch
        self._first = self._trace({})
        self._asset_map = annotators.get_asset_annotations(self._first.graph)
        annotators.clear_asset_annotations(self._first.graph)
        transform_fn, _, aside = analysis_graph_builder.build(
            self._first.graph, self._first.inputs, self._first.outputs, [], cache_dict=None
        )
        self._last = transform_fn.parent_operation
        operations = dict.fromkeys(node for root in (*aside, transform_fn) for node in _upstream(root))
        for node in operations:
            _check(node.operation_def)
        of_phase: dict[Any, list[Any]] = {}
        for node in operations:
            if type(node.operation_def) in _ACCUMULATORS:
                of_phase.setdefault(_source(node), []).append(node)
        self._applied = sorted(of_phase, key=lambda node: node.operation_def.phase)
        self._accumulating = [of_phase[node] for node in self._applied]
        self._asked: list[list[Any]] = [[] for _ in self._applied]
        for one in (*aside, *self._last.inputs):
            self._asked[self._phase_of(one)].append(one)
        self.phases = len(self._applied)

    def room(self, memory: int, folder: str) -> Room:
        """Of `memory` bytes, for each of its vocabularies."""
        vocabularies = (type(n.operation_def) is analyzer_nodes.VocabularyAccumulate for n in self._all_accumulating)
        return Room.shared(memory, sum(vocabularies), folder)

    def accumulators(self, number: int, room: Room) -> tuple[Accumulator, ...]:
        """Those of a phase. They pickle."""
        return tuple(one for several in self._accumulators(number, room) for one in several)

    def phase(self, number: int, learned: Learned, room: Room) -> Phase:
        """A pass over the data. learned: by the phases before it."""
        created = self._applied[number].inputs[0].parent_operation
        replaced = self._replaced(created, learned)
        trace = self._trace(replaced) if replaced else self._first
        graph = trace.of(created.operation_def.output_signature, self._adapter)
        return Phase(graph, self.accumulators(number, room))

    def learned(self, number: int, states: list[Any], room: Room, folder: str) -> Learned:
        """What a phase gives by the merged states of all chunks; its vocabularies are written into `folder`."""
        walk = _Walk(room, folder)
        left = iter(states)
        for node, several in zip(self._accumulating[number], self._accumulators(number, room), strict=True):
            made = [next(left) for _ in several]
            if isinstance(node.operation_def, analyzer_nodes.PackedCombineAccumulate):
                labels = [one.label for one in node.operation_def.combiners]
                walk.values[node] = (dict(zip(labels, made, strict=True)),)
            else:
                walk.values[node] = tuple(made)
        given = {_label(one): walk.value(one) for one in self._asked[number]}
        # What is made aside, for its files alone, is of no use to later phases.
        return {label: value for label, value in given.items() if isinstance(value, impl._TensorBinding)}

    def write(self, learned: Learned, folder: str) -> None:
        """Write transform_fn and transformed_metadata. learned: by all phases."""
        replaced = self._replaced(self._last, learned)
        _save(self._preprocessing_fn, self._first.specs, self._scratch, replaced, folder)
        if self._asset_map:
            with open(f"{folder}/transformed_metadata/{tft.TFTransformOutput.ASSET_MAP}", "w") as file:
                json.dump(self._asset_map, file)

    @property
    def _all_accumulating(self) -> Iterable[Any]:
        return itertools.chain.from_iterable(self._accumulating)

    def _accumulators(self, number: int, room: Room) -> list[list[Accumulator]]:
        """By operation."""
        nodes = self._accumulating[number]
        return [_ACCUMULATORS[type(node.operation_def)](node.operation_def, _keys(node), room) for node in nodes]

    def _phase_of(self, value: Any) -> int:
        """That which a value is known after; what reads no data is known after the first."""
        read = {self._applied.index(node) for node in _passes(value)}
        if len(read) > 1:
            raise UnknownAnalyzerError(f"{_label(value)}, which is made of several passes")
        return read.pop() if read else 0

    def _trace(self, replaced: Mapping[str, Any]) -> _Trace:
        specs = TensorAdapter(self._adapter).OriginalTypeSpecs()
        return _Trace(self._preprocessing_fn, specs, self._scratch, replaced)

    def _replaced(self, created: Any, learned: Learned) -> Mapping[str, Any]:
        bindings = (learned[_label(one)] for one in created.inputs)
        replaced: Mapping[str, Any] = impl._get_tensor_replacement_map(None, *bindings)
        return replaced


class _Trace:
    """A preprocessing_fn traced, with what some of its analyzers gave. It holds the tables that its graph reads."""

    def __init__(
        self, preprocessing_fn: Callable[..., Any], specs: Mapping[str, Any], scratch: str, replaced: Mapping[str, Any]
    ) -> None:
        self.specs = specs
        self._module, self._resources = tf.Module(), tracking.ResourceTracker()
        self._objects = annotators.ObjectTracker()
        context = graph_context.TFGraphContext(self._module, scratch, replaced)
        function = impl_helper.get_traced_transform_fn(preprocessing_fn, specs, context)
        with tracking.resource_tracker_scope(self._resources), annotators.object_tracker_scope(self._objects):
            self._concrete = function.get_concrete_function()
        self.graph, self.outputs = self._concrete.graph, self._concrete.structured_outputs
        self.inputs = tf2_utils.get_structured_inputs_from_func_graph(self.graph)

    def of(self, outputs: Mapping[str, tf.Tensor], adapter: TensorAdapterConfig) -> Graph:
        """The graph of these of its tensors, and of no others: what is not learned yet is not read."""
        function = wrap_function.WrappedFunction(self.graph, wrap_function.VariableHolder(share_variables=True)).prune(
            self._concrete.inputs,
            {key: self.graph.get_tensor_by_name(tensor.name) for key, tensor in outputs.items()},
            input_signature=self._concrete.structured_input_signature,
        )
        return Graph(function, adapter, holding=self)


def _save(
    preprocessing_fn: Callable[..., Any],
    specs: Mapping[str, Any],
    scratch: str,
    replaced: Mapping[str, Any],
    folder: str,
) -> None:
    """Write transform_fn and transformed_metadata, with what all analyzers gave."""
    concrete = impl_helper._trace_and_write_transform_fn(
        f"{folder}/transform_fn", preprocessing_fn, specs, scratch, replaced, None, None
    )
    outputs = concrete.structured_outputs
    if _annotated(concrete.graph, outputs):
        inputs = tf2_utils.get_structured_inputs_from_func_graph(concrete.graph)
        metadata = impl_helper._trace_and_get_metadata(concrete, inputs, preprocessing_fn, scratch, replaced)
    else:  # as one more trace would tell
        metadata = tft.DatasetMetadata(schema_inference.infer_feature_schema_v2(outputs, dict, True))
    metadata_io.write_metadata(metadata, f"{folder}/transformed_metadata")


def _annotated(graph: Any, outputs: Mapping[str, Any]) -> bool:
    """Whether the preprocessing_fn says more of its outputs than their types."""
    infer = schema_inference
    told = (infer._TF_METADATA_EXTRA_ANNOTATION, infer._ANNOTATED_SPARSE_SHAPES, infer._ANNOTATED_TRUELY_SPARSE_TENSORS)
    if any(graph.get_collection(name) for name in told):
        return True
    ranged = {tensor.name for tensor in graph.get_collection(infer._TF_METADATA_TENSOR_COLLECTION)}
    values = [infer._get_tensor_values(output) for output in outputs.values()]
    # A function's output is an identity of what it returns.
    values += [value.op.inputs[0] for value in values if value.op.type == "Identity"]
    return not ranged.isdisjoint(value.name for value in values)


class _Walk:
    """The operations of a phase, each evaluated once, after those that it reads. values: by operation."""

    def __init__(self, room: Room, folder: str) -> None:
        self.room, self.folder = room, folder
        self.values: dict[Any, tuple[Any, ...]] = {}

    def value(self, node: Any) -> Any:
        """Of a ValueNode."""
        operation = node.parent_operation
        if operation not in self.values:
            self.values[operation] = self._evaluated(operation)
        return self.values[operation][node.value_index]

    def _evaluated(self, node: Any) -> tuple[Any, ...]:
        operation = node.operation_def
        inputs = [self.value(one) for one in node.inputs]
        if isinstance(operation, analyzer_nodes.VocabularyOrderAndWrite):
            return (_written(operation, self.folder, *inputs),)
        if type(operation) in _OF_VOCABULARIES:
            return (_OF_VOCABULARIES[type(operation)](operation, self.room, *inputs),)
        made = _KNOWN[type(operation)](operation, *inputs)
        return made if operation.num_outputs > 1 else (made,)


def _check(operation: Any) -> None:
    """Raises UnknownAnalyzerError."""
    if not any(type(operation) in known for known in (_KNOWN, _ACCUMULATORS, _OF_VOCABULARIES, _ASIDE)):
        raise UnknownAnalyzerError(type(operation).__name__)
    if isinstance(operation, analyzer_nodes.VocabularyOrderAndWrite):
        if operation.file_format != "text":
            raise UnknownAnalyzerError(f"a vocabulary in {operation.file_format}")
        if operation.fingerprint_shuffle:
            raise UnknownAnalyzerError("a shuffled vocabulary")


def _label(value: Any) -> str:
    """Of the operation that a ValueNode is made by: the same wherever the preprocessing_fn is traced."""
    return str(value.parent_operation.operation_def.label)


def _upstream(value: Any) -> Iterator[Any]:
    """The OperationNodes that a ValueNode is made by, each after those that it reads; one may come more than once."""
    seen: set[Any] = set()
    left = [(value.parent_operation, False)]
    while left:
        node, ready = left.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            left += [(node, True), *((one.parent_operation, False) for one in node.inputs)]


def _passes(value: Any) -> set[Any]:
    """The ApplySavedModels whose states a ValueNode is made of, and not of what they gave before."""
    left, seen, found = [value.parent_operation], set(), set()
    while left:
        node = left.pop()
        if type(node.operation_def) in _ACCUMULATORS:
            found.add(_source(node))
        elif node not in seen:
            seen.add(node)
            left += [one.parent_operation for one in node.inputs]
    return found


def _read(node: Any) -> tuple[Any, Any]:
    """(ApplySavedModel, ExtractFromDict or None) that something that accumulates reads."""
    (before,) = (one.parent_operation for one in node.inputs)
    if isinstance(before.operation_def, beam_nodes.ExtractFromDict):
        return before.inputs[0].parent_operation, before.operation_def
    return before, None


def _source(node: Any) -> Any:
    return _read(node)[0]


def _keys(node: Any) -> tuple[str, ...]:
    extracted = _read(node)[1]
    return () if extracted is None else extracted.keys


def _packed(operation: Any, keys: tuple[str, ...], room: Room) -> list[Accumulator]:
    return [Combined(one.combiner, one.keys) for one in operation.combiners]


def _vocabulary(operation: Any, keys: tuple[str, ...], room: Room) -> list[Accumulator]:
    order, orders = operation.vocab_ordering_type, analyzer_impls._VocabOrderingType
    if order in (orders.FREQUENCY, orders.WEIGHTED_FREQUENCY):
        return [Counted(keys, room)]
    if order in (orders.MUTUAL_INFORMATION, orders.WEIGHTED_MUTUAL_INFORMATION):
        return [Informed(keys, order == orders.WEIGHTED_MUTUAL_INFORMATION)]
    raise UnknownAnalyzerError(f"a vocabulary by {order}")


_ACCUMULATORS: dict[type, Callable[[Any, tuple[str, ...], Room], list[Accumulator]]] = {
    analyzer_nodes.PackedCombineAccumulate: _packed,
    analyzer_nodes.CacheableCombineAccumulate: lambda operation, keys, _: [Combined(operation.combiner, keys)],
    analyzer_nodes.CacheableCombinePerKeyAccumulate: lambda operation, keys, _: [
        CombinedPerKey(operation.combiner, keys)
    ],
    analyzer_nodes.VocabularyAccumulate: _vocabulary,
}

_ASIDE = (
    beam_nodes.ApplySavedModel,
    beam_nodes.ExtractInputForSavedModel,
    beam_nodes.CreateSavedModel,
    analyzer_nodes.VocabularyOrderAndWrite,
)
"""Those that are evaluated in another way."""


# -- what is made of states --------------------------------------------------------------------------------------------
# Each does on one value what the PTransform of its name does on a PCollection, in tensorflow_transform.beam.


def _extracted(operation: Any, of: Mapping[str, Any]) -> Any:
    return tuple(of[key] for key in operation.keys) if isinstance(operation.keys, tuple) else of[operation.keys]


def _packed_outputs(operation: Any, states: Any) -> dict[str, Any]:
    by_label = dict(states if isinstance(states, list) else [states])
    return {one.label: one.combiner.extract_output(by_label[one.keys[0]]) for one in operation.combiners}


def _formatted_keys(operation: Any, outputs: Mapping[Any, Any]) -> tuple[np.ndarray, ...]:
    keys = sorted(outputs)
    infos = operation.combiner.output_tensor_infos()
    columns = [np.array([outputs[key][i] for key in keys], info.dtype.as_numpy_dtype) for i, info in enumerate(infos)]
    return (np.array(keys, tf.string.as_numpy_dtype), *columns)


def _formatted_large(operation: Any, outputs: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    text = tf.compat.as_str_any
    return [(text(",".join(map(text, value))), key) for key, value in outputs.items()]


def _vocabulary_totals(operation: Any, room: Room, state: Any) -> Pairs | list[Pair]:
    """(count, entry) pairs; of a vocabulary by mutual information ((information, count), entry)."""
    if isinstance(state, Tally):
        return totals(state, room)
    # In float32, as what Beam's combiner gives out: so close a tie is one there too.
    combiner = analyzer_impls._WeightedMeanCombineFn(output_shape=(None,), compute_weighted=_is_weighted(operation))
    state = {entry: combiner.extract_output(one) for entry, one in state.items()}
    sentinels = (tf_utils.GLOBAL_Y_COUNT_SENTINEL_STRING, tf_utils.GLOBAL_Y_COUNT_SENTINEL_INT)
    of_all = next((one for entry, one in state.items() if entry in sentinels), None)
    if of_all is None:
        return []
    least = operation.min_diff_from_avg
    if least is None:
        least = analyzers.calculate_recommended_min_diff_from_avg(of_all.count * of_all.weight)
    told = (
        analyzer_impls._calculate_mutual_information_for_feature_value(
            pair, of_all, use_adjusted_mutual_info=operation.use_adjusted_mutual_info, min_diff_from_avg=least
        )
        for pair in state.items()
        if pair[0] not in sentinels
    )
    return [((information, count), entry) for entry, (information, _, count) in told]


def _is_weighted(operation: Any) -> bool:
    order = analyzer_impls._VocabOrderingType.WEIGHTED_MUTUAL_INFORMATION
    return bool(operation.vocab_ordering_type == order)


@dataclass(frozen=True)
class _Rule:
    """Which entries of a vocabulary are kept: the `top_k` largest of those that pass; with a key_fn, of each key."""

    top_k: int | None
    frequency: float
    information: float
    key_fn: Callable[[Any], Any] | None = None

    def passes(self, often: float, information: float) -> bool:
        if self.frequency <= 0 and self.information == float("-inf"):
            return True
        return often >= self.frequency and information >= self.information


def _pruned(operation: Any, room: Room, pairs: Iterable[Pair]) -> Pairs:
    one = operation
    rules = [_Rule(one.top_k, one.frequency_threshold or 0, one.informativeness_threshold)]
    if one.key_fn:
        rules.append(
            _Rule(
                one.coverage_top_k,
                one.coverage_frequency_threshold or 0,
                one.coverage_informativeness_threshold,
                one.key_fn,
            )
        )
    return ranked(_kept(rules, operation.input_dtype == tf.string.name, pairs), room)


def _kept(rules: list[_Rule], text: bool, pairs: Iterable[Pair]) -> Iterator[Pair]:
    """Those that a rule keeps, each once, in any order."""
    largest: dict[Any, list[tuple[Pair, bool]]] = {}
    for value, entry in pairs:
        information, often = value if isinstance(value, tuple) else (float("inf"), value)
        shown = entry if text else tf.compat.as_bytes(tf.compat.as_str_any(entry))
        pair = value[0] if isinstance(value, tuple) else value, shown
        passed = [rule for rule in rules if rule.passes(often, information)]
        kept = any(rule.top_k is None for rule in passed)
        if kept:
            yield pair
        for rule in passed:
            if rule.top_k is not None:
                heap = largest.setdefault((rule, rule.key_fn and rule.key_fn(pair[1])), [])
                if len(heap) < rule.top_k:
                    heapq.heappush(heap, (pair, kept))
                else:
                    heapq.heappushpop(heap, (pair, kept))
    yield from dict.fromkeys(pair for heap in largest.values() for pair, kept in heap if not kept)


def _written(operation: Any, folder: str, pairs: Pairs, reserved: Any = None) -> np.ndarray:
    """Write a vocabulary; the path of the file."""
    entries = analyzer_impls.maybe_add_empty_vocabulary_dummy(pairs, operation.input_dtype)
    shown = analyzer_impls._count_and_token_to_bytes if operation.store_frequency else lambda _, entry: entry
    lines = (tf.compat.as_bytes(shown(count, entry)) + b"\n" for count, entry in entries)
    path = os.path.join(folder, operation.vocab_filename)
    with whole(path) as part, tf.io.gfile.GFile(part, "wb") as file:
        while several := b"".join(itertools.islice(lines, 4096)):
            file.write(several)
    return np.array(path)


_OF_VOCABULARIES: dict[type, Callable[..., Any]] = {
    analyzer_nodes.VocabularyMerge: _vocabulary_totals,
    analyzer_nodes.VocabularyPrune: _pruned,
}
"""Those of which more may come than memory has room for."""

_KNOWN: dict[type, Callable[..., Any]] = {
    beam_nodes.CreateTensorBinding: lambda operation, value: impl._TensorBinding(
        value, operation.tensor_name, operation.dtype_enum, operation.is_asset_filepath
    ),
    beam_nodes.ExtractFromDict: _extracted,
    beam_nodes.Flatten: lambda operation, *values: list(values),
    analyzer_nodes.AddKey: lambda operation, value: (operation.key, value),
    analyzer_nodes.CacheableCombineMerge: lambda operation, state: operation.combiner.extract_output(state),
    analyzer_nodes.PackedCombineMerge: _packed_outputs,
    analyzer_nodes.CacheableCombinePerKeyMerge: lambda operation, states: {
        key: operation.combiner.extract_output(state) for key, state in states.items()
    },
    analyzer_nodes.CacheableCombinePerKeyFormatKeys: _formatted_keys,
    analyzer_nodes.CacheableCombinePerKeyFormatLarge: _formatted_large,
    analyzer_nodes.ScaleAndFlattenPerKeyBucketBouandaries: lambda operation, boundaries: (
        analyzer_impls._join_boundary_rows(boundaries)
    ),
    analyzer_nodes.ExtractCombineMergeOutputs: lambda operation, outputs: _of_several(operation, outputs),
    analyzer_nodes.ExtractPackedCombineMergeOutputs: lambda operation, outputs: _of_several(operation, outputs),
    analyzer_nodes.VocabularyCount: lambda operation, pairs: np.int64(max(len(pairs), 1)),
}


def _of_several(operation: Any, outputs: Any) -> Any:
    return tuple(outputs) if operation.num_outputs > 1 else outputs[0]
