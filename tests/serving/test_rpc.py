"""The gRPC API answers as tensorflow_model_server does, tensors bit for bit."""

import base64
import json
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tfloom.feature_specs import tensor_json
from tfloom.feature_specs.errors import ArtefactError, DataError
from tfloom.serving import client, rpc, rpc_client
from tfloom.serving.server import serve

ROW = {
    "distance": np.float32([1.5]),
    "the.tags": np.array([[b"a", b"x"]], object),
    "the.tags_length": np.int64([2]),
    "stops": np.int64([0]),
    "stops_length": np.int64([0]),
    "photo": np.array([b"\xff\xd8", None], object)[:1],
}


@pytest.fixture(scope="module")
def server(made, trained):
    with serve({"flights": made.export.path.parent, "trained": trained.export.path}, port=0, grpc_port=0) as server:
        yield server


@pytest.fixture(scope="module")
def url(server):
    return f"{server.grpc_url}/flights"


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_url.removeprefix("grpc://")) as channel:
        yield channel


@pytest.fixture(scope="module")
def service(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def spec(name="flights", signature="", version=None, **more):
    return {"name": name, "signature_name": signature, **more} | ({"version": {"value": version}} if version else {})


def request(inputs, **of):
    protos = {name: tf.make_tensor_proto(value) for name, value in inputs.items()}
    return predict_pb2.PredictRequest(model_spec=spec(**of), inputs=protos)


def refused(method, asked):
    """(the name of the status code, the message)."""
    with pytest.raises(grpc.RpcError) as error:
        method(asked)
    return error.value.code().name, error.value.details()


def example(**features):
    result = tf.train.Example()
    for name, values in features.items():
        feature = result.features.feature[name]
        kind = {bytes: feature.bytes_list, float: feature.float_list, int: feature.int64_list}[type(values[0])]
        kind.value.extend(values)
    return result


# -- predict ----------------------------------------------------------------------------------------------------------


def test_predict(service, made):
    response = service.Predict(request(ROW))
    told = response.model_spec
    assert (told.name, told.version.value, told.signature_name) == ("flights", 3, "serving_default")
    outputs = {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}
    expected = made.predict({"distance": np.float32([[1.5]]), "tags": np.int64([[0, -1]])})
    assert outputs.keys() == expected.keys()
    for name, value in expected.items():
        assert outputs[name].dtype == value.dtype
        np.testing.assert_array_equal(outputs[name], value)
    assert service.Predict(request(ROW, version=3)).outputs == response.outputs


def test_an_output_filter(service):
    asked = request(ROW)
    asked.output_filter.extend(["logits", "classes"])
    assert sorted(service.Predict(asked).outputs) == ["classes", "logits"]
    asked.output_filter.append("logits")
    assert refused(service.Predict, asked) == ("INVALID_ARGUMENT", "duplicate output tensor alias: logits")
    asked.output_filter[:] = ["nothing"]
    code, told = refused(service.Predict, asked)
    assert (code, told.partition(" Outputs expected")[0]) == (
        "INVALID_ARGUMENT", "output tensor alias not found in signature: nothing"
    )  # fmt: skip
    assert "{class_ids,classes,logistic,logits,probabilities}" in told


def test_every_dtype(service):
    inputs = {"flag": np.array([True]), "pair": np.int32([[1, 2]]), "scale": np.float64(0.5)}
    outputs = service.Predict(request(inputs, signature="dtypes")).outputs
    told = {name: tf.make_ndarray(proto).tolist() for name, proto in outputs.items()}
    assert told == {"flag": [False], "pair": [[2, 3]], "scale": 1.0, "text": [[b"1", b"2"]]}


def test_a_large_message(url):
    photos = np.array([bytes([i]) * (6 << 20) for i in range(2)], object)  # gRPC's own limit is 4 MiB
    (told,) = rpc_client.predict(url, {"photo": photos}, "photo").values()
    assert told.tolist() == photos.tolist()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"photo": None}, "signature: 5!=6 len({distance,stops,stops_length,the.tags,the.tags_length}) != len({dist"),
        ({"photo": None}, "Sent extra: {}. Missing but required: {photo}."),
        ({"more": np.float32([1])}, "Sent extra: {more}. Missing but required: {}."),
        ({"photo": None, "foto": np.float32([1])}, "Sent extra: {foto}. Missing but required: {photo}."),
        ({"distance": np.float64([1])}, "distance: is of another dtype; expected: float32; received: float64"),
        ({"distance": np.float32([[1]])}, "distance: is of another shape; expected: [None]; received: [1, 1]"),
        (
            {"stops": np.array([b"1", None], object)[:1]},
            "stops: is of another dtype; expected: int64; received: string",
        ),
    ],
)
def test_inputs_that_do_not_fit(service, change, told):
    changed = {name: value for name, value in (ROW | change).items() if value is not None}
    code, message = refused(service.Predict, request(changed))
    assert code == "INVALID_ARGUMENT"
    assert told in message


def test_a_tensor_that_is_none(service):
    for wrong in ({"dtype": 1, "tensor_shape": {"dim": [{"size": 3}]}, "tensor_content": b"1234"}, {"dtype": 0}):
        asked = request(ROW)
        asked.inputs["distance"].CopyFrom(type(asked.inputs["distance"])(**wrong))
        code, told = refused(service.Predict, asked)
        assert (code, told.partition(";")[0]) == ("INVALID_ARGUMENT", "tensor parsing error: distance")


def test_what_tensorflow_refuses(service):
    asked = request({"examples": np.array([b"\xff" * 3_000, None], object)[:1]}, signature="serving_examples")
    code, told = refused(service.Predict, asked)
    assert code == "INVALID_ARGUMENT"
    assert told.startswith("Could not parse example input")
    assert told.endswith("...TRUNCATED")
    assert len(told.encode()) <= 1_024 + len("...TRUNCATED")


def test_a_failure_of_ours_is_internal(service, monkeypatch):
    monkeypatch.setattr("tfloom.serving.loaded_model.LoadedModel.run", lambda *_: 1 / 0)
    assert refused(service.Predict, request(ROW)) == ("INTERNAL", "division by zero")


def test_what_is_not_there(service, models):
    missing = "Servable not found for request: "
    assert refused(service.Predict, request(ROW, name="other")) == ("NOT_FOUND", f"{missing}Latest(other)")
    assert refused(service.Predict, request(ROW, version=2)) == ("NOT_FOUND", f"{missing}Specific(flights, 2)")
    assert refused(service.Predict, request(ROW, signature="x")) == (
        "FAILED_PRECONDITION", 'Serving signature key "x" not found.'
    )  # fmt: skip
    code, told = refused(service.Predict, request(ROW, name=""))
    assert (code, told.partition(";")[0]) == ("INVALID_ARGUMENT", "ModelSpec has no name specified.")
    code, told = refused(service.Predict, request(ROW, version_label="stable"))
    assert (code, told.partition(";")[0]) == ("INVALID_ARGUMENT", "Unrecognized servable version label: stable")
    assert refused(service.MultiInference, inference_pb2.MultiInferenceRequest())[0] == "UNIMPLEMENTED"
    for of, what in ((spec("other"), "any versions of model other"), (spec(version=2), "version 2 of model flights")):
        asked = get_model_status_pb2.GetModelStatusRequest(model_spec=of)
        assert refused(models.GetModelStatus, asked) == ("NOT_FOUND", f"Could not find {what}")


# -- status and metadata ----------------------------------------------------------------------------------------------


def test_status(models):
    for of in (spec(), spec(version=3)):
        (status,) = models.GetModelStatus(
            get_model_status_pb2.GetModelStatusRequest(model_spec=of)
        ).model_version_status
        assert (status.version, status.state, status.status.error_code) == (3, 30, 0)
        assert status.HasField("status")


def test_metadata(service, made):
    asked = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec(), metadata_field=["signature_def"])
    response = service.GetModelMetadata(asked)
    assert (response.model_spec.name, response.model_spec.version.value) == ("flights", 3)
    told = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(told)
    pair = told.signature_def["dtypes"].inputs["pair"]
    assert (pair.dtype, [dim.size for dim in pair.tensor_shape.dim]) == (tf.int32.as_datatype_enum, [-1, 2])
    for fields in ([], ["assets"]):
        asked = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec(), metadata_field=fields)
        assert refused(service.GetModelMetadata, asked)[0] == "INVALID_ARGUMENT"


# -- classify and regress ---------------------------------------------------------------------------------------------

EXAMPLES = [
    example(distance=[300.0], carrier=[b"AA"], tags=[b"rain", b"snow"], stops=[1]),
    example(carrier=[b"nobody"]),
]
CONTEXT = example(distance=[100.0])


def listed(examples, context=None):
    if context is None:
        return {"example_list": {"examples": examples}}
    return {"example_list_with_context": {"examples": examples, "context": context}}


def predictions(trained, examples):
    loaded = tf.saved_model.load(str(trained.export.path))
    serialized = tf.constant([one.SerializeToString() for one in examples])
    return {name: value.numpy() for name, value in loaded.signatures["serving_examples"](serialized).items()}


def test_classify(service, trained):
    asked = classification_pb2.ClassificationRequest(model_spec=spec("trained", "classify"), input=listed(EXAMPLES))
    response = service.Classify(asked)
    assert (response.model_spec.signature_name, response.model_spec.version.value) == ("classify", 1)
    told = [[(one.label, one.score) for one in row.classes] for row in response.result.classifications]
    expected = predictions(trained, EXAMPLES)["probabilities"]
    assert told == [[("0", low), ("1", high)] for low, high in expected.tolist()]


def test_regress_with_a_context(service, trained):
    asked = regression_pb2.RegressionRequest(
        model_spec=spec("trained", "regress"), input=listed([EXAMPLES[1]] * 2, CONTEXT)
    )
    told = [one.value for one in service.Regress(asked).result.regressions]
    both = example(carrier=[b"nobody"], distance=[100.0])
    assert told == predictions(trained, [both, both])["logistic"][:, 0].tolist()
    assert told[0] != predictions(trained, EXAMPLES)["logistic"][1, 0]


@pytest.mark.parametrize(
    ("signature", "examples", "told"),
    [
        ("x", EXAMPLES, "No signature was found with the name: x;"),
        ("x", EXAMPLES, "expected: a signature_name that can classify: classify;"),
        ("regress", EXAMPLES, "Expected classification signature method_name to be tensorflow/serving/classify. "
         "Was: tensorflow/serving/regress"),
        ("", EXAMPLES, "Was: tensorflow/serving/predict"),
        ("classify", [], "Input is empty."),
        ("classify", [example(distance=[1])], "Data types don't match."),
    ],
)  # fmt: skip
def test_what_cannot_be_classified(service, server, signature, examples, told):
    asked = classification_pb2.ClassificationRequest(model_spec=spec("trained", signature), input=listed(examples))
    code, message = refused(service.Classify, asked)
    assert code == "INVALID_ARGUMENT"
    assert told in message
    asked = classification_pb2.ClassificationRequest(model_spec=spec("trained", "classify"))
    assert refused(service.Classify, asked)[1].startswith("Input is empty.")


# -- tensors, bit for bit ---------------------------------------------------------------------------------------------


def through_a_message(tensor):
    proto = predict_pb2.PredictRequest(inputs={"x": tf.make_tensor_proto(tensor)}).SerializeToString()
    return rpc._array("x", predict_pb2.PredictRequest.FromString(proto).inputs["x"])


@given(hnp.arrays(np.uint32, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)))
def test_float32_is_exact(bits):
    tensor = bits.view(np.float32)
    back = through_a_message(tensor)
    assert (back.dtype, back.shape) == (np.float32, tensor.shape)
    # A NaN that signals, which no operation of TensorFlow's gives, may come back as one that does not.
    quiet = np.where(np.isnan(tensor), bits | 1 << 22, bits)
    assert (np.where(np.isnan(back), back.view(np.uint32) | 1 << 22, back.view(np.uint32)) == quiet).all()


@given(hnp.arrays(np.int64, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)))
def test_int64_is_exact(tensor):
    np.testing.assert_array_equal(through_a_message(tensor), tensor, strict=True)


@given(st.lists(st.binary(max_size=20)), st.booleans())
def test_strings_are_exact(values, two):
    tensor = np.array([*values, None], object)[:-1].reshape([-1, 1] if two else [-1])
    for one in (tensor, np.empty([len(values), 0], object)):
        back = through_a_message(one)
        assert (back.tolist(), back.shape) == (one.tolist(), one.shape)


def test_what_is_sent_is_what_is_seen(url):
    """Through the server and back: bytes that are no text, and batches of none."""
    photos = np.array([b"", b"\x00", b"\xff\xfe", "Z\u00fcrich".encode(), b"x" * 100, None], object)[:-1]
    for batch in (photos, photos[:1], photos[:0]):
        (told,) = rpc_client.predict(url, {"photo": batch}, "photo").values()
        assert told.tolist() == batch.tolist()
    odd = np.array([-0.0, np.finfo(np.float64).tiny, -np.inf, np.nan])
    for scale in odd:
        inputs = {"flag": np.array([True]), "pair": np.int32([[2**31 - 1, -(2**31)]]), "scale": scale}
        told = rpc_client.predict(url, inputs, "dtypes")
        assert told["scale"].tobytes() == (scale * 2).tobytes()
        assert told["pair"].tolist() == [[-(2**31), -(2**31) + 1]]


def test_rows_without_any_value(url, server):
    """All lists are empty, so that a batch of them has no width: the same by gRPC and by REST."""
    inputs = ROW | {"the.tags": np.empty([1, 0], object), "the.tags_length": np.int64([0])}
    outputs = rpc_client.predict(url, inputs)
    told = client.predict(f"{server.url}/v1/models/flights", inputs)
    assert told == {name: tensor_json.encode(value) for name, value in outputs.items()}
    padded = ROW | {"the.tags_length": np.int64([0])}
    assert outputs["logits"].tobytes() == rpc_client.predict(url, padded)["logits"].tobytes()
    assert outputs["logits"] != rpc_client.predict(url, ROW)["logits"]


# -- the client -------------------------------------------------------------------------------------------------------


def test_the_client(url, service):
    outputs = rpc_client.predict(url, ROW)
    response = service.Predict(request(ROW)).outputs
    assert list(outputs) == sorted(response)
    assert all((outputs[name] == tf.make_ndarray(proto)).all() for name, proto in response.items())
    assert rpc_client.predict(f"{url}/versions/3", ROW).keys() == outputs.keys()


def test_what_the_client_is_refused(server, url):
    with pytest.raises(DataError, match=r"/flights: refused\n  expected: .*\n  received: input size does not match"):
        rpc_client.predict(url, {})
    with pytest.raises(ArtefactError, match=r"answered NOT_FOUND\n.*\n  received: Servable not found .* Latest"):
        rpc_client.predict(f"{server.grpc_url}/other", ROW)
    with pytest.raises(ArtefactError, match="Specific"):
        rpc_client.predict(f"{url}/versions/2", ROW)
    with pytest.raises(ArtefactError, match="no answer\n  expected: a running TF Serving gRPC API"):
        rpc_client.predict("grpc://127.0.0.1:9/flights", ROW)
    with pytest.raises(DataError, match="is no address of a model"):
        rpc_client.predict(server.grpc_url, ROW)


# -- the server -------------------------------------------------------------------------------------------------------


def test_serving_starts_and_stops(made):
    server = serve({"one": made.export.path}, port=0, grpc_port=0)
    port, grpc_port = (int(url.rpartition(":")[2]) for url in (server.url, server.grpc_url))
    with pytest.raises(ArtefactError, match=f"127.0.0.1:{grpc_port}: cannot be listened on"):
        serve({}, port=0, grpc_port=grpc_port)
    rpc_client.predict(f"{server.grpc_url}/one", ROW)
    server.stop()
    server.wait()
    with pytest.raises(ArtefactError, match="no answer"):
        rpc_client.predict(f"{server.grpc_url}/one", ROW)
    serve({}, port=port, grpc_port=grpc_port).stop()
    with serve({}, port=0) as server:
        assert server.grpc_url is None


# -- the same by REST -------------------------------------------------------------------------------------------------


def ask(server, method, **body):
    sent = urllib.request.Request(f"{server.url}/v1/models/trained:{method}", json.dumps(body).encode())
    with urllib.request.urlopen(sent) as answer:
        return json.load(answer)["results"]


def test_classify_and_regress_by_rest(server, trained):
    carrier = {"b64": base64.b64encode(b"AA").decode()}
    examples = [
        {"distance": 300.0, "carrier": carrier, "tags": ["rain", "snow"], "stops": [True]},
        {"carrier": "nobody", "tags": []},
    ]
    expected = predictions(trained, EXAMPLES)
    told = ask(server, "classify", signature_name="classify", examples=examples)
    assert [[label for label, _ in row] for row in told] == [["0", "1"]] * 2
    assert np.float32([[score for _, score in row] for row in told]).tolist() == expected["probabilities"].tolist()
    told = ask(server, "regress", signature_name="regress", examples=examples)
    assert np.float32(told).tolist() == expected["logistic"][:, 0].tolist()
    both = predictions(trained, [example(carrier=[b"nobody"], distance=[100.0])])["logistic"][0]
    told = ask(server, "regress", signature_name="regress", examples=examples[1:], context={"distance": 100.0})
    assert np.float32(told).tolist() == both.tolist()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "key 'examples' is expected and was not found"),
        ({"examples": []}, "examples: is not a list of examples"),
        ({"examples": [1]}, "examples.0: is not an object"),
        ({"examples": [{}], "context": 1}, "context: is not an object"),
        ({"examples": [{"stops": None}]}, "examples.0.stops: has an element of no type that a feature has"),
        ({"examples": [{"stops": [[1]]}]}, "examples.0.stops: has an element of no type that a feature has"),
        ({"examples": [{"stops": [1, 1.5]}]}, "examples.0.stops: has elements of several types"),
        ({"examples": [{"stops": 2**63}]}, "examples.0.stops: is out of the range of int64"),
        ({"examples": [{"distance": 1e39}]}, "examples.0.distance: value 0 is out of the range of float32"),
        ({"examples": [{"carrier": {"b64": "*"}}]}, "examples.0.carrier: cannot be decoded"),
        ({"examples": [{"distance": 1}]}, "Data types don't match."),
        ({"examples": [{}], "signature_name": "classify"}, "Expected regression signature method_name to be"),
        ({"examples": [{}], "signature_name": 1}, "'signature_name' key must be a string value."),
    ],
)
def test_examples_that_are_none(server, body, told):
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(server, "regress", **({"signature_name": "regress"} | body))
    with error.value as answer:
        assert answer.code == 400
        assert told in json.load(answer)["error"]
