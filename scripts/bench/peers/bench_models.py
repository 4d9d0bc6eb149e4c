"""The models of the bench, the same in every peer, and what the bench says about them.

`run` takes a float32 array [rows, columns] and gives one with as many rows.
"""

import os
import time

import numpy

# 1: no batching.
MAX_BATCH_SIZE = int(os.environ["BENCH_MAX_BATCH_SIZE"])
# How long a batch waits for more rows, in the peers that ask for it.
BATCH_WAIT_S = float(os.environ["BENCH_BATCH_WAIT_MS"]) / 1000


class Echo:
    def run(self, rows):
        return rows


class Mlp:
    def __init__(self):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            os.environ["BENCH_MLP_FILE"], options, providers=["CPUExecutionProvider"]
        )

    def run(self, rows):
        return self._session.run(["logits"], {"input": rows})[0]


class Accelerator:
    """Takes time, but no CPU."""

    def __init__(self):
        self._fixed_ms = float(os.environ["BENCH_FIXED_MS"])
        self._per_row_ms = float(os.environ["BENCH_PER_ROW_MS"])

    def run(self, rows):
        time.sleep((self._fixed_ms + self._per_row_ms * len(rows)) / 1000)
        return rows


MODELS = {"echo": Echo, "mlp": Mlp, "accelerator": Accelerator}


def load_model():
    return MODELS[os.environ["BENCH_MODEL"]]()


def rows_of(value):
    """JSON lists to what the models take."""
    return numpy.asarray(value, dtype=numpy.float32)
