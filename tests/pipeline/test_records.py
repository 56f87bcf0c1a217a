"""TFRecord files written many records at once are those that TensorFlow writes, and reads."""

import gzip

import pyarrow as pa
import pytest
import tensorflow as tf

from tfloom.pipeline.records import framed, gzipped

RECORDS = [b"", b"a", b"\x00\xff" * 300, "čtvrť".encode(), b"a"]


def written_by_tensorflow(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path.read_bytes()


@pytest.mark.parametrize("records", [[], [b""], RECORDS])
def test_the_same_bytes_as_tensorflow(records, tmp_path):
    assert framed(pa.array(records, pa.binary())).to_pybytes() == written_by_tensorflow(tmp_path / "file", records)


def test_a_slice(tmp_path):
    told = framed(pa.array(RECORDS, pa.binary()).slice(1, 3)).to_pybytes()
    assert told == written_by_tensorflow(tmp_path / "file", RECORDS[1:4])


def test_a_gzip_stream_without_a_time_that_tensorflow_reads(tmp_path):
    several = [pa.array(RECORDS, pa.binary()), pa.array([], pa.binary()), pa.array([b"z"], pa.binary())]
    (tmp_path / "file").write_bytes(content := gzipped(iter(several)))
    assert content[4:8] == bytes(4)
    assert gzip.decompress(content) == written_by_tensorflow(tmp_path / "plain", [*RECORDS, b"z"])
    assert [*tf.data.TFRecordDataset(str(tmp_path / "file"), "GZIP").as_numpy_iterator()] == [*RECORDS, b"z"]
