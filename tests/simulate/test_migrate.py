"""What was learned under an older format or another scheme, in a model that loads it."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinytrain
from tests.support.onnx_models import quantized_model
from tests.support.paths import ROOT
from tests.support.saved_files import HEADER, STEP
from tinytrain import DataError, UsageError
from tinytrain.cli.main import main
from tinytrain.saved_file import read_saved

DIGITS = ROOT / "examples" / "digits" / "digits.onnx"
RNG = np.random.default_rng(0)
X, Y = RNG.random((48, 1, 8, 8), dtype=np.float32), RNG.integers(0, 10, 48)
PART = """biases = 1
[weights]
{layer} = {{ channels = [{channels}] }}
"""
LAYER = "conv_15"
MORE: dict[str, dict[str, Any]] = {
    "head": {"replay": 3},
    # A third of this rate is another number in float32 than in double precision.
    "window": {"accumulate": 3, "learning_rate": 0.01},
}
"""Options of `compile`, by folder."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of one model file under several schemes, and what the first learned."""
    place = tmp_path_factory.mktemp("migrate")
    np.savez(place / "data.npz", x=X, y=Y)
    schemes = {"last-2": "last-2", "head": "head", "window": "head"}
    for name, channels in (("some", "0, 2, 5, 7"), ("others", "2, 3, 7")):
        schemes[name] = str(place / f"{name}.toml")
        Path(schemes[name]).write_text(PART.format(layer=LAYER, channels=channels))
    for name, scheme in schemes.items():
        more = MORE.get(name, {})
        tinytrain.compile_model(DIGITS, output=place / name, calibration=X, scheme=scheme, **more)
        learn = {"data": place / "data.npz", "steps": 30, "save": place / f"{name}.bin"}
        tinytrain.simulate(place / name, **learn)
    return place


def parameters(folder: Path, file: Path) -> dict[str, bytes]:
    """The bytes of each parameter in a file."""
    found, start = {}, 0
    weights = read_saved(file.read_bytes()).weights
    for record in json.loads((folder / "manifest.json").read_text())["parameters"]:
        found[record["name"]] = weights[start : start + record["bytes"]]
        start += record["bytes"]
    return found


def factory(folder: Path, path: Path) -> dict[str, bytes]:
    with tinytrain.load(folder) as device:
        device.save(path)
    return parameters(folder, path)


def as_format_1(data: bytes, folder: Path) -> bytes:
    """The bytes that the version before wrote: samples in between, and a seed."""
    saved = read_saved(data)
    rate, _, count = STEP.unpack(saved.state[-12:])
    state = saved.samples + saved.state[:-12] + struct.pack("<fII", rate, 7, count)
    sizes = len(saved.weights + state), len(saved.weights)
    data = HEADER.pack(b"TTRN", 1, saved.model_hash, *sizes) + saved.weights + state
    return data + struct.pack("<I", zlib.crc32(data))


@pytest.mark.parametrize("name", ["last-2", "head", "window"])
def test_a_file_of_format_1_is_taken_whole(name: str, place: Path, tmp_path: Path) -> None:
    now = (place / f"{name}.bin").read_bytes()
    old, new = tmp_path / "old.bin", tmp_path / "new.bin"
    old.write_bytes(as_format_1(now, place / name))
    with pytest.raises(DataError, match=r"(?s)have format 1, .* reads format 2.*tinytrain migrate"):
        tinytrain.simulate(place / name, data=place / "data.npz", steps=0, load=old)
    found = tinytrain.migrate(place / name, load=old, save=new)
    assert new.read_bytes() == now == found.saved
    assert (found.format, found.is_whole, found.steps) == (1, True, 60 if name == "head" else 30)
    assert found.elements == sum(one.learned for one in found.tensors) > 0


def test_a_larger_scheme_takes_all_that_a_smaller_one_learned(place: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.bin"
    arguments = {"load": place / "head.bin", "old": place / "head", "save": new}
    found = tinytrain.migrate(place / "last-2", **arguments)
    old, made = parameters(place / "head", place / "head.bin"), parameters(place / "last-2", new)
    untouched = factory(place / "last-2", tmp_path / "factory.bin")
    assert all(made[name] == (old[name] if name in old else untouched[name]) for name in made)
    assert all(one.taken == one.learned for one in found.tensors)
    assert {one.why for one in found.tensors} == {"", "the old scheme did not train it"}
    assert (found.steps, found.is_whole) == (0, False)
    # It computes what the old one does.
    judged = []
    for folder, file in (("head", place / "head.bin"), ("last-2", new)):
        with tinytrain.load(place / folder) as device:
            device.load(file)
            judged.append(device.predict(X[:9]))
    assert np.array_equal(*judged)


def test_a_smaller_scheme_says_what_it_does_not_take(place: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.bin"
    arguments = {"load": place / "last-2.bin", "old": place / "last-2", "save": new}
    found = tinytrain.migrate(place / "head", **arguments)
    old, made = parameters(place / "last-2", place / "last-2.bin"), parameters(place / "head", new)
    assert all(made[name] == old[name] for name in made)
    left = {one.why for one in found.tensors if not one.taken}
    assert left == {"the new scheme does not train it"}


def test_channels_in_common(place: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.bin"
    arguments = {"load": place / "some.bin", "old": place / "some", "save": new}
    found = tinytrain.migrate(place / "others", **arguments)
    (part,) = (one for one in found.tensors if (one.layer, one.role) == (LAYER, "weights"))
    assert part.learned == 2 * part.taken and "other channels" in part.why
    (name,) = (n for n in parameters(place / "some", place / "some.bin") if n.endswith("_trained"))
    untouched = factory(place / "others", tmp_path / "factory.bin")
    files = parameters(place / "some", place / "some.bin"), parameters(place / "others", new)
    before, after = (
        weights_of(held, name, width) for held, width in zip(files, (4, 3), strict=True)
    )
    first = weights_of(untouched, name, 3)
    assert np.array_equal(after[:, [0, 2]], before[:, [1, 3]])  # channels 2 and 7, to the last bit
    assert np.array_equal(after[:, 1], first[:, 1])
    assert not np.array_equal(after, first)


def test_a_device_that_only_infers_gets_the_same_file(place: Path, tmp_path: Path) -> None:
    reader = tmp_path / "reader"
    options = {"calibration": X, "scheme": "last-2", "inference": True}
    tinytrain.compile_model(DIGITS, output=reader, **options)
    files = []
    for folder in (place / "last-2", reader):
        files.append(tmp_path / f"{len(files)}.bin")
        given = {"load": place / "some.bin", "old": place / "some", "save": files[-1]}
        assert tinytrain.migrate(folder, **given).elements > 0
    assert files[0].read_bytes() == files[1].read_bytes()


def weights_of(held: dict[str, bytes], name: str, channels: int) -> np.ndarray:
    """Sixteenths, int [..., channels]."""
    coarse = np.frombuffer(held[name], np.int8).astype(int)
    packed = np.frombuffer(held[f"{name}_fraction"], np.uint8)
    low = np.stack([packed & 15, packed >> 4], axis=1).ravel()[: coarse.size].astype(int)
    return (16 * coarse + np.where(low > 7, low - 16, low)).reshape(-1, channels)


def test_what_is_refused(place: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.bin"
    load = place / "last-2.bin"
    with pytest.raises(DataError, match="another model than that in") as caught:
        tinytrain.migrate(place / "head", load=load, save=new)
    assert "with old=" in str(caught.value)
    broken = tmp_path / "broken.bin"
    broken.write_bytes(load.read_bytes()[:-1] + b"\0")
    with pytest.raises(DataError, match="damaged"):
        tinytrain.migrate(place / "last-2", load=broken, save=new)
    with pytest.raises(DataError, match="cannot be read"):
        tinytrain.migrate(place / "last-2", load=tmp_path / "none.bin", save=new)
    held = load.read_bytes()
    with pytest.raises(UsageError, match="would be overwritten"):
        tinytrain.migrate(place / "last-2", load=load, save=load)
    assert load.read_bytes() == held
    other = tmp_path / "other"
    model = quantized_model(tmp_path / "other.onnx", seed=1, shape=(1, 3, 6, 6))
    tinytrain.compile_model(model, output=other, scheme="head")
    with pytest.raises(UsageError, match="two model files"):
        tinytrain.migrate(other, load=load, old=place / "last-2", save=new)
    assert not new.exists()


def test_the_command(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = str(tmp_path / "new.bin")
    words = ["migrate", str(place / "others"), "--load", str(place / "last-2.bin"), "--save", new]
    words += ["--old", str(place / "last-2")]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "weights and biases" in told and "as compiled" in told
    assert main([*words, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert 0 < figures["taken"] < figures["learned"] and not figures["is_whole"]
    whys = {one["why"] for one in figures["tensors"]}
    assert "the new scheme does not train the other channels" in whys
    assert tinytrain.simulate(place / "others", data=place / "data.npz", steps=1, load=new)
