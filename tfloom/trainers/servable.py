"""What is served: raw rows -> the transform graph -> the model -> predictions, as signatures over one graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from tfloom.feature_specs.columns.crossed import Crossed
from tfloom.feature_specs.directories import TransformOutput
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.inputs import TENSORFLOW_DTYPES, Input, served_name, tensor_name
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.inputs import dense, signature
from tfloom.trainers.signature import Predict, Signature


def apart(predict: Predict, read: Mapping[str, tf.TensorSpec]) -> Predict:
    """`predict` as a function of its own in the graph that calls it, for the columns `read`.

    Whoever predicts with it calls it so. Inlined, it would be optimised in one with what is around it, a transform
    graph or nothing, and a sum at times be taken in another order.
    """
    function: Predict = tf.function(predict, input_signature=[dict(read)], experimental_attributes={"_noinline": True})
    return function


class Servable(tf.Module):
    """The transform graph and a model, with the signatures of an export.

    predict: traced into the graph. variables: of the model, tf.Variables, so that the SavedModel holds them.
    classify, regress: from predictions to TF Serving's own outputs, or None. others: more signatures, by name.
    """

    def __init__(
        self,
        output: TransformOutput,
        predict: Predict,
        variables: Sequence[tf.Variable],
        classify: Predict | None = None,
        regress: Predict | None = None,
        others: Mapping[str, Signature] | None = None,
    ) -> None:
        super().__init__(name="servable")
        self.spec = output.spec
        self._predict, self._classify, self._regress = predict, classify, regress
        self._others = dict(others or {})
        self.model_variables = list(variables)
        self.transform_layer = tft.TFTransformOutput(str(output.path)).transform_features_layer()

    # -- the parts --------------------------------------------------------------------------------------------------

    def parse(self, examples: Any) -> dict[str, Any]:
        """Serialized tf.Examples [B] -> raw inputs, SparseTensors."""
        return dict(tf.io.parse_example(examples, self.spec.raw_feature_spec()))

    def transform(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Raw inputs -> every materialised column, dense."""
        made = self.transform_layer(dict(raw))
        return {column.name: dense(made[column.name]) for column in self.spec.materialised}

    def predictions(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Raw inputs -> predictions."""
        columns, read = self.transform(raw), signature(self.spec.model_inputs)
        return dict(apart(self._predict, read)({name: columns[name] for name in read}))

    # -- the signatures ---------------------------------------------------------------------------------------------

    def signatures(self) -> dict[str, Any]:
        """The concrete functions to save, by name."""
        examples = tf.TensorSpec([None], tf.string, name="examples")
        named = named_signature(self.spec)

        def serving_default(*values: Any) -> Mapping[str, Any]:  # by position: "hours-per-week" is no name of Python's
            return self.predictions(raw_from_named(self.spec, dict(zip(named, values, strict=True))))

        functions: dict[str, tuple[Any, list[Any]]] = {
            "serving_default": (serving_default, list(named.values())),
            "serving_examples": (lambda examples: self.predictions(self.parse(examples)), [examples]),
            "transform": (lambda examples: self.transform(self.parse(examples)), [examples]),
        }
        for name, make in (("classify", self._classify), ("regress", self._regress)):
            if make is not None:
                functions[name] = (self._from_examples(make), [tf.TensorSpec([None], tf.string, name="inputs")])
        for name, other in self._others.items():
            functions[name] = (_positional(other), list(other.inputs.values()))
        return {
            name: tf.function(function).get_concrete_function(*given) for name, (function, given) in functions.items()
        }

    def _from_examples(self, make: Predict) -> Callable[[Any], Mapping[str, Any]]:
        return lambda inputs: make(self.predictions(self.parse(inputs)))


def _positional(one: Signature) -> Callable[..., Mapping[str, Any]]:
    call = apart(one.call, one.inputs)

    def checked(*values: Any) -> Mapping[str, Any]:
        # TensorFlow Serving compares no shapes: frames of two clips in one would be taken for two clips.
        told = zip(one.inputs.items(), values, strict=True)
        return call({name: tf.ensure_shape(value, spec.shape) for (name, spec), value in told})

    return checked


def has_length(spec: FeatureSpec, name: str) -> bool:
    """Whether a client says by `<name>_length` how many values a row has.

    That is so for multi-valued inputs, and for optional ones none of whose values can stand for missing.
    """
    one = spec.inputs[name]
    crossed_raw = any(isinstance(column, Crossed) and name in column.inputs() for column in spec.columns)
    return one.multi_valued or (
        bool(one.optional) and (one.dtype == "int64" or (one.dtype == "string" and crossed_raw))
    )


def named_signature(spec: FeatureSpec) -> dict[str, tf.TensorSpec]:
    """The inputs of serving_default: [B], or [B, None] and `<name>_length` [B] where multi-valued.

    Raises SpecError where two of them have one name to TensorFlow.
    """
    result: dict[str, tf.TensorSpec] = {}
    taken: dict[str, str] = {}

    def add(served: str, what: str, dtype: str | tf.DType, *shape: None) -> None:
        other = taken.setdefault(tensor_name(served), what)
        if other != what:
            raise SpecError(f"inputs: {other} and {what} are one name to a client",
                            expected="names that differ in letters, digits and _", received=served)  # fmt: skip
        result[served] = tf.TensorSpec(shape, dtype, name=served)

    for name in spec.input_names:
        one, served = spec.inputs[name], served_name(name)
        add(served, repr(name), TENSORFLOW_DTYPES[one.dtype], *([None] * (2 if one.multi_valued else 1)))
        if has_length(spec, name):
            add(f"{served}_length", f"the length of {name!r}", tf.int64, None)
    return result


def raw_from_named(spec: FeatureSpec, named: Mapping[str, Any]) -> dict[str, Any]:
    """What a client sends to serving_default -> raw inputs, SparseTensors, as they would be parsed from tf.Examples."""
    served = {name: served_name(name) for name in spec.input_names}
    return {n: _sparse(spec.inputs[n], named[of], named.get(f"{of}_length")) for n, of in served.items()}


def _sparse(declared: Input, value: Any, length: Any) -> Any:
    x = value if declared.multi_valued else value[:, None]
    if length is not None:
        present = tf.sequence_mask(length, tf.shape(x)[1])
    elif declared.dtype == "float32":
        present = ~tf.math.is_nan(x)
    elif declared.dtype == "int64" or not declared.optional:
        present = tf.ones_like(x, tf.bool)
    else:
        present = x != b""
    return tf.ragged.boolean_mask(x, present).to_sparse()
