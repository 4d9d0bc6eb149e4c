"""tritonclient against test/fixtures/clients: python triton_clients.py http|http.aio|grpc|grpc.aio HOST:PORT"""

import numpy as np
from report import contains, same, same_array
from triton_client import (
    IS_HTTP,
    call,
    case,
    client,
    documents,
    field,
    read,
    refusal,
    refused,
    row,
    tensor,
    triton,
    wait,
)
from values import EXTREMES, in_json

# Health, metadata, models

case("server live", lambda: same(call("is_server_live"), True))
case("server ready", lambda: same(call("is_server_ready"), True))
case("model ready", lambda: same(call("is_model_ready", "echo.float32"), True))
case("model ready, by version", lambda: same(call("is_model_ready", "echo.float32", "7"), True))
if IS_HTTP:
    case("model ready: unknown model", lambda: same(call("is_model_ready", "nope"), False))
else:
    refusal("model ready: unknown model", "NOT_FOUND", '"nope"', ask=lambda: call("is_model_ready", "nope"))


def server_metadata():
    answer = call("get_server_metadata")
    same((field(answer, "name"), field(answer, "version")), ("clients", "7"))
    contains(list(field(answer, "extensions")), "binary_tensor_data", "model_repository", "statistics")


def model_metadata():
    answer = call("get_model_metadata", "pair")
    same((field(answer, "name"), list(field(answer, "versions"))), ("pair", ["7"]))
    inputs = [
        (field(one, "name"), field(one, "datatype"), [int(n) for n in field(one, "shape")])
        for one in field(answer, "inputs")
    ]
    same(inputs, [("ids", "INT64", [-1, 2]), ("mask", "BOOL", [-1, 2])])


def model_config():
    answer = call("get_model_config", "echo.float32")
    config = answer if IS_HTTP else answer.config
    same((field(config, "name"), field(config, "max_batch_size")), ("echo.float32", 8))
    same([int(n) for n in field(field(config, "input")[0], "dims")], [-1])
    decoupled = call("get_model_config", "tokens.rows")
    same(field(field(decoupled if IS_HTTP else decoupled.config, "model_transaction_policy"), "decoupled"), True)


def index():
    answer = call("get_model_repository_index")
    models = answer if IS_HTTP else answer.models
    states = {field(one, "name"): field(one, "state") for one in models}
    same((states["words"], states["shelf"]), ("READY", "READY"))


def counts(model):
    [statistics] = field(call("get_inference_statistics", model), "model_stats")
    success = field(field(statistics, "inference_stats"), "success")
    return [int(field(statistics, "inference_count")), int(field(success, "count"))]


def statistics():
    rows, requests = counts("echo.int8")
    for _ in range(2):
        call("infer", "echo.int8", [tensor("input", "INT8", np.ones((3, 1), np.int8))])
    same(counts("echo.int8"), [rows + 6, requests + 2])


case("server metadata", server_metadata)
case("model metadata", model_metadata)
case("model config", model_config)
case("repository index", index)
case("statistics", statistics)
refusal("statistics: unknown model", "NOT_FOUND", '"nope"', ask=lambda: call("get_inference_statistics", "nope"))


def load_and_unload():
    call("unload_model", "shelf")
    refused("NOT_FOUND", '"shelf"', "unloaded", ask=lambda: call("infer", "shelf", documents(1)))
    same(call("is_model_ready", "shelf"), False)
    call("load_model", "shelf")
    same(read(call("infer", "shelf", documents(1))), [1])


case("unload and load", load_and_unload)
refusal("load: unknown model", "NOT_FOUND", '"nope"', ask=lambda: call("load_model", "nope"))
refusal(
    "load with a config",
    "INVALID_INPUT",
    '"config"',
    ask=lambda: call("load_model", "shelf", config='{"max_batch_size": 1}'),
)


# Inference: every datatype, and every option


def echo(datatype, array, binary=None):
    """`binary`: both ways by the binary tensor data extension, or as JSON; None over gRPC."""
    dtype, _ = EXTREMES[datatype]
    options = {} if binary is None else {"binary_data": binary}
    outputs = [triton.InferRequestedOutput("output", **options)]
    result = call("infer", f"echo.{dtype}", [tensor("input", datatype, array, **options)], outputs=outputs)
    given = result.as_numpy("output")
    # Elements of BYTES come as texts where they came as JSON.
    wanted = (
        array
        if datatype != "BYTES" or binary is not False
        else np.array([[one.decode() for one in array[0]]], dtype=object)
    )
    same_array(given, wanted)


for datatype, (_, array) in EXTREMES.items():
    if not IS_HTTP:
        case(f"{datatype} raw", lambda: echo(datatype, array))
        continue
    case(f"{datatype} binary", lambda: echo(datatype, array, binary=True))
    if datatype != "BF16":
        case(f"{datatype} JSON", lambda: echo(datatype, in_json(array), binary=False))


def several_inputs():
    ids, mask = np.array([[1, -(2**63)]]), np.array([[True, False]])
    inputs = [tensor("mask", "BOOL", mask), tensor("ids", "INT64", ids)]
    result = call("infer", "pair", inputs, outputs=[triton.InferRequestedOutput("mask")])
    same_array(result.as_numpy("mask"), mask)
    same(result.as_numpy("ids"), None)


def every_option():
    parameters = {"colour": "blue", "level": 3}
    options = {
        "request_id": "my id",
        "priority": 1,
        "timeout": 30_000_000,
        "parameters": parameters,
        "headers": {"x-note": "1"},
    }
    result = call("infer", "echo.float32", [row(1, 2)], model_version="7", **options)
    response = result.get_response()
    same(
        (field(response, "id"), field(response, "model_name"), field(response, "model_version")),
        ("my id", "echo.float32", "7"),
    )


def compressed(algorithm):
    array = np.arange(100_000, dtype=np.int32).reshape(100, 1000)
    names = (
        ["request_compression_algorithm", "response_compression_algorithm"] if IS_HTTP else ["compression_algorithm"]
    )
    options = dict.fromkeys(names, algorithm)
    result = call("infer", "echo.int32", [tensor("input", "INT32", array)], **options)
    same_array(result.as_numpy("output"), array)


def large():
    array = np.random.default_rng(1).random((4, 250_000)).astype(np.float32)
    same_array(call("infer", "echo.float32", [tensor("input", "FP32", array)]).as_numpy("output"), array)


case("several inputs, one requested output", several_inputs)
case("id, version, priority, timeout, parameters, headers", every_option)
case("gzip both ways", lambda: compressed("gzip"))
case("deflate both ways", lambda: compressed("deflate"))
case("4 MB", large)
case("documents of JSON", lambda: same(read(call("infer", "words", documents("a b", "c"))), [2, 1]))


# Refusals


def infer(model, *inputs, **options):
    return lambda: call("infer", model, list(inputs), **options)


two = np.array([[1, 2]], dtype=np.int64)
FLOATS = "echo.float32"
refusal("unknown model", "NOT_FOUND", 'the model "nope"', ask=infer("nope", row(1)))
refusal("unknown version", "NOT_FOUND", 'version "99"', ask=infer(FLOATS, row(1), model_version="99"))
refusal("wrong dtype", "INVALID_INPUT", '"INT64"', "FP32", ask=infer(FLOATS, tensor("input", "INT64", two)))
refusal("wrong shape", "INVALID_INPUT", "[2]", ask=infer(FLOATS, tensor("input", "FP32", np.ones(2, np.float32))))
refusal("missing input", "INVALID_INPUT", "1 are given; wanted 2", ask=infer("pair", tensor("ids", "INT64", two)))
refusal(
    "unknown input", "INVALID_INPUT", '"other"', ask=infer(FLOATS, tensor("other", "FP32", np.ones((1, 2), np.float32)))
)
refusal(
    "unknown output",
    "INVALID_INPUT",
    '"other"',
    ask=infer(FLOATS, row(1), outputs=[triton.InferRequestedOutput("other")]),
)
refusal(
    "text that is no UTF-8",
    "INVALID_INPUT",
    "UTF-8",
    ask=infer("echo.string", tensor("input", "BYTES", np.array([[b"\xff"]]))),
)
refusal(
    "classification",
    "INVALID_INPUT",
    "classification",
    ask=infer(FLOATS, row(1), outputs=[triton.InferRequestedOutput("output", class_count=2)]),
)
refusal("sequence", "INVALID_INPUT", "sequence_id", ask=infer(FLOATS, row(1), sequence_id=5, sequence_start=True))
refusal("model that streams, by infer", "INVALID_INPUT", "ModelStreamInfer", ask=infer("tokens", *documents(3)))
refusal("model that fails", "USER_CODE", "the log has the cause", ask=infer("broken", *documents(1)))
refusal("timeout of the request", "DEADLINE_EXCEEDED", "deadline", ask=infer("slow", *documents(1), timeout=100_000))


# Extensions that are not served: over HTTP paths that are not there, over gRPC methods that are known

NO_SUCH = "NOT_FOUND" if IS_HTTP else "METHOD_NOT_ALLOWED"


def no_shared_memory():
    for kind in ["system", "cuda"]:
        answer = call(f"get_{kind}_shared_memory_status")
        same(list(answer if IS_HTTP else answer.regions), [])
    refused(NO_SUCH, "shared", ask=lambda: call("register_system_shared_memory", "region", "/key", 8))
    given = triton.InferInput("input", [1, 2], "FP32")
    given.set_shared_memory("region", 8)
    refused("INVALID_INPUT", "shared_memory_region", ask=infer(FLOATS, given))


case("shared memory: none", no_shared_memory)
refusal("trace settings", NO_SUCH, "trace", ask=lambda: call("get_trace_settings"))
refusal("log settings", NO_SUCH, "log", ask=lambda: call("get_log_settings"))

# What each of them has for more than one answer at a time.
import triton_concurrency  # noqa: E402, F401

wait(client.close())
