"""`select_trainable`: what a scheme trains becomes parameters, and the numbers stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.graphs import GRAPHS, Net
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.errors import ModelError, SchemeError
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.types import DType, Quantization
from tinytrain.ir.verify import verify
from tinytrain.passes.base import Runner
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.passes.select_trainable import SelectTrainable, weighted_layers
from tinytrain.reference.interpret import run_forward
from tinytrain.scheme.scheme import Scheme, Share

ALL, HALF = Share(), Share(0.5)
SCHEMES = {
    "head": Scheme("head"),
    "a bias": Scheme("own", ("conv_1",)),
    "weights": Scheme("own", (), {"conv_1": ALL}),
    "both": Scheme("own", ("conv_0",), {"conv_0": ALL}),
    "half of a depthwise layer": Scheme("own", ("conv_1",), {"conv_1": HALF}),
    "half of another": Scheme("own", ("conv_0", "conv_1"), {"conv_0": HALF}, "smallest"),
}


def selected(graph: Graph, scheme: Scheme, bits: int = 4) -> Graph:
    found = SelectTrainable(scheme, bits, 0)(graph)
    verify(found, "select_trainable")
    return found


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_the_model_gives_what_it_gave(name: str, scheme: Scheme) -> None:
    graph = DenseToConv()(GRAPHS[name]())
    found = selected(graph, scheme)
    x = graph.inputs[0]
    sample = np.random.default_rng(0).integers(-128, 128, x.type.shape).astype(np.int8)
    results, wanted = (run_forward(g, {"x": sample}) for g in (found, graph))
    for node in graph.nodes:
        assert np.array_equal(results[node.output], wanted[node.output]), node.name


@pytest.mark.parametrize("bits", [0, 2, 4, 8])
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_parameters_are_what_the_scheme_says(name: str, scheme: Scheme, bits: int) -> None:
    graph = DenseToConv()(GRAPHS[name]())
    found = selected(graph, scheme, bits)
    layers = {node.layer: node for node in graph.nodes if node.op == "conv2d"}
    head = weighted_layers(graph)[-1]
    wanted: dict[str, int] = {}
    for layer, share in {**scheme.weights, head: ALL}.items():
        w = layers[layer].inputs[1]
        part = share.fraction != 1.0
        channels = w.type.shape[3]  # of 5 channels a half is 3
        depthwise = channels == 1 and layers[layer].attrs["groups"] > 1
        size = w.type.size // 2 if depthwise else w.type.size // channels * ((channels + 1) // 2)
        size = size if part else w.type.size
        trained = f"{w.name}_trained" if part else w.name
        wanted[trained] = size
        if bits:
            wanted[f"{trained}_fraction"] = -(-size * bits // 8)
    for layer in (*scheme.biases, head):
        b = layers[layer].inputs[2]
        wanted[b.name] = b.type.size
    assert {v.name: data.size for v, data in found.parameters.items()} == wanted
    assert {w.name: f.name for w, f in found.fractions.items()} == {
        name.removesuffix("_fraction"): name for name in wanted if name.endswith("_fraction")
    }
    for value in found.fractions.values():
        assert value.type.dtype is DType.U8 and not found.parameters[value].any()


def test_a_trained_bias_says_what_it_means() -> None:
    graph = DenseToConv()(GRAPHS["signal"]())
    found = selected(graph, SCHEMES["a bias"])
    node = next(node for node in found.nodes if node.layer == "conv_1")
    x, w, b = node.inputs
    scales = x.type.quantization.scale[0] * w.type.quantization.scales(b.type.size)
    assert b in found.parameters and b.type.quantization is not None
    assert b.type.quantization.axis == 0
    assert b.type.quantization.scale == pytest.approx(tuple(scales), rel=1e-6)
    assert np.array_equal(
        found.parameters[b],
        next(data for v, data in graph.constants.items() if v.name == b.name),
    )
    assert b not in found.constants and b.name not in {v.name for v in found.constants}


@pytest.mark.parametrize(
    ("layer", "axis", "channels"),
    [("conv_3", 0, (1, 2, 7)), ("conv_4", 3, (0, 11)), ("conv_1", 0, (2, 5))],
)
def test_the_parts_of_a_layer_are_merged_where_it_stands(
    layer: str, axis: int, channels: tuple[int, ...]
) -> None:
    graph = DenseToConv()(GRAPHS["convolutions"]())
    scheme = Scheme("own", (), {layer: Share(channels=channels)})
    found = selected(graph, scheme)
    index = next(k for k, n in enumerate(found.nodes) if n.op == "conv2d" and n.layer == layer)
    merge, node = found.nodes[index - 1 : index + 1]
    trained, frozen = merge.inputs
    assert merge.op == "merge_channels" and merge.output == node.inputs[1]
    assert merge.layer == layer and trained in found.parameters and frozen in found.constants
    old = next(n for n in graph.nodes if n.op == "conv2d" and n.layer == layer)
    multiple = 2 if layer == "conv_1" else 1  # rows of a depthwise layer for a channel
    rows = tuple(c * multiple + k for c in channels for k in range(multiple))
    assert merge.attrs == {"axis": axis, "channels": rows}
    data = graph.constants[old.inputs[1]]
    others = [k for k in range(data.shape[axis]) if k not in rows]
    assert np.array_equal(found.parameters[trained], np.take(data, rows, axis))
    assert np.array_equal(found.constants[frozen], np.take(data, others, axis))
    scale = np.array(old.inputs[1].type.quantization.scale)
    for value, taken in ((trained, list(rows)), (frozen, others)):
        wanted = scale[taken] if axis == 0 else scale
        assert value.type.quantization.scale == tuple(wanted)
    assert old.inputs[1] not in found.constants


def test_only_chosen_channels_change(tmp_path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("[weights]\nconv_3 = { channels = [2, 7] }\nconv_4 = { channels = [0, 11] }\n")
    compiled = build_step(
        GRAPHS["convolutions"](), Options(scheme=str(path), learning_rate=1.0), Runner()
    )
    names = {value.name for value in compiled.graph.parameters}
    trained = [v for v in compiled.graph.parameters if v.name.endswith("_trained")]
    assert len(trained) == 2, names
    assert trained[0].type.shape[0] == 2
    assert trained[1].type.shape[3] == 2


def test_the_score_of_a_depthwise_channel_sums_its_real_rows(tmp_path) -> None:
    """Two rows a channel: a large integer at a tiny scale counts for little."""
    net = Net((1, 4, 4, 2), 0)
    x = net.conv(net.x, 4, groups=2)
    graph = net.finish(net.dense(net.flat(x), 3))
    w = graph.nodes[0].inputs[1]
    scales = Quantization((1.0, 0.001, 0.5, 0.5), axis=0)
    skewed = Value(w.name, replace(w.type, quantization=scales))
    rows = np.zeros(w.type.shape, np.int8)
    rows[:, 0, 0, 0] = [0, 127, 100, 100]
    constants = {skewed if v == w else v: rows if v == w else d for v, d in graph.constants.items()}
    first = replace(
        graph.nodes[0], inputs=(graph.nodes[0].inputs[0], skewed, graph.nodes[0].inputs[2])
    )
    graph = DenseToConv()(replace(graph, constants=constants, nodes=(first, *graph.nodes[1:])))
    scheme = Scheme("half", weights={"conv_0": Share(0.5)})
    selected = SelectTrainable(scheme, 0, 0)(graph)
    merge = next(node for node in selected.nodes if node.op == "merge_channels")
    assert merge.attrs["channels"] == (2, 3)


def test_the_score_of_a_channel_sums_what_reads_it() -> None:
    """A pointwise layer: the row with a tiny scale counts for little."""
    net = Net((1, 2, 2, 3), 0)
    x = net.conv(net.x, 2, kernel=(1, 1), padding=(0, 0, 0, 0))
    graph = net.finish(net.dense(net.flat(x), 3))
    w = graph.nodes[0].inputs[1]
    skewed = Value(w.name, replace(w.type, quantization=Quantization((1.0, 0.001), axis=0)))
    rows = np.array([[1, -3, 2], [127, 0, -127]], np.int8).reshape(2, 1, 1, 3)
    swap = {w: skewed}
    first = graph.nodes[0]
    first = replace(first, inputs=tuple(swap.get(v, v) for v in first.inputs))
    constants = {swap.get(v, v): rows if v == w else d for v, d in graph.constants.items()}
    graph = DenseToConv()(replace(graph, constants=constants, nodes=(first, *graph.nodes[1:])))
    for choice, wanted in (("largest", (1,)), ("smallest", (0,))):
        scheme = Scheme("own", weights={"conv_0": Share(0.34)}, choice=choice)
        merge = next(n for n in selected(graph, scheme).nodes if n.op == "merge_channels")
        assert merge.attrs["channels"] == wanted


def test_layers_that_share_weights_train_them_together() -> None:
    net = Net((1, 2, 2, 4), 0)
    x = net.conv(net.conv(net.x, 4), 4)
    graph = DenseToConv()(net.finish(net.dense(net.flat(x), 3)))
    first, second = (node for node in graph.nodes if node.layer in ("conv_0", "conv_1"))
    for shared in (1, 2):
        inputs = list(second.inputs)
        inputs[shared] = first.inputs[shared]
        twin = replace(second, inputs=tuple(inputs))
        nodes = tuple(twin if node is second else node for node in graph.nodes)
        both = replace(graph, nodes=nodes)
        selected(both, Scheme("head"))
        trained = selected(both, Scheme("own", ("conv_0",), {"conv_0": ALL}))
        first_now, second_now = (n for n in trained.nodes if n.layer in ("conv_0", "conv_1"))
        assert first_now.inputs[shared] == second_now.inputs[shared]
        assert first_now.inputs[shared].name == first.inputs[shared].name
        assert first_now.inputs[shared] in trained.parameters
    different = Scheme("own", (), {"conv_0": ALL, "conv_1": HALF})
    inputs = second.inputs[0], first.inputs[1], second.inputs[2]
    twin = replace(second, inputs=inputs)
    nodes = tuple(twin if node is second else node for node in graph.nodes)
    with pytest.raises(SchemeError, match="layers conv_0, conv_1 share their weights, and the"):
        SelectTrainable(different, 4, 0)(replace(graph, nodes=nodes))


def test_layers_with_weights_are_listed_in_order() -> None:
    assert weighted_layers(GRAPHS["mixture"]()) == [
        *(f"conv_{k}" for k in range(4)),
        "dense_0",
        "dense_1",
    ]
    net = Net((1, 4, 4, 2), 0)
    with pytest.raises(ModelError, match="no layer with weights"):
        weighted_layers(net.finish(net.flat(net.x)))
