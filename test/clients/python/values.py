"""Tensors of every datatype with the ends of its range, as NumPy arrays [1, n]; `echo.<dtype>` gives them back."""

import ml_dtypes
import numpy as np


def whole(dtype):
    limits = np.iinfo(dtype)
    return np.array([[limits.min, limits.min + 1, 0, 1, limits.max - 1, limits.max]], dtype=dtype)


def floats(dtype, limits):
    values = [0.0, -0.0, 1.5, limits.max, limits.min, limits.smallest_normal, limits.smallest_subnormal]
    return np.array([[*values, np.inf, -np.inf, np.nan]], dtype=dtype)


TEXTS = ["", "Grüße", "日本語 🦄", "with\x00zero", "x" * 70_000]

EXTREMES = {
    "BOOL": ("bool", np.array([[True, False, True]])),
    "UINT8": ("uint8", whole(np.uint8)),
    "UINT16": ("uint16", whole(np.uint16)),
    "UINT32": ("uint32", whole(np.uint32)),
    "UINT64": ("uint64", whole(np.uint64)),
    "INT8": ("int8", whole(np.int8)),
    "INT16": ("int16", whole(np.int16)),
    "INT32": ("int32", whole(np.int32)),
    "INT64": ("int64", whole(np.int64)),
    "FP16": ("float16", floats(np.float16, np.finfo(np.float16))),
    "BF16": ("bfloat16", floats(ml_dtypes.bfloat16, ml_dtypes.finfo(ml_dtypes.bfloat16))),
    "FP32": ("float32", floats(np.float32, np.finfo(np.float32))),
    "FP64": ("float64", floats(np.float64, np.finfo(np.float64))),
    "BYTES": ("string", np.array([[text.encode() for text in TEXTS]], dtype=object)),
}


def in_json(array):
    """JSON has neither NaN nor infinities, and as JavaScript writes it no -0.0."""
    if array.dtype.kind == "f":
        return array[:, np.isfinite(array[0]) & ~((array[0] == 0) & np.signbit(array[0]))]
    return array
