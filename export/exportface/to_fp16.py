"""Weights of half the size: stored as fp16 numbers, computed with as fp32 ones."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from genface.errors import UserError

SMALL = 4096
"""Tensors of fewer numbers stay as they are: biases and constants, under a hundredth of any file."""


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose weights are fp16 numbers, each behind a `Cast` to fp32, which runtimes carry out once, at loading.

    So it draws as fast as the original, and its weights are rounded to 11 binary digits. Raises UserError, naming the
    tensor, for a weight beyond fp16's range of plus and minus 65,504.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    casts = []
    for tensor in copy.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < SMALL:
            continue
        name, stored = tensor.name, f"{tensor.name}.fp16"
        with np.errstate(over="ignore"):
            halves = numpy_helper.to_array(tensor).astype(np.float16)
        if not np.isfinite(halves).all():
            raise UserError(f"{name} has weights beyond {np.finfo(np.float16).max:,.0f}, fp16's largest: take fp32")
        tensor.CopyFrom(numpy_helper.from_array(halves, stored))
        casts.append(helper.make_node("Cast", [stored], [name], f"{name}/fp32", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *copy.graph.node]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    onnx.checker.check_model(copy, full_check=True)
    return copy
