"""Columns that tell the label nearly alone, whatever they hold."""

import numpy as np
import pyarrow as pa
import pytest

from tfloom.feature_specs.labels import Label
from tfloom.pipeline import leaks

ROWS = 3_000
RNG = np.random.default_rng(0)
Y = RNG.integers(2, size=ROWS)
THREE = RNG.integers(3, size=ROWS)
PRICE = RNG.lognormal(3, 1, size=ROWS)

BINARY = Label(name="y", positive=1)
CLASSES = Label(name="y", classes=3)
NUMBER = Label(name="y")


def flipped(values, share):
    return np.where(RNG.random(ROWS) < share, 1 - values, values)


def told(x, y, label, chunk=ROWS):
    sample = leaks.Sample()
    for batch in pa.table({"x": pa.array(x, from_pandas=True), "y": y}).to_batches(chunk):
        sample.add(batch)
    return leaks.suspects(sample, label, ["x"]).get("x")


@pytest.mark.parametrize(
    ("x", "y", "label", "evidence"),
    [
        (Y, Y, BINARY, "it alone has an AUC of 1.0000"),
        (flipped(Y, 0.005), Y, BINARY, "it alone has an AUC of 0.99"),
        (flipped(Y, 0.1), Y, BINARY, None),
        (1 - Y, Y, BINARY, "it alone has an AUC of 1.0000"),
        (np.where(Y == 1, "paid", "open"), Y, BINARY, "it alone has an AUC of 1.0000"),
        (np.where(Y == 1, RNG.normal(size=ROWS), np.nan), Y, BINARY, "it alone has an AUC of 1.0000"),
        # Neither more nor less than the others, but from the middle.
        (np.where(Y == 1, RNG.uniform(1, 2, ROWS), RNG.uniform(0, 3, ROWS) // 2 * 2 + RNG.uniform(0, 1, ROWS)), Y,
         BINARY, "it alone has an AUC of "),
        (RNG.normal(size=ROWS), Y, BINARY, None),
        ([f"id{i}" for i in range(ROWS)], Y, BINARY, None),  # by heart, of no use for other rows
        (np.array(["a", "b", "c"])[THREE], THREE, CLASSES, "it alone names 100.0% of classes, the commonest is "),
        (THREE // 2, THREE, CLASSES, None),
        (PRICE * 1.2, PRICE, NUMBER, "it alone explains 100.0% of the variance of ranks"),
        (PRICE * RNG.lognormal(0, 1, ROWS), PRICE, NUMBER, None),
        (np.arange(ROWS) // 1_000, PRICE, NUMBER, None),
        (np.zeros(ROWS), np.ones(ROWS), NUMBER, None),
    ],
)  # fmt: skip
def test_evidence(x, y, label, evidence):
    assert (told(x, y, label) or "none").startswith(evidence or "none")


def test_few_rows_tell_nothing():
    assert told(Y[:100], Y[:100], BINARY) is None
    rare = (np.arange(ROWS) < 10).astype(int)
    assert told(rare, rare, BINARY) is None


def test_rows_without_a_label_are_left_out():
    x = np.where(np.arange(ROWS) < ROWS / 2, Y, 5)
    assert told(x, pa.array(np.where(x == 5, np.nan, Y), from_pandas=True), BINARY) == "it alone has an AUC of 1.0000"


def test_of_many_rows_some_stand_for_all(monkeypatch):
    monkeypatch.setattr(leaks, "ROWS", 1_000)
    sample = leaks.Sample()
    for batch in pa.table({"x": np.arange(20_000)}).to_batches(3_000):
        sample.add(batch)
    kept = sample.column("x").cast(pa.int64()).to_numpy()
    assert 500 < len(kept) <= 1_000
    assert abs(np.mean(kept) - 10_000) < 1_000
    assert len(set(kept)) == len(kept) == len(sample.halves())


def test_files_that_know_numbers_and_texts():
    sample = leaks.Sample()
    for x in (pa.array(Y), pa.array(Y.astype(str)), pa.array(Y * 1.0)):
        sample.add(pa.record_batch({"x": x, "picture": pa.array([b"png"] * ROWS), "y": Y}))
    assert leaks.suspects(sample, BINARY, ["x"]) == {"x": "it alone has an AUC of 1.0000"}
