"""The tf.Examples of a REST request to classify or to regress, as TF Serving reads them from JSON.

An example is an object of features, each a value or a list of values: strings and ``{"b64": ...}`` are a bytes list,
whole numbers, true and false an int64 list, all other numbers a float list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfloom.feature_specs import tensor_json
from tfloom.feature_specs.errors import DataError

_LISTS = {"string": "bytes_list", "int64": "int64_list", "float32": "float_list"}


def serialized(request: Mapping[str, Any]) -> np.ndarray:
    """The `examples` of a request, each with the features of its `context`: serialized tf.Examples, bytes [B].

    Raises DataError where they are not written so.
    """
    if "examples" not in request:
        raise DataError("key 'examples' is expected and was not found", expected='{"examples": [...]}',
                        received=", ".join(request) or "nothing")  # fmt: skip
    examples = request["examples"]
    if not isinstance(examples, list) or not examples:
        raise DataError("examples: is not a list of examples", expected="a list of at least one",
                        received=repr(examples)[:80])  # fmt: skip
    # Serialized messages one behind the other are one message with the fields of both.
    context = _example(request["context"], "context") if "context" in request else b""
    result = np.empty(len(examples), object)
    result[:] = [context + _example(one, f"examples.{at}") for at, one in enumerate(examples)]
    return result


def _example(fields: Any, where: str) -> bytes:
    import tensorflow as tf

    if not isinstance(fields, dict):
        raise DataError(f"{where}: is not an object", expected="an object of features", received=repr(fields)[:80])
    example = tf.train.Example()
    for name, content in fields.items():
        values = content if isinstance(content, list) else [content]
        dtypes = dict.fromkeys(_dtype(value, f"{where}.{name}") for value in values)
        if len(dtypes) > 1:
            raise DataError(f"{where}.{name}: has elements of several types", expected="values of one type",
                            received=", ".join(dtypes))  # fmt: skip
        for dtype in dtypes:
            plain = [int(value) if isinstance(value, bool) else value for value in values]
            typed = tensor_json.decode(plain, dtype, [None], f"{where}.{name}")
            getattr(example.features.feature[name], _LISTS[dtype]).value.extend(typed.tolist())
    return bytes(example.SerializeToString())


def _dtype(value: Any, where: str) -> str:
    match value:
        case bool() | int():
            return "int64"
        case float():
            return "float32"
        case str() | {"b64": _}:
            return "string"
    raise DataError(f"{where}: has an element of no type that a feature has",
                    expected='strings, {"b64": ...}, numbers or booleans', received=repr(value)[:80])  # fmt: skip
