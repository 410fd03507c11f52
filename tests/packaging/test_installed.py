"""The wheel in an empty environment, away from the checkout: it compiles, simulates, is typed."""

from __future__ import annotations

import json
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import mypy.api
import numpy as np
import pytest

from tests.support.installed import Environment, build, install
from tests.support.onnx_models import CLASSES, SHAPE, quantized_model
from tests.support.paths import ROOT
from tinytrain import resources
from tinytrain.version import __version__

SAMPLES = 8


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    with zipfile.ZipFile(wheel) as archive:
        name = f"tinytrain-{__version__}.dist-info/METADATA"
        requirements = message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []
    made = install(wheel, requirements, tmp_path_factory.mktemp("installed"))
    quantized_model(made.place / "small.onnx")
    x = np.random.default_rng(0).standard_normal((SAMPLES, *SHAPE[1:])).astype(np.float32)
    np.savez(made.place / "samples.npz", x=x, y=np.arange(SAMPLES) % CLASSES)
    return made


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_package_and_the_c_side_alone(wheel: Path) -> None:
    names = set(contents(wheel))
    assert {name.split("/")[0] for name in names} == {
        "tinytrain",
        f"tinytrain-{__version__}.dist-info",
    }
    sources = {f"tinytrain/_data/{folder}": ROOT / folder for folder in resources.FOLDERS}
    for place, source in {"tinytrain": ROOT / "tinytrain", **sources}.items():
        files = [file for file in source.rglob("*") if file.is_file()]
        wanted = {f"{place}/{file.relative_to(source).as_posix()}" for file in files}
        assert wanted and {name for name in wanted if "__pycache__" not in name} <= names
    assert "tinytrain/py.typed" in names


def test_the_sdist_builds_the_same_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    again = build("wheel", source, tmp_path)
    assert contents(again) == contents(wheel)


@pytest.mark.parametrize("target", ["host", pytest.param("mps2-an500", marks=pytest.mark.slow)])
def test_it_compiles_and_simulates(environment: Environment, target: str) -> None:
    run, out = environment.run, f"out-{target}"
    assert run("tinytrain", "--version").split() == ["tinytrain", __version__]
    compiled = json.loads(
        run("tinytrain", "compile", "small.onnx", "-o", out, "--target", target, "--json")
    )
    assert compiled["target"] == target
    on = "host" if target == "host" else "qemu"
    told = run("tinytrain", "simulate", out, "--data", "samples.npz", "--on", on, "--json",
               "--steps", SAMPLES)  # fmt: skip
    assert json.loads(told)["steps"] == SAMPLES
    home = run("python", "-c", "import tinytrain; print(tinytrain.__file__)").strip()
    assert Path(home).is_relative_to(environment.root)


def test_what_is_not_declared_is_not_there(environment: Environment) -> None:
    """Without this, the test above could pass by what the tests alone need."""
    for name in ("scipy", "pytest"):
        told = environment.run("python", "-c", f"import {name}", fails=True)
        assert f"No module named '{name}'" in told


PROGRAM = """
from pathlib import Path
from tinytrain import Product, compile_model
def ram(model: Path) -> int:
    product: Product = compile_model(model, output={output}, target="host")
    return product.memory.ram["total"]
"""


@pytest.mark.slow
def test_a_users_program_is_checked_with_our_types(
    environment: Environment, tmp_path: Path
) -> None:
    """mypy is the tests' own; the environment that it looks into holds what the program imports."""
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(PROGRAM.format(output='Path("out")'))
    wrong.write_text(PROGRAM.format(output="3.5"))
    python = f"--python-executable={environment.root / 'bin' / 'python'}"
    files = [str(right), str(wrong)]
    shown, errors, code = mypy.api.run(["--strict", "--no-incremental", python, *files])
    first, summary = shown.splitlines()
    assert f'{wrong}:5: error: Argument "output" to "compile_model" has incompatible' in first
    assert summary == "Found 1 error in 1 file (checked 2 source files)"
    assert (errors, code) == ("", 1)
