"""Layers of networks over pictures in NumPy, to reckon by them what a module gives: float64 [N, H, W, C]."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfloom.trainers.network import precision


def filled(make: Callable[[], keras.Layer], shape: tuple[int, ...]) -> Any:
    """A layer in float64 for inputs of this shape, its weights and statistics drawn."""
    with precision("float64"):
        layer = make()
        layer(np.zeros(shape))
    rng = np.random.default_rng(3)
    for variable in layer.variables:
        if "seed_generator" not in variable.path:
            positive = "variance" in variable.path
            variable.assign(rng.uniform(0.5 if positive else -1, 1.5 if positive else 1, variable.shape))
    return layer


def windows(x: np.ndarray, size: int, stride: int) -> np.ndarray:
    """[N, h, w, C, size, size]: what a convolution sees, with zeros around the picture."""
    side = (size - 1) // 2
    padded = np.pad(x, [(0, 0), (side, side), (side, side), (0, 0)])
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride]


def conv(x: np.ndarray, layer: Any, stride: int = 1) -> np.ndarray:
    kernel = layer.kernel.numpy()
    return np.einsum("nhwcij,ijco->nhwo", windows(x, len(kernel), stride), kernel)


def depthwise(x: np.ndarray, layer: Any) -> np.ndarray:
    return np.einsum("nhwcij,ijc->nhwc", windows(x, 3, 1), layer.kernel.numpy()[..., 0])


def norm(x: np.ndarray, layer: Any) -> np.ndarray:
    """Of the last axis, by the moving statistics."""
    scale = layer.gamma.numpy() / np.sqrt(layer.moving_variance.numpy() + 1e-5)
    return (x - layer.moving_mean.numpy()) * scale + layer.beta.numpy()


def over_time(x: np.ndarray, kernel: np.ndarray, frames: int) -> np.ndarray:
    """kernel [3, C]: at t the sum of kernel[k] * x[t + k - 1], of frames that the clip has."""
    clips, made = x.reshape(-1, frames, *x.shape[1:]), np.zeros_like(x).reshape(-1, frames, *x.shape[1:])
    for t in range(frames):
        for k in range(3):
            if 0 <= t + k - 1 < frames:
                made[:, t] += kernel[k] * clips[:, t + k - 1]
    return made.reshape(x.shape)


def motion(x: np.ndarray, layer: Any, frames: int) -> np.ndarray:
    """The next frame through a convolution of each channel, less this one; zeros at the last."""
    there, made = depthwise(x, layer), np.zeros_like(x)
    for i in range(len(x)):
        if (i + 1) % frames:
            made[i] = there[i + 1] - x[i]
    return made


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
