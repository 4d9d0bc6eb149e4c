"""What the tests of both of BentoML's clients send to test/support/kinds-service.ts."""

import os

os.environ["BENTOML_DO_NOT_TRACK"] = "true"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import PIL.Image  # noqa: E402
from bentoml.exceptions import BadInput  # noqa: E402
from report import contains, same  # noqa: E402

TREE = {"name": "x", "children": [{"name": "y"}]}
FLOATS = np.array([[1.5, 2], [3, 4]], dtype="float32")
BLOB = bytes(range(256))
PIXELS = np.arange(2 * 3 * 3, dtype="uint8").reshape(2, 3, 3)
PAIR = {"ids": [[1, 2]], "mask": [[True, False]]}
PEOPLE = pd.DataFrame(
    {
        "name": ["Ann", "007"],
        "member": [True, False],
        "age": np.array([1, 2], "int32"),
        "id": np.array([5, -6], "int64"),
        "height": np.array([1.5, 2.5], "float32"),
        "weight": [0.1, 0.25],
    }
)
GAPS = PEOPLE.assign(height=np.array([1.5, np.nan], "float32"))


def picture(call, image, exact=True):
    back = call(image)
    same((back.mode, back.size), (image.mode, image.size))
    if exact:
        same(np.asarray(back).tolist(), np.asarray(image).tolist())


def rgb():
    return PIL.Image.fromarray(PIXELS)


def grey():
    return PIL.Image.fromarray(PIXELS[:, :, 0])


def rgba():
    return PIL.Image.new("RGBA", (2, 2), (1, 2, 3, 128))


def same_table(given, wanted):
    pd.testing.assert_frame_equal(given, wanted, check_dtype=True)


def same_form(given, names):
    same(set(given), set(names))
    same((given["tree"], given["words"], given["note"]), (TREE, "Grüße", "hm"))
    same(np.asarray(given["numbers"]).tolist(), FLOATS.tolist())


def refused_by_client(ask):
    """It knows the shape from the metadata of the service."""
    try:
        ask()
    except BadInput as error:
        contains(str(error), "(1, 3)")
        return
    raise AssertionError("it was accepted")
