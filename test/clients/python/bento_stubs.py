"""BentoML's generated stubs, and what is sent by them where its client cannot: see bento_grpc.py."""

import sys

from bento_values import BLOB, FLOATS, PIXELS

import io

import grpc
import numpy as np
import PIL.Image
from bentoml.grpc.utils import import_generated_stubs
from google.protobuf import json_format, struct_pb2
from report import contains, same

ADDRESS, VERSION = sys.argv[1:]
pb, services = import_generated_stubs(VERSION)
channel = grpc.insecure_channel(ADDRESS)
stub = services.BentoServiceStub(channel)


def call(api, **content):
    return stub.Call(request=pb.Request(api_name=api, **content))


def as_value(given):
    return json_format.ParseDict(given, struct_pb2.Value())


def array(given):
    return pb.NDArray(dtype=pb.NDArray.DTYPE_FLOAT, shape=given.shape, float_values=given.flatten())


def png():
    file = io.BytesIO()
    PIL.Image.fromarray(PIXELS).save(file, "PNG")
    return file.getvalue()


def column(values):
    lists = {np.dtype("int64"): "int64_values", np.dtype("float64"): "double_values", np.dtype("bool"): "bool_values"}
    return pb.Series(**{lists.get(values.dtype, "string_values"): values.tolist()})


def data_frame(frame):
    return pb.DataFrame(column_names=list(frame.columns), columns=[column(frame[name]) for name in frame.columns])


def file(kind, content=BLOB):
    return pb.File(kind=kind, content=content)


def plain_parts():
    texts = {"words": pb.Part(text={"value": "Grüße"}), "note": pb.Part(text={"value": "hm"})}
    return {"tree": pb.Part(json=as_value({"name": "x"})), "numbers": pb.Part(ndarray=array(FLOATS)), **texts}


def refused(status, *parts, ask):
    """Of the stubs it is a grpc.RpcError, of BentoML's client sometimes one of its own that wraps it."""
    try:
        ask()
    except Exception as error:
        rpc_error = error if hasattr(error, "details") else error.__cause__
        same(rpc_error.code().name, status)
        contains(rpc_error.details(), *parts)
        return
    raise AssertionError("it was accepted")
