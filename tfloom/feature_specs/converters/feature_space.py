"""`feature_space`: a keras.utils.FeatureSpace, saved as a .keras file, or the object itself.

What it has learned is written as it is: the vocabularies and the boundaries. What a column of ours cannot say is left
out, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tfloom.feature_specs.converters._writer import RefusedError, Writer
from tfloom.feature_specs.draft import Draft
from tfloom.feature_specs.errors import SpecError


def convert(source: Any) -> Draft:
    """The spec of a FeatureSpace. Raises SpecError where it is none, or where none of its features can be said."""
    space = _loaded(source) if isinstance(source, str | Path) else source
    if type(space).__name__ != "FeatureSpace":
        raise SpecError("convert: is no FeatureSpace", expected="what keras.utils.FeatureSpace.save writes",
                        received=type(space).__name__)  # fmt: skip
    writer = _Writer()
    # In the order in which a FeatureSpace concatenates them.
    names = [writer.write(name, space.features[name]) for name in sorted(space.features)]
    names += [writer.cross(cross) for cross in sorted(space.crosses, key=lambda cross: cross.name)]
    return writer.draft("a FeatureSpace with its features", "From a keras.utils.FeatureSpace.",
                        {"features": [name for name in names if name is not None]})  # fmt: skip


def _loaded(path: str | Path) -> Any:
    """What a .keras file holds; code that it may bring along is not run."""
    import keras

    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras names no errors of its own
        raise SpecError(f"{path}: cannot be loaded", expected="what keras.utils.FeatureSpace.save writes",
                        received=" ".join(str(error).split())[:300]) from None  # fmt: skip


class _Writer(Writer):
    """Writes features: the ids, and beside them their indicator where they are one-hot."""

    def __init__(self) -> None:
        super().__init__()
        self._ids: dict[str, str] = {}
        self._permuted: set[str] = set()

    def write(self, name: str, feature: Any) -> str | None:
        """The column that is the feature; None where there is none, and `left_out` says why."""
        kind = type(feature.preprocessor).__name__
        try:
            if kind not in _KINDS:
                raise RefusedError(f"there is no kind for {kind}")
            told = _KINDS[kind](self, name, feature)
            written = self.add(name, told)
        except RefusedError as refused:
            self.left_out[name] = str(refused)
            return None
        if told["kind"] == "numeric":
            return written
        self._ids[name] = written
        return self._encoded(name, written, feature.output_mode)

    def cross(self, cross: Any) -> str | None:
        """The column that is a cross, or None."""
        for part in cross.feature_names:
            if part not in self._ids:
                self.left_out[cross.name] = f"of {part}, which has no ids here"
                return None
            if part in self._permuted:
                self.left_out[cross.name] = f"of {part}, whose ids are in another order here"
                return None
        of = [self._ids[part] for part in cross.feature_names]
        written = self.add(cross.name, {"kind": "crossed", "of": of, "buckets": cross.crossing_dim})
        return self._encoded(cross.name, written, cross.output_mode)

    def _encoded(self, name: str, ids: str, output_mode: str) -> str:
        return self.add(f"{name}_indicator", {"kind": "indicator", "of": ids}) if output_mode == "one_hot" else ids

    def _categorical(self, name: str, feature: Any) -> str:
        _only(feature.preprocessor, output_mode="int")
        return self.input(name, "string" if feature.dtype == "string" else "int64")

    # -- one method for each preprocessor ---------------------------------------------------------------------------

    def _number(self, name: str, feature: Any) -> dict[str, Any]:
        return {"kind": "numeric", "source": name}

    def _rescaled(self, name: str, feature: Any) -> dict[str, Any]:
        scale, offset = feature.preprocessor.scale, feature.preprocessor.offset
        if (scale, offset) != (1, 0):
            self.left_out[f"{name}.scale"] = f"the number is not scaled, to x * {scale} + {offset}"
        return self._number(name, feature)

    def _normalized(self, name: str, feature: Any) -> dict[str, Any]:
        _only(feature.preprocessor, invert=False)
        mean, variance = (
            float(told.numpy().item()) for told in (feature.preprocessor.mean, feature.preprocessor.variance)
        )
        self.left_out[f"{name}.mean"] = (
            f"the number is not scaled, to (x - {mean:.9g}) / sqrt({variance:.9g}); scale: z_score learns both anew"
        )
        return self._number(name, feature)

    def _discretized(self, name: str, feature: Any) -> dict[str, Any]:
        _only(feature.preprocessor, output_mode="int")
        return {"kind": "bucketized", "source": name,
                "boundaries": [float(one) for one in feature.preprocessor.bin_boundaries]}  # fmt: skip

    def _looked_up(self, name: str, feature: Any) -> dict[str, Any]:
        layer = feature.preprocessor
        _only(layer, mask_token=None, invert=False)
        oov, integers = layer.num_oov_indices, feature.dtype != "string"
        if integers and oov > 1:
            raise RefusedError(f"its num_oov_indices, {oov}, cannot be said of integers: it takes them mod {oov}")
        source = self._categorical(name, feature)
        entries = layer.get_vocabulary(include_special_tokens=False)
        if oov:
            self._permuted.add(name)
        return {"kind": "vocabulary", "source": source, "oov_buckets": oov,
                "vocabulary": [int(one) if integers else str(one) for one in entries]}  # fmt: skip

    def _hashed(self, name: str, feature: Any) -> dict[str, Any]:
        layer = feature.preprocessor
        _only(layer, mask_value=None)
        salt = {} if layer.salt is None else {"salt": [int(one) for one in layer.salt]}
        return {"kind": "hashed", "source": self._categorical(name, feature), "buckets": layer.num_bins} | salt


def _only(layer: Any, **values: Any) -> None:
    """Refuse a preprocessor whose fields have other values than these, which are all that we can say."""
    for field, value in values.items():
        if (found := getattr(layer, field)) != value:
            raise RefusedError(f"its {field}, {found!r}, cannot be said")


_KINDS: Mapping[str, Callable[[_Writer, str, Any], dict[str, Any]]] = {
    "TFDIdentity": _Writer._number,
    "Rescaling": _Writer._rescaled,
    "Normalization": _Writer._normalized,
    "Discretization": _Writer._discretized,
    "StringLookup": _Writer._looked_up,
    "IntegerLookup": _Writer._looked_up,
    "Hashing": _Writer._hashed,
}
"""By the name of the layer, so that this module is listed without importing Keras."""
