"""The golden rows of an export, run as a server runs them before anyone is served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfloom.feature_specs import tensor_json
from tfloom.feature_specs.errors import ArtefactError, DataError, nearest
from tfloom.serving import capi
from tfloom.serving.equality import differing, same_width
from tfloom.serving.signatures import Signature, TensorInfo, read

EXACT = "transform"
"""The signature whose floats are compared bit for bit: it is the graph that materialised the rows."""


@dataclass(frozen=True)
class Golden:
    """The rows of one signature: inputs, and the outputs that the trainer gave for them."""

    signature_name: str
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]


def check(version: Path, tensorflow: Path | None = None) -> list[str]:
    """Run every signature that has golden rows by TensorFlow's C API, in a process without TensorFlow's Python.

    Args:
      version: the folder of the SavedModel, with ``golden/<signature>.json``.
      tensorflow: the folder of the TensorFlow package whose C API runs it; the installed one by default.

    Returns:
      The names of the signatures run.

    Raises:
      ArtefactError: there are no golden rows, they do not fit their signature, TensorFlow cannot run it, or an output
        is not what the trainer gave: integers, strings and the values of `transform` exactly, other floats to 1e-6
        relative and absolute.
    """
    golden = rows(version)
    results = capi.run(version, [(one.signature_name, one.inputs) for one in golden], tensorflow=tensorflow)
    for one, received in zip(golden, results, strict=True):
        _compare(version, one, received)
    return [one.signature_name for one in golden]


def rows(version: Path) -> list[Golden]:
    """The golden rows of every signature that has some. Raises ArtefactError: there are none, or they do not fit it."""
    signatures = read(version)
    golden = [_read(path, signatures) for path in sorted((version / "golden").glob("*.json"))]
    if not golden:
        raise ArtefactError(f"{version}: has no golden rows", expected="golden/<signature>.json", received="none")
    return golden


def _read(path: Path, signatures: Mapping[str, Signature]) -> Golden:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtefactError(f"{path}: cannot be read", expected="a JSON file", received=str(error)) from None
    if not isinstance(values, dict) or values.keys() != {"signature_name", "inputs", "outputs"}:
        raise ArtefactError(f"{path}: is no golden file", expected="signature_name, inputs and outputs",
                            received=", ".join(values) if isinstance(values, dict) else repr(values)[:80])  # fmt: skip
    name = values["signature_name"]
    if name not in signatures:
        raise ArtefactError(f"{path}: the SavedModel has no signature {name!r}", expected=nearest(name, signatures),
                            received=repr(name))  # fmt: skip
    signature = signatures[name]
    inputs = _tensors(path, "inputs", values["inputs"], signature.inputs)
    return Golden(name, inputs, _tensors(path, "outputs", values["outputs"], signature.outputs))


def _tensors(
    path: Path, part: str, values: Mapping[str, Any], infos: Mapping[str, TensorInfo]
) -> dict[str, np.ndarray]:
    if values.keys() != infos.keys():
        raise ArtefactError(f"{path}: {part} are not those of the signature", expected=", ".join(sorted(infos)),
                            received=", ".join(sorted(values)))  # fmt: skip
    try:
        return {
            name: tensor_json.decode(values[name], info.dtype, info.shape, f"{part}.{name}")
            for name, info in infos.items()
        }
    except DataError as error:
        raise ArtefactError(f"{path}: {error.what}", expected=error.expected, received=error.received) from None


def _compare(version: Path, golden: Golden, received: Mapping[str, np.ndarray]) -> None:
    name, exact = golden.signature_name, golden.signature_name == EXACT
    for output, given in received.items():
        a, b = golden.outputs[output], given
        if exact:
            a, b = same_width(a, b)
        if a.shape != b.shape:
            raise ArtefactError(f"{version}: {output!r} of signature {name!r} has another shape than golden",
                                expected=tensor_json.shape_text(a.shape),
                                received=tensor_json.shape_text(b.shape))  # fmt: skip
        wrong = differing(a, b, exact=exact)
        if a.dtype.kind == "f":
            wrong &= ~(np.isnan(a) & np.isnan(b))  # JSON has one NaN for all of theirs
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            told = f"{wrong.sum()} of {wrong.size} values, the first at {list(at)}"
            raise ArtefactError(f"{version}: {output!r} of signature {name!r} differs from golden in {told}",
                                expected=str(a[at]), received=str(b[at]))  # fmt: skip
