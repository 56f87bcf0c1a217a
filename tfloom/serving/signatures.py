"""The signatures of a SavedModel, as saved_model.pb has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfloom.feature_specs.errors import ArtefactError

SERVE = "serve"
"""The tag of the graph that is served."""


@dataclass(frozen=True)
class TensorInfo:
    """A named input or output of a signature.

    tensor: its name in the graph, ``<operation>:<index>``.
    dtype: TensorFlow's, by name.
    shape: None for a dimension of any size; None for any rank.
    """

    tensor: str
    dtype: str
    shape: tuple[int | None, ...] | None

    @property
    def rank(self) -> int | None:
        """The number of dimensions; None for any."""
        return None if self.shape is None else len(self.shape)

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of this shape can be it."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            size in (None, found) for size, found in zip(self.shape, shape, strict=True)
        )


@dataclass(frozen=True)
class Signature:
    """What a SavedModel can be asked, and what it answers."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


def protos(saved_model: Path) -> dict[str, Any]:
    """The SignatureDef protos by name. Raises ArtefactError where `saved_model` is no SavedModel that can be served."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((saved_model / "saved_model.pb").read_bytes())
    except (OSError, DecodeError) as error:
        raise ArtefactError(f"{saved_model}: is no SavedModel", expected="a folder with saved_model.pb",
                            received=str(error)) from None  # fmt: skip
    graphs = {tuple(graph.meta_info_def.tags): graph for graph in saved.meta_graphs}
    if (SERVE,) not in graphs:
        raise ArtefactError(f"{saved_model}: has no graph to serve", expected=f"one tagged {SERVE!r}",
                            received=", ".join(map(repr, graphs)))  # fmt: skip
    return dict(graphs[SERVE,].signature_def)


def read(saved_model: Path) -> dict[str, Signature]:
    """The signatures by name; without those that TensorFlow keeps for itself, such as __saved_model_init_op."""
    return {
        name: Signature(_infos(proto.inputs), _infos(proto.outputs))
        for name, proto in protos(saved_model).items()
        if not name.startswith("__saved_model_")
    }


def _infos(protos: Mapping[str, Any]) -> dict[str, TensorInfo]:
    import tensorflow as tf

    return {
        name: TensorInfo(
            proto.name,
            tf.as_dtype(proto.dtype).name,
            None
            if proto.tensor_shape.unknown_rank
            else tuple(None if dim.size < 0 else dim.size for dim in proto.tensor_shape.dim),
        )
        for name, proto in sorted(protos.items())
    }
