"""KServe's clients against test/fixtures/clients: python kserve_clients.py rest|grpc ADDRESS (a URL, HOST:PORT)

Facts about kserve 0.21 that hold whatever the server:
- it knows no BF16, and sends FP16 over REST as binary data only;
- over gRPC `is_model_ready` raises where the model is unknown, over REST it is the status alone;
- over REST the URL names no version of the model, although the request does.
"""

import asyncio
import json
import logging
import sys

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from report import Cases, contains, same, same_array
from values import EXTREMES, in_json

KIND, ADDRESS = sys.argv[1:]
IS_REST = KIND == "rest"
logging.disable(logging.CRITICAL)  # it logs each failure with its stack, before it raises

cases = Cases("kserve.InferenceRESTClient" if IS_REST else "kserve.InferenceGRPCClient")
case, wait = cases.case, cases.wait


async def connect():
    return InferenceRESTClient(RESTConfig(protocol="v2", retries=0)) if IS_REST else InferenceGRPCClient(ADDRESS)


client = wait(connect())
WHERE = [ADDRESS] if IS_REST else []


def tensor(name, datatype, array, binary=True):
    given = InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array, binary_data=binary)
    return given


async def ask(model, *inputs, timeout=30, headers=None, **options):
    request = InferRequest(model, list(inputs), **options)
    if IS_REST:
        return await client.infer(ADDRESS, request, model_name=model, timeout=timeout, headers=headers)
    return await client.infer(request, timeout=timeout, headers=None if headers is None else list(headers.items()))


def infer(model, *inputs, **options):
    return wait(ask(model, *inputs, **options))


def row(*numbers):
    return tensor("input", "FP32", np.array([numbers], dtype=np.float32))


def document(value):
    return tensor("input", "BYTES", np.array([json.dumps(value)], dtype=object))


case("server live", lambda: same(wait(client.is_server_live(*WHERE)), True))
case("server ready", lambda: same(wait(client.is_server_ready(*WHERE)), True))
case("model ready", lambda: same(wait(client.is_model_ready(*WHERE, "echo.float32")), True))


# Every datatype: raw, and as JSON or typed contents


def echo(datatype, array, binary):
    dtype, _ = EXTREMES[datatype]
    options = {"parameters": {"binary_data_output": binary}} if IS_REST else {}
    result = infer(f"echo.{dtype}", tensor("input", datatype, array, binary), **options).outputs[0]
    if datatype == "BYTES":
        texts = [one if isinstance(one, str) else one.decode() for one in result.as_numpy()[0]]
        same(texts, [one.decode() for one in array[0]])
    else:
        same_array(result.as_numpy(), array)


NO_BF16 = "its table of datatypes lacks BF16"
NO_FP16 = "it sends FP16 as raw data only"
FORMS = [("binary", True), ("JSON", False)] if IS_REST else [("raw", True), ("typed", False)]
for datatype, (_, array) in EXTREMES.items():
    for form, binary in FORMS:
        given = array if binary or not IS_REST else in_json(array)
        run = lambda: echo(datatype, given, binary)  # noqa: E731
        if datatype == "BF16":
            cases.bug(f"BF16 {form}", NO_BF16, run)
        elif datatype == "FP16" and not binary:
            cases.bug(f"FP16 {form}", NO_FP16, run)
        else:
            case(f"{datatype} {form}", run)


# Options


def several_inputs():
    ids, mask = np.array([[1, -(2**63)]]), np.array([[True, False]])
    given = [tensor("mask", "BOOL", mask), tensor("ids", "INT64", ids)]
    outputs = infer("pair", *given, request_outputs=[RequestedOutput("mask")]).outputs
    same([one.name for one in outputs], ["mask"])
    same_array(outputs[0].as_numpy(), mask)


def every_option():
    parameters = {"priority": 1, "timeout": 30_000_000, "colour": "blue"}
    answer = infer(
        "echo.float32", row(1, 2), request_id="my id", model_version="7", parameters=parameters, headers={"x-note": "1"}
    )
    same((answer.id, answer.model_name), ("my id", "echo.float32"))


async def at_once():
    answers = await asyncio.gather(*[ask("echo.float32", row(number)) for number in range(20)])
    same([float(answer.outputs[0].as_numpy()[0, 0]) for answer in answers], [float(number) for number in range(20)])


case("several inputs, one requested output", several_inputs)
case("id, version, priority, timeout, parameters, headers", every_option)
case("20 at once", at_once)


# Refusals


STATUSES = {
    "INVALID_INPUT": (400, "INVALID_ARGUMENT"),
    "NOT_FOUND": (404, "NOT_FOUND"),
    "USER_CODE": (500, "INTERNAL"),
    "DEADLINE_EXCEEDED": (504, "DEADLINE_EXCEEDED"),
}


def refused(code, *parts, ask):
    """The exception of its transport, with the row of the catalogue, and the message of the server."""
    http, status = STATUSES[code]
    try:
        ask()
    except httpx.HTTPStatusError as error:
        same(error.response.status_code, http)
        same(error.response.headers["x-error-code"], code)
        contains(str(error), *parts)
    except grpc.RpcError as error:
        same(error.code().name, status)
        contains(error.details(), f"{code}: ", *parts)
    else:
        raise AssertionError("it was accepted")


def refusal(name, code, *parts, ask):
    case(name, lambda: refused(code, *parts, ask=ask))


def gives_up():
    try:
        infer("slow", document(1), timeout=0.2)
    except httpx.TimeoutException:
        return
    except grpc.RpcError as error:
        same(error.code().name, "DEADLINE_EXCEEDED")
        return
    raise AssertionError("it was answered")


two = np.array([[1, 2]], dtype=np.int64)
flat = tensor("input", "FP32", np.ones(2, np.float32))
other = tensor("other", "FP32", np.ones((1, 2), np.float32))
FLOATS = "echo.float32"
if IS_REST:
    case("model ready: unknown model", lambda: same(wait(client.is_model_ready(*WHERE, "nope")), False))
else:
    refusal("model ready: unknown model", "NOT_FOUND", '"nope"', ask=lambda: wait(client.is_model_ready("nope")))
    refusal("unknown version", "NOT_FOUND", 'version "99"', ask=lambda: infer(FLOATS, row(1), model_version="99"))
refusal("unknown model", "NOT_FOUND", 'the model "nope"', ask=lambda: infer("nope", row(1)))
refusal("wrong dtype", "INVALID_INPUT", '"INT64"', "FP32", ask=lambda: infer(FLOATS, tensor("input", "INT64", two)))
refusal("wrong shape", "INVALID_INPUT", "[2]", ask=lambda: infer(FLOATS, flat))
refusal(
    "missing input", "INVALID_INPUT", "1 are given; wanted 2", ask=lambda: infer("pair", tensor("ids", "INT64", two))
)
refusal("unknown input", "INVALID_INPUT", '"other"', ask=lambda: infer(FLOATS, other))
refusal(
    "unknown output",
    "INVALID_INPUT",
    '"other"',
    ask=lambda: infer(FLOATS, row(1), request_outputs=[RequestedOutput("other")]),
)
refusal("model that streams, by infer", "INVALID_INPUT", "ModelStreamInfer", ask=lambda: infer("tokens", document(3)))
refusal("model that fails", "USER_CODE", "the log has the cause", ask=lambda: infer("broken", document(1)))
refusal(
    "timeout of the request",
    "DEADLINE_EXCEEDED",
    "deadline",
    ask=lambda: infer("slow", document(1), parameters={"timeout": 100_000}),
)
case("timeout of the client", gives_up)

wait(client.close())
