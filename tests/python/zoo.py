"""Writes small networks with the structure of exported models and of the ONNX model zoo, and their cards.

usage: zoo.py FOLDER

The weights are random. FOLDER also receives manifest.json with the pixels of a picture (`rgb`), the embedding
that onnxruntime computes with each model (`models`), and part of the expected error for each invalid card
(`refused`).
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SIDE = 32
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]

random = np.random.default_rng(20261123)


class Graph:
    """Nodes in the order in which they are added, and the weights."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def add(self, kind, *inputs, output, name=None, **attributes):
        name = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, **attributes))
        return output

    def weight(self, name, value):
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def random_weight(self, name, *shape):
        # Keeps the variance of activations about constant over the layers.
        scale = 1 / np.sqrt(np.prod(shape[1:]))
        return self.weight(name, (scale * random.standard_normal(shape)).astype(np.float32))

    def conv(self, x, output, inputs, outputs, side=3, **attributes):
        group = attributes.pop("group", 1)
        weights = self.random_weight(f"{output}_w", outputs, inputs // group, side, side)
        bias = self.random_weight(f"{output}_b", outputs)
        pads = [side // 2] * 4
        attributes |= {"group": group, "kernel_shape": [side] * 2, "pads": pads}
        return self.add("Conv", x, weights, bias, output=output, **attributes)

    def model(self, inputs, outputs, opset, ir, weights_are_inputs=False):
        graph_inputs = [float_value(name, shape) for name, shape in inputs.items()]
        if weights_are_inputs:
            graph_inputs += [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in self.weights]
        graph_outputs = [float_value(name, shape) for name, shape in outputs.items()]
        graph = helper.make_graph(self.nodes, "network", graph_inputs, graph_outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
        onnx.checker.check_model(model)
        return model


def float_value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def relu6(graph, x, output):
    return graph.add("Clip", x, "zero", "six", output=output)


def mobilenet():
    """Builds a network like mobilenetv2-12.

    It has a variable batch size, Clip with weights as bounds, a residual block, and a reshape whose shape is
    computed.
    """
    g = Graph()
    g.weight("zero", np.float32(0))
    g.weight("six", np.float32(6))
    x = relu6(g, g.conv("input", "474", 3, 16, strides=[2, 2]), "317")
    wide = relu6(g, g.conv(x, "477", 16, 48, side=1), "320")
    deep = relu6(g, g.conv(wide, "480", 48, 48, group=48), "323")
    x = g.add("Add", x, g.conv(deep, "483", 48, 16, side=1), output="339")
    x = relu6(g, g.conv(x, "486", 16, 80, side=1), "463")
    x = g.add("GlobalAveragePool", x, output="464", name="GlobalAveragePool_97")
    shape = g.add("Shape", x, output="465")
    batch = g.add("Gather", shape, g.weight("466", np.int64(0)), output="467", axis=0)
    batch = g.add("Unsqueeze", batch, output="468", axes=[0])
    shape = g.add("Concat", batch, g.weight("minus", np.array([-1], np.int64)), output="471", axis=0)
    x = g.add("Reshape", x, shape, output="472", name="Reshape_103")
    g.add(
        "Gemm", x, g.random_weight("classes", 10, 80), g.random_weight("bias", 10), output="output", transB=1
    )
    inputs, outputs = {"input": ["batch_size", 3, SIDE, SIDE]}, {"output": ["batch_size", 10]}
    return g.model(inputs, outputs, opset=12, ir=6)


def resnet():
    """Builds a network like resnet50-v1-12.

    Its weights are also inputs, as was required before IR version 4. The batch norm is not folded, and nodes
    have other names than their outputs.
    """
    g = Graph()
    x = g.conv("data", "conv0_fwd", 3, 24, strides=[2, 2])
    norm = [g.random_weight(f"bn_{name}", 24) for name in ("gamma", "beta", "mean")]
    norm.append(g.weight("bn_var", np.linspace(0.5, 2, 24, dtype=np.float32)))
    x = g.add("BatchNormalization", x, *norm, output="batchnorm0_fwd", epsilon=1e-5)
    x = g.add("Relu", x, output="relu0_fwd")
    x = g.add("MaxPool", x, output="pool0_fwd", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = g.add("Add", x, g.conv(x, "conv1_fwd", 24, 24), output="plus0")
    x = g.add("GlobalAveragePool", x, output="pool1_fwd", name="pool1_node")
    x = g.add("Flatten", x, output="flatten0")
    g.add(
        "Gemm",
        x,
        g.random_weight("dense_w", 7, 24),
        g.random_weight("dense_b", 7),
        output="dense0_fwd",
        transB=1,
    )
    inputs, outputs = {"data": ["N", 3, SIDE, SIDE]}, {"dense0_fwd": ["N", 7]}
    return g.model(inputs, outputs, opset=12, ir=3, weights_are_inputs=True)


def efficientnet():
    """Builds a network like efficientnet-lite4-11, which comes from TensorFlow.

    Its input is NHWC, the kernel of its pool is as large as the map, and names contain colons.
    """
    g = Graph()
    g.weight("zero", np.float32(0))
    g.weight("six", np.float32(6))
    x = g.add("Transpose", "images:0", output="stem/transpose:0", perm=[0, 3, 1, 2])
    x = relu6(g, g.conv(x, "stem/Conv2D:0", 3, 32, strides=[2, 2]), "stem/Relu6:0")
    x = relu6(g, g.conv(x, "head/Conv2D:0", 32, 64, side=1, strides=[2, 2]), "head/Relu6:0")
    x = g.add("AveragePool", x, output="head/AvgPool:0", name="head/AvgPool", kernel_shape=[SIDE // 4] * 2)
    x = g.add("Squeeze", x, output="head/Squeeze:0", axes=[2, 3])
    x = g.add("MatMul", x, g.random_weight("head/dense/kernel:0", 64, 9), output="head/MatMul:0")
    x = g.add("Add", x, g.random_weight("head/dense/bias:0", 9), output="logits:0")
    g.add("Softmax", x, output="Softmax:0", axis=1)
    return g.model({"images:0": [1, SIDE, SIDE, 3]}, {"Softmax:0": [1, 9]}, opset=11, ir=6)


def keras():
    """Builds a network as tf2onnx exports it from Keras.

    Its embedding is the mean over rows and columns of a map. Another mean in the middle of the graph must not
    be taken for it.
    """
    g = Graph()
    x = g.add("Transpose", "image", output="nchw", perm=[0, 3, 1, 2])
    x = g.add("Relu", g.conv(x, "conv", 3, 20, strides=[4, 4]), output="map")
    gate = g.add("ReduceMean", x, output="squeeze", axes=[2, 3], keepdims=1)
    gate = g.add("Sigmoid", g.conv(gate, "excite", 20, 20, side=1), output="gate")
    x = g.add("Mul", x, gate, output="gated")
    x = g.add("ReduceMean", x, output="avg_pool", name="model/avg_pool/Mean", axes=[2, 3], keepdims=0)
    g.add("MatMul", x, g.random_weight("w", 20, 4), output="scores")
    return g.model({"image": ["unk__1", SIDE, SIDE, 3]}, {"scores": ["unk__1", 4]}, opset=13, ir=8)


def reference(model, output, layout, rgb):
    """Returns what onnxruntime computes for a picture at an output of any node."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    if output not in [known.name for known in model.graph.output]:
        model.graph.output.append(helper.make_empty_tensor_value_info(output))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = (rgb.astype(np.float32) - np.float32(MEAN)) / np.float32(STD)
    x = x.transpose(2, 0, 1) if layout == "nchw" else x
    (found,) = session.run([output], {session.get_inputs()[0].name: x[None]})
    return found.ravel()


def write(folder, card_id, model, layout, dimension, node):
    """Writes a model and its card."""
    file = model.SerializeToString()
    (folder / f"{card_id}.onnx").write_bytes(file)
    node_line = f'embedding_node = "{node}"\n' if node else ""
    card = f"""\
id = "{card_id}"
description = "for a test"
licence = "MIT"
source = "zoo.py"
dimension = {dimension}
{node_line}
[file]
name = "{card_id}.onnx"
sha256 = "{hashlib.sha256(file).hexdigest()}"
size_bytes = {len(file)}

[input]
side = {SIDE}
layout = "{layout}"
filter = "bilinear"
fit = "stretch"
mean = {MEAN}
std = {STD}
"""
    (folder / f"{card_id}.toml").write_text(card)


def main(folder):
    folder = Path(folder)
    rgb = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    embeddings = {}
    models = {
        "mobilenet": mobilenet(),
        "resnet": resnet(),
        "efficientnet": efficientnet(),
        "keras": keras(),
    }
    layouts = {"mobilenet": "nchw", "resnet": "nchw", "efficientnet": "nhwc", "keras": "nhwc"}
    # The network, the embedding node of the card, by its own name or that of its output, and the output of
    # that node.
    cards = {
        "zoo-mobilenet": ("mobilenet", None, "464"),
        "zoo-mobilenet-reshaped": ("mobilenet", "Reshape_103", "472"),
        "zoo-resnet": ("resnet", None, "pool1_fwd"),
        "zoo-resnet-classes": ("resnet", "dense0_fwd", "dense0_fwd"),
        "zoo-efficientnet": ("efficientnet", None, "head/AvgPool:0"),
        "zoo-keras": ("keras", None, "avg_pool"),
    }
    for card_id, (network, node, output) in cards.items():
        embedding = reference(models[network], output, layouts[network], rgb)
        assert embedding.std() > 0.01, (card_id, "the picture makes no difference")
        write(folder, card_id, models[network], layouts[network], len(embedding), node)
        embeddings[card_id] = embedding.astype(np.float64).tolist()
    write(folder, "zoo-wrong-dimension", models["mobilenet"], "nchw", 81, None)
    write(folder, "zoo-no-such-node", models["mobilenet"], "nchw", 80, "nowhere")
    write(folder, "zoo-wrong-layout", models["efficientnet"], "nchw", 64, None)
    refused = {
        "zoo-wrong-dimension": "the graph gives 80 numbers, the card says 81",
        "zoo-no-such-node": 'there is no node "nowhere" in the graph',
        "zoo-wrong-layout": "",
    }
    manifest = {"rgb": rgb.ravel().tolist(), "models": embeddings, "refused": refused}
    (folder / "manifest.json").write_text(json.dumps(manifest))


if __name__ == "__main__":
    main(*sys.argv[1:])
