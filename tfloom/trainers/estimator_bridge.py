"""Run the real tensorflow-estimator 2.15, the last there is, on a TensorFlow that has dropped `tf.estimator`.

    from tfloom.trainers.estimator_bridge import tf     # in an old program, instead of: import tensorflow as tf

`tf` is TensorFlow as that program knew it: the same symbols, and beside them `tf.estimator`, `tf.compat.v1.estimator`
and, as `tf.keras`, the Keras 2 (tf_keras) that Estimators are written against. `load_estimator()` is its `tf.estimator`
alone. The `tensorflow` module itself is not changed: whoever else imports it, Keras 3 included, sees what was there.

What does not work: TPUEstimator, the RNN estimators, and a tf.distribute strategy in a TF_CONFIG cluster. Optimizers
are named by strings or made by `tf.keras.optimizers.legacy`, as tensorflow-estimator 2.15 itself demands.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import types
from typing import Any

from tfloom.feature_specs.errors import SpecError


def load_estimator() -> Any:
    """`tf.estimator` as TensorFlow 2.15 had it: LinearClassifier, RunConfig, train_and_evaluate, export...

    Raises SpecError where tensorflow-estimator or tf-keras is not installed.
    """
    return _old_tensorflow().estimator


def __getattr__(name: str) -> Any:  # PEP 562: importing this module does not import TensorFlow
    if name == "tf":
        return _old_tensorflow()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@functools.cache
def _old_tensorflow() -> Any:
    for package in ("tensorflow_estimator", "tf_keras"):
        if importlib.util.find_spec(package) is None:
            raise SpecError(
                f"Estimators need the package {package.replace('_', '-')}",
                expected="it to be installed: pip install 'tfloom[estimator]'",
                received=f"a Python that cannot import {package}",
            )
    import tensorflow as tf

    view = _with_keras_2(tf)
    _stand_in_for_what_tensorflow_dropped()
    # The old code says `import tensorflow as tf` and derives classes from tf.keras while it is being imported. All of
    # TensorFlow and Keras that it imports is there by now, so that it alone binds the view.
    sys.modules["tensorflow"] = view
    try:
        view.estimator = importlib.import_module("tensorflow_estimator._api.v2.estimator")
        view.compat.v1.estimator = importlib.import_module("tensorflow_estimator._api.v1.estimator")
    finally:
        sys.modules["tensorflow"] = tf
    return view


def _with_keras_2(tf: Any) -> Any:
    import tf_keras
    from tf_keras.api._v1 import keras as tf_keras_v1

    v1, legacy = tf.compat.v1, tf_keras_v1.__internal__.legacy
    v1 = _View(v1, keras=tf_keras_v1, layers=legacy.layers, nn=_View(v1.nn, rnn_cell=legacy.rnn_cell))
    moved = {name: getattr(tf_keras, name) for name in ("initializers", "losses", "metrics", "optimizers")}
    compat = _View(tf.compat, v1=v1, v2=_View(tf.compat.v2, keras=tf_keras, **moved))
    return _View(tf, keras=tf_keras, compat=compat, **moved)


class _View(types.ModuleType):
    """A module that reads through to another, except for the names given."""

    def __init__(self, module: Any, **replaced: Any) -> None:
        super().__init__(module.__name__, module.__doc__)
        self.__dict__.update(replaced, _module=module, __spec__=module.__spec__, __path__=module.__path__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_module"], name)


class _Dropped:
    """Stands where a class of a module that TensorFlow dropped was named; there are no instances of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__}: this TensorFlow no longer has it")


class _DroppedModule(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, type(name, (_Dropped,), {}))
        return self.__dict__[name]


def _stand_in_for_what_tensorflow_dropped() -> None:
    """The names tensorflow-estimator imports from TensorFlow's inside that are gone since 2.16."""
    from tensorflow.python.util import tf_export

    tf_export.ESTIMATOR_API_NAME = "estimator"
    for attributes, suffix in ((tf_export.API_ATTRS, ""), (tf_export.API_ATTRS_V1, "_v1")):
        names = tf_export._Attributes(f"_estimator_api_names{suffix}", f"_estimator_api_constants{suffix}")
        attributes.setdefault("estimator", names)
    for name in ("tpu.tpu_embedding", "tpu.tpu_embedding_gradient", "tpu.session_support"):
        _add_module(_DroppedModule(f"tensorflow.python.{name}"))
    distribution = types.ModuleType("tensorflow.python.distribute.estimator_training")
    distribution.init_run_config = _init_run_config  # type: ignore[attr-defined]
    distribution.should_run_distribute_coordinator = lambda config: False  # type: ignore[attr-defined]
    _add_module(distribution)


def _add_module(module: types.ModuleType) -> None:
    parent, _, child = module.__name__.rpartition(".")
    sys.modules[module.__name__] = module
    setattr(importlib.import_module(parent), child, module)


def _init_run_config(config: Any, tf_config: dict[str, Any]) -> None:
    """Finish a RunConfig that has a tf.distribute strategy: on one machine, without the distribute coordinator."""
    experimental = config._experimental_distribute
    if experimental:
        config._train_distribute = config._train_distribute or experimental.train_distribute
        config._eval_distribute = config._eval_distribute or experimental.eval_distribute
    if tf_config.get("cluster") and config._train_distribute:
        raise NotImplementedError("RunConfig: a tf.distribute strategy together with a TF_CONFIG cluster")
    config._distribute_coordinator_mode = None
    config._init_distributed_setting_from_environment_var(tf_config)
    config._maybe_overwrite_session_config_for_distributed_training()
