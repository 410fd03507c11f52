"""The PyTorch yardsticks: the device's forward pass, autograd's gradients, plain SGD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.paths import SCHEMES, SHARED, SHARED_MODELS

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from tests.support.graphs import GRAPHS, SOME_WEIGHTS, Net  # noqa: E402
from tests.support.mirror import (  # noqa: E402
    F32_ERROR,
    SLOPE_ERROR,
    Mirror,
    prepared,
)
from tinytrain.compiler.compiled import Compiled  # noqa: E402
from tinytrain.compiler.options import Options  # noqa: E402
from tinytrain.compiler.pipeline import build_step  # noqa: E402
from tinytrain.errors import UsageError  # noqa: E402
from tinytrain.experiments.baseline import torch_masters  # noqa: E402
from tinytrain.experiments.baseline.float_learner import FloatLearner  # noqa: E402
from tinytrain.experiments.baseline.torch_convolution import Convolution, Master, Motion  # noqa: E402
from tinytrain.experiments.learner import Samples  # noqa: E402
from tinytrain.ir.graph import Value  # noqa: E402
from tinytrain.ir.types import DType, Quantization, TensorType  # noqa: E402
from tinytrain.passes.base import Runner  # noqa: E402
from tinytrain.reference.interpret import Machine  # noqa: E402

SOME = 'biases = 2\nchannels = "largest"\n' + SOME_WEIGHTS


@pytest.fixture
def some(tmp_path: Path) -> str:
    """A scheme that trains some channels of plain, grouped and depthwise layers."""
    file = tmp_path / "some.toml"
    file.write_text(SOME)
    return str(file)


def samples_of(compiled: Compiled, count: int = 12) -> Samples:
    x, _ = compiled.graph.inputs
    rng = np.random.default_rng(5)
    data = rng.integers(-100, 101, (count, *x.type.shape[1:])).astype(np.int8)
    labels = rng.integers(0, compiled.output_size, count).astype(np.int32)
    return Samples(data, labels, data[::-1], labels[::-1])


def learner(compiled: Compiled, rate: float = 0.0, **settings: Any) -> FloatLearner:
    return FloatLearner(compiled, samples_of(compiled), lambda step: rate, 0, **settings)


def reference(compiled: Compiled, samples: Samples, index: int) -> dict[Value, np.ndarray]:
    x, label = compiled.graph.inputs
    inputs = {x.name: samples.train_x[[index]], label.name: samples.train_y[[index]]}
    return Machine(compiled.graph, rate=0.0).run(inputs)


def differing(found: FloatLearner, x: np.ndarray, known: dict[Value, np.ndarray]) -> list[int]:
    """For each integer activation how many elements differ from the reference."""
    counts = []
    for value, data in found.network.activations(x).items():
        if value.type.dtype in (DType.S8, DType.S32):
            meaning = value.type.quantization
            zero = 0 if meaning is None else meaning.zero_point
            counts.append(int(np.sum(data.numpy() + zero != known[value])))
    return counts


def masters(compiled: Compiled, found: FloatLearner) -> dict[Value, Master]:
    """Of each parameter that trains, whole or in part."""
    merged = {n.output: n.inputs[0] for n in compiled.graph.nodes if n.op == "merge_channels"}
    table = {}
    for layer in found.network.layers:
        _, w, b = layer.node.inputs
        for value, master in ((w, layer.weight_master), (b, layer.bias_master)):
            if master is not None:
                table[merged.get(value, value)] = master
    return table


def as_parameter(tensor: Any) -> np.ndarray:
    """A tensor of a master in the layout of its parameter."""
    array = tensor.numpy()
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def worst_gradient(compiled: Compiled) -> float:
    """Largest error of a tensor's gradient against PyTorch in double, relative to its norm."""
    samples, found, worst = samples_of(compiled), learner(compiled), 0.0
    for index in range(3):
        known = reference(compiled, samples, index)
        wanted = Mirror(compiled.graph, known).gradients()
        found.gradients(np.array([index]))
        table = masters(compiled, found)
        assert set(table) == set(wanted)
        for value, master in table.items():
            error = np.linalg.norm(as_parameter(master.gradient()) - wanted[value])
            worst = max(worst, float(error / max(np.linalg.norm(wanted[value]), 1e-9)))
    return worst


@pytest.mark.parametrize("name", GRAPHS)
def test_every_activation_is_the_device_s(name: str) -> None:
    compiled = prepared(name)
    samples, found = samples_of(compiled), learner(compiled)
    for index in range(4):
        known = reference(compiled, samples, index)
        counts = differing(found, samples.train_x[[index]], known)
        assert len(counts) > 10
        assert not any(counts)
        loss = found.gradients(np.array([index]))[0]
        assert loss == pytest.approx(known[compiled.graph.outputs[0]][0], rel=1e-6)


@pytest.mark.parametrize("scheme", ["full", "bias", "head", "last-2"])
@pytest.mark.parametrize("name", GRAPHS)
def test_gradients_equal_autograd(name: str, scheme: str) -> None:
    bound = SLOPE_ERROR if name == "mixture" else F32_ERROR
    assert worst_gradient(prepared(name, scheme=scheme)) < bound


def test_gradients_of_chosen_channels_equal_autograd(some: str) -> None:
    assert worst_gradient(prepared("convolutions", scheme=some)) < F32_ERROR


def test_planted_open_clamp_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_masters.Clamp, "gradient", lambda self, g: g)
    with pytest.raises(AssertionError):
        assert worst_gradient(prepared("convolutions")) < F32_ERROR


def test_planted_missing_unit_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Convolution, "_in_real", lambda self, g: g)
    with pytest.raises(AssertionError):
        assert worst_gradient(prepared("convolutions")) < F32_ERROR


@pytest.mark.parametrize("qas", [True, False])
def test_masters_move_by_the_real_or_the_integer_gradient(some: str, qas: bool) -> None:
    """In units of the integers: rate·g/s with quantization-aware scaling, rate·g·s without."""
    compiled = prepared("convolutions", scheme=some)
    rate = 0.25
    found = learner(compiled, rate, qas=qas)
    before = {v: m.value.clone() for v, m in masters(compiled, found).items()}
    found.train(np.array([3]))
    assert len(before) > 6
    for value, master in masters(compiled, found).items():
        assert value.type.quantization is not None
        scale = value.type.quantization.scales(value.type.shape[0])
        scale = scale.reshape(-1, *[1] * (len(value.type.shape) - 1))
        moved = as_parameter(before[value] - master.value)
        wanted = rate * as_parameter(master.gradient()) * (1.0 / scale if qas else scale)
        # A master is float32: what it moved by is known to its own last places.
        ulp = np.abs(as_parameter(before[value])).max() * 2.0**-23
        np.testing.assert_allclose(moved, wanted, rtol=1e-5, atol=2 * ulp)


def test_options_of_the_model_count() -> None:
    """Accumulation is a batch; QAS, momentum, smoothing and decay are those of the model."""
    plain, order = prepared("signal", scheme="head"), np.arange(12)
    samples = samples_of(plain)
    for options, settings in (
        ({"accumulate": 4}, {"batch": 4}),
        ({"qas": False}, {"qas": False}),
        ({"momentum": 0.5}, {"momentum": 0.5}),
    ):
        theirs = learner(prepared("signal", scheme="head", **options), 0.05)
        ours = learner(plain, 0.05, **settings)
        np.testing.assert_array_equal(theirs.train(order), ours.train(order))
        for one, other in zip(theirs.network.layers, ours.network.layers, strict=True):
            assert torch.equal(one.weight_master.value, other.weight_master.value)
    smoothed = learner(prepared("signal", scheme="head", label_smoothing=0.25), 0.05)
    logits = torch.from_numpy(reference(plain, samples, 0)[plain.graph.outputs[1]])
    label = torch.tensor(samples.train_y[:1]).long()
    wanted = torch.nn.functional.cross_entropy(logits, label, label_smoothing=0.25)
    assert smoothed.train(order[:1])[0] == pytest.approx(float(wanted), rel=1e-5)
    decayed, kept = (
        learner(prepared("signal", scheme="head", weight_decay=decay), 0.05) for decay in (0.5, 0.0)
    )
    start = kept.network.layers[-1].weight_master.value.clone()
    for one in (decayed, kept):
        one.train(order[:1])
    lost = (
        kept.network.layers[-1].weight_master.value - decayed.network.layers[-1].weight_master.value
    )
    torch.testing.assert_close(lost, 0.05 * 0.5 * start, rtol=1e-3, atol=1e-4)


def test_smoothed_gradients_equal_autograd() -> None:
    assert worst_gradient(prepared("signal", label_smoothing=0.25)) < F32_ERROR


def test_rates_of_single_layers(tmp_path: Path) -> None:
    schemes = []
    for name, text in (("plain", ""), ("rated", "[rates]\nconv_0 = 0.5\n")):
        schemes.append(tmp_path / f"{name}.toml")
        schemes[-1].write_text('biases = "all"\n[weights]\nconv_0 = 1.0\nconv_3 = 1.0\n' + text)
    moved = []
    for scheme in schemes:
        compiled = prepared("signal", scheme=str(scheme))
        found = learner(compiled, 0.05)
        before = [layer.bias_master.value.clone() for layer in found.network.layers]
        found.train(np.array([2]))
        after = [layer.bias_master.value for layer in found.network.layers]
        moved.append([float((b - a).abs().sum()) for b, a in zip(before, after, strict=True)])
    assert moved[1][0] == pytest.approx(0.5 * moved[0][0], rel=1e-3)
    assert moved[1][1:] == pytest.approx(moved[0][1:], rel=1e-6)


def test_an_infinite_loss_changes_nothing() -> None:
    found = learner(prepared("signal", scheme="head"), 0.05, mode="float")
    layer = found.network.layers[-1]
    layer._bias.fill_(float("nan"))
    before = layer.weight_master.value.clone()
    assert not np.isfinite(found.train(np.array([0]))).any()
    assert torch.equal(layer.weight_master.value, before)


def test_the_forward_pass_reads_rounded_masters(some: str) -> None:
    compiled = prepared("convolutions", scheme=some)
    found = learner(compiled, 0.5)
    found.train(np.arange(12))
    machine = Machine(compiled.graph)
    changed = 0
    for value, master in masters(compiled, found).items():
        shown = np.rint(as_parameter(master.value))
        low, high = (-128, 127) if value.type.dtype is DType.S8 else (-(2**30), 2**30)
        machine.parameters[value] = shown.clip(low, high).astype(value.type.dtype.numpy)
        changed += int(np.sum(machine.parameters[value] != compiled.graph.parameters[value]))
    assert changed > 50
    x, label = compiled.graph.inputs
    samples = samples_of(compiled)
    known = machine.run({x.name: samples.train_x[[0]], label.name: samples.train_y[[0]]})
    assert not any(differing(found, samples.train_x[[0]], known))


def test_learns_as_the_device_does_with_many_fractional_bits() -> None:
    """Eight more bits and f32 gradients leave little of the device's rounding."""
    compiled = prepared("signal", gradient="f32", update="nearest", fraction_bits=8)
    rate, order = 2.0**-5, np.resize(np.arange(12), 36)
    samples = samples_of(compiled)
    machine = Machine(compiled.graph, rate=rate)
    x, label = compiled.graph.inputs
    wanted = [
        machine.run({x.name: samples.train_x[[k]], label.name: samples.train_y[[k]]}) for k in order
    ]
    theirs = np.array([known[compiled.graph.outputs[0]][0] for known in wanted])
    ours = learner(compiled, rate).train(order)
    unmoved = learner(compiled).train(order)
    assert np.abs(theirs - unmoved).max() > 0.5
    assert np.abs(ours - theirs).max() < 0.1


def test_float_network_is_the_module_that_was_imported() -> None:
    """Real weights are those of the module rounded to s8, and nothing else is."""
    from tests.support.torch_modules import Residual, compiled_module

    module = Residual()
    compiled, images = compiled_module(module)
    x = compiled.graph.inputs[0]
    assert x.type.quantization is not None
    scale, zero = x.type.quantization.scale[0], x.type.quantization.zero_point
    integers = np.rint(images.transpose(0, 2, 3, 1) / scale + zero).clip(-128, 127).astype(np.int8)
    real = ((integers.astype(np.float32) - zero) * np.float32(scale)).transpose(0, 3, 1, 2)
    labels = np.zeros(len(images), np.int32)
    found = FloatLearner(
        *(compiled, Samples(integers, labels, integers, labels), lambda step: 0.0, 0), mode="float"
    )
    with torch.no_grad():
        wanted = module(torch.from_numpy(np.ascontiguousarray(real)))
        logits = found.network.forward(found.network.frozen(integers))
    assert float((logits - wanted).norm() / wanted.norm()) < 0.01


@pytest.mark.parametrize("name", GRAPHS)
def test_float_gradients_predict_the_loss(name: str) -> None:
    """A step of length e along the gradient lowers the loss by e·|g|², to the first order."""
    compiled = prepared(name)
    found = learner(compiled, mode="float")
    chosen = np.array([1])
    found.gradients(chosen)
    steps = [(m.value, m.gradient().clone()) for m in masters(compiled, found).values()]
    square = sum(float((g**2).sum()) for _, g in steps)
    length = 2e-3 / square
    losses = []
    for side in (-1.0, 1.0):
        for value, g in steps:
            value.add_(g, alpha=-side * length)
        for layer in found.network.layers:
            layer.update(0.0, Motion())
        losses.append(float(found.gradients(chosen)[0]))
        for value, g in steps:
            value.add_(g, alpha=side * length)
    assert losses[0] - losses[1] == pytest.approx(2 * length * square, rel=0.02)


@pytest.mark.parametrize("mode", ["float-masters", "float"])
def test_a_batch_takes_the_mean_gradient(mode: str, some: str) -> None:
    compiled = prepared("convolutions", scheme=some)
    found = learner(compiled, mode=mode)
    single = []
    for index in range(5):
        found.gradients(np.array([index]))
        single.append({v: m.sums.clone() for v, m in masters(compiled, found).items()})
    losses = found.gradients(np.arange(5))
    assert losses.shape == (5,)
    for value, master in masters(compiled, found).items():
        wanted = sum(sums[value] for sums in single) / 5
        torch.testing.assert_close(master.sums, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_moves_as_the_optimizer_of_pytorch(momentum: float) -> None:
    start = torch.randn(4, 3, 1, 1, generator=torch.Generator().manual_seed(1))
    ours = Master(start, 1.0, torch.ones(4))
    theirs = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([theirs], lr=0.1, momentum=momentum)
    for step in range(5):
        sums = torch.full_like(start, step - 1.5)
        ours.sums, theirs.grad = sums, sums.clone()
        ours.move(0.1, momentum)
        optimizer.step()
    torch.testing.assert_close(ours.value, theirs.detach())


@pytest.mark.parametrize("mode", ["float-masters", "float"])
def test_kept_results_change_nothing(mode: str) -> None:
    compiled = prepared("convolutions", scheme="last-2")
    order = np.array([4, 1, 4, 0, 11, 1])
    found = [learner(compiled, 0.02, mode=mode, frozen_memory=m) for m in (0, 700, 2**20)]
    losses = [one.train(order) for one in found]
    assert found[0].network.has_frozen
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    np.testing.assert_allclose(losses[2], losses[0], rtol=1e-5)


def test_score_is_that_of_the_reference() -> None:
    compiled = prepared("mixture", scheme="last-2")
    samples = samples_of(compiled)
    known = [reference(compiled, samples, index) for index in range(12)]
    loss, output = compiled.graph.outputs[:2]
    right = [int(np.argmax(k[output])) == y for k, y in zip(known, samples.train_y, strict=True)]
    score = learner(compiled).evaluate()
    assert score.accuracy == np.mean(right)
    assert score.loss == pytest.approx(np.mean([k[loss][0] for k in known]), rel=1e-5)


@pytest.mark.parametrize("mode", ["float-masters", "float"])
def test_constant_operands(mode: str) -> None:
    """A constant on either side of an addition and a product is one sample, of a batch too."""
    net = Net((1, 4, 4, 3), 7)
    x = net.conv(net.x, 6)
    for index in range(2):
        data = net.rng.integers(-90, 91, x.type.shape).astype(np.int8)
        meaning = TensorType(x.type.shape, DType.S8, Quantization((0.011,), 5))
        fixed = net.builder.constant(f"fixed{index}", meaning, data)
        x = net.add(*((fixed, x) if index else (x, fixed)))
        x = net.multiply(*((x, fixed) if index else (fixed, x)))
    graph = net.finish(net.dense(net.flat(x), 4))
    compiled = build_step(graph, Options(scheme="full"), Runner())
    found, samples = learner(compiled, mode=mode), samples_of(compiled)
    whole = found.gradients(np.arange(12))
    single = [found.gradients(np.array([index]))[0] for index in range(12)]
    np.testing.assert_allclose(whole, single, rtol=1e-4)
    if mode == "float-masters":
        known = [reference(compiled, samples, index) for index in range(12)]
        wanted = [k[compiled.graph.outputs[0]][0] for k in known]
        np.testing.assert_allclose(single, wanted, rtol=1e-6)
        assert worst_gradient(compiled) < F32_ERROR


def test_evaluation_changes_nothing_and_rates_follow_the_samples() -> None:
    compiled = prepared("signal", scheme="last-2")
    asked: list[int] = []

    def rate_of(step: int) -> float:
        asked.append(step)
        return 0.01

    samples = samples_of(compiled)
    whole = FloatLearner(compiled, samples, rate_of, 0, batch=4)
    losses = whole.train(np.arange(10))
    assert asked == [0, 4, 8]
    parts = FloatLearner(compiled, samples, rate_of, 0, batch=4)
    first = parts.train(np.arange(8))
    parts.evaluate()
    np.testing.assert_array_equal(np.concatenate([first, parts.train(np.arange(8, 10))]), losses)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"mode": "double"}, "mode 'double' is unknown"),
        ({"mode": "float", "qas": False}, "'float' has no integers whose gradient could be taken"),
        ({"qas": 1}, "qas is 1"),
        ({"batch": 0}, "a batch of 0 samples"),
        ({"batch": True}, "a batch of True samples"),
        ({"momentum": 1.0}, "momentum 1.0 is not between 0 and 1"),
    ],
)
def test_refuses(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=f"^{sentence}") as caught:
        learner(prepared("signal", scheme="head"), **settings)
    assert caught.value.help


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"loss": "mean_squared_error"}, "cross_entropy only, not mean_squared_error"),
        ({"clip_norm": 1.0}, "float baselines clip no gradient"),
    ],
)
def test_refuses_a_model(options: dict[str, Any], sentence: str) -> None:
    compiled = prepared("signal", scheme="head", **options)
    samples = samples_of(prepared("signal", scheme="head"))
    with pytest.raises(UsageError, match=sentence) as caught:
        FloatLearner(compiled, samples, lambda step: 0.0, 0)
    assert caught.value.help


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is missing")
def test_mcunet_is_the_device_s(tmp_path: Path) -> None:
    """Every activation of a real image, and the gradients of all that the scheme trains."""
    from tinytrain.compiler.compile import compile_model
    from tinytrain.data import load_dataset
    from tinytrain.simulation.folder import open_folder

    product = compile_model(
        SHARED_MODELS / "mcunet-5fps-int8.onnx",
        output=tmp_path / "model",
        target="host",
        mean=0.5,
        std=0.5,
        scheme=str(SCHEMES / "mcunet-5fps-100kb.toml"),
        classes=10,
    )
    with np.load(SHARED / "data" / "cifar10.npz") as data:
        x, y = data["x_train"][:2], data["y_train"][:2].astype(np.int32)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    loaded = load_dataset(tmp_path / "data.npz", open_folder(product.directory).spec)
    images = loaded.quantized(slice(None))
    samples, compiled = Samples(images, y, images, y), product.compiled
    found = FloatLearner(compiled, samples, lambda step: 0.0, 0)
    elements = wrong = 0
    for index in range(2):
        known = reference(compiled, samples, index)
        elements += sum(
            data.numel() for data in found.network.activations(images[[index]]).values()
        )
        wrong += sum(differing(found, images[[index]], known))
        found.gradients(np.array([index]))
        wanted = Mirror(compiled.graph, known).gradients()
        table = masters(compiled, found)
        assert set(table) == set(wanted)
        for value, master in table.items():
            error = np.linalg.norm(as_parameter(master.gradient()) - wanted[value])
            assert error < F32_ERROR * np.linalg.norm(wanted[value])
    assert elements > 1_000_000
    assert wrong == 0
