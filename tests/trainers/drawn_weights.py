"""Weights by the names and of the shapes of torchvision's networks, drawn in a defined order."""

from __future__ import annotations

import re

import numpy as np


def resnet(depth, classes, width=64):
    """Every tensor of torchvision's ResNet by name: its shape."""
    shapes, inputs = _conv("conv1", "bn1", 3, width, 7), width
    for stage, count in enumerate({18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth], 1):
        planes = width * 2 ** (stage - 1)
        outputs = planes * (4 if depth == 50 else 1)
        for i in range(count):
            block = f"layer{stage}.{i}"
            sizes = [1, 3, 1] if depth == 50 else [3, 3]
            channels = [inputs, planes, planes, outputs] if depth == 50 else [inputs, planes, outputs]
            for k, size in enumerate(sizes):
                shapes |= _conv(f"{block}.conv{k + 1}", f"{block}.bn{k + 1}", channels[k], channels[k + 1], size)
            if i == 0 and (stage > 1 or depth == 50):
                shapes |= _conv(f"{block}.downsample.0", f"{block}.downsample.1", inputs, outputs, 1)
            inputs = outputs
    return shapes | {"fc.weight": (classes, inputs), "fc.bias": (classes,)}


def mobilenet(classes):
    """The same of torchvision's MobileNetV2."""
    shapes, inputs, n = _conv("features.0.0", "features.0.1", 3, 32, 3), 32, 1
    stages = [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]
    for expansion, outputs, count in stages:
        for _ in range(count):
            block, inner = f"features.{n}.conv", inputs * expansion
            if expansion > 1:
                shapes |= _conv(f"{block}.0.0", f"{block}.0.1", inputs, inner, 1)
            k = int(expansion > 1)
            shapes |= _conv(f"{block}.{k}.0", f"{block}.{k}.1", 1, inner, 3)
            shapes |= _conv(f"{block}.{k + 1}", f"{block}.{k + 2}", inner, outputs, 1)
            inputs, n = outputs, n + 1
    shapes |= _conv("features.18.0", "features.18.1", inputs, 1280, 1)
    return shapes | {"classifier.1.weight": (classes, 1280), "classifier.1.bias": (classes,)}


def _conv(conv, norm, inputs, outputs, size):
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{conv}.weight": (outputs, inputs, size, size)} | {f"{norm}.{part}": (outputs,) for part in parts}


def in_timm(tensors):
    """The tensors of `mobilenet` by timm's names, which has its layers in the same order."""
    layers = ["conv_stem", "bn1"]
    for stage, count in enumerate((1, 2, 3, 4, 3, 3, 1)):
        steps = ("conv_dw", "conv_pw") if stage == 0 else ("conv_pw", "conv_dw", "conv_pwl")
        for i in range(count):
            for k, step in enumerate(steps, 1):
                layers += [f"blocks.{stage}.{i}.{step}", f"blocks.{stage}.{i}.bn{k}"]
    return _renamed(tensors, [*layers, "conv_head", "bn2", "classifier"])


def in_tsm(tensors):
    """The same by those of TSM's checkpoints, shifts before the blocks that have a shortcut."""
    layers, n = ["0.0", "0.1"], 1
    for stage, count in enumerate((1, 2, 3, 4, 3, 3, 1)):
        for i in range(count):
            for k in range(2 if stage == 0 else 3):
                wrapped = ".net" if k == 0 and i > 0 else ""
                layers += [f"{n}.conv.{3 * k}{wrapped}", f"{n}.conv.{3 * k + 1}"]
            n += 1
    layers = [f"module.base_model.features.{layer}" for layer in [*layers, "18.0", "18.1"]]
    return _renamed(tensors, [*layers, "module.new_fc"])


def in_mmaction(tensors):
    """The tensors of `resnet` by the names of mmaction2."""
    steps = ((r"conv(\d)", r"conv\1.conv"), (r"bn(\d)", r"conv\1.bn"), (r"downsample\.0", "downsample.conv"))
    steps = (*steps, (r"downsample\.1", "downsample.bn"), ("^fc", "cls_head.fc_cls"), ("^(?!cls)", "backbone."))
    result = {}
    for name, one in tensors.items():
        for pattern, written in steps:
            name = re.sub(pattern, written, name)
        result[name] = one
    return result


def _renamed(tensors, layers):
    known = dict(zip(dict.fromkeys(name.rpartition(".")[0] for name in tensors), layers, strict=True))
    return {f"{known[layer]}.{part}": one for name, one in tensors.items() for layer, _, part in [name.rpartition(".")]}


def drawn(shapes, gain=(0.3, 0.9), seed=5):
    """Tensors float32 of these shapes, drawn by their names in order: a network of them gives numbers of about 1."""
    rng, result = np.random.default_rng(seed), {}
    for name in sorted(shapes):
        shape = shapes[name]
        if len(shape) > 1:
            value = rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))
        elif name.endswith("running_var"):
            value = rng.uniform(0.5, 1.5, shape)
        elif name.endswith(".weight"):
            value = rng.uniform(*gain, shape)
        else:
            value = rng.normal(size=shape) / 10
        result[name] = value.astype(np.float32)
    return {name: result[name] for name in shapes}
