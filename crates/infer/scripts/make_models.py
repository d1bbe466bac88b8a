#!/usr/bin/env python3
"""Makes the models in tests/models and what other runtimes say of them.

    python3 -m venv venv && venv/bin/pip install tensorflow-cpu scikit-learn onnx onnxruntime pillow
    venv/bin/python scripts/make_models.py tests/models

The one trained model reads handwritten digits. It learns from the scans that come with scikit-learn
(E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI, CC BY 4.0), on which a
second of training is enough. The same weights become an ONNX model, a frozen graph of TensorFlow and
a TensorFlow Lite file, so that each reader of tract is compared with the runtime the format is of.
The other models are a few nodes each, made to reach one limit.
"""
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
F32 = TensorProto.FLOAT


def save(name, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, [numpy_helper.from_array(v, k) for k, v in initializers])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, out / f"{name}.onnx")


def value(name, shape, kind=F32):
    return helper.make_tensor_value_info(name, kind, shape)


# --- the trained model -------------------------------------------------------------------------

tf.keras.utils.set_random_seed(7)
digits = load_digits()
images = (digits.images / 16).astype(np.float32)[..., None]
train, test = slice(0, 1500), slice(1500, None)
net = tf.keras.Sequential([
    tf.keras.layers.Input((8, 8, 1)),
    tf.keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
    tf.keras.layers.MaxPool2D(2),
    tf.keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
    tf.keras.layers.Flatten(),
    tf.keras.layers.Dense(10),
])
net.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
net.fit(images[train], digits.target[train], epochs=30, batch_size=32, verbose=0)
print("accuracy", net.evaluate(images[test], digits.target[test], verbose=0)[1])
(k1, b1), (k2, b2), (w3, b3) = [layer.get_weights() for layer in net.layers if layer.get_weights()]

# ONNX: channels first, so kernels turn, and the rows of the last matrix are sorted anew.
w3_chw = w3.reshape(4, 4, 16, 10).transpose(2, 0, 1, 3).reshape(256, 10)
save(
    "digits",
    [
        helper.make_node("Conv", ["image", "k1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "k2", "b2"], ["c2"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Flatten", ["r2"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["logits"]),
    ],
    [value("image", ["batch", 1, 8, 8])],
    [value("logits", ["batch", 10])],
    [("k1", k1.transpose(3, 2, 0, 1)), ("b1", b1), ("k2", k2.transpose(3, 2, 0, 1)), ("b2", b2), ("w3", w3_chw), ("b3", b3)],
)

# TensorFlow of 2020: RGB, whose mean is the grey that the net has learnt.
with tf.Graph().as_default() as graph:
    x = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], name="input")
    y = tf.nn.conv2d(x, np.repeat(k1, 3, axis=2) / 3, 1, "SAME", name="MobilenetV2/Conv/Conv2D")
    y = tf.nn.relu(tf.nn.bias_add(y, b1), name="MobilenetV2/Conv/Relu")
    y = tf.nn.max_pool2d(y, 2, 2, "VALID")
    y = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(y, k2, 1, "SAME"), b2))
    y = tf.reshape(y, [-1, 256])
    y = tf.add(tf.matmul(y, w3), b3, name="MobilenetV2/Logits")
    tf.nn.softmax(y, name="MobilenetV2/Predictions/Softmax")
(out / "digits.pb").write_bytes(graph.as_graph_def().SerializeToString())

fixed = tf.keras.Sequential([tf.keras.layers.Input((8, 8, 1), batch_size=1), *net.layers])
tflite = tf.lite.TFLiteConverter.from_keras_model(fixed).convert()
(out / "digits.tflite").write_bytes(tflite)
(out / "digits.txt").write_text("\n".join("zero one two three four five six seven eight nine".split()) + "\n")

# --- pictures and references -------------------------------------------------------------------

# One scan the size of a photograph's thumbnail, on coloured paper, as the JPEG of a phone would be.
scan, digit = images[1503, ..., 0], int(digits.target[1503])
grey = np.asarray(Image.fromarray((scan * 255).astype(np.uint8)).resize((120, 96), Image.BICUBIC), np.float32)
paper = np.stack([grey, grey * 0.9, grey * 0.8 + 30], axis=-1).clip(0, 255).astype(np.uint8)
Image.fromarray(paper).save(out / "digit.jpg", quality=92)
Image.fromarray(paper).save(out / "digit.png")

session = onnxruntime.InferenceSession(out / "digits.onnx")
run = lambda batch: session.run(None, {"image": np.ascontiguousarray(batch)})[0]
batch = images[1500:1508].transpose(0, 3, 1, 2)


def picture(path, size, resample, mode, scale=1 / 255, mean=0.0, std=1.0, shorter=None):
    image = Image.open(out / path).convert(mode)
    if shorter:
        width, height = image.size
        to = (shorter, shorter * height // width) if width < height else (shorter * width // height, shorter)
        image = image.resize(to, resample)
        left, top = round((to[0] - size[0]) / 2), round((to[1] - size[1]) / 2)
        image = image.crop((left, top, left + size[0], top + size[1]))
    else:
        image = image.resize(size, resample)
    return ((np.asarray(image, np.float32) * scale - mean) / std).astype(np.float32)


seen = picture("digit.png", (8, 8), Image.BILINEAR, "L")
rgb = np.asarray(Image.open(out / "digit.png").resize((8, 8), Image.BILINEAR), np.uint8)
with tf.compat.v1.Session(graph=graph) as tf_session:
    softmax = tf_session.run("MobilenetV2/Predictions/Softmax:0", {"input:0": rgb[None].astype(np.float32) / 255})
interpreter = tf.lite.Interpreter(model_content=tflite)
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images[1500:1501])
interpreter.invoke()
lite = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

flat = lambda array: [float(v) for v in np.asarray(array, np.float64).ravel().round(7)]
imagenet = dict(mean=np.float32([0.485, 0.456, 0.406]), std=np.float32([0.229, 0.224, 0.225]))
references = {
    "onnxruntime": onnxruntime.__version__,
    "tensorflow": tf.__version__,
    "pillow": Image.__version__,
    "digit": digit,
    "batch": flat(batch),
    "targets": [int(t) for t in digits.target[1500:1508]],
    "batch_logits": flat(run(batch)),
    "picture_logits": flat(run(seen[None, None])),
    "rgb": rgb.ravel().tolist(),
    "rgb_softmax": flat(softmax),
    "lite_logits": flat(lite),
    "pictures": {
        "bilinear": flat(picture("digit.png", (8, 8), Image.BILINEAR, "RGB", **imagenet)),
        "bicubic": flat(picture("digit.png", (8, 8), Image.BICUBIC, "RGB", **imagenet)),
        "lanczos3": flat(picture("digit.png", (8, 8), Image.LANCZOS, "RGB", **imagenet)),
        "hamming": flat(picture("digit.png", (8, 8), Image.HAMMING, "RGB", **imagenet)),
        "box": flat(picture("digit.png", (8, 8), Image.BOX, "RGB", **imagenet)),
        "shorter": flat(picture("digit.png", (8, 8), Image.BILINEAR, "RGB", shorter=12, **imagenet)),
    },
}
(out / "references.json").write_text(json.dumps(references, separators=(",", ":")) + "\n")

# --- models of a few nodes ---------------------------------------------------------------------

# A picture as the model sees it.
save("echo", [helper.make_node("Identity", ["image"], ["seen"])], [value("image", ["n", 3, "h", "w"])], [value("seen", ["n", 3, "h", "w"])])
save("echo_u8", [helper.make_node("Identity", ["image"], ["seen"])], [value("image", [1, 8, 8, 3], TensorProto.UINT8)], [value("seen", [1, 8, 8, 3], TensorProto.UINT8)])
# Two inputs of two types, two outputs.
save(
    "two",
    [
        helper.make_node("Cast", ["b"], ["bf"], to=F32),
        helper.make_node("Add", ["a", "bf"], ["sum"]),
        helper.make_node("Mul", ["a", "bf"], ["product"]),
    ],
    [value("a", [2, "n"]), value("b", ["n"], TensorProto.INT64)],
    [value("sum", [2, "n"]), value("product", [2, "n"])],
)
# Memory by the square of what is sent, as attention takes it.
save(
    "pairs",
    [
        helper.make_node("Reshape", ["x", "row"], ["r"]),
        helper.make_node("Reshape", ["x", "column"], ["c"]),
        helper.make_node("MatMul", ["c", "r"], ["all"]),
        helper.make_node("ReduceMax", ["all"], ["largest"], keepdims=0),
    ],
    [value("x", ["n"])],
    [value("largest", [])],
    [("row", np.array([1, -1])), ("column", np.array([-1, 1]))],
)
# Memory by the value that is sent: the sum of all products of two numbers below it.
save(
    "count",
    [
        helper.make_node("Range", ["zero", "n", "one"], ["numbers"]),
        helper.make_node("Cast", ["numbers"], ["x"], to=F32),
        helper.make_node("Reshape", ["x", "row"], ["r"]),
        helper.make_node("Reshape", ["x", "column"], ["c"]),
        helper.make_node("MatMul", ["c", "r"], ["all"]),
        helper.make_node("ReduceSum", ["all"], ["sum"], keepdims=0),
    ],
    [value("n", [], TensorProto.INT64)],
    [value("sum", [])],
    [("zero", np.array(0)), ("one", np.array(1)), ("row", np.array([1, -1])), ("column", np.array([-1, 1]))],
)
# Seconds of work in many small steps.
steps = [helper.make_node("MatMul", [f"y{i}" if i else "x", "x"], [f"y{i + 1}"]) for i in range(1000)]
save("slow", steps, [value("x", [256, 256])], [value("y1000", [256, 256])])

# --- graphs that mean harm ---------------------------------------------------------------------


def frozen(name, build):
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], name="input")
        build(tf.reduce_mean(x))
    (out / f"{name}.pb").write_bytes(graph.as_graph_def().SerializeToString())


# Hundreds of gigabytes from two hundred bytes: folded when it loads, and computed when it runs.
frozen("fill", lambda x: tf.add(tf.fill([300_000, 300_000], 1.0), x, name="out"))
frozen("tile", lambda x: tf.tile(tf.reshape(x, [1, 1]), [300_000, 300_000], name="out"))


def chain(x):
    for _ in range(40):
        x = tf.concat([tf.reshape(x, [-1])] * 2, axis=0)
    tf.identity(x, name="out")


frozen("doubling", chain)
