"""BentoML's stubs of its older gRPC API, on test/support/kinds-service.ts: bento_v1alpha1.py HOST:PORT v1alpha1

BentoML's client refuses this version, and says itself to use the stubs. Kinds of files are numbers, not media types.
"""

from bento_stubs import BLOB, FLOATS, array, call, file, pb, plain_parts, png, refused

import bentoml
import pandas as pd
from bento_stubs import data_frame
from report import Cases, same

case = Cases(f"BentoML {bentoml.__version__} v1alpha1").case
File = pb.File


def numbers():
    same(list(call("numbers", ndarray=array(FLOATS)).ndarray.float_values), FLOATS.flatten().tolist())


def plain_form():
    answer = call("plain", multipart=pb.Multipart(fields=plain_parts())).multipart.fields
    same(
        (answer["words"].text.value, list(answer["numbers"].ndarray.float_values)), ("Grüße", FLOATS.flatten().tolist())
    )


def one_column():
    answer = call("ages", dataframe=data_frame(pd.DataFrame({"age": [2**63 - 1]})))
    same(list(answer.dataframe.columns[0].int64_values), [2**63 - 1])


case("text, by stubs", lambda: same(call("words", text={"value": "Grüße"}).text.value, "Grüße"))
case("tensor of float32, by stubs", numbers)
case("bytes, by stubs", lambda: same(call("blob", serialized_bytes=BLOB).serialized_bytes, BLOB))
case("file, by stubs", lambda: same(call("document", file=File(content=BLOB)).file, file(File.FILE_TYPE_BYTES)))
pdf = file(File.FILE_TYPE_PDF, b"%PDF-")
case("PDF file, by stubs", lambda: same(call("report", file=pdf).file, pdf))
case(
    "image, by stubs", lambda: same(call("picture", file=file(File.FILE_TYPE_PNG, png())).file.kind, File.FILE_TYPE_PNG)
)
case("table of one column, by stubs", one_column)
case("form, by stubs", plain_form)
case(
    "refused: unknown API",
    lambda: refused("NOT_FOUND", 'the API "nope"', ask=lambda: call("nope", text={"value": "x"})),
)
