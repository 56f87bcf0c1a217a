"""tfloom: one spec of feature columns, woven through preprocessing, training and serving.

The functions are those of tfloom.api, imported when first asked for: `import tfloom` costs nothing and imports no
TensorFlow, and neither does `tfloom.load_spec`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# tensorflow_transform would set this to 1 and turn tf.keras into Keras 2 for the whole process.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")

if TYPE_CHECKING:
    from tfloom.api import (
        check,
        convert,
        convert_estimator,
        dataset,
        estimator_spec,
        evaluate,
        export,
        infer,
        keras_inputs,
        load_spec,
        plan,
        predict,
        preprocess,
        report,
        score,
        serve,
        train,
        transform,
        verify,
    )  # fmt: skip

__all__ = [
    "check", "convert", "convert_estimator", "dataset", "estimator_spec", "evaluate", "export", "infer", "keras_inputs",
    "load_spec", "plan", "predict", "preprocess", "report", "score", "serve", "train", "transform", "verify",
]  # fmt: skip


def __getattr__(name: str) -> Any:  # PEP 562
    if name not in __all__:
        raise AttributeError(f"module 'tfloom' has no attribute {name!r}")
    from tfloom import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
