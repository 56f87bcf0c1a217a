"""Rows in, rows out: what every kind of column has to keep."""

from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tf_keras

from tests.feature_specs.columns.materialised import BATCHED, MANY, ROWS, Materialised
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Categorical, Clip, Image, Sequence
from tfloom.feature_specs.spec import FeatureSpec, load_spec
from tfloom.feature_specs.validation import validate


class ColumnContract:
    """A kind says what it is given and what becomes of it; its columns and inputs have names no other kind uses.

    rows: the inputs by name, ROWS values each, and what labels are made from. inputs: what the spec says of them.
    labels: those of the spec that the columns learn from.
    columns: by name, every field beside the name; columns of other kinds among them where it is made of them.
    transformed: by name, the materialised value of each row: a number, a list of ids, bytes or a list of them.
    encoded: by name, the value of the typed feature: Dense, Image and Clip rows, of a Sequence the steps of each row;
      for Categorical, `transformed` says it, of weights those and of the column that they are of the ids.
    tables: the trained variables that `encode` reads, by column.
    no_raw: by name, why it has no tf.feature_column over raw rows.
    no_transformed: by name, why it has none over the transform output.
    """

    rows: ClassVar[dict[str, pa.Array]]
    inputs: ClassVar[dict[str, dict[str, Any]]] = {}
    labels: ClassVar[list[dict[str, Any]]] = []
    columns: ClassVar[dict[str, dict[str, Any]]]
    transformed: ClassVar[dict[str, list[Any]]] = {}
    encoded: ClassVar[dict[str, Any]] = {}
    tables: ClassVar[dict[str, np.ndarray]] = {}
    no_raw: ClassVar[dict[str, str]] = {}
    no_transformed: ClassVar[dict[str, str]] = {}

    @classmethod
    def spec(cls) -> FeatureSpec:
        return FeatureSpec.model_validate({
            "inputs": cls.inputs,
            "columns": [{"name": name} | fields for name, fields in cls.columns.items()],
            "labels": cls.labels,
        })  # fmt: skip

    # -- the value ------------------------------------------------------------------------------------------------

    def test_round_trips(self, tmp_path):
        spec = self.spec()
        for suffix in ("yaml", "json"):
            path = tmp_path / f"spec.{suffix}"
            path.write_text(getattr(spec, f"to_{suffix}")())
            assert load_spec(path) == spec
        assert FeatureSpec.model_validate(spec.to_dict()) == spec

    def test_unknown_key(self, name):
        written = {"name": name} | self.columns[name]
        with pytest.raises(SpecError) as error:
            validate({"columns": [written | {"kindd": 1}]}, FeatureSpec, "spec.yaml")
        assert error.value.what == "spec.yaml: columns.0.kindd: there is no 'kindd'"
        assert error.value.expected.startswith("'kind', or another of: ")
        assert error.value.received == "'kindd'"

    # -- transform --------------------------------------------------------------------------------------------------

    def test_transformed(self, name, materialised: Materialised):
        column = self.spec().by_name[name]
        if column.transformed_type is None:
            assert name not in self.transformed
            assert name not in materialised.columns
            return
        value, expected = materialised.columns[name], self.transformed[name]
        assert len(expected) == len(value) == ROWS
        match column.transformed_type.dtype:
            case "float32" if column.transformed_type.dimension is None:
                assert value.dtype == np.float32
                rows = [row[~np.isnan(row)] for row in value]
                assert [len(row) for row in rows] == [len(row) for row in expected]
                np.testing.assert_allclose(np.concatenate(rows), np.float32(np.concatenate(expected)), rtol=3e-7)
            case "float32":
                assert value.dtype == np.float32
                assert value.shape == (ROWS, column.transformed_type.dimension)
                np.testing.assert_allclose(value, np.reshape(np.float32(expected), value.shape), rtol=3e-7)
            case "int64":
                assert value.dtype == np.int64
                assert materialised.ids[name] == expected
            case "bytes" if column.transformed_type.many:
                assert materialised.ids[name] == expected
            case "bytes":
                assert value.tolist() == expected

    def test_equal_at_every_batch_size(self, name, materialised: Materialised):
        if name not in materialised.columns:
            return
        bits = {size: columns[name] for size, columns in materialised.by_batch_size.items()}
        assert {size: len(rows) for size, rows in bits.items()} == BATCHED
        assert [size for size, rows in bits.items() if rows != bits[MANY][: len(rows)]] == []

    # -- encode -----------------------------------------------------------------------------------------------------

    def encode(self, name: str, materialised: Materialised) -> Any:
        spec, num_buckets = materialised.output.spec, materialised.output.num_buckets
        variables = {}
        for column in spec.encoded([spec.by_name[name]]):
            variables[column.name] = {}
            for variable, told in column.variables(num_buckets).items():
                assert self.tables[column.name].shape == told.shape
                variables[column.name][variable] = tf.constant(self.tables[column.name], tf.float32)
        values = {key: tf.constant(value) for key, value in materialised.columns.items()}
        return Encoded(spec.by_name, values, variables, num_buckets).feature(name)

    def test_encoded(self, name, materialised: Materialised):
        column = materialised.output.spec.by_name[name]
        feature = self.encode(name, materialised)
        assert type(feature) is column.feature_type()
        if isinstance(feature, Categorical):
            assert feature.num_buckets == materialised.output.num_buckets[name]
            assert (feature.weights is None) == (column.transformed_type.dtype == "int64")
            ids = feature.ids.numpy()
            assert ids.dtype == np.int64
            assert ids.max(initial=-1) < feature.num_buckets
            told = self.transformed[name if feature.weights is None else column.encodes()[0]]
            assert [row[: len(own)].tolist() for row, own in zip(ids, told, strict=True)] == told
            if feature.weights is not None:
                assert feature.weights.dtype == tf.float32
                padded = [row + [0.0] * (ids.shape[1] - len(row)) for row in self.transformed[name]]
                np.testing.assert_allclose(feature.weights.numpy(), np.float32(padded), rtol=3e-7)
            return
        assert feature.values.dtype == tf.float32
        if isinstance(feature, Sequence):
            lengths = [len(steps) for steps in self.encoded[name]]
            np.testing.assert_array_equal(feature.mask, tf.sequence_mask(lengths))
            steps = np.float32([step for steps in self.encoded[name] for step in steps])
            np.testing.assert_allclose(feature.values[feature.mask], steps, rtol=1e-6, atol=1e-7)
            return
        expected = np.asarray(self.encoded.get(name, self.transformed.get(name)), np.float32)
        if not isinstance(feature, Image | Clip):
            expected = expected.reshape(ROWS, -1)
        np.testing.assert_allclose(feature.values.numpy(), expected, rtol=1e-6, atol=1e-7)

    # -- the same in tf.feature_column --------------------------------------------------------------------------------

    def test_raw_feature_column(self, name, materialised: Materialised):
        spec = materialised.output.spec
        column = spec.by_name[name]
        if name in self.no_raw:
            with pytest.raises(SpecError, match=self.no_raw[name]):
                column.raw_feature_column(spec.by_name, spec.inputs)
            return
        made = column.raw_feature_column(spec.by_name, spec.inputs)
        self.compare(name, made, materialised.raw_features(made), materialised)

    def test_transformed_feature_column(self, name, materialised: Materialised):
        spec, num_buckets = materialised.output.spec, materialised.output.num_buckets
        column = spec.by_name[name]
        if name in self.no_transformed:
            with pytest.raises(SpecError, match=self.no_transformed[name]):
                column.transformed_feature_column(spec.by_name, num_buckets)
            return
        made = column.transformed_feature_column(spec.by_name, num_buckets)
        read = [one.name for one in spec.encoded([column]) if one.transformed_type is not None]
        features = {key: materialised.features[key] for key in read}
        self.compare(name, made, features, materialised)

    def compare(self, name: str, made: Any, features: dict[str, Any], materialised: Materialised) -> None:
        """The input layer of a tf.feature_column over features equals what `encode` gives, ids summed up by bucket."""
        feature = self.encode(name, materialised)
        if isinstance(feature, Sequence):
            values, lengths = sequence_features(made, features, self.tables.get(name))
            np.testing.assert_array_equal(feature.mask, tf.sequence_mask(lengths))
            np.testing.assert_allclose(feature.values, values, rtol=1e-6, atol=1e-7)
            return
        if isinstance(feature, Categorical):
            counted = tf.one_hot(feature.ids, feature.num_buckets)
            weights = 1.0 if feature.weights is None else feature.weights[..., None]
            expected = tf.reduce_sum(counted * weights, axis=1)
        else:
            expected = feature.values
        np.testing.assert_allclose(input_layer(made, features, self.tables.get(name)), expected, rtol=1e-6, atol=1e-7)


def input_layer(column: Any, features: dict[str, Any], table: np.ndarray | None) -> np.ndarray:
    """[B, D]: what tf.compat.v1's input_layer makes of it, its table filled with `table`."""
    if not hasattr(column, "variable_shape"):
        column = tf.feature_column.indicator_column(column)
    if table is not None:
        column = column._replace(initializer=tf.compat.v1.constant_initializer(table))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        fed = {
            key: tf.SparseTensor(value.indices, value.values, value.dense_shape)
            if isinstance(value, tf.compat.v1.SparseTensorValue)
            else tf.constant(value)
            for key, value in features.items()
        }
        layer = tf.compat.v1.feature_column.input_layer(fed, [column])
        session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])
        return session.run(layer)


def sequence_features(column: Any, features: dict[str, Any], table: np.ndarray | None) -> tuple[Any, Any]:
    """[B, T, D] and [B]: what tf_keras' SequenceFeatures makes of it, its table filled with `table`."""
    if table is not None:
        column = column._replace(initializer=tf_keras.initializers.Constant(table))
    fed = {
        key: tf.SparseTensor(*value) if isinstance(value, tf.compat.v1.SparseTensorValue) else tf.constant(value)
        for key, value in features.items()
    }
    return tf_keras.experimental.SequenceFeatures([column])(fed)
