"""Outputs in, losses, predictions and metrics out: what every head has to keep."""

from typing import Any, ClassVar

import numpy as np
import pytest
import tensorflow as tf

from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.labels import Label
from tfloom.trainers import metrics
from tfloom.trainers.head import Head, head

BATCH_SIZES = (1, 7, 1_000, 1_001)


class HeadContract:
    """A head says what it learns and what becomes of four rows.

    name: the head's. label: one that it learns; own: whether that label's own task is this head's.
    borrowed: others that it learns where it is named.
    refused: labels that it cannot learn. outputs: of the network, [4, units]. labels: [4].
    losses: [4]. gradients: of the sum of the losses by the outputs. predictions: by name, dtype and rows.
    classified, regressed: what its signatures give for the four rows, None where it has none.
    monitor: its metric, and whether more is better.
    """

    name: ClassVar[str]
    label: ClassVar[Label]
    own: ClassVar[bool] = True
    borrowed: ClassVar[tuple[Label, ...]] = ()
    refused: ClassVar[tuple[Label, ...]]
    outputs: ClassVar[list[list[float]]]
    labels: ClassVar[list[float]]
    losses: ClassVar[Any]
    gradients: ClassVar[Any]
    predictions: ClassVar[dict[str, tuple[str, Any]]]
    classified: ClassVar[dict[str, Any] | None] = None
    regressed: ClassVar[list[float] | None] = None
    monitor: ClassVar[tuple[str, bool]]

    def rows(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Outputs float32 [n, units], many of them equal, and labels [n] that they have something to do with."""
        raise NotImplementedError  # the test of a head says it

    def expected(self, outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Metrics by name, by something else than the head."""
        raise NotImplementedError  # the test of a head says it

    def task(self) -> Head:
        return head(self.label, self.name)

    # -- what it learns -----------------------------------------------------------------------------------------------

    def test_it_is_its_labels_own_head_or_one_to_be_named(self):
        assert self.task().name == self.name
        assert self.task().units == len(self.outputs[0])
        assert (type(head(self.label)) is type(self.task())) == self.own

    def test_labels_that_it_learns_where_it_is_named(self):
        assert [head(label, self.name).name for label in self.borrowed] == [self.name] * len(self.borrowed)
        assert self.name not in {head(label).name for label in self.borrowed}

    def test_a_label_that_it_cannot_learn_is_refused(self):
        assert self.refused
        for label in self.refused:
            with pytest.raises(SpecError) as error:
                head(label, self.name)
            assert error.value.what == f"head: {self.name} cannot learn the label {label.name!r}"
            assert error.value.expected.startswith("a label ")
            assert error.value.received == f"a label for {label.task}"

    # -- loss ---------------------------------------------------------------------------------------------------------

    def test_the_loss_of_each_row(self):
        told = self.loss(tf.constant(self.outputs))
        assert told.per_example.dtype == tf.float32
        np.testing.assert_allclose(told.per_example, self.losses, rtol=1e-6)
        assert told.predictions.keys() == self.predictions.keys()
        assert told.terms == {}

    def test_the_gradients_of_the_loss(self):
        outputs = tf.Variable(self.outputs)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(self.loss(outputs).per_example)
        np.testing.assert_allclose(tape.gradient(total, outputs), self.gradients, rtol=1e-6, atol=1e-7)

    @pytest.mark.parametrize("training", [True, False])
    def test_the_network_is_told_whether_it_is_trained(self, training):
        told = []

        def network(features, training):
            told.append((features, training))
            return tf.constant(self.outputs)

        self.task().loss(network, {"x": 1}, self.tensor(self.labels), training=training)
        assert told == [({"x": 1}, training)]

    def loss(self, outputs: Any) -> Any:
        return self.task().loss(lambda features, training: outputs, {}, self.tensor(self.labels))

    def tensor(self, labels: Any) -> tf.Tensor:
        """As inputs.batches reads them."""
        return tf.constant(labels, tf.float32 if self.label.task == "regression" else tf.int64)

    # -- predictions --------------------------------------------------------------------------------------------------

    def test_predictions(self):
        told = self.task().predictions(tf.constant(self.outputs))
        assert told.keys() == self.predictions.keys()
        for name, (dtype, rows) in self.predictions.items():
            assert told[name].dtype == dtype, name
            assert told[name].shape == np.shape(rows), name
            if dtype == "float32":
                np.testing.assert_allclose(told[name], np.float32(rows), rtol=2e-7, err_msg=name)
            else:
                assert told[name].numpy().tolist() == rows, name

    def test_predictions_are_equal_at_every_batch_size(self):
        outputs, _ = self.rows(np.random.default_rng(1), max(BATCH_SIZES))
        outputs = outputs + np.random.default_rng(2).normal(size=outputs.shape).astype(np.float32)
        bits = set()
        for size in BATCH_SIZES:
            told = self.predicted(outputs, size)
            bits.add(tuple((name, value.tobytes()) for name, value in told.items() if value.dtype != object))
        assert len(bits) == 1

    def predicted(self, outputs: np.ndarray, batch_size: int) -> dict[str, np.ndarray]:
        task = self.task()
        told = [task.predictions(tf.constant(outputs[i : i + batch_size])) for i in range(0, len(outputs), batch_size)]
        return {name: np.concatenate([one[name].numpy() for one in told]) for name in told[0]}

    def test_classify(self):
        task = self.task()
        assert task.classifies == (self.classified is not None)
        if self.classified is not None:
            told = task.classify(task.predictions(tf.constant(self.outputs)))
            assert told.keys() == {"classes", "scores"}
            assert told["classes"].numpy().tolist() == self.classified["classes"]
            assert told["scores"].dtype == tf.float32
            np.testing.assert_allclose(told["scores"], self.classified["scores"], rtol=2e-7)

    def test_regress(self):
        task = self.task()
        assert task.regresses == (self.regressed is not None)
        if self.regressed is not None:
            told = task.regress(task.predictions(tf.constant(self.outputs)))
            assert told.keys() == {"outputs"}
            assert told["outputs"].dtype == tf.float32
            np.testing.assert_allclose(told["outputs"], self.regressed, rtol=2e-7)

    # -- metrics ------------------------------------------------------------------------------------------------------

    def judged(
        self, outputs: np.ndarray, labels: np.ndarray, batch_size: int = 1_000, weights: np.ndarray | None = None
    ) -> dict[str, Any]:
        task = self.task()
        weights = np.ones(len(outputs), np.float32) if weights is None else weights

        def batches() -> Any:
            for start in range(0, len(outputs), batch_size):
                of = slice(start, start + batch_size)
                told = task.loss(lambda _, training: tf.constant(outputs[of]), {}, self.tensor(labels[of]))  # noqa: B023
                predictions = {n: v.numpy() for n, v in told.predictions.items()}
                yield predictions, labels[of], weights[of], told.per_example.numpy()

        return metrics.of_batches(task, batches())

    @pytest.mark.parametrize("batch_size", [1_000, 64])
    def test_metrics(self, batch_size):
        """Of rows that do not fill the last batch."""
        outputs, labels = self.rows(np.random.default_rng(3), 500)
        told = self.judged(outputs, labels, batch_size)
        expected = self.expected(outputs.astype(np.float64), labels)
        assert metrics.numbers(told).keys() == expected.keys()
        for name, value in expected.items():
            assert told[name] == pytest.approx(value, rel=1e-6), name
        assert told["rows"] == 500

    def test_a_row_counts_by_its_weight(self):
        """In every metric and in what is drawn: 3 as the row three times."""
        outputs, labels = self.rows(np.random.default_rng(8), 500)
        first = np.reshape(labels, (500, -1))[:, 0]  # of those of a row, where it has several
        times = np.where(first > np.median(first), 4, np.random.default_rng(9).integers(1, 3, 500))
        told = self.judged(outputs, labels, 64, times.astype(np.float32))
        often = self.judged(np.repeat(outputs, times, axis=0), np.repeat(labels, times, axis=0), 64)
        assert metrics.numbers(told) == pytest.approx(metrics.numbers(often), rel=1e-9)
        assert metrics.numbers(told) != pytest.approx(metrics.numbers(self.judged(outputs, labels)), rel=1e-3)
        assert (told["rows"], often["rows"]) == (500, times.sum())
        for name in {"confusion", "residuals"} & told["curves"].keys():
            assert told["curves"][name] == often["curves"][name]

    def test_the_monitor_prefers_what_is_better(self):
        assert type(self.task()).monitor == self.monitor
        name, more_is_better = self.monitor
        outputs, labels = self.rows(np.random.default_rng(4), 200)
        good = self.judged(outputs, labels)[name]
        bad = self.judged(np.random.default_rng(5).permutation(outputs), labels)[name]
        assert good > bad if more_is_better else good < bad
