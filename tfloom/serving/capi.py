"""Run the signatures of a SavedModel as a server does: TensorFlow's C API, in a process without TensorFlow's Python.

What works here works where there is no Python: no custom object, no `py_function`, no variable or table that only
Python filled.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfloom.feature_specs.errors import ArtefactError, DataError, nearest
from tfloom.serving import capi_process
from tfloom.serving.signatures import Signature, TensorInfo, read

_LIBRARIES = (
    ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2"),  # Linux
    ("libtensorflow_framework.2.dylib", "libtensorflow_cc.2.dylib"),  # macOS
)


def run(
    saved_model: Path,
    requests: Sequence[tuple[str, Mapping[str, np.ndarray]]],
    *,
    tensorflow: Path | None = None,
    timeout: float = 600,
) -> list[dict[str, np.ndarray]]:
    """Load a SavedModel once and run signatures of it, one after the other.

    Args:
      requests: (signature, inputs by name); strings are object arrays of bytes. Inputs are cast to no dtype.
      tensorflow: the folder of the TensorFlow package whose libraries run it; the installed one by default.
      timeout: seconds for all of it.

    Returns:
      The outputs of each request by name.

    Raises:
      DataError: where a request names no signature, or not the inputs that it has.
      ArtefactError: where TensorFlow cannot load or run it, with TensorFlow's own words.
    """
    signatures = read(saved_model)
    runs = [_run(saved_model, signatures, name, inputs) for name, inputs in requests]
    job = {"libraries": libraries(tensorflow), "saved_model": str(saved_model), "runs": runs}
    results = _in_a_process(saved_model, job, timeout)
    names = [list(signatures[name].outputs) for name, _ in requests]
    return [dict(zip(of, arrays, strict=True)) for of, arrays in zip(names, results, strict=True)]


def libraries(tensorflow: Path | None = None) -> list[str]:
    """The shared libraries of a TensorFlow package, in the order to load them; the package is found, not imported."""
    if tensorflow is None:
        spec = importlib.util.find_spec("tensorflow")
        if spec is None or not spec.submodule_search_locations:
            raise ArtefactError("tensorflow: is not installed", expected="the tensorflow wheel", received="nothing")
        tensorflow = Path(spec.submodule_search_locations[0])
    for names in _LIBRARIES:
        paths = [tensorflow / name for name in names]
        if all(path.is_file() for path in paths):
            return [str(path) for path in paths]
    raise ArtefactError(f"{tensorflow}: has no C API", expected=" or ".join(" and ".join(n) for n in _LIBRARIES),
                        received="neither")  # fmt: skip


def _run(
    saved_model: Path, signatures: Mapping[str, Signature], name: str, inputs: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    if name not in signatures:
        raise DataError(f"{saved_model}: has no signature {name!r}", expected=nearest(name, signatures),
                        received=repr(name))  # fmt: skip
    signature = signatures[name]
    if inputs.keys() != signature.inputs.keys():
        raise DataError(f"{saved_model}: signature {name!r} has other inputs", expected=", ".join(signature.inputs),
                        received=", ".join(inputs) or "none")  # fmt: skip
    return {
        "inputs": [(*_place(info), _checked(inputs[key], info, key)) for key, info in signature.inputs.items()],
        "outputs": [_place(info) for info in signature.outputs.values()],
    }


def _place(info: TensorInfo) -> tuple[str, int]:
    operation, _, index = info.tensor.partition(":")
    return operation, int(index or 0)


def _checked(array: np.ndarray, info: TensorInfo, name: str) -> np.ndarray:
    found = "string" if array.dtype == object else array.dtype.name
    if found != info.dtype:
        raise DataError(f"input {name!r}: is of another dtype", expected=info.dtype, received=found)
    return array


def _in_a_process(saved_model: Path, job: Mapping[str, Any], timeout: float) -> list[list[np.ndarray]]:
    result: dict[str, Any]
    with tempfile.TemporaryDirectory() as folder:
        task, answer = Path(folder, "job"), Path(folder, "answer")
        task.write_bytes(pickle.dumps(job))
        # -P: the folder of this file is no place to import from.
        command = [sys.executable, "-P", capi_process.__file__, str(task), str(answer)]
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
        try:
            done = subprocess.run(command, env=environment, timeout=timeout, capture_output=True)
        except subprocess.TimeoutExpired:
            raise ArtefactError(f"{saved_model}: did not answer by TensorFlow's C API",
                                expected=f"an answer within {timeout:g} s", received="none") from None  # fmt: skip
        said = done.stderr.decode(errors="replace").strip()[-2000:]
        result = {"error": f"exit status {done.returncode}: {said}"}
        if done.returncode == 0:
            result = pickle.loads(answer.read_bytes())
    if "error" in result:
        raise ArtefactError(f"{saved_model}: does not run by TensorFlow's C API",
                            expected="a SavedModel that needs no Python", received=result["error"])  # fmt: skip
    return result["outputs"]
