"""What a network costs: multiply-adds, counted over the graph that runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def macs(function: Any) -> int:
    """The multiply-adds of a traced function: convolutions, matrix products and `temporal_conv`.

    Normalization, activations, pooling and sums are not counted, as the literature does not. Every shape has to be
    known: trace it for a batch of one.

    function: a tf.ConcreteFunction. Functions that it calls are counted where it calls them.
    """
    graph = function.graph
    called = {name.decode() if isinstance(name, bytes) else name: f.graph for name, f in graph._functions.items()}
    return _of_graph(graph, called)


def _of_graph(graph: Any, called: dict[str, Any]) -> int:
    total = 0
    for op in graph.get_operations():
        if op.type in _COUNTED:
            total += _COUNTED[op.type](op)
        elif op.type in ("PartitionedCall", "StatefulPartitionedCall"):
            total += _of_graph(called[op.get_attr("f").name], called)
    return total


def _convolution(op: Any) -> int:
    """Every output value takes a kernel's height x width x (depth x) inputs; of a group's inputs alone."""
    return _size(op.outputs[0]) * math.prod(op.inputs[1].shape[:-1])


def _depthwise(op: Any) -> int:
    return _size(op.outputs[0]) * math.prod(op.inputs[1].shape[:2])


def _product(op: Any) -> int:
    """Every output value takes a row of the left one; transposed, it is a column."""
    left = op.inputs[0].shape
    turned = op.get_attr("transpose_a" if op.type == "MatMul" else "adj_x")
    return _size(op.outputs[0]) * int(left[-2 if turned else -1])


def _scaled(op: Any) -> int:
    return _size(op.outputs[0]) if "temporal_conv" in op.name else 0


def _size(tensor: Any) -> int:
    return math.prod(tensor.shape)


_COUNTED: dict[str, Callable[[Any], int]] = {
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "MatMul": _product,
    "BatchMatMulV2": _product,
    "Mul": _scaled,
}
