"""BentoML's client over gRPC against test/support/kinds-service.ts: python bento_grpc.py HOST:PORT v1

Bugs of BentoML 1.1 that are there whatever the server, BentoML's own included:
- 1.1.7 to 1.1.11: Client.from_url(kind='grpc') fails, GrpcClient has no _create_channel: one assignment puts it right;
- 1.1.6: methods give the message of the answer, which is decoded here by BentoML's own descriptors;
- 1.1.7 to 1.1.11: APIs that take several parts cannot be called: their arguments go into the message Request as well;
- the File descriptor has no proto_fields: files cannot be sent;
- NumPy texts (<U1) find no field in NDArray, pandas texts none in Series.
What the client cannot do is done by BentoML's generated stubs, and read by its descriptors.
"""

import asyncio

from bento_stubs import ADDRESS, as_value, array, call, channel, data_frame, file, pb, plain_parts, png, refused
from bento_values import (
    BLOB,
    FLOATS,
    PAIR,
    PEOPLE,
    PIXELS,
    TREE,
    grey,
    picture,
    refused_by_client,
    rgb,
    rgba,
    same_form,
)

import io

import bentoml
import bentoml._internal.client.grpc as grpc_client
import numpy as np
import pandas as pd
from bentoml.client import Client
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from report import Cases, contains, same, same_array

cases = Cases(f"BentoML {bentoml.__version__} gRPC")
case, bug = cases.case, cases.bug
IS_LATER = hasattr(grpc_client, "SyncGrpcClient")  # 1.1.7 and later

if IS_LATER:
    bug("from_url, endpoints", "GrpcClient has no _create_channel", lambda: Client.from_url(ADDRESS, kind="grpc"))
    grpc_client.GrpcClient._create_channel = grpc_client.SyncGrpcClient._create_channel
client = Client.from_url(ADDRESS, kind="grpc")
if not IS_LATER:
    case("from_url, endpoints", lambda: contains(client.endpoints, "anything", "form", "tokens"))


def decoded(api, answer):
    if not isinstance(answer, pb.Response):
        return answer
    return asyncio.run(client._svc.apis[api].output.from_proto(getattr(answer, answer.WhichOneof("content"))))


def ask(api, *args, **parts):
    return decoded(api, getattr(client, api)(*args, **parts))


def by_stub(api, **content):
    return decoded(api, call(api, **content))


case("JSON", lambda: same(ask("anything", {"a": [1, None, "ä"]}), {"a": [1, None, "ä"]}))
case("JSON with a schema", lambda: same(ask("tree", TREE), TREE))
case("tensor of float32", lambda: same_array(ask("numbers", FLOATS), FLOATS))
longs = np.array([1, -(2**63), 2**63 - 1], dtype="int64")
case("tensor of int64", lambda: same_array(ask("longs", longs), longs))
bug("tensor of texts", "it finds no field for them in NDArray", lambda: ask("labels", np.array(["a", "ß"])))
texts = pb.NDArray(string_values=["a", "ß"], shape=[2])
case("tensor of texts, by stubs", lambda: same(list(by_stub("labels", ndarray=texts)), ["a", "ß"]))
case("text", lambda: same(ask("words", "Grüße"), "Grüße"))
case("HTML", lambda: same(ask("page", "ab"), "ab"))
for name, api, kind in [
    ("bytes", "blob", "application/octet-stream"),
    ("file", "document", "application/octet-stream"),
    ("PDF file", "report", "application/pdf"),
    ("sound file", "sound", "audio/ogg"),
]:
    bug(name, "its File descriptor has no proto_fields", lambda: ask(api, io.BytesIO(BLOB)))
    case(f"{name}, by stubs", lambda: same(by_stub(api, file=file(kind)).read(), BLOB))
case("image", lambda: picture(lambda image: ask("picture", image), rgb()))
case("grey image as JPEG", lambda: picture(lambda image: ask("scan", image), grey(), exact=False))
case("image with alpha as WebP", lambda: picture(lambda image: ask("sprite", image), rgba(), exact=False))


def table(api, frame, given):
    same(list(given.columns), list(frame.columns))
    for name in frame.columns:
        same(given[name].tolist(), frame[name].tolist())


one = pd.DataFrame({"age": np.array([5, -(2**63)], "int64")})
case("table of one column", lambda: table("ages", one, ask("ages", one)))
series = pb.Series(int64_values=one["age"].tolist())
case("table of one column as Series, by stubs", lambda: table("ages", one, by_stub("ages", series=series)))
free = pd.DataFrame({"a": [1.5, 2.5], "b": np.array([1, 2], "int32"), "c": [True, False]})
case("table of any columns", lambda: table("open", free, ask("open", free)))
bug("table", "it finds no field for texts in Series", lambda: ask("people", PEOPLE))
people = PEOPLE.assign(id=np.array([2**53 + 1, -(2**63)], "int64")).astype({"age": "int64", "height": "float64"})
case("table, by stubs", lambda: table("people", people, by_stub("people", dataframe=data_frame(people))))


def several(name, run):
    """An API that takes several parts."""
    if IS_LATER:
        bug(name, "it puts the parts into the message Request as well", run)
    else:
        case(name, run)


def several_tensors():
    given = ask("pair", ids=np.array(PAIR["ids"]), mask=np.array(PAIR["mask"]))
    same({name: value.tolist() for name, value in given.items()}, PAIR)


PARTS = {"tree": TREE, "numbers": FLOATS, "words": "Grüße", "note": "hm"}
several("several tensors", several_tensors)
several("form", lambda: same_form(ask("plain", **PARTS), PARTS))


def plain_form():
    given = by_stub("plain", multipart=pb.Multipart(fields=plain_parts()))
    same_form({**given, "tree": TREE}, PARTS)


def whole_form():
    """BentoML reads no part with a file, its File descriptor wants serialized_bytes there: each is read apart."""
    more = {
        "people": pb.Part(dataframe=data_frame(people)),
        "blob": pb.Part(serialized_bytes=BLOB),
        "document": pb.Part(file=file("text/plain", b"d")),
        "picture": pb.Part(file=file("image/png", png())),
        "ids": pb.Part(json=as_value(PAIR)),
    }
    answer = call("form", multipart=pb.Multipart(fields={**plain_parts(), **more})).multipart.fields
    descriptors = client._svc.apis["form"].output._inputs
    read = lambda name, part: asyncio.run(descriptors[name].from_proto(part))  # noqa: E731
    table("form", people, read("people", answer["people"].dataframe))
    same(read("ids", answer["ids"].json), PAIR)
    same(answer["document"].file, file("text/plain", b"d"))
    same(read("blob", answer["blob"].serialized_bytes).read(), BLOB)
    same(np.asarray(read("picture", answer["picture"].file)).tolist(), PIXELS.tolist())


case("form, by stubs", plain_form)
case("form with files, by stubs", whole_form)

INVALID = "INVALID_ARGUMENT"
case(
    "refused: schema",
    lambda: refused(INVALID, "must have required property 'name'", ask=lambda: ask("tree", {"nom": 1})),
)
case(
    "refused: text that is too long",
    lambda: refused("RESOURCE_EXHAUSTED", "at most 3", ask=lambda: ask("page", "abcd")),
)
case(
    "refused by the client itself: wrong shape",
    lambda: refused_by_client(lambda: ask("numbers", np.ones((1, 3), "float32"))),
)
case(
    "refused: wrong content",
    lambda: refused(INVALID, "it is text; wanted file", ask=lambda: call("picture", text={"value": "x"})),
)
case(
    "refused: unknown API",
    lambda: refused("NOT_FOUND", 'the API "nope"', ask=lambda: call("nope", text={"value": "x"})),
)
case(
    "refused: API that streams",
    lambda: refused(INVALID, "/jubako.v1.Jubako/CallStream", ask=lambda: ask("tokens", "a b")),
)


def call_stream(api, **content):
    path = "/jubako.v1.Jubako/CallStream"
    method = channel.unary_stream(path, pb.Request.SerializeToString, pb.Response.FromString)
    return list(method(pb.Request(api_name=api, **content)))


def streamed_rows():
    answers = call_stream("rows", ndarray=array(FLOATS))
    same([list(answer.ndarray.float_values) for answer in answers], [FLOATS.flatten().tolist()] * 2)


words = {"value": "a b c"}
case(
    "stream of texts, by CallStream",
    lambda: same([one.text.value for one in call_stream("tokens", text=words)], ["a", "b", "c"]),
)
case("stream of tensors, by CallStream", streamed_rows)
case(
    "refused: CallStream of one value",
    lambda: refused(INVALID, "it gives one value", ask=lambda: call_stream("words", text=words)),
)


def health():
    check = health_pb2_grpc.HealthStub(channel).Check
    for service in ["", "bentoml.grpc.v1.BentoService", "inference.GRPCInferenceService", "jubako.v1.Jubako"]:
        same(check(health_pb2.HealthCheckRequest(service=service)).status, health_pb2.HealthCheckResponse.SERVING)


def reflection():
    database = ProtoReflectionDescriptorDatabase(channel)
    contains(list(database.get_services()), "bentoml.grpc.v1.BentoService", "jubako.v1.Jubako")
    method = DescriptorPool(database).FindServiceByName("bentoml.grpc.v1.BentoService").FindMethodByName("Call")
    same(
        (method.input_type.full_name, method.output_type.full_name),
        ("bentoml.grpc.v1.Request", "bentoml.grpc.v1.Response"),
    )


case("health of each service", health)
case("reflection", reflection)
