"""BentoML's client over HTTP against test/support/kinds-service.ts: python bento_http.py URL

Bugs of BentoML 1.1 that are there whatever the server, BentoML's own included:
- it cannot read a file or an image in a multipart answer: its parser makes the names of headers texts and looks them
  up as bytes (KeyError 'content-type'); so the API `sizes` takes a form with files and gives JSON;
- 1.1.6 cannot send a text in a multipart: its Text descriptor gives a StreamingResponse, which has no body.
"""

import io
import sys

from bento_values import BLOB, FLOATS, GAPS, PAIR, PEOPLE, TREE, grey, picture, refused_by_client, rgb, rgba
from bento_values import same_form, same_table

import bentoml
import numpy as np
import pandas as pd
from bentoml.client import Client
from bentoml.exceptions import BentoMLException
from report import Cases, contains, same, same_array

[URL] = sys.argv[1:]
cases = Cases(f"BentoML {bentoml.__version__} HTTP")
case = cases.case

host, port = URL.removeprefix("http://").split(":")
Client.wait_until_server_ready(host, int(port), timeout=30)
client = Client.from_url(URL)


def refused(code, *parts, ask):
    try:
        ask()
    except BentoMLException as error:
        contains(str(error), f'"code":"{code}"', *parts)
        return
    raise AssertionError("it was accepted")


case("from_url, endpoints", lambda: contains(client.endpoints, "anything", "form", "tokens"))
case("JSON", lambda: same(client.anything({"a": [1, None, "ä"]}), {"a": [1, None, "ä"]}))
case("JSON with a schema", lambda: same(client.tree(TREE), TREE))
case("tensor of float32", lambda: same_array(client.numbers(FLOATS), FLOATS))
longs = np.array([1, -(2**63), 2**63 - 1], dtype="int64")
case("tensor of int64", lambda: same_array(client.longs(longs), longs))
case("tensor of texts", lambda: same(list(client.labels(np.array(["a", "ß"]))), ["a", "ß"]))
case("several tensors", lambda: same(client.pair(PAIR), PAIR))
case("text", lambda: same(client.words("Grüße"), "Grüße"))
case("HTML", lambda: same(client.page("ab"), "ab"))
for name, api in [("bytes", "blob"), ("file", "document"), ("PDF file", "report"), ("sound file", "sound")]:
    case(name, lambda: same(getattr(client, api)(io.BytesIO(BLOB)).read(), BLOB))
case("image", lambda: picture(client.picture, rgb()))
case("grey image as JPEG", lambda: picture(client.scan, grey(), exact=False))
case("image with alpha as WebP", lambda: picture(client.sprite, rgba(), exact=False))
case("table", lambda: same_table(client.people(PEOPLE), PEOPLE))
case("table with a gap", lambda: same_table(client.people(GAPS), GAPS))
long_ids = PEOPLE.assign(id=np.array([2**53 + 1, -(2**63)], "int64"))
too_long = "as text beyond 2^53"  # in a table with floats, long numbers may be either
case(
    "table with int64 beyond 2^53: refused, not rounded",
    lambda: refused("INVALID_INPUT", too_long, ask=lambda: client.people(long_ids)),
)
one = pd.DataFrame({"age": np.array([5, -6], "int64")})
case("table of one column", lambda: same_table(client.ages(one), one))
free = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})
case("table of any columns", lambda: same_table(client.open(free), free))

PARTS = {"tree": TREE, "numbers": FLOATS, "words": "Grüße", "note": "hm"}
NO_TEXT = "its Text descriptor cannot be a part: 'StreamingResponse' has no body"
form_case = case if bentoml.__version__ != "1.1.6" else lambda name, run: cases.bug(name, NO_TEXT, run)
form_case("form", lambda: same_form(client.plain(**PARTS), PARTS))


def files():
    return {
        **PARTS,
        "people": PEOPLE,
        "blob": io.BytesIO(BLOB),
        "document": io.BytesIO(BLOB),
        "picture": rgb(),
        "ids": PAIR,
    }


def sizes():
    document = {"name": "file", "mediaType": "application/octet-stream", "bytes": 256}
    wanted = {"blob": 256, "document": document, "picture": [2, 3, 3], "people": 2, "note": "hm"}
    same(client.sizes(**files()), wanted)


form_case("form with files, answered by JSON", sizes)
cases.bug(
    "form with files, answered by such", "it looks the headers of parts up as bytes", lambda: client.form(**files())
)
case("stream of texts, as a whole", lambda: same(client.tokens("a b"), '"a"\n"b"\n'))
case("stream of JSON, as a whole", lambda: same(client.events([1, {"a": 2}]), '1\n{"a":2}\n'))
case(
    "refused: schema",
    lambda: refused("INVALID_INPUT", "must have required property", ask=lambda: client.tree({"nom": 1})),
)
case("refused: text that is too long", lambda: refused("TOO_LARGE", "at most 3", ask=lambda: client.page("abcd")))
case(
    "refused by the client itself: wrong shape",
    lambda: refused_by_client(lambda: client.numbers(np.ones((1, 3), "float32"))),
)
