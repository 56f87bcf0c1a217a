"""The bytes of a file, decompressed where it is compressed: its first bytes say so, not its name."""

from __future__ import annotations

import bz2
import io
from collections.abc import Callable, Mapping
from typing import Any

import zstandard
from isal import isal_zlib

from tfloom.feature_specs import storage

_PIECE = 8 << 10
"""Compressed bytes decompressed at once: where one of them is damaged, what the others held is read."""

_CODECS: Mapping[bytes, tuple[str, Callable[[], Any]]] = {
    b"\x1f\x8b": ("gzip", lambda: isal_zlib.decompressobj(31)),
    b"\x28\xb5\x2f\xfd": ("zstd", lambda: zstandard.ZstdDecompressor().decompressobj()),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
}
_DAMAGED: Any = (isal_zlib.error, zstandard.ZstdError, OSError, EOFError)


def opened(path: str) -> io.BufferedReader:
    """The file as bytes. `read(n)` gives n of them but at the end; see `broken`."""
    with storage.opened(path) as file:
        head = file.read(4)
    codec = next((codec for magic, codec in _CODECS.items() if head.startswith(magic)), None)
    if codec is not None:
        return io.BufferedReader(_Decompressed(path, *codec), 1 << 20)
    plain: io.BufferedReader = storage.opened(path, 1 << 20)
    return plain


def broken(stream: io.BufferedReader) -> str | None:
    """Why what was read up to the end is not all that was compressed, if it is not."""
    return getattr(stream.raw, "broken", None)


def consumed(stream: io.BufferedReader) -> int:
    """How many bytes of the file what was read takes, or was decompressed of."""
    return stream.raw.consumed if isinstance(stream.raw, _Decompressed) else stream.tell()


class _Decompressed(io.RawIOBase):
    """Any number of compressed streams, one after the other; it ends where one of them is damaged or cut off."""

    def __init__(self, path: str, name: str, decompressor: Callable[[], Any]) -> None:
        self.broken: str | None = None
        self._file = storage.opened(path)
        self._name, self._decompressor = name, decompressor
        self._one: Any = None
        self._left = memoryview(b"")

    @property
    def consumed(self) -> int:
        """Bytes of the file."""
        return self._file.tell()

    def readable(self) -> bool:
        """As io.RawIOBase has it."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As io.RawIOBase has it."""
        while not self._left and self.broken is None and (piece := self._compressed()):
            self._left = memoryview(self._decompress(piece))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def close(self) -> None:
        """As io.RawIOBase has it."""
        self._file.close()
        super().close()

    def _compressed(self) -> bytes:
        """What is to be decompressed next; nothing at the end."""
        piece: bytes = b""
        if self._one is not None and self._one.eof:
            piece = self._one.unused_data.lstrip(b"\0")  # what a stream is padded with means nothing
            self._one = None
        piece = piece or self._file.read(_PIECE)
        while self._one is None and piece and not (piece := piece.lstrip(b"\0")):
            piece = self._file.read(_PIECE)
        if not piece and self._one is not None:
            self.broken = f"the {self._name} stream is cut off"
        return piece

    def _decompress(self, piece: bytes) -> bytes:
        self._one = self._one or self._decompressor()
        try:
            content: bytes = self._one.decompress(piece)
        except _DAMAGED as error:
            self.broken = f"the {self._name} stream is damaged ({' '.join(str(error).split())})"
            return b""
        return content
