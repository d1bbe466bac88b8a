#!/usr/bin/env python3
"""MobileNet V2 (Sandler et al., 2018) at 224 x 224, with random weights: speed does not depend on them.

    venv/bin/python scripts/mobilenet.py make FILE         writes the model
    venv/bin/python scripts/mobilenet.py time FILE RUNS    milliseconds a run, onnxruntime on one thread
"""
import sys
import time

import numpy as np


def make(path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(1)
    nodes, weights = [], []

    def conv(x, cin, cout, kernel, stride=1, groups=1, relu=True):
        name = f"c{len(nodes)}"
        w = rng.normal(0, (2 / (kernel * kernel * cin / groups)) ** 0.5, (cout, cin // groups, kernel, kernel))
        weights.extend([
            numpy_helper.from_array(w.astype(np.float32), name + "w"),
            numpy_helper.from_array(np.zeros(cout, np.float32), name + "b"),
        ])
        pad = kernel // 2
        nodes.append(helper.make_node("Conv", [x, name + "w", name + "b"], [name], strides=[stride] * 2, pads=[pad] * 4, group=groups))
        if not relu:
            return name
        nodes.append(helper.make_node("Clip", [name, "zero", "six"], [name + "r"]))
        return name + "r"

    weights.append(numpy_helper.from_array(np.float32(0), "zero"))
    weights.append(numpy_helper.from_array(np.float32(6), "six"))
    x, cin = conv("input", 3, 32, 3, 2), 32
    for t, c, n, s in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for i in range(n):
            y = conv(x, cin, cin * t, 1) if t > 1 else x
            y = conv(y, cin * t, cin * t, 3, s if i == 0 else 1, cin * t)
            y = conv(y, cin * t, c, 1, relu=False)
            if i > 0:
                nodes.append(helper.make_node("Add", [x, y], [y + "a"]))
                y = y + "a"
            x, cin = y, c
    x = conv(x, cin, 1280, 1)
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["pool"]))
    nodes.append(helper.make_node("Flatten", ["pool"], ["flat"]))
    weights.append(numpy_helper.from_array(rng.normal(0, 0.03, (1280, 1000)).astype(np.float32), "fcw"))
    weights.append(numpy_helper.from_array(np.zeros(1000, np.float32), "fcb"))
    nodes.append(helper.make_node("Gemm", ["flat", "fcw", "fcb"], ["output"]))
    f = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "mobilenet_v2",
        [helper.make_tensor_value_info("input", f, [1, 3, 224, 224])],
        [helper.make_tensor_value_info("output", f, [1, 1000])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def measure(path, runs):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    spec = session.get_inputs()[0]
    x = np.zeros([d if isinstance(d, int) else 1 for d in spec.shape], np.float32) + 0.5
    times = []
    for _ in range(runs + 3):
        start = time.perf_counter()
        session.run(None, {spec.name: x})
        times.append(time.perf_counter() - start)
    print(sorted(times[3:])[runs // 2] * 1000)


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    measure(sys.argv[2], int(sys.argv[3]))
