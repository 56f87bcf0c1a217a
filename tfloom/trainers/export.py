"""From a trained model to a SavedModel that TF Serving serves as it is, with what proves it."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tfloom.feature_specs import parsed_rows, storage, tensor_json
from tfloom.feature_specs.directories import ORIGIN, ModelDirectory, TransformOutput, write_json
from tfloom.feature_specs.errors import ArtefactError, SpecError, nearest
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers import inputs, predictor
from tfloom.trainers.head import Head, TrainedNetwork
from tfloom.trainers.model_directory import train_spec_of
from tfloom.trainers.network import Network
from tfloom.trainers.servable import Servable
from tfloom.trainers.signature import Signature, of_columns
from tfloom.trainers.train import load

GOLDEN_ROWS, GOLDEN_BYTES = 32, 1 << 20
"""At most so many rows, and no more than hold so many bytes: pictures are written out for each signature."""


def export_model(model: ModelDirectory, version: Path, card: Mapping[str, Any]) -> None:
    """Write the SavedModel of a trained model. Raises ArtefactError where its transform output is gone or another."""
    output = model.transformed
    network, head = load(model)

    def predict(columns: Mapping[str, Any]) -> Mapping[str, Any]:
        return head.predictions(network(columns, training=False))

    servable = Servable(
        output,
        predict,
        variables=network.tf_variables,
        classify=head.classify if head.classifies else None,
        regress=head.regress if head.regresses else None,
        others=of_columns(model.spec, predict) | _of_backbone(model, network, head),
    )
    write(servable, output, version, {"task": head.name, **card})
    shutil.copy(model.path / "train_spec.json", version)


def _of_backbone(model: ModelDirectory, network: TrainedNetwork, head: Head) -> dict[str, Signature]:
    if not isinstance(network, Network):  # an Estimator's
        return {}
    backbone = train_spec_of(model).backbone_for(model.spec)
    return dict(backbone.signatures(model.spec, network.backbone, head.predictions))


def export_keras(model: keras.Model, output: TransformOutput, version: Path, card: Mapping[str, Any]) -> None:
    """Write the SavedModel of a user's own Keras 3 model over `inputs.keras_inputs`.

    Its predictions are its outputs by name. The model itself is put beside, for `tfloom verify` to predict with.

    Raises:
      SpecError: where it is no Keras 3 model that names its inputs, or reads what no column is.
      ArtefactError: where Keras cannot load it again from a file.
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise SpecError("the model does not name its inputs", expected="a functional Keras 3 model over keras_inputs",
                        received=f"a {type(model).__module__}.{type(model).__qualname__}")  # fmt: skip
    names = [column.name for column in output.spec.model_inputs]
    for one in model.inputs:
        if one.name not in names:
            raise SpecError(
                f"the model reads {one.name!r}, which is no materialised column",
                expected=nearest(one.name, names),
                received=", ".join(each.name for each in model.inputs),
            )
    servable = Servable(output, predictor.keras_predict(model), [variable.value for variable in model.variables])
    write(servable, output, version, {"task": "keras", **card})
    predictor.keep_model(model, version)


def write(servable: Servable, output: TransformOutput, version: Path, card: Mapping[str, Any]) -> None:
    """Write a SavedModel with warm-up requests, golden rows and model card into the folder `version`.

    card: what the model card says beside the signatures; the paths `model` and `transformed` relative to `version`.
    """
    signatures = servable.signatures()
    tf.saved_model.save(servable, str(version), signatures=signatures)
    _name_methods(version)
    (version / "feature_spec.json").write_text(output.spec.to_json())
    parsed, materialised = golden_rows(output)
    golden = _golden(servable, output.spec, signatures, parsed, materialised)
    (version / "golden").mkdir()
    for name, pair in golden.items():
        write_json(version / "golden" / f"{name}.json", {"signature_name": name, **pair})
    _write_warmup(version, golden, signatures)
    told = {
        name: {"inputs": _told(dict(_inputs(function))), "outputs": _told(function.structured_outputs)}
        for name, function in signatures.items()
    }
    made = {"tensorflow": tf.__version__, "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
    write_json(version / "model_card.json", {**card, **made, "tried": {}, "signatures": told})


def golden_rows(output: TransformOutput, count: int = GOLDEN_ROWS) -> tuple[pa.RecordBatch, dict[str, np.ndarray]]:
    """Some parsed rows of the sample, and the same rows as they were materialised. Raises ArtefactError."""
    sample = pq.read_table(output.path / "stats" / "sample.parquet")
    places = {origin[0]: i for i, origin in enumerate(sample.column(ORIGIN).to_pylist())}
    found: dict[bytes, bytes] = {}
    for origin, record in _records(output):
        if origin in places:
            found[origin] = record
        if len(found) == count or sum(map(len, found.values())) > GOLDEN_BYTES:
            break
    if not found:
        raise ArtefactError(f"{output.path}: no row of stats/sample.parquet is among its examples")
    materialised = tf.io.parse_example(list(found.values()), inputs.examples_spec(output.spec.materialised))
    rows = sample.take([places[origin] for origin in found]).combine_chunks().to_batches()[0]
    return rows, {name: inputs.dense(value).numpy() for name, value in materialised.items()}


def _records(output: TransformOutput) -> Iterator[tuple[bytes, bytes]]:
    """(origin, serialized tf.Example) of every materialised row, those of a chunk together."""
    origin = {ORIGIN: tf.io.FixedLenFeature([], tf.string)}
    files = output.shards("*.tfrecord.gz")
    for file in sorted(files, key=lambda path: (path.name.partition("-")[2], path.name)):
        for batch in tf.data.TFRecordDataset(str(file), "GZIP").batch(4_096):
            yield from zip(tf.io.parse_example(batch, origin)[ORIGIN].numpy(), batch.numpy(), strict=True)


def _golden(
    servable: Servable,
    spec: FeatureSpec,
    signatures: Mapping[str, Any],
    parsed: pa.RecordBatch,
    materialised: Mapping[str, np.ndarray],
) -> dict[str, dict[str, Any]]:
    """By signature its inputs, and the outputs that the trainer gives for the same rows as they were materialised."""
    predictions = predictor.traced(servable._predict, inputs.signature(spec.model_inputs))(materialised)
    outputs: dict[str, Mapping[str, Any]] = {
        "serving_default": predictions,
        "serving_examples": predictions,
        "transform": materialised,
    }
    for name, make in (("classify", servable._classify), ("regress", servable._regress)):
        if make is not None:
            outputs[name] = make(predictions)
    examples = parsed_rows.examples(parsed, spec.input_names)
    result = {}
    row = {name: value[:1] for name, value in materialised.items()}
    others = {name: _other(one, row) for name, one in servable._others.items()}
    for name, function in signatures.items():
        if name in others:
            result[name] = others[name]
            continue
        ranks = {key: tensor.shape.rank for key, tensor in _inputs(function).items()}
        given = parsed_rows.named(parsed, ranks) if name == "serving_default" else dict.fromkeys(ranks, examples)
        result[name] = _written(given, outputs[name])
    return result


def _other(signature: Signature, row: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Its golden inputs, of a materialised row, and what is made of them here."""
    given = {name: np.asarray(value) for name, value in signature.golden(row).items()}
    return _written(given, predictor.traced(signature.call, signature.inputs)(given))


def _written(given: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    told = {"inputs": given, "outputs": outputs}
    return {
        part: {key: tensor_json.encode(np.asarray(value), binary=True) for key, value in tensors.items()}
        for part, tensors in told.items()
    }


def _inputs(function: Any) -> Mapping[str, tf.TensorSpec]:
    args, kwargs = function.structured_input_signature
    return kwargs or {one.name: one for one in args}


def _told(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {n: {"dtype": t.dtype.name, "shape": list(t.shape)} for n, t in sorted(tensors.items())}


def _name_methods(version: Path) -> None:
    """TF Serving takes classify and regress requests only where the signature names its method."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = version / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    definitions = saved.meta_graphs[0].signature_def
    for name in ("classify", "regress"):
        if name in definitions:
            definitions[name].method_name = f"tensorflow/serving/{name}"
    path.write_bytes(saved.SerializeToString(deterministic=True))


def _write_warmup(version: Path, golden: Mapping[str, Any], signatures: Mapping[str, Any]) -> None:
    """A request of one row for each signature that predicts, which TF Serving runs before it serves the model."""
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    folder = version / "assets.extra"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for name in (one for one in golden if one not in ("transform", "classify", "regress")):
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = name
            for key, tensor in _inputs(signatures[name]).items():
                rows = tensor_json.decode(golden[name]["inputs"][key], tensor.dtype.name, tensor.shape)[:1]
                request.inputs[key].CopyFrom(tf.make_tensor_proto(rows, tensor.dtype))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())


def relative(path: Path, version: Path) -> str:
    """`path` as seen from the version folder, so that a tree of artefacts can move as a whole."""
    return storage.relative(path, version)
