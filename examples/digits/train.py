"""Train a small classifier of handwritten digits and export it to ONNX.

Data: the 1,797 images of 8x8 pixels that ship inside scikit-learn
(sklearn.datasets.load_digits); nothing is downloaded. A stratified 20 % is
held out, and is used for nothing but the accuracy and the example images.
The other images are trained on, each also shifted by one pixel in each of
the four directions.

Run (Python 3.11 or later):

    python -m venv .venv
    .venv/bin/pip install -r requirements.txt
    .venv/bin/python train.py

It writes these files beside this script:

digits.onnx    The model, a perceptron of 64-128-64-10 units.
               Input  `pixels`: float32 [rows, 64], one image a row, its 8x8
               pixels row by row, each an intensity from 0 (background) to
               16 (full ink). The graph itself divides by 16.
               Output `probabilities`: float32 [rows, 10], the probability of
               each digit 0 to 9; every row sums to 1.
metrics.json   The number of images, and the held-out accuracy (a fraction,
               0 to 1) of digits.onnx as run by onnxruntime. trainImages
               leaves the shifted copies out.
images.json    The first two held-out images of each digit, in the data set's
               order, whatever the model makes of them: the true label, the
               64 pixels, and the 10 probabilities that digits.onnx gives.

Seeds are fixed and the arithmetic runs on one thread, so a second run on the
same kind of processor with the pinned versions writes the same bytes. Other
processors may round differently.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

HERE = Path(__file__).resolve().parent
SEED = 0
HELD_OUT_FRACTION = 0.2
HIDDEN_UNITS = (128, 64)
MAX_INTENSITY = 16
OPSET = 17
IR_VERSION = 8
IMAGES_PER_DIGIT = 2
MIN_ACCURACY = 0.97


def with_shifts(pixels, labels):
    """Add four copies of each image [n, 64], each shifted by one pixel."""
    padded = np.pad(pixels.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    corners = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    copies = [padded[:, y : y + 8, x : x + 8].reshape(-1, 64) for y, x in corners]
    return np.concatenate(copies), np.tile(labels, len(copies))


def train(pixels, labels):
    pixels, labels = with_shifts(pixels, labels)
    classifier = MLPClassifier(HIDDEN_UNITS, alpha=1e-3, max_iter=300, random_state=SEED)
    with threadpool_limits(limits=1):
        return classifier.fit(pixels / MAX_INTENSITY, labels)


def to_onnx(classifier):
    """Build the ONNX model: Div, then Gemm and Relu a layer, then Softmax."""
    initializers = [numpy_helper.from_array(np.float32(MAX_INTENSITY), "max_intensity")]
    nodes = [helper.make_node("Div", ["pixels", "max_intensity"], ["scaled"], "scale")]
    previous = "scaled"
    layers = list(zip(classifier.coefs_, classifier.intercepts_))
    for number, (weight, bias) in enumerate(layers, start=1):
        initializers += [
            numpy_helper.from_array(weight.astype(np.float32), f"weight{number}"),
            numpy_helper.from_array(bias.astype(np.float32), f"bias{number}"),
        ]
        inputs = [previous, f"weight{number}", f"bias{number}"]
        previous = f"sum{number}"
        nodes.append(helper.make_node("Gemm", inputs, [previous], f"dense{number}"))
        if number < len(layers):
            nodes.append(helper.make_node("Relu", [previous], [f"hidden{number}"], f"relu{number}"))
            previous = f"hidden{number}"
    nodes.append(helper.make_node("Softmax", [previous], ["probabilities"], "softmax", axis=1))

    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["rows", 64])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 10])],
        initializers,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def run(path, pixels):
    """Run the exported model on images [n, 64]; return probabilities [n, 10]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"pixels": pixels.astype(np.float32)})[0]


def image_lines(pixels, labels, probabilities):
    """Return the example images as JSON, one line each, in order of digit."""
    chosen = [i for digit in range(10) for i in np.flatnonzero(labels == digit)[:IMAGES_PER_DIGIT]]
    return [
        json.dumps(
            {
                "label": int(labels[i]),
                "pixels": [int(value) for value in pixels[i]],
                "probabilities": [round(float(value), 6) for value in probabilities[i]],
            }
        )
        for i in chosen
    ]


def main():
    pixels, labels = load_digits(return_X_y=True)
    train_rows, held_out_rows = train_test_split(
        np.arange(len(labels)), test_size=HELD_OUT_FRACTION, stratify=labels, random_state=SEED
    )
    train_rows.sort()
    held_out_rows.sort()

    classifier = train(pixels[train_rows], labels[train_rows])
    model_path = HERE / "digits.onnx"
    model_path.write_bytes(to_onnx(classifier).SerializeToString(deterministic=True))

    held_out_pixels, held_out_labels = pixels[held_out_rows], labels[held_out_rows]
    probabilities = run(model_path, held_out_pixels)
    accuracy = float(np.mean(probabilities.argmax(axis=1) == held_out_labels))
    metrics = {
        "heldOutImages": len(held_out_rows),
        "heldOutAccuracy": round(accuracy, 6),
        "trainImages": len(train_rows),
    }
    (HERE / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    lines = image_lines(held_out_pixels, held_out_labels, probabilities)
    (HERE / "images.json").write_text("[\n  " + ",\n  ".join(lines) + "\n]\n")

    print(json.dumps(metrics))
    if accuracy < MIN_ACCURACY:
        raise SystemExit(f"held-out accuracy {accuracy:.4f} is below {MIN_ACCURACY}")


if __name__ == "__main__":
    main()
