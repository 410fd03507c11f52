"""A model with two inputs: from PyTorch, ONNX and TFLite, with data in every form."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper
from torch.utils.data import DataLoader, TensorDataset

import tinytrain
from tests.support.onnx_models import save
from tests.support.tflite_models import RELU
from tests.support.tflite_writer import TfliteWriter
from tests.support.two_inputs import EXAMPLE, TwoBranches, samples
from tinytrain.compiler.folder import Product
from tinytrain.errors import DataError, ModelError, UsageError
from tinytrain.frontend import import_model
from tinytrain.frontend.proof import prove
from tinytrain.reference.conversion import quantize
from tinytrain.simulation.library_build import build_library
from tinytrain.simulation.stream import training_order

WINDOW, FEATURES, Y = samples()


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Product:
    place = tmp_path_factory.mktemp("two") / "own"
    return tinytrain.compile_model(
        TwoBranches(),
        EXAMPLE,
        output=place,
        calibration=(WINDOW, FEATURES),
        scheme="full",
    )


def test_it_learns_what_only_both_inputs_show(product: Product, tmp_path: Path) -> None:
    np.savez(tmp_path / "named.npz", window=WINDOW, features=FEATURES, y=Y)
    np.savez(tmp_path / "numbered.npz", x0=WINDOW, x1=FEATURES, y=Y)
    result = tinytrain.simulate(
        product.directory,
        data=tmp_path / "named.npz",
        eval=tmp_path / "numbered.npz",
        steps=1200,
    )
    assert result.loss_first is not None and result.loss_last is not None
    assert result.loss_last < 0.6 * result.loss_first
    # Of one input alone no more than half of the labels can be told.
    assert result.accuracy_after is not None and result.accuracy_after > 0.7
    assert result.warnings == ()
    with tinytrain.load(product.directory) as device:
        for step, k in enumerate(training_order(len(Y), 50, 0)):
            found = device.train_step((WINDOW[k], FEATURES[k]), Y[k])
            assert found.loss == result.losses[step]


def test_every_form_of_two_inputs(product: Product) -> None:
    reals = TwoBranches()(torch.tensor(WINDOW), torch.tensor(FEATURES)).detach().numpy()
    with tinytrain.load(product.directory) as device:
        whole = device.predict((WINDOW, FEATURES))
        assert whole.shape == reals.shape
        assert np.abs(whole - reals).max() < 0.1 * np.abs(reals).max()
        assert np.array_equal(device.predict([torch.tensor(WINDOW), FEATURES]), whole)
        assert np.array_equal(device.predict({"features": FEATURES, "window": WINDOW}), whole)
        assert np.array_equal(device.predict((WINDOW[0], FEATURES[0])), whole[0])
        inner = np.concatenate([WINDOW.transpose(0, 2, 1).reshape(len(Y), -1), FEATURES], axis=1)
        assert np.array_equal(device.predict(inner), whole)
        judged = device.evaluate((WINDOW, FEATURES), Y)
        pairs = TensorDataset(*map(torch.tensor, (WINDOW, FEATURES, Y)))
        for data in (
            ((WINDOW, FEATURES), Y),
            (WINDOW, FEATURES, Y),
            {"window": WINDOW, "features": FEATURES, "y": Y},
            DataLoader(pairs, batch_size=50),
            [((w, f), y) for w, f, y in zip(WINDOW, FEATURES, Y, strict=True)],
        ):
            assert device.evaluate(data) == pytest.approx(judged) or (
                device.evaluate(data).accuracy == judged.accuracy
            )


@pytest.mark.parametrize(
    ("calibration", "is_labelled"),
    [
        ({"window": WINDOW, "features": FEATURES}, False),
        (((WINDOW, FEATURES), Y), True),
        ([(WINDOW[:60], FEATURES[:60], Y[:60]), (WINDOW[60:], FEATURES[60:], Y[60:])], True),
    ],
)
def test_calibration_in_other_forms(
    calibration: object, is_labelled: bool, product: Product, tmp_path: Path
) -> None:
    other = tinytrain.compile_model(
        TwoBranches(),
        EXAMPLE,
        output=tmp_path / "own",
        calibration=calibration,
        scheme="full",
    )
    assert other.manifest.model_hash == product.manifest.model_hash
    assert (other.quantization.accuracy_int8 is not None) == is_labelled


def test_the_c_quantizes_each_input_by_its_own_scale(product: Product, tmp_path: Path) -> None:
    model, parts = product.manifest.interface, product.manifest.input.parts
    assert [part.name for part in parts] == ["window", "features"]
    assert model.input_sizes == (180, 8) and parts[1].scale > 10 * parts[0].scale
    library = ctypes.CDLL(str(build_library(product.directory, model, tmp_path)))
    state = (ctypes.c_uint64 * (library[f"{model.name}_library_size"]() // 8 + 1))()
    library[f"{model.name}_init"](state)
    x = [WINDOW[0].T.copy(), FEATURES[0]]

    def held(number: int) -> np.ndarray:
        function = library[f"{model.name}_input{number}"]
        function.restype = ctypes.c_void_p
        data = ctypes.string_at(function(state), model.input_sizes[number])
        return np.frombuffer(data, np.int8)

    def call(name: str, data: np.ndarray) -> None:
        library[f"{model.name}_{name}"](state, data.ctypes.data_as(ctypes.c_void_p))

    wanted = [
        quantize(one.ravel(), part.zero_point, part.scale)
        for one, part in zip(x, parts, strict=True)
    ]
    call("quantize_input", np.concatenate([one.ravel() for one in x]))
    assert all(np.array_equal(held(k), wanted[k]) for k in (0, 1))
    call("quantize_input1", np.zeros(8, np.float32))
    assert np.array_equal(held(0), wanted[0]) and set(held(1)) == {parts[1].zero_point}


def test_data_that_does_not_fit(product: Product, tmp_path: Path) -> None:
    data = tmp_path / "data.npz"

    def refused(said: str, **arrays: np.ndarray) -> None:
        np.savez(data, y=Y, **arrays)
        with pytest.raises(DataError) as caught:
            tinytrain.simulate(product.directory, data=data, steps=1)
        assert said in str(caught.value)

    refused("no array for each of the model's inputs window, features", window=WINDOW)
    refused("x has shape [120, 30, 6, 1]", x0=WINDOW.transpose(0, 2, 1)[..., None], x1=FEATURES)
    refused("of different numbers of samples: 120, 119", x0=WINDOW, x1=FEATURES[1:])
    refused("input 'features'", x0=WINDOW, x1=FEATURES[:, 1:])
    refused("a model with several inputs takes float32", x0=WINDOW, x1=FEATURES.astype(np.uint8))
    with tinytrain.load(product.directory) as device, pytest.raises(DataError, match="3 inputs"):
        device.predict((WINDOW, FEATURES, FEATURES))
    np.savez(data, x0=WINDOW, x1=FEATURES * 255, y=Y)
    (sentence,) = tinytrain.simulate(product.directory, data=data, steps=1).warnings
    assert "of data.npz, input 'features', lie outside the range" in sentence
    with pytest.raises(UsageError, match="drift changes a model's one input"):
        tinytrain.simulate(product.directory, data=data, steps=1, order="drift")


def test_what_takes_one_input_says_so(tmp_path: Path) -> None:
    given = {"calibration": (WINDOW, FEATURES), "scheme": "head", "output": tmp_path / "own"}
    with pytest.raises(UsageError, match="several inputs cannot be fed row by row"):
        tinytrain.compile_model(TwoBranches(), EXAMPLE, feed="rows", **given)
    with pytest.raises(UsageError, match="a model with several inputs takes none"):
        tinytrain.compile_model(TwoBranches(), EXAMPLE, mean=0.5, **given)
    assert not (tmp_path / "own").exists()


def test_an_onnx_model_with_two_inputs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["picture", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("Concat", ["y", "c"], ["d"], axis=1),
        helper.make_node("MatMul", ["d", "v"], ["e"]),
    ]
    constants = {
        "w": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "v": rng.standard_normal((5 + 64, 3)).astype(np.float32),
    }
    inputs = {"picture": (1, 3, 6, 6), "y": (1, 5)}
    path = save(tmp_path / "m.onnx", nodes, constants, inputs=inputs, outputs=("e",))
    imported = import_model(path)
    assert [(one.name, one.layout) for one in imported.graph.source.inputs] == [
        ("picture", "NCHW"),
        ("y", "NC"),
    ]
    assert prove(imported).reference is not None
    # An input that is called y: by number, as the name is that of the targets.
    x = {"x0": rng.normal(size=(20, 3, 6, 6)), "x1": rng.normal(size=(20, 5))}
    data = tmp_path / "data.npz"
    np.savez(data, y=np.arange(20) % 3, **{k: v.astype(np.float32) for k, v in x.items()})
    tinytrain.compile_model(path, output=tmp_path / "own", calibration=data, scheme="head")
    assert tinytrain.simulate(tmp_path / "own", data=data, steps=3).skipped == 0
    nodes[3] = helper.make_node("Concat", ["c", "c"], ["d"], axis=1)
    constants["v"] = rng.standard_normal((128, 3)).astype(np.float32)
    save(path, nodes, constants, inputs=inputs, outputs=("e",))
    with pytest.raises(ModelError, match="the input 'y' is not needed for the output"):
        import_model(path)


def test_it_is_inspected_and_verified_layer_by_layer() -> None:
    given = {"calibration": (WINDOW, FEATURES)}
    report = tinytrain.inspect(TwoBranches(), EXAMPLE, **given)
    assert report.inputs == ("window 1x6x30", "features 1x8")
    assert report.facts()["input"] == "window 1x6x30, features 1x8"
    found = tinytrain.verify(TwoBranches(), EXAMPLE, **given)
    assert [layer.layer for layer in found.layers[:2]] == ["input_0", "input_1"]
    # The pool takes the scale of the concatenation, which the features decide.
    assert min(one.correlation for one in found.layers if one.layer != "avg_pool_0") > 0.999
    with pytest.raises(UsageError, match="a few hundred inputs as `window`, `features`"):
        tinytrain.compile_model(TwoBranches(), EXAMPLE, output="nowhere")


def test_a_tflite_model_with_two_inputs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    w = TfliteWriter()
    picture, vector = w.tensor("picture", (1, 4, 4, 2)), w.tensor("vector", (1, 6))

    def constant(*shape: int) -> int:
        return w.constant(f"c{len(w.tensors)}", rng.normal(size=shape).astype(np.float32))

    flat = w.operator("RESHAPE", [picture, w.constant("s", np.array([1, 32], np.int32))], (1, 32),
                      "ReshapeOptions")  # fmt: skip
    both = w.operator("CONCATENATION", [vector, flat], (1, 38), "ConcatenationOptions", Axis=1)
    hidden = w.operator("FULLY_CONNECTED", [both, constant(8, 38), constant(8)], (1, 8),
                        "FullyConnectedOptions", FusedActivationFunction=RELU)  # fmt: skip
    dense = w.operator("FULLY_CONNECTED", [hidden, constant(3, 8), constant(3)], (1, 3),
                       "FullyConnectedOptions")  # fmt: skip
    path = tmp_path / "m.tflite"
    path.write_bytes(w.finish([picture, vector], dense))
    imported = import_model(path)
    assert [one.layout for one in imported.graph.source.inputs] == ["NHWC", "NC"]
    prove(imported)
    x = rng.normal(size=(20, 4, 4, 2)), rng.normal(size=(20, 6))
    tinytrain.compile_model(path, output=tmp_path / "own", calibration=x, scheme="full")
    with tinytrain.load(tmp_path / "own") as device:
        found = device.train(x, np.arange(20) % 3, epochs=5)
        assert np.isfinite(found.losses).all()
