import keras
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

SALT = [98765, 132]


def siphash(text, key=SALT):
    """SipHash-2-4 of Aumasson and Bernstein, 2012."""
    mask = 2**64 - 1
    constants = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    v = [k ^ c for k, c in zip(2 * key, constants, strict=True)]

    def rotated(i, bits):
        v[i] = (v[i] << bits | v[i] >> (64 - bits)) & mask

    def rounds(n):
        for _ in range(n):
            for a, b, left, turn in ((0, 1, 13, 0), (2, 3, 16, None), (0, 3, 21, None), (2, 1, 17, 2)):
                v[a] = (v[a] + v[b]) & mask
                rotated(b, left)
                v[b] ^= v[a]
                if turn is not None:
                    rotated(turn, 32)

    words = text.encode()
    words += bytes(-(len(words) + 1) % 8) + bytes([len(words) % 256])
    for at in range(0, len(words), 8):
        word = int.from_bytes(words[at : at + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def hashed(buckets, **fields):
    column = {"name": "x", "kind": "hashed", "buckets": buckets} | fields
    return validate({"columns": [column]}, FeatureSpec, "spec")


class TestHashed(ColumnContract):
    rows = {
        "hashed_word": pa.array(["a", "b", "c", "d", "Hello", "", None, "a"]),
        "hashed_number": pa.array([0, 1, 2, -2, 2**62, -1, None, 0]),
        "hashed_tags": pa.array([["a", "b"], [], None, ["", "c"], ["d", "d", "d"], ["a"], ["Hello"], [None, "b"]]),
    }
    inputs = {"hashed_number": {"dtype": "int64", "optional": True}, "hashed_tags": {"multi_valued": True}}
    columns = {
        "hashed_ten": {"kind": "hashed", "source": "hashed_word", "buckets": 10},
        "hashed_number": {"kind": "hashed", "buckets": 1000},
        "hashed_tags": {"kind": "hashed", "buckets": 10},
        "hashed_salted": {"kind": "hashed", "source": "hashed_word", "buckets": 10, "salt": SALT},
        "hashed_salted_number": {"kind": "hashed", "source": "hashed_number", "buckets": 1000, "salt": SALT},
    }
    hello = 15404698994557526151  # Fingerprint64("Hello"), as tensorflow/core/platform/fingerprint_test.cc has it
    transformed = {
        "hashed_ten": [[9], [2], [2], [5], [hello % 10], [], [], [9]],
        # Fingerprint64 of the decimals: of "0" 15198969275252572735, of "1" 9304157803607034849, ...
        "hashed_number": [[735], [849], [759], [205], [503], [], [], [735]],
        "hashed_tags": [[9, 2], [], [], [2], [5, 5, 5], [9], [hello % 10], [2]],
        # SipHash of each, worked out below.
        "hashed_salted": [[4], [2], [8], [siphash("d") % 10], [siphash("Hello") % 10], [], [], [4]],
        "hashed_salted_number": [
            *([siphash(str(n)) % 1000] for n in (0, 1, 2, -2, 2**62)), [], [], [siphash("0") % 1000]
        ],
    }  # fmt: skip
    no_raw = dict.fromkeys(("hashed_salted", "hashed_salted_number"), "no tf.feature_column hashes with a salt")


def test_the_most_buckets(transform):
    # Fingerprint64, not a hash of 32 bits, mod 2^31 - 1.
    assert transform(hashed(2**31 - 1), x=["a", "b", "Hello"])["x"] == [[493484721], [640528731], [1576802502]]


@pytest.mark.parametrize("buckets", [0, 2**31])
def test_how_many_buckets_there_cannot_be(buckets):
    with pytest.raises(SpecError, match="than or equal to") as error:
        hashed(buckets)
    assert error.value.what == "spec: columns.0.buckets: is not right"


def test_a_salt_of_its_own_gives_ids_of_its_own(transform):
    long = "ü" * 40  # more than 64 bytes
    words = ["a", "Hello", long]
    salts = ([0, 0], [0, 1], [2**63 - 1, 5])
    made = {tuple(salt): transform(hashed(2**31 - 1, salt=salt), x=words)["x"] for salt in salts}
    assert made == {salt: [[siphash(word, list(salt)) % (2**31 - 1)] for word in words] for salt in made}
    assert len({str(ids) for ids in made.values()}) == 3


def test_keras_hashes_with_the_same_salt(transform):
    words = ["a", "b", "c", "Hello"]
    ids = keras.layers.Hashing(1000, salt=SALT)(tf.constant(words)[:, None])
    assert transform(hashed(1000, salt=SALT), x=words)["x"] == ids.numpy().tolist()


def test_the_vector_of_siphash():
    # Of the paper, appendix A: the key 00 01 .. 0f over the message 00 01 .. 0e.
    key = [int.from_bytes(bytes(range(8)), "little"), int.from_bytes(bytes(range(8, 16)), "little")]
    assert siphash(bytes(range(15)).decode(), key) == 0xA129CA6149BE45E5


@pytest.mark.parametrize(
    ("salt", "place", "expected"),
    [
        (7, "columns.0.salt", "expected: a list"),
        ([7], "columns.0.salt", "at least 2 items"),
        ([7, 8, 9], "columns.0.salt", "at most 2 items"),
        ([7, -1], "columns.0.salt.1", "greater than or equal to 0"),
        ([2**63, 1], "columns.0.salt.0", "less than or equal to"),
    ],
)
def test_what_a_salt_cannot_be(salt, place, expected):
    with pytest.raises(SpecError, match=expected) as error:
        hashed(10, salt=salt)
    assert error.value.what == f"spec: {place}: is not right"
