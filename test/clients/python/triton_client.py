"""One of tritonclient's four clients, named by the arguments, and one way to use all of them.

Facts about tritonclient 2.73 that hold whatever the server:
- over HTTP it names no content type;
- BF16 goes as ml_dtypes.bfloat16, over HTTP as binary data only;
- over HTTP `is_model_ready` is the status alone, over gRPC a model that is unknown raises.
"""

import importlib
import json
import sys

import numpy as np
from report import Cases, contains, same
from tritonclient.utils import InferenceServerException

KIND, ADDRESS = sys.argv[1:]
IS_HTTP = KIND.startswith("http")
IS_ASYNC = KIND.endswith(".aio")
triton = importlib.import_module(f"tritonclient.{KIND}")

cases = Cases(f"tritonclient.{KIND}")
case, wait = cases.case, cases.wait


async def connect():
    return triton.InferenceServerClient(ADDRESS)


client = wait(connect()) if IS_ASYNC else triton.InferenceServerClient(ADDRESS)


def call(method, *args, **options):
    return wait(getattr(client, method)(*args, **options))


def tensor(name, datatype, array, **options):
    given = triton.InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array, **options)
    return given


def documents(*values):
    """The input of a model that takes JSON."""
    return [tensor("input", "BYTES", np.array([json.dumps(value) for value in values], dtype=object))]


def read(result, name="output"):
    return [json.loads(text) for text in result.as_numpy(name)]


def field(answer, name):
    """Of what is JSON over HTTP and a message over gRPC."""
    return answer[name] if IS_HTTP else getattr(answer, name)


def row(*numbers):
    return tensor("input", "FP32", np.array([numbers], dtype=np.float32))


# What refusals look like: an HTTP status, and over gRPC a status and the code of the catalogue before the message.
STATUSES = {
    "INVALID_INPUT": ("400", "INVALID_ARGUMENT"),
    "FORBIDDEN": ("403", "PERMISSION_DENIED"),
    "NOT_FOUND": ("404", "NOT_FOUND"),
    "METHOD_NOT_ALLOWED": ("405", "UNIMPLEMENTED"),
    "USER_CODE": ("500", "INTERNAL"),
    "DEADLINE_EXCEEDED": ("504", "DEADLINE_EXCEEDED"),
}


def refused(code, *parts, ask):
    """The client raises its own exception with the row of the catalogue, and the message of the server."""
    try:
        ask()
    except InferenceServerException as error:
        http, grpc = STATUSES[code]
        same(error.status(), http if IS_HTTP else f"StatusCode.{grpc}")
        contains(error.message(), *parts, *([] if IS_HTTP else [f"{code}: "]))
        assert "secret" not in str(error), str(error)
        return
    raise AssertionError("it was accepted")


def refusal(name, code, *parts, ask):
    case(name, lambda: refused(code, *parts, ask=ask))
