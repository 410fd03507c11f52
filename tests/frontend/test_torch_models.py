"""What is imported computes what PyTorch computes, whichever way it came in."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.imported import float_output
from tests.support.torch_networks import NETS, make_net
from tinytrain.errors import ModelError, UsageError
from tinytrain.frontend import import_model, load_model
from tinytrain.frontend.proof import prove
from tinytrain.ir.graph import Graph


def export_onnx(net: nn.Module, x: torch.Tensor, path: Path, opset: int, dynamic: bool) -> None:
    """Exports with the exporter of TorchScript, whose graphs most users have."""
    axes = {"x": {0: "batch"}} if dynamic else None
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, (x,), str(path), dynamo=False, opset_version=opset, input_names=["x"],
            dynamic_axes=axes,
        )  # fmt: skip


def imported(name: str, way: str, folder: Path) -> tuple[Graph, np.ndarray, np.ndarray]:
    """A graph, inputs and the outputs that PyTorch gives."""
    net, x = make_net(name)
    with torch.no_grad():
        wanted = net(x).numpy()
    if way == "module":
        graph = load_model(net, example=x[:1])
    elif way == "pt2":
        path = folder / f"{name}.pt2"
        torch.export.save(torch.export.export(net, (x[:1],)), path)
        graph = load_model(path)
    else:
        path = folder / f"{name}.onnx"
        export_onnx(net, x[:1], path, opset=int(way), dynamic=way == "17")
        graph = load_model(path)
    return graph, x.numpy(), wanted


@pytest.mark.parametrize("way", ["module", "pt2", "13", "17"])
@pytest.mark.parametrize("name", sorted(NETS))
def test_import_computes_the_same(name: str, way: str, tmp_path: Path) -> None:
    graph, x, wanted = imported(name, way, tmp_path)
    np.testing.assert_allclose(float_output(graph, x).reshape(wanted.shape), wanted, atol=2e-6)


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def test_no_transpositions_where_the_weights_can_take_them(tmp_path: Path) -> None:
    for name in ("mobile", "signal", "branch", "preactivation", "dense"):
        graph, _, _ = imported(name, "module", tmp_path)
        assert "transpose" not in ops(graph), name


def test_decomposed_activations_are_found_again(tmp_path: Path) -> None:
    for way in ("module", "17"):
        graph, _, _ = imported("mobile", way, tmp_path)
        functions = [n.attrs["function"] for n in graph.nodes if n.op == "activation"]
        assert functions == ["hard_swish", "relu6", "hard_swish", "relu", "hard_sigmoid"]
        assert ops(graph).count("conv2d") == 6


def test_input_scaling_goes_into_the_first_convolution(tmp_path: Path) -> None:
    graph, _, _ = imported("preactivation", "module", tmp_path)
    assert ops(graph)[0] == "conv2d"


def test_a_1x1_convolution_at_the_end_is_a_dense_layer(tmp_path: Path) -> None:
    graph, _, _ = imported("preactivation", "module", tmp_path)
    assert ops(graph)[-1] == "dense"


def test_info_of_a_1d_model(tmp_path: Path) -> None:
    graph, _, _ = imported("signal", "pt2", tmp_path)
    assert graph.inputs[0].type.shape == (1, 1, 32, 6)
    assert graph.source.shape == (1, 6, 32)
    assert graph.source.layout == "NCL"
    assert graph.source.file == "signal.pt2"
    assert graph.name == "signal"


def test_the_mode_of_a_module_is_left_alone() -> None:
    net, x = make_net("mobile")
    net.train()
    net.stem.eval()
    load_model(net, example=x)
    assert net.training and not net.stem.training


def test_a_module_needs_an_example() -> None:
    with pytest.raises(UsageError, match="needs an example input"):
        load_model(make_net("dense")[0])


def test_nan_in_a_module_is_named() -> None:
    net, x = make_net("dense")
    with torch.no_grad():
        net.layers[3].weight[0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"'layers\.3\.weight' hold NaN"):
        load_model(net, example=x)


def test_an_unsupported_operation_names_the_layer() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2))
    with pytest.raises(ModelError) as caught:
        load_model(net, example=torch.zeros(1, 1, 8, 8))
    assert caught.value.what == "operation 'aten.group_norm.default' is not supported"
    assert "batch normalisation" in str(caught.value.help)
    assert caught.value.where is not None and caught.value.where.file == "Sequential"


def test_what_works_in_place_is_proven() -> None:
    """The reference of the proof keeps what a tensor was before ReLU(inplace=True) changed it."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3), nn.Hardswish(inplace=True)
    )
    proof = prove(import_model(network.eval(), example=torch.zeros(1, 3, 8, 8)))
    assert proof.reference == "PyTorch"
