"""A float model becomes integers that compute nearly the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.imported import integer_graph, integer_output, to_ours
from tests.support.torch_networks import NETS, make_net
from tinytrain.errors import DataError, ModelError, UsageError
from tinytrain.frontend import load_model
from tinytrain.ir.graph import Graph
from tinytrain.ir.source import Calibration
from tinytrain.ir.text import format_graph
from tinytrain.quantize import integerize, quantize_float


def calibrated(name: str, method: str = "mse") -> tuple[Graph, np.ndarray, np.ndarray]:
    net, x = make_net(name)
    graph = load_model(net, example=x[:1])
    samples = to_ours(x.numpy(), graph.source.layout)
    with torch.no_grad():
        wanted = net(x).numpy()
    return quantize_float(graph, samples, method), x.numpy(), wanted


@pytest.mark.parametrize("method", ["mse", "minmax", "percentile"])
@pytest.mark.parametrize("name", sorted(NETS))
def test_integers_stay_close_to_float(name: str, method: str) -> None:
    graph, x, wanted = calibrated(name, method)
    result, step = integer_output(integer_graph(graph), x)
    if integerize(graph).source.softmax:
        exponentials = np.exp(result)
        result = exponentials / exponentials.sum(axis=-1, keepdims=True)
        assert np.abs(result - wanted).max() < 0.01
    else:
        error = np.abs(result.reshape(wanted.shape) - wanted) / step
        assert error.max() <= 4 and error.mean() <= 1.2


def test_a_relu_costs_nothing() -> None:
    """It is the lower clamp of its layer, whose range starts at zero."""
    graph = integerize(calibrated("signal")[0])
    assert [node.op for node in graph.nodes if node.op == "activation"] == []
    for node in graph.nodes:
        if node.op == "conv2d":
            assert node.output.type.quantization.zero_point == -128


def test_a_relu6_is_the_upper_clamp() -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.relu6(self.conv(x)).flatten(1)

    net = Net().eval()
    torch.nn.init.constant_(net.conv.weight, 4.0)
    graph = load_model(net, example=torch.zeros(1, 1, 4, 4))
    samples = np.linspace(-3, 3, 160, dtype=np.float32).reshape(10, 4, 4, 1)
    for method in ("minmax", "mse"):
        result = integerize(quantize_float(graph, samples, method))
        conv = next(node for node in result.nodes if node.op == "conv2d")
        meaning = conv.output.type.quantization
        assert conv.attrs["clamp"][0] == meaning.zero_point == -128
        assert conv.attrs["clamp"][1] == min(127, -128 + round(6 / meaning.scale[0]))


def test_inputs_of_a_concatenation_share_its_scale() -> None:
    graph = integerize(calibrated("branch")[0])
    (concat,) = [node for node in graph.nodes if node.op == "concatenate"]
    meanings = {value.type.quantization for value in (*concat.inputs, concat.output)}
    assert len(meanings) == 1


def test_sigmoids_have_the_fixed_scale_of_tflite() -> None:
    graph = integerize(calibrated("branch")[0])
    (node,) = [n for n in graph.nodes if n.attrs.get("function") == "sigmoid"]
    meaning = node.output.type.quantization
    assert (meaning.scale, meaning.zero_point) == ((1 / 256,), -128)


def test_weights_are_symmetric_and_per_channel() -> None:
    graph = integerize(calibrated("mobile")[0])
    for node in graph.nodes:
        if node.op in ("conv2d", "dense"):
            w = node.inputs[1]
            data = graph.constants[w]
            assert w.type.quantization.axis == 0
            assert len(w.type.quantization.scale) == data.shape[0]
            assert np.abs(data.astype(int)).reshape(data.shape[0], -1).max(axis=1).min() == 127


def test_the_least_squares_range_gives_up_rare_outliers() -> None:
    from tinytrain.quantize.ranges import Histogram, choose

    rng = np.random.default_rng(0)
    values = np.concatenate([rng.standard_normal(2_000_000), np.full(3, 12.0)])
    histogram = Histogram()
    histogram.widen(values)
    histogram.count(values)

    def error(method: str) -> float:
        meaning = choose(histogram, method)
        scale, zero = meaning.scale[0], meaning.zero_point
        q = np.clip(np.rint(values / scale) + zero, -128, 127)
        return float(((scale * (q - zero) - values) ** 2).sum())

    assert error("mse") < 0.7 * error("minmax")


def test_a_silent_activation_is_no_problem() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)).eval()
    torch.nn.init.constant_(net[0].weight, 0.0)
    torch.nn.init.constant_(net[0].bias, -1.0)
    graph = load_model(net, example=torch.zeros(1, 4))
    x = np.zeros((3, 4), np.float32)
    result, _ = integer_output(integer_graph(quantize_float(graph, x)), x)
    assert np.abs(result.reshape(3, 2) - net[2].bias.detach().numpy()).max() < 0.01


def test_a_vector_may_come_as_a_map_of_one_element() -> None:
    """As calibration files are read: [N, 1, 1, C] for a model that takes [N, C]."""
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)).eval()
    graph = load_model(net, example=torch.zeros(1, 4))
    x = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    plain, mapped = (format_graph(quantize_float(graph, s)) for s in (x, x[:, None, None]))
    assert plain == mapped
    with pytest.raises(DataError, match="calibration samples have shape"):
        quantize_float(graph, x[:, None])


def test_calibration_says_what_it_did() -> None:
    graph, x, _ = calibrated("dense", "minmax")
    assert graph.source.calibration == Calibration("minmax", len(x))


def test_a_float_model_cannot_become_integers() -> None:
    net, x = make_net("mobile")
    with pytest.raises(ModelError, match="only partly quantized") as caught:
        integerize(load_model(net, example=x))
    assert "--calibration" in caught.value.help


@pytest.mark.parametrize("shape", [(4, 3, 16, 16), (16, 16, 3), (0, 16, 16, 3)])
def test_samples_of_a_wrong_shape(shape: tuple[int, ...]) -> None:
    net, x = make_net("mobile")
    graph = load_model(net, example=x)
    with pytest.raises(DataError, match=r"the model takes \(N, 16, 16, 3\)"):
        quantize_float(graph, np.zeros(shape, np.float32))


def test_samples_with_nan() -> None:
    net, x = make_net("dense")
    graph = load_model(net, example=x)
    with pytest.raises(DataError, match="NaN"):
        quantize_float(graph, np.full((2, 10), np.nan, np.float32))


def test_an_unknown_method() -> None:
    net, x = make_net("dense")
    graph = load_model(net, example=x)
    with pytest.raises(UsageError, match="no calibration method 'magic'"):
        quantize_float(graph, np.zeros((2, 10), np.float32), "magic")
