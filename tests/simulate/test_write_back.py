"""What a device learned, back in the model that it came from: it computes what the device does."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info
from torch import nn

import tinytrain
from tests.support.paths import ROOT, SHARED
from tests.support.tflite_models import small_model
from tinytrain import Device, ModelError, UsageError
from tinytrain.frontend.onnx.write import write_onnx

DIGITS = ROOT / "examples" / "digits" / "digits.onnx"
RNG = np.random.default_rng(0)
X = RNG.random((24, 1, 8, 8), dtype=np.float32)
Y = RNG.integers(0, 10, 24)


def trained(folder: Path, model: Any, example: Any = None, **options: Any) -> Device:
    """A device that has learned for twenty steps, far enough to tell it from a fresh one."""
    options = {"scheme": "full", "learning_rate": 0.005, "calibration": X, **options}
    options = {"schedule": "constant", **options}
    tinytrain.compile_model(model, example, output=folder, **options)
    device = tinytrain.load(folder)
    before = device.predict(X)
    device.train(X[:20], Y[:20] % before.shape[1])
    assert np.corrcoef(before.ravel(), device.predict(X).ravel())[0, 1] < 0.99
    return device


def by_onnxruntime(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: x[None]})[0] for x in X])


def assert_alike(found: np.ndarray, device: Device) -> None:
    """Equal up to the quantization of the activations."""
    wanted = device.predict(X)
    assert found.shape == wanted.shape
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.995
    assert np.mean(found.argmax(1) == wanted.argmax(1)) > 0.8


class Normalised(nn.Module):
    """Batch normalisations behind a layer without bias and behind a depthwise one with bias; a
    dense layer that reads a map flattened channels first; weights of more than one digit of places.
    """

    def __init__(self, *, has_bias: bool = True) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.deep = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.norm2 = nn.BatchNorm2d(16)
        self.head = nn.Linear(16 * 16, 10, bias=has_bias)
        for norm in (self.norm, self.norm2):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.3, 0.3)
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.uniform_(-0.3, 0.3)
            norm.running_var.uniform_(0.5, 1.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.first(x)))
        x = torch.max_pool2d(torch.relu(self.norm2(self.deep(x))), 2)
        return self.head(x.flatten(1))


def module(**options: Any) -> Normalised:
    torch.manual_seed(0)
    return Normalised(**options).eval()


def numbers(shape: tuple[int, ...], name: str) -> onnx.TensorProto:
    values = np.random.default_rng(len(name)).normal(size=shape).astype(np.float32) / 3
    return onnx.numpy_helper.from_array(values, name)


def plain_onnx(path: Path) -> Path:
    """Conv, BatchNormalization, Relu, Flatten, MatMul without a bias, and Gemm as stored [I, O]."""
    nodes = [
        make_node("Conv", ["x", "w"], ["a"], "conv", pads=[1, 1, 1, 1]),
        make_node("BatchNormalization", ["a", "g", "beta", "mean", "var"], ["b"], "norm"),
        make_node("Relu", ["b"], ["c"], "relu"),
        make_node("Flatten", ["c"], ["d"], "flatten"),
        make_node("MatMul", ["d", "m"], ["e"], "product"),
        make_node("Relu", ["e"], ["f"], "relu2"),
        make_node("Gemm", ["f", "h", "hb"], ["y"], "head"),
    ]
    one = onnx.numpy_helper.from_array
    tensors = [
        numbers((4, 1, 3, 3), "w"), numbers((4,), "beta"), numbers((4,), "mean"),
        one(np.float32([0.5, 1.5, -0.7, 1.0]), "g"), one(np.float32([0.5, 1.0, 2.0, 0.8]), "var"),
        numbers((256, 12), "m"), numbers((12, 10), "h"), numbers((10,), "hb"),
    ]  # fmt: skip
    graph = make_graph(
        nodes, "plain",
        [make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 1, 8, 8])],
        [make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 10])],
        tensors,
    )  # fmt: skip
    onnx.save(make_model(graph, opset_imports=[make_opsetid("", 17)], ir_version=8), path)
    return path


def test_onnx_learns_what_the_device_learned(tmp_path: Path) -> None:
    model = plain_onnx(tmp_path / "plain.onnx")
    with trained(tmp_path / "own", model) as device:
        device.to_onnx(tmp_path / "learned.onnx")
        assert_alike(by_onnxruntime(tmp_path / "learned.onnx"), device)
        with pytest.warns(UserWarning, match="no 'm_bias': a layer without a bias learned one"):
            learned = device.state_dict()
        # The normalisation stays what it was but for its shift.
        assert set(learned) == {"w", "beta", "m", "m_bias", "h", "hb"}
        held = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(model).graph.initializer}
        written = {
            t.name: onnx.numpy_helper.to_array(t)
            for t in onnx.load(tmp_path / "learned.onnx").graph.initializer
        }
        for name, tensor in written.items():
            assert np.array_equal(tensor, learned.get(name, held.get(name)))
            assert name == "m_bias" or tensor.shape == held[name].shape
        # Compiled again, it is the model that the device had become.
        with trained(tmp_path / "again", tmp_path / "learned.onnx", learning_rate=0.3) as other:
            other.reset()
            assert_alike(other.predict(X), device)


def test_a_module_takes_what_the_device_learned(tmp_path: Path) -> None:
    net = module()
    with trained(tmp_path / "own", net, (torch.zeros(1, 1, 8, 8),)) as device:
        learned = device.state_dict()
        assert set(learned) == {"first.weight", "norm.bias", "deep.weight", "norm2.bias",
                                "head.weight", "head.bias"}  # fmt: skip
        fresh = module()
        tensors = {name: torch.from_numpy(array) for name, array in learned.items()}
        assert not fresh.load_state_dict(tensors, strict=False).unexpected_keys
        assert_alike(fresh(torch.from_numpy(X)).detach().numpy(), device)
        with pytest.raises(ModelError, match=r"came from PyTorch(.|\n)*load_state_dict"):
            device.to_onnx(tmp_path / "learned.onnx")
        # Without a step, it is the module up to the quantization of its weights.
        device.reset()
        for name, tensor in device.state_dict().items():
            wanted = module().state_dict()[name].numpy()
            assert np.abs(tensor - wanted).max() < 0.02 * np.abs(wanted).max()


class Twice(nn.Module):
    """Runs one layer two times: its weights are one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4 * 64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.again(torch.relu(self.again(torch.relu(self.first(x))))))
        return self.head(x.flatten(1))


def test_weights_that_layers_share_are_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Twice().eval()
    with trained(tmp_path / "own", net, torch.zeros(1, 1, 8, 8)) as device:
        learned = device.state_dict()
        assert len(learned) == 6
        net.load_state_dict({name: torch.from_numpy(array) for name, array in learned.items()})
        assert_alike(net(torch.from_numpy(X)).detach().numpy(), device)


def test_a_layer_without_a_bias_says_that_it_learned_one(tmp_path: Path) -> None:
    net = module(has_bias=False)
    with trained(tmp_path / "own", net, torch.zeros(1, 1, 8, 8), scheme="head") as device:
        with pytest.warns(UserWarning, match="no 'head.bias'"):
            learned = device.state_dict()
        tensors = {name: torch.from_numpy(array) for name, array in learned.items()}
        assert module().load_state_dict(tensors, strict=False).unexpected_keys == []
        assert net.load_state_dict(tensors, strict=False).unexpected_keys == ["head.bias"]


def test_a_fresh_head_has_its_own_shape(tmp_path: Path) -> None:
    with trained(tmp_path / "own", DIGITS, scheme="last-2", classes=4) as device:
        device.to_onnx(tmp_path / "learned.onnx")
        assert by_onnxruntime(tmp_path / "learned.onnx").shape == (24, 4)
        assert_alike(by_onnxruntime(tmp_path / "learned.onnx"), device)
        output = onnx.load(tmp_path / "learned.onnx").graph.output[0].type.tensor_type.shape
        assert [d.dim_value for d in output.dim] == [1, 4]


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared models")
@pytest.mark.parametrize("options", [{}, {"classes": 5}], ids=["own head", "fresh head"])
def test_integers_stay_integers_and_channels_that_do_not_train_stay(
    options: dict[str, Any], tmp_path: Path
) -> None:
    model = SHARED / "models" / "mcunet-5fps-int8.onnx"
    shape = [d.dim_value for d in onnx.load(model).graph.input[0].type.tensor_type.shape.dim]
    x = RNG.normal(size=(6, *shape[1:])).astype(np.float32)
    scheme = ROOT / "examples" / "schemes" / "mcunet-5fps-49kb.toml"
    chosen = {"scheme": str(scheme), "schedule": "constant", "rate_limit": 1024.0, **options}
    tinytrain.compile_model(model, output=tmp_path / "own", calibration=x, **chosen)
    with tinytrain.load(tmp_path / "own") as device:
        device.learning_rate = 0.01
        device.train(x, np.arange(6) % 3, epochs=3)
        device.to_onnx(tmp_path / "learned.onnx")
        session = onnxruntime.InferenceSession(
            tmp_path / "learned.onnx", providers=["CPUExecutionProvider"]
        )
        name = session.get_inputs()[0].name
        found = np.concatenate([session.run(None, {name: one[None]})[0] for one in x])
        assert np.corrcoef(found.ravel(), device.predict(x).ravel())[0, 1] > 0.99


def test_what_cannot_go_back_says_so(tmp_path: Path) -> None:
    (tmp_path / "small.tflite").write_bytes(small_model())
    x = RNG.normal(size=(8, 9, 8, 3)).astype(np.float32)
    tinytrain.compile_model(
        tmp_path / "small.tflite", output=tmp_path / "own", scheme="head", calibration=x
    )
    with tinytrain.load(tmp_path / "own") as device:
        with pytest.raises(ModelError, match="to ONNX and PyTorch only"):
            device.state_dict()
        with pytest.raises(ModelError, match="to ONNX and PyTorch only"):
            device.to_onnx(tmp_path / "learned.onnx")
        with pytest.raises(UsageError, match="cannot be written"):
            device.to_onnx(tmp_path / "nowhere" / "learned.onnx")
    assert not (tmp_path / "learned.onnx").exists()


class Shifted(nn.Module):
    """Shifts its input before a layer that trains: the shift goes into that layer's bias."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4 * 36, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.layer((x - 0.5) / 0.3)).flatten(1))


def test_a_bias_that_depends_on_the_weights_is_refused(tmp_path: Path) -> None:
    example = torch.zeros(1, 1, 8, 8)
    refused = r"cannot all go back(.|\n)*weights of layer 'conv_0'"
    with (
        trained(tmp_path / "own", Shifted().eval(), example) as device,
        pytest.raises(ModelError, match=refused),
    ):
        device.state_dict()
    with (
        trained(tmp_path / "head", Shifted().eval(), example, scheme="head") as device,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")
        assert set(device.state_dict()) == {"head.weight", "head.bias"}


def test_a_model_written_wrongly_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(data: bytes, file: str, tensors: dict[str, np.ndarray], biases: Any) -> bytes:
        moved = {name: np.roll(array, 1, axis=0) for name, array in tensors.items()}
        return write_onnx(data, file, moved, biases)

    with trained(tmp_path / "own", plain_onnx(tmp_path / "plain.onnx")) as device:
        monkeypatch.setattr("tinytrain.frontend.onnx.write.write_onnx", wrong)
        with pytest.raises(ModelError, match="would not compute what the device does"):
            device.to_onnx(tmp_path / "learned.onnx")
    assert not (tmp_path / "learned.onnx").exists()


def two_heads(path: Path) -> Path:
    """Two heads behind one layer: the first is compiled unless another one is named."""
    numbers = {"w": (64, 12), "a": (12, 10), "b": (12, 10), "c": (12, 7)}
    held = {name: RNG.normal(size=shape).astype(np.float32) for name, shape in numbers.items()}
    nodes = [make_node("Flatten", ["x"], ["f"]), make_node("MatMul", ["f", "w"], ["h"])]
    nodes.append(make_node("Relu", ["h"], ["r"]))
    nodes += [make_node("MatMul", ["r", name], [f"y{name}"]) for name in "abc"]
    given = make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 1, 8, 8])
    results = [make_tensor_value_info(f"y{n}", onnx.TensorProto.FLOAT, None) for n in "abc"]
    initial = [onnx.numpy_helper.from_array(data, name) for name, data in held.items()]
    graph = make_graph(nodes, "g", [given], results, initial)
    opsets = [make_opsetid("", 17)]
    path.write_bytes(make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    return path


@pytest.mark.parametrize("output", ["yb", "yc"])
def test_an_output_that_was_chosen_goes_back_and_is_verified(tmp_path: Path, output: str) -> None:
    model, folder = two_heads(tmp_path / "m.onnx"), tmp_path / "out"
    np.savez(tmp_path / "x.npz", x=X)
    tinytrain.compile_model(
        model, output=folder, calibration=tmp_path / "x.npz", scheme="head", model_output=output
    )
    assert tinytrain.verify(folder).device is not None
    device = tinytrain.load(folder)
    device.train(X[:4], Y[:4] % device.predict(X).shape[1])
    device.to_onnx(tmp_path / "learned.onnx")
    first, learned = (
        {held.name: held for held in onnx.load(path).graph.initializer}
        for path in (model, tmp_path / "learned.onnx")
    )
    changed = {name for name in learned if learned[name] != first.get(name)}
    assert changed == {output[1], f"{output[1]}_bias"}
    # What the folder does not know, of TFLite say, is asked for.
    with pytest.raises(UsageError, match="outputs") as caught:
        tinytrain.verify(folder, model_output="yc" if output == "yb" else "ya")
    assert "--model-output" in (caught.value.help or "")
