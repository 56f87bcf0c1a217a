"""Run a SavedModel by TensorFlow's C API alone: a program for a process of its own, without TensorFlow's Python.

    python capi_process.py JOB RESULT

JOB is a pickle of {"libraries": [path, ...], "saved_model": path, "runs": [{"inputs": [(operation, index, array), ...],
"outputs": [(operation, index), ...]}, ...]}; RESULT becomes a pickle of {"outputs": [[array, ...], ...]}, or of
{"error": text}. Strings are object arrays of bytes. It imports nothing of tfloom, so that it starts in the time of
numpy's import.
"""

from __future__ import annotations

import ctypes
import pickle
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

# TF_DataType in tensorflow/c/tf_datatype.h.
_STRING = 7
_CODES = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "int64": 9, "bool": 10,
          "uint16": 17, "float16": 19, "uint32": 22, "uint64": 23}  # fmt: skip
_DTYPES = {code: np.dtype(name) for name, code in _CODES.items()}
_TSTRING = 24
"""The bytes of a TF_TString, see tensorflow/core/platform/ctstring.h."""

_Pointer = ctypes.c_void_p


class _Output(ctypes.Structure):
    """TF_Output: the index-th output of an operation."""

    _fields_ = [("operation", _Pointer), ("index", ctypes.c_int)]


class CApiError(Exception):
    """What TF_Message says."""


class _Library:
    """The functions of c_api.h that are used here, with their types."""

    def __init__(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._library = ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
        number, size, text = ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
        outputs, tensors = ctypes.POINTER(_Output), ctypes.POINTER(_Pointer)
        self.new_status = self._function("TF_NewStatus", _Pointer)
        self.get_code = self._function("TF_GetCode", number, _Pointer)
        self.message = self._function("TF_Message", text, _Pointer)
        self.new_graph = self._function("TF_NewGraph", _Pointer)
        self.new_session_options = self._function("TF_NewSessionOptions", _Pointer)
        self.load_session = self._function(
            "TF_LoadSessionFromSavedModel", _Pointer, _Pointer, _Pointer, text, ctypes.POINTER(text), number, _Pointer,
            _Pointer, _Pointer)  # fmt: skip
        self.operation_by_name = self._function("TF_GraphOperationByName", _Pointer, _Pointer, text)
        self.allocate_tensor = self._function(
            "TF_AllocateTensor", _Pointer, number, ctypes.POINTER(ctypes.c_int64), number, size)  # fmt: skip
        self.tensor_data = self._function("TF_TensorData", _Pointer, _Pointer)
        self.tensor_type = self._function("TF_TensorType", number, _Pointer)
        self.num_dims = self._function("TF_NumDims", number, _Pointer)
        self.dim = self._function("TF_Dim", ctypes.c_int64, _Pointer, number)
        self.delete_tensor = self._function("TF_DeleteTensor", None, _Pointer)
        self.session_run = self._function(
            "TF_SessionRun", None, _Pointer, _Pointer, outputs, tensors, number, outputs, tensors, number, _Pointer,
            number, _Pointer, _Pointer)  # fmt: skip
        self.string_init = self._function("TF_StringInit", None, _Pointer)
        self.string_copy = self._function("TF_StringCopy", None, _Pointer, text, size)
        self.string_data = self._function("TF_StringGetDataPointer", _Pointer, _Pointer)
        self.string_size = self._function("TF_StringGetSize", size, _Pointer)

    def _function(self, name: str, result: Any, *arguments: Any) -> Any:
        function = getattr(self._library, name)
        function.restype, function.argtypes = result, list(arguments)
        return function


class SavedModel:
    """A loaded SavedModel; loading runs its initializers, so that variables and tables are filled.

    Raises CApiError where TensorFlow cannot load it.
    """

    def __init__(self, libraries: Sequence[str], path: str) -> None:
        self._c = _Library(libraries)
        self._status = self._c.new_status()
        self._graph = self._c.new_graph()
        tags = (ctypes.c_char_p * 1)(b"serve")
        self._session = self._c.load_session(
            self._c.new_session_options(), None, path.encode(), tags, 1, self._graph, None, self._status
        )
        self._check()

    def run(
        self, inputs: Sequence[tuple[str, int, np.ndarray]], outputs: Sequence[tuple[str, int]]
    ) -> list[np.ndarray]:
        """Feed the inputs and fetch the outputs, each named by operation and index. Raises CApiError."""
        fed = (_Output * len(inputs))(*(self._output(name, index) for name, index, _ in inputs))
        tensors = (_Pointer * len(inputs))(*(self._tensor(array) for _, _, array in inputs))
        fetched = (_Output * len(outputs))(*(self._output(name, index) for name, index in outputs))
        results = (_Pointer * len(outputs))()
        self._c.session_run(
            self._session, None, fed, tensors, len(inputs), fetched, results, len(outputs), None, 0, None, self._status
        )
        for tensor in tensors:
            self._c.delete_tensor(tensor)
        self._check()
        arrays = [self._array(tensor) for tensor in results]
        for tensor in results:
            self._c.delete_tensor(tensor)
        return arrays

    def _check(self) -> None:
        if self._c.get_code(self._status):
            raise CApiError(self._c.message(self._status).decode(errors="replace"))

    def _output(self, name: str, index: int) -> _Output:
        operation = self._c.operation_by_name(self._graph, name.encode())
        if not operation:
            raise CApiError(f"the graph has no operation {name!r}")
        return _Output(operation, index)

    def _tensor(self, array: np.ndarray) -> int:
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        if array.dtype != object:
            tensor = self._c.allocate_tensor(_CODES[array.dtype.name], shape, array.ndim, array.nbytes)
            ctypes.memmove(self._c.tensor_data(tensor), array.tobytes(), array.nbytes)
            return int(tensor)
        tensor = self._c.allocate_tensor(_STRING, shape, array.ndim, _TSTRING * array.size)
        data = self._c.tensor_data(tensor) or 0
        for i, value in enumerate(array.ravel()):
            self._c.string_init(data + _TSTRING * i)
            self._c.string_copy(data + _TSTRING * i, value, len(value))
        return int(tensor)

    def _array(self, tensor: int | None) -> np.ndarray:
        shape = [self._c.dim(tensor, i) for i in range(self._c.num_dims(tensor))]
        size = int(np.prod(shape, dtype=np.int64))
        code, data = self._c.tensor_type(tensor), self._c.tensor_data(tensor) or 0
        if code != _STRING:
            if code not in _DTYPES:
                raise CApiError(f"outputs of TF_DataType {code} are not supported")
            array = np.empty(shape, _DTYPES[code])
            ctypes.memmove(array.ctypes.data, data, array.nbytes)
            return array
        strings = np.empty(size, object)
        for i in range(size):
            string = data + _TSTRING * i
            strings[i] = ctypes.string_at(self._c.string_data(string), self._c.string_size(string))
        return strings.reshape(shape)


def main(job: str, result: str) -> None:
    """Do the job; see the module."""
    with open(job, "rb") as file:
        task = pickle.load(file)
    answer: dict[str, Any]
    try:
        model = SavedModel(task["libraries"], task["saved_model"])
        answer = {"outputs": [model.run(run["inputs"], run["outputs"]) for run in task["runs"]]}
    except CApiError as error:
        answer = {"error": str(error)}
    assert "tensorflow" not in sys.modules
    with open(result, "wb") as file:
        pickle.dump(answer, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
