"""The non-local block: every place of a clip looks at every other (arXiv:1711.07971)."""

from __future__ import annotations

from typing import Any, Literal

import keras
import tensorflow as tf

from tfloom.trainers.networks.layers import Composite, norm
from tfloom.trainers.networks.temporal import fold

Affinity = Literal["embedded_gaussian", "dot_product"]


class NonLocal(Composite):
    """z = x + norm(W y), y_i = sum over j of f(x_i, x_j) g(x_j) / C(x): float32 [B, T, H, W, C] -> the same shape.

    With theta, phi and g linear maps to half the channels (equations 1 to 6). f and C are, by `affinity`:
      embedded_gaussian: exp(theta(x_i) . phi(x_j) / sqrt(C / 2)), and its sum over j; the root is the authors' code's.
      dot_product: theta(x_i) . phi(x_j), and the number of places.

    j goes over the largest value of every 2 x 2 places (section 3.3). The normalization starts at 0, the block as
    nothing.
    """

    def __init__(self, channels: int, affinity: Affinity, name: str) -> None:
        super().__init__(name=name)
        self.inner, self.affinity = channels // 2, affinity
        start = keras.initializers.RandomNormal(stddev=0.01)
        self.theta, self.phi, self.g = (
            keras.layers.Dense(self.inner, kernel_initializer=start, name=which) for which in ("theta", "phi", "g")
        )
        self.out = keras.layers.Dense(channels, kernel_initializer=start, name="out")
        self.norm = norm(gamma_initializer="zeros", name="norm")

    def call(self, x: Any, training: bool = False) -> Any:
        batch, channels = tf.shape(x)[0], x.shape[-1]
        seen = tf.reshape(tf.nn.max_pool2d(fold(x), 2, 2, "SAME"), [batch, -1, channels])
        y = attended(self.theta(tf.reshape(x, [batch, -1, channels])), self.phi(seen), self.g(seen), self.affinity)
        return x + tf.reshape(self.norm(self.out(y), training=training), tf.shape(x))


def attended(theta: Any, phi: Any, g: Any, affinity: Affinity) -> Any:
    """theta [B, I, D], phi and g [B, J, D] -> y [B, I, D]."""
    affinities = tf.matmul(theta, phi, transpose_b=True)
    if affinity == "embedded_gaussian":
        weights = tf.nn.softmax(affinities * theta.shape[-1] ** -0.5)
    else:
        weights = affinities / tf.cast(tf.shape(phi)[1], affinities.dtype)
    return tf.matmul(weights, g)
