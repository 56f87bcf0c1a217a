"""The language: a spec of feature columns, its labels and splits, and what every room agrees on.

No TensorFlow at import.
"""

from tfloom.feature_specs.spec import FeatureSpec, json_schema, load_spec

__all__ = ["FeatureSpec", "json_schema", "load_spec"]
