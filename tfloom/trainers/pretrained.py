"""Weights from elsewhere: the state dicts of PyTorch's networks, as safetensors, for the layers of ours."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfloom.feature_specs import storage
from tfloom.feature_specs.errors import SpecError
from tfloom.trainers.networks.mobilenet_v2 import STAGES

Names = Mapping[str, str]
"""What a layer is called in a state dict, by a pattern of its path in a network of ours."""

CLASSIFIER = "fc"
"""What the last layer is called here, whatever it is called there."""

UNREAD = re.compile(r"\.num_batches_tracked$|^conv1_temp1?\.")
"""Tensors that no network reads: counts of batches, and the convolution from which TDN's code made another."""


def in_blocks(names: Names, block: str = r"layer\1.\2") -> dict[str, str]:
    """Names of what is in a ResNet's blocks, which are called `block` there; groups of a pattern count from 3."""
    return {rf"layer(\d)_(\d+)/{ours}": f"{block}.{theirs}" for ours, theirs in names.items()}


RESNET_BLOCK = {
    r"conv(\d)/conv": r"conv\3",
    r"conv(\d)/norm": r"bn\3",
    r"shortcut/conv": "downsample.0",
    r"shortcut/norm": "downsample.1",
}
RESNET: Names = {"stem/conv": "conv1", "stem/norm": "bn1", "consensus/dense": CLASSIFIER} | in_blocks(RESNET_BLOCK)
"""A ResNet of torchvision, of timm or of the TSM family."""

_MMACTION_BLOCK = {
    r"conv(\d)/conv": r"conv\3.conv",
    r"conv(\d)/norm": r"conv\3.bn",
    r"shortcut/conv": "downsample.conv",
    r"shortcut/norm": "downsample.bn",
}
MMACTION: Names = {
    "stem/conv": "conv1.conv", "stem/norm": "conv1.bn", "consensus/dense": CLASSIFIER,
} | in_blocks(_MMACTION_BLOCK)  # fmt: skip
"""A ResNet of mmaction2."""


def _mobilenets() -> dict[str, dict[str, str]]:
    """MobileNetV2 by the names of torchvision, of the TSM family, which numbers a block's steps, and of timm."""
    torchvision = {"consensus/dense": CLASSIFIER, "stem/conv": "features.0.0", "stem/norm": "features.0.1"}
    torchvision |= {"head/conv": "features.18.0", "head/norm": "features.18.1"}
    numbered = dict(torchvision)
    timm = {"consensus/dense": CLASSIFIER, "stem/conv": "conv_stem", "stem/norm": "bn1"}
    timm |= {"head/conv": "conv_head", "head/norm": "bn2"}
    blocks = [(stage, index) for stage, (_, _, count, _) in enumerate(STAGES, 1) for index in range(count)]
    for number, (stage, index) in enumerate(blocks, 1):
        steps = ("conv2", "conv3") if stage == 1 else ("conv1", "conv2", "conv3")  # the first stage does not expand
        in_timm = ("conv_dw", "conv_pw") if stage == 1 else ("conv_pw", "conv_dw", "conv_pwl")
        for place, (step, name) in enumerate(zip(steps, in_timm, strict=True)):
            conv, norm = (f"layer{stage}_{index}/{step}/{part}" for part in ("conv", "norm"))
            last, block = step == "conv3", f"features.{number}.conv"
            torchvision[conv] = f"{block}.{place}" if last else f"{block}.{place}.0"
            torchvision[norm] = f"{block}.{place + 1}" if last else f"{block}.{place}.1"
            numbered[conv], numbered[norm] = f"{block}.{3 * place}", f"{block}.{3 * place + 1}"
            timm[conv], timm[norm] = f"blocks.{stage - 1}.{index}.{name}", f"blocks.{stage - 1}.{index}.bn{place + 1}"
    return {"torchvision": torchvision, "numbered": numbered, "timm": timm}


NAMINGS: tuple[Names, ...] = (RESNET, MMACTION, *_mobilenets().values())

VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""What a layer's variables are called in a state dict."""

_log = logging.getLogger(__name__)


def read(path: str, layer: keras.Layer, families: Sequence[Names] = ({},)) -> None:
    """Put a state dict into the layer of a backbone, made of a network that NAMINGS knows and of a family's modules.

    A layer that has no name there, such as a temporal module, keeps its start. So does the last layer where the file
    has other classes, or none. Both are logged.

    path: of safetensors. Names may begin with `module.`, `base_model.` or `backbone.`; what is wrapped as `.net` or
      `.block` is read as if it were not.
    layer: with its variables. families: names of a family's modules beside those of the network, which they go before;
      one for each way to write them. What fits most of the file is taken.

    Raises SpecError where the file cannot be read, lacks a tensor of the network, or has one too many or of another
    shape.
    """
    named = ((_plain(name), one) for name, one in _tensors(path).items())
    found = {name: one for name, one in named if not UNREAD.search(name)}
    known = [_named(layer, [*own.items(), *names.items()]) for names in NAMINGS for own in families]
    wanted = max(known, key=lambda names: len(names.keys() & found.keys()) / len(names.keys() | found.keys()))
    last = {name for name, of in wanted.items() if "/dense/" in of[0].path}
    last |= {name for name in found.keys() - wanted.keys() if name.startswith(f"{CLASSIFIER}.")}
    if not all(
        name in found and name in wanted and found[name].shape[::-1] == tuple(wanted[name][0].shape) for name in last
    ):
        found = {name: one for name, one in found.items() if name not in last}
        wanted = {name: of for name, of in wanted.items() if name not in last}
    # A convolution's bias, which a network has before its normalization and the file not, starts as 0, as it was made.
    wanted = {name: of for name, of in wanted.items() if name in found or not of[0].path.endswith("/conv/bias")}
    if wanted.keys() != found.keys():
        raise _mismatch(path, wanted, found)
    for name, variables in wanted.items():
        for variable in variables:
            variable.assign(_fitted(found[name], tuple(variable.shape), f"{path}: {name}"))
    given = {id(variable) for variables in wanted.values() for variable in variables}
    kept = [one.path for one in layer.variables if id(one) not in given and "seed_generator" not in one.path]
    if kept:
        _log.warning("backbone.weights: %s has nothing that fits %s, which starts anew", path, _some(kept))


def _tensors(path: str) -> dict[str, np.ndarray]:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise SpecError("backbone.weights: the package safetensors is not installed",
                        expected="pip install 'tfloom[video]'", received=path) from None  # fmt: skip
    try:
        return safetensors.numpy.load_file(storage.fetch(path))
    except (OSError, safetensors.SafetensorError) as error:
        raise SpecError("backbone.weights: cannot be read", received=f"{path}: {error}",
                        expected="a file of safetensors; python -m tfloom.trainers.convert_pth writes it from a .pth"
                        ) from None  # fmt: skip


def _plain(name: str) -> str:
    """A tensor's name without what it is wrapped in, the last layer's by the name CLASSIFIER."""
    name = re.sub(r"^(module\.|base_model\.|backbone\.)+", "", name)
    name = re.sub(r"\.(net|block)(?=\.)", "", name)
    return re.sub(r"^(new_fc|cls_head\.fc_cls|classifier|classifier\.1)\.(?=weight|bias)", f"{CLASSIFIER}.", name)


def _named(layer: keras.Layer, names: Sequence[tuple[str, str]]) -> dict[str, list[keras.Variable]]:
    """The variables that a state dict has, by what the first pattern that fits calls them; copies have one name."""
    patterns = [(re.compile(f"(?:^|/){pattern}$"), name) for pattern, name in names]
    result: dict[str, list[keras.Variable]] = {}
    for variable in layer.variables:
        place, _, kind = variable.path.rpartition("/")
        fits = (match.expand(name) for pattern, name in patterns if (match := pattern.search(place)))
        if kind in VARIABLES and (name := next(fits, None)):
            result.setdefault(f"{name}.{VARIABLES[kind]}", []).append(variable)
    return result


def _fitted(tensor: np.ndarray, shape: tuple[int, ...], place: str) -> np.ndarray:
    """A tensor of a state dict as our variable of this shape has it: outputs last, and before them inputs.

    A kernel of a picture becomes one of a clip by repeating it over time, divided by how often, so that a still clip
    gives what the picture gave (I3D, arXiv:1705.07750, section 2). One that reads red, green and blue becomes one that
    reads other channels by their mean in place of each (TSN, arXiv:1608.00859, cross-modality initialization).
    """
    kernel = np.moveaxis(tensor, (0, 1), (-1, -2)) if tensor.ndim > 1 else tensor
    if kernel.ndim == 3 and kernel.shape[1] == 1 and len(shape) == 2:
        kernel = kernel[:, 0]  # over time, of each channel by itself
    if kernel.ndim == 4 and kernel.shape[2] == 1 < shape[2] == kernel.shape[3]:
        kernel = kernel.swapaxes(2, 3)  # of each channel by itself: Keras has one output for each input
    if kernel.ndim == 4 and len(shape) == 5:
        kernel = np.repeat(kernel[None], shape[0], axis=0) / shape[0]
    if kernel.ndim > 3 and kernel.shape[-2] == 3 != shape[-2]:
        kernel = np.repeat(kernel.mean(axis=-2, keepdims=True), shape[-2], axis=-2)
    if kernel.shape != shape:
        raise SpecError(f"backbone.weights: {place} has another shape", received=f"{list(tensor.shape)}",
                        expected=f"what becomes {list(shape)}, outputs last: the file's `network`, `width` and frames"
                        )  # fmt: skip
    return kernel.astype(np.float32)


def _mismatch(path: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> SpecError:
    lacks, surplus = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    told = [f"lacks {_some(lacks)}"] * bool(lacks) + [f"has no place here for {_some(surplus)}"] * bool(surplus)
    return SpecError(
        f"backbone.weights: {path} is of another network: it {' and '.join(told)}",
        expected=f"the {len(wanted)} tensors of this network, by the names of torchvision, timm, mmaction2 or TSM",
        received=f"{len(found)} tensors, {len(wanted.keys() & found.keys())} of them these: {_some(sorted(found))}",
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
