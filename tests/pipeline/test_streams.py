"""The bytes of a file, compressed or not, and what is read of one that is damaged."""

import bz2
import gzip

import numpy as np
import pytest
import zstandard

from tfloom.pipeline.sources import chunks, find
from tfloom.pipeline.streams import broken, opened

CONTENT = "".join(f"{i},{i**7}\n" for i in range(20_000)).encode()
CODECS = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor(write_checksum=True).compress, "bzip2": bz2.compress}


def read(path, content):
    """(bytes, why there are no more) of a file."""
    path.write_bytes(content)
    with opened(str(path)) as stream:
        pieces = list(iter(lambda: stream.read(10_000), b""))
        assert all(len(piece) == 10_000 for piece in pieces[:-1])
        return b"".join(pieces), broken(stream)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("content", [CONTENT, b"", b"x"], ids=["much", "none", "little"])
def test_what_was_compressed(codec, content, tmp_path):
    compress = CODECS[codec]
    assert read(tmp_path / "a", content) == (content, None)
    assert read(tmp_path / "a", compress(content)) == (content, None)
    # Several streams one after the other are one, whatever they are padded with.
    assert read(tmp_path / "a", compress(content) + compress(b"more")) == (content + b"more", None)
    assert read(tmp_path / "a", compress(content) + bytes(20_000)) == (content, None)


@pytest.mark.parametrize("codec", CODECS)
def test_a_stream_that_is_cut_off(codec, tmp_path):
    whole = CODECS[codec](CONTENT)
    found, why = read(tmp_path / "a", whole[:-20])
    assert why == f"the {codec} stream is cut off"
    assert CONTENT.startswith(found)
    if codec != "zstd":  # of a block, which bzip2 and zstd decompress as a whole, nothing is known before its end
        assert len(found) > len(CONTENT) - 1_000_000 * (codec == "bzip2") - 200


@pytest.mark.parametrize("codec", CODECS)
def test_a_stream_that_is_damaged(codec, tmp_path):
    noise = np.random.default_rng(1).bytes(400_000)
    whole = bytearray(CODECS[codec](CONTENT * 10 + noise))
    whole[-200_000:-199_000] = bytes(1_000)
    found, why = read(tmp_path / "a", bytes(whole))
    assert why.startswith(f"the {codec} stream is damaged (")
    assert (CONTENT * 10 + noise).startswith(found[: len(CONTENT)])


def test_a_checksum_that_is_wrong(tmp_path):
    whole = bytearray(gzip.compress(CONTENT))
    whole[-6] ^= 1
    found, why = read(tmp_path / "a", bytes(whole))
    assert why == "the gzip stream is damaged (Error -6 Incorrect checksum found)"
    assert CONTENT.startswith(found)
    assert len(found) > len(CONTENT) - 50_000


def test_something_else_behind_a_stream(tmp_path):
    found, why = read(tmp_path / "a", gzip.compress(CONTENT) + b"something else")
    assert (found, why[:26]) == (CONTENT, "the gzip stream is damaged")


def test_files_are_compressed_by_their_bytes_whatever_their_names(tmp_path):
    for name, compress in (("a.csv", gzip.compress), ("b", zstandard.compress), ("c.gz", bytes), ("d", bz2.compress)):
        (tmp_path / name).write_bytes(compress(b"a,b\nx,1\n"))
        (one,) = find({None: tmp_path / name}, tmp_path / "staging")
        assert [row for chunk in chunks(one) for row in chunk.rows.to_pylist()] == [{"a": "x", "b": "1"}]
        (tmp_path / name).write_bytes(compress(b'{"a": "x"}\n'))
        (one,) = find({None: tmp_path / name}, tmp_path / "staging")
        assert [row for chunk in chunks(one) for row in chunk.rows.to_pylist()] == [{"a": "x"}]
