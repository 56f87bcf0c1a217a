"""Weights that a test and the reference implementation both draw, by the names and shapes that the reference has.

The outputs of a reference are in the tests as numbers. PyTorch made them in float32: all of the state of its module but
`num_batches_tracked` from `drawn(name, shape)`, `eval()`, and `clips` as input, [B, T * C, H, W] as it takes it.
"""

import re
import zlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from safetensors.numpy import save_file

from tests.trainers.backbones.video_contract import layer
from tfloom.feature_specs.features import Clip
from tfloom.trainers.train_spec import TrainSpec

Names = tuple[tuple[str, str], ...]

# From the path of one of our variables to the name in a ResNet as torchvision writes it, step by step.
RESNET = (
    (r"^(over_frames/)?(resnet\d+/)?", ""),
    (r"consensus/dense/", "fc."),
    (r"stem/conv/", "conv1."),
    (r"stem/norm/", "bn1."),
    (r"layer(\d)_(\d)/", r"layer\1.\2."),
    (r"shortcut/conv/", "downsample.0."),
    (r"shortcut/norm/", "downsample.1."),
    (r"conv(\d)/conv/", r"conv\1."),
    (r"conv(\d)/norm/", r"bn\1."),
)
_LAST = (
    (r"(kernel|gamma)$", "weight"),
    (r"(bias|beta)$", "bias"),
    (r"moving_mean$", "running_mean"),
    (r"moving_variance$", "running_var"),
    (r"/", "."),
)


def drawn(name: str, shape: tuple[int, ...], gain: float = 1.2) -> np.ndarray:
    """Of that name in PyTorch's layout: float32, so that what goes through a network stays of order 1."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) > 1:
        return np.float32(gain * rng.normal(size=shape) / np.sqrt(np.prod(shape[1:])))
    if name.endswith("running_var"):
        return np.float32(rng.uniform(0.5, 1.5, shape))
    if name.endswith("weight"):
        return np.float32(rng.uniform(0.25, 0.75, shape))
    return np.float32(rng.normal(size=shape) * 0.1)


def clips(frames: int, size: int) -> np.ndarray:
    """Two clips float32 [2, frames, size, size, 3], noise on pictures that have a colour each."""
    rng = np.random.default_rng(0)
    colours = 2 * rng.normal(size=[2, frames, 1, 1, 3])
    return np.float32(colours + rng.normal(size=[2, frames, size, size, 3]))


def transplant(made: keras.Layer, names: Names, gain: float = 1.2) -> None:
    """Fill its variables with what is drawn for their names in the reference."""
    for name, variable in named(made, names).items():
        variable.assign(as_ours(drawn(name, there(tuple(variable.shape)), gain), tuple(variable.shape)))


def named(made: keras.Layer, names: Names) -> dict[str, Any]:
    """Its variables by their names in the reference."""
    result = {}
    for variable in made.variables:
        if "seed_generator" not in variable.path:
            name = variable.path
            for pattern, written in (*names, *_LAST):
                name = re.sub(pattern, written, name)
            result[name] = variable
    return result


def there(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape of ours in PyTorch: outputs and inputs first; of channels by themselves only these, then 1."""
    match shape:
        case (*size, channels, 1) if len(size) == 2:
            return (channels, 1, *size)
        case (*size, inputs, outputs):
            return (outputs, inputs, *size)
    return shape


def as_ours(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A value of that shape in PyTorch."""
    if value.ndim < 2:
        return value
    moved: np.ndarray = np.moveaxis(value, (0, 1), (-1, -2))
    return moved if moved.shape == shape else moved.swapaxes(-1, -2)


def logits(fields: dict[str, Any], names: Names, frames: int = 4, size: int = 64, gain: float = 1.2) -> Any:
    """Of the two `clips` and 5 classes, float32 [2, 5], by a backbone with the weights of the reference."""
    made = layer(fields | {"dropout": 0.0}, 5, frames)
    features = {"clip": (Clip(tf.constant(clips(frames, size))),)}
    transplant(made, names, gain)
    return made.call(features)


def logits_by_its_file(
    folder: Path, fields: dict[str, Any], names: Names, frames: int = 4, unread: tuple[str, ...] = ()
) -> Any:
    """The same, where the weights come from a file: the state dict of a TSN with the reference's network in it."""
    path = folder / "weights.safetensors"
    fields = fields | {"dropout": 0.0, "weights": str(path)}
    made = layer(fields, 5, frames)
    more = {f"module.base_model.{name}": np.zeros(3, np.float32) for name in unread}
    save_file(state(made, names) | more, path)
    TrainSpec(backbone=fields).backbone.read_saved(made)
    return made.call({"clip": (Clip(tf.constant(clips(frames, 64))),)})


def state(made: keras.Layer, names: Names) -> dict[str, np.ndarray]:
    """What is drawn for its variables, as a TSN with the reference's network in it calls them."""
    tensors = {}
    for name, variable in named(made, names).items():
        value = drawn(name, there(tuple(variable.shape)))
        over_time = value.ndim == 2 and value.shape[1] == 3 != value.shape[0]  # of each channel by itself
        tensors[_in_tsn(name)] = np.ascontiguousarray(value[:, None] if over_time else value)
    return tensors


def _in_tsn(name: str) -> str:
    """What a tensor of the network is called there, if it is not of the TSN itself."""
    if name.startswith("fc."):
        return f"module.new_{name}"
    own = name.startswith(("new_fc.", "consensus.", "base_model."))
    return f"module.{name}" if own else f"module.base_model.{name}"
