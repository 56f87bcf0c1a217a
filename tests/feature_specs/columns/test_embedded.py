import numpy as np
import pyarrow as pa

from tests.feature_specs.columns.contract import ColumnContract

# Rows of length 5, 1 and 13.
TABLE = np.array([[3, 4], [0, -1], [-12, 5]], np.float32)
A, B, C = TABLE
ZERO = np.zeros(2)


def clipped(row, norm=2.0):
    return row * min(1, norm / np.linalg.norm(row))


class TestEmbedded(ColumnContract):
    rows = {
        "embedded_tags": pa.array([["a"], ["a", "b"], [], None, ["z"], ["z", "c", "c", "a"], ["b"], ["c", "z"]]),
        "embedded_learned": pa.array(["u", "v", "u", "v", "w", "w", None, "?"]),
    }
    inputs = {"embedded_tags": {"multi_valued": True}, "embedded_learned": {"dtype": "string"}}
    columns = {
        "embedded_tags": {"kind": "vocabulary", "vocabulary": ["a", "b", "c"]},
        "embedded_learned": {"kind": "vocabulary"},
        "embedded_mean": {"kind": "embedded", "of": "embedded_tags", "dimension": 2},
        "embedded_sum": {"kind": "embedded", "of": "embedded_tags", "dimension": 2, "combiner": "sum"},
        "embedded_sqrtn": {"kind": "embedded", "of": "embedded_tags", "dimension": 2, "combiner": "sqrtn"},
        "embedded_norm": {"kind": "embedded", "of": "embedded_tags", "dimension": 2, "max_norm": 2.0},
        "embedded_norm_sum": {
            "kind": "embedded", "of": "embedded_tags", "dimension": 2, "max_norm": 2.0, "combiner": "sum"
        },
        "embedded_words": {"kind": "embedded", "of": "embedded_learned", "dimension": 2},
    }  # fmt: skip
    tables = dict.fromkeys((name for name, told in columns.items() if told["kind"] == "embedded"), TABLE)
    transformed = {
        "embedded_tags": [[0], [0, 1], [], [], [-1], [-1, 2, 2, 0], [1], [2, -1]],
        "embedded_learned": [[2], [1], [2], [1], [0], [0], [], [-1]],
    }
    # Out-of-vocabulary ids are pruned: they add nothing, and do not count.
    encoded = {
        "embedded_mean": [A, (A + B) / 2, ZERO, ZERO, ZERO, (2 * C + A) / 3, B, C],
        "embedded_sum": [A, A + B, ZERO, ZERO, ZERO, 2 * C + A, B, C],
        "embedded_sqrtn": [A, (A + B) / 2**0.5, ZERO, ZERO, ZERO, (2 * C + A) / 3**0.5, B, C],
        # Each looked-up row is clipped before they are combined.
        "embedded_norm": [
            clipped(A), (clipped(A) + B) / 2, ZERO, ZERO, ZERO, (2 * clipped(C) + clipped(A)) / 3, B, clipped(C)
        ],
        "embedded_norm_sum": [
            clipped(A), clipped(A) + B, ZERO, ZERO, ZERO, 2 * clipped(C) + clipped(A), B, clipped(C)
        ],
        "embedded_words": [C, B, C, B, A, A, ZERO, ZERO],
    }  # fmt: skip
    no_raw = dict.fromkeys(("embedded_learned", "embedded_words"), "only a vocabulary given as a list")
