"""`region_graph`: what lies in boxes of the frames as a graph over space and time (arXiv:1806.01810)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import keras
import numpy as np
import tensorflow as tf
from pydantic import Field

from tfloom.feature_specs.column import Column
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Clip, Dense
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.backbone import Features
from tfloom.trainers.backbones.i3d import I3d
from tfloom.trainers.networks.inflated_resnet import InflatedResNet
from tfloom.trainers.networks.layers import Composite
from tfloom.trainers.networks.mobilenet_v2 import divisible
from tfloom.trainers.networks.roi_align import roi_align
from tfloom.trainers.networks.temporal import fold, unfold
from tfloom.trainers.video_backbone import Average, frames_of, keep_statistics, over_views


class RegionGraph(I3d):
    """`i3d`, whose maps also give a feature for each of several boxes a frame; these are the nodes of a graph.

    The boxes are the group `boxes`, one column of T x N x 4 numbers: for each frame N boxes, and of each its top, left,
    bottom and right in 0 to 1; one without area is none. Without the group they are the cells of a grid.

    grid: how many cells to each side it has.
    graph_layers: how many graph convolutions follow each other.
    """

    accepts = {"clip": (Clip,), "boxes": (Dense,)}
    optional = frozenset({"boxes"})

    name: Literal["region_graph"] = "region_graph"  # type: ignore[assignment]
    grid: Annotated[int, Field(ge=1, le=16)] = 3
    graph_layers: Annotated[int, Field(ge=1)] = 3

    def choose(self, part: str, spec: FeatureSpec) -> tuple[Column, ...]:
        return tuple(spec.model_groups.get("boxes", ())) if part == "boxes" else super().choose(part, spec)

    def parts(self, spec: FeatureSpec) -> dict[str, tuple[Column, ...]]:
        chosen = super().parts(spec)
        if chosen["boxes"]:
            self._check(chosen["clip"][0], chosen["boxes"])
        return chosen

    def _check(self, clip: Any, boxes: tuple[Column, ...]) -> None:
        """Raise SpecError where boxes would not be those of the frames that the model sees."""
        size = sum(column.transformed_type.dimension or 0 for column in boxes if column.transformed_type)
        if len(boxes) > 1 or not size or size % (4 * clip.frames):
            raise SpecError(f"groups.boxes: the backbone {self.name} reads one column of boxes",
                            expected=f"{clip.frames} frames x boxes x 4 numbers",
                            received=f"{', '.join(column.name for column in boxes)}: {size} numbers")  # fmt: skip
        wanted = {
            "kept_frames": clip.frames,
            "short_side": None,
            "augmentation": None,
            "test_clips": 1,
            "test_crops": 1,
        }
        told = {field: getattr(clip, field) for field in wanted}
        if told != wanted:
            say = lambda fields: ", ".join(f"{field}: {value}" for field, value in fields.items())
            raise SpecError(f"columns.{clip.name}: its frames move against the boxes of columns.{boxes[0].name}",
                            expected=say(wanted).replace("None", "left out"), received=say(told))  # fmt: skip

    def layer(self, parts: Mapping[str, tuple[Column, ...]], num_buckets: Mapping[str, int], units: int) -> keras.Layer:
        (column,) = parts["clip"]
        graph = Graphs(divisible(512 * self.width), self.graph_layers)
        made = RegionLayer(
            frames_of(column), self.grid, self.inflated(last_stride=1), graph, Average(self.dropout, units)
        )
        if self.partial_bn:
            keep_statistics(made)
        return made


class RegionLayer(keras.Layer):
    """Features -> float32 [B, units]: of the clip's mean and of its boxes after the graphs, side by side."""

    def __init__(self, frames: int, grid: int, network: InflatedResNet, graph: Graphs, consensus: keras.Layer) -> None:
        super().__init__(name="region_graph")
        self.frames, self.grid, self.network, self.graph, self.consensus = frames, grid, network, graph, consensus
        self.reduce = keras.layers.Dense(graph.channels, name="reduce")

    def call(self, features: Features, training: bool = False) -> Any:
        (clip,) = features["clip"]
        maps = self.reduce(self.network(clip.values, training=training))  # type: ignore[union-attr]
        boxes = self._boxes(features.get("boxes", ()), tf.shape(maps)[0])[:, ::2]  # a map is of two frames
        regions = tf.reduce_max(roi_align(fold(maps), fold(boxes)), axis=(2, 3))
        seen = self.graph(unfold(regions, maps.shape[1]), boxes)
        both = tf.concat([tf.reduce_mean(maps, axis=(1, 2, 3)), seen], axis=-1)
        return over_views(self.consensus(both[:, None], training=training), clip.views)  # type: ignore[union-attr]

    def _boxes(self, given: Any, count: Any) -> Any:
        """float32 [B, T, N, 4]."""
        if given:
            return tf.reshape(given[0].values, [count, self.frames, given[0].values.shape[-1] // (4 * self.frames), 4])
        cells = cells_of_grid(self.grid)
        return tf.broadcast_to(cells, [count, self.frames, *cells.shape])


class Graphs(Composite):
    """What is in boxes, float32 [B, T, N, C], and the boxes [B, T, N, 4] -> float32 [B, C], the mean over all of them.

    Graph convolutions, the sum over graphs of G X W, layer normalization and ReLU, in two branches whose ends are
    summed: over the graph of what is similar, and over those of what overlaps in the next and in the last frame
    (section 4).
    """

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__(name="graph", autocast=False)  # where a box lies is told in float32, whatever the policy
        self.channels = channels
        self.phi, self.phi_other = (
            keras.layers.Dense(channels, use_bias=False, name=name) for name in ("phi", "phi_other")
        )
        self.similar = [GraphConv(channels, 1, name=f"similar{i}") for i in range(layers)]
        self.near = [GraphConv(channels, 2, name=f"near{i}") for i in range(layers)]

    def call(self, x: Any, boxes: Any) -> Any:
        there = tf.reshape(area(boxes) > 0, [tf.shape(x)[0], -1])
        front, back = overlaps(boxes)
        x = tf.reshape(x, [tf.shape(x)[0], x.shape[1] * x.shape[2], self.channels])
        phi, other = (tf.cast(one(x), boxes.dtype) for one in (self.phi, self.phi_other))
        similar, near = [similarity(phi, other, there)], [front, back]
        y = z = x
        for over_similar, over_near in zip(self.similar, self.near, strict=True):
            y, z = over_similar(y, similar), over_near(z, near)
        counted = tf.cast(there, y.dtype)[..., None]
        return tf.math.divide_no_nan(tf.reduce_sum((y + z) * counted, axis=1), tf.reduce_sum(counted, axis=1))


class GraphConv(Composite):
    """X [B, N, C], and graphs [B, N, N] each with its own W -> ReLU(normalized sum of G X W), [B, N, C]."""

    def __init__(self, channels: int, graphs: int, name: str) -> None:
        super().__init__(name=name)
        self.maps = [keras.layers.Dense(channels, use_bias=False, name=f"w{i}") for i in range(graphs)]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, name="norm")

    def call(self, x: Any, graphs: list[Any]) -> Any:
        mapped = [w(x) for w in self.maps]
        summed = tf.add_n([tf.matmul(tf.cast(graph, y.dtype), y) for graph, y in zip(graphs, mapped, strict=True)])
        return tf.nn.relu(self.norm(summed))


def similarity(phi: Any, phi_other: Any, there: Any) -> Any:
    """exp(phi(x_i) . phi'(x_j)), its sum over j 1: [B, N, C] each, and which nodes there are, [B, N] -> [B, N, N]."""
    affinities = tf.matmul(phi, phi_other, transpose_b=True)
    return tf.nn.softmax(tf.where(there[:, None], affinities, affinities.dtype.min))


def overlaps(boxes: Any) -> tuple[Any, Any]:
    """Of boxes [B, T, N, 4] the graphs to the next frame and to the last, [B, T * N, T * N] each.

    Of each box its intersection over union with those of that frame, their sum 1 where there are any.
    """
    a, b = boxes[:, :, :, None, None], boxes[:, None, None]
    both = area(tf.concat([tf.maximum(a[..., :2], b[..., :2]), tf.minimum(a[..., 2:], b[..., 2:])], axis=-1))
    shared = tf.math.divide_no_nan(both, area(a) + area(b) - both)
    frames, regions = boxes.shape[1:3]

    def graph(by: int) -> Any:
        edges = shared * np.eye(frames, k=by)[:, None, :, None].astype(boxes.dtype.as_numpy_dtype)
        edges = tf.reshape(edges, [-1, frames * regions, frames * regions])
        return tf.math.divide_no_nan(edges, tf.reduce_sum(edges, axis=2, keepdims=True))

    return graph(1), graph(-1)


def area(boxes: Any) -> Any:
    """[..., 4] -> [...]; 0 where the bottom is not below the top, or the right not right of the left."""
    sides = tf.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def cells_of_grid(side: int) -> np.ndarray:
    """float32 [side * side, 4], row by row."""
    edges = np.linspace(0, 1, side + 1, dtype=np.float32)
    return np.array([[edges[i], edges[j], edges[i + 1], edges[j + 1]] for i in range(side) for j in range(side)])
