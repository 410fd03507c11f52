"""Sessions that cannot run: data, saved parameters and folders that do not fit."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.onnx_models import CLASSES, SHAPE, quantized_model
from tests.support.refusals import Refuse
from tinytrain.cli import main

USAGE_ERROR, MODEL_ERROR, DATA_ERROR, TOOLCHAIN_ERROR = 2, 3, 4, 7
X = np.random.default_rng(0).standard_normal((8, *SHAPE[1:])).astype(np.float32)
Y = np.arange(8) % CLASSES


@pytest.fixture(scope="session")
def saved(compiled: Path, samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parameters after three steps. Also builds the program that the tests below use."""
    path = tmp_path_factory.mktemp("saved") / "after.bin"
    arguments = ["simulate", compiled, "--data", samples, "--steps", 3, "--save", path, "--json"]
    assert main([str(argument) for argument in arguments]) == 0
    return path


def label(value: int) -> np.ndarray:
    y = Y.copy()
    y[6] = value
    return y


DATA: dict[str, tuple[dict[str, np.ndarray], str]] = {
    "label too large": (
        {"x": X, "y": label(CLASSES)},
        f"label {CLASSES} of sample 6 is out of range: the model has classes 0 to {CLASSES - 1}",
    ),
    "negative label": ({"x": X, "y": label(-1)}, "label -1 of sample 6 is out of range"),
    "no y": ({"x": X}, "the data file has no array 'y' of labels"),
    "fewer labels": ({"x": X, "y": Y[:5]}, "x holds 8 samples but y has shape [5]"),
    "one-hot": ({"x": X, "y": np.eye(8)}, "y has shape [8, 8], but labels have shape [8]"),
    "real labels": ({"x": X, "y": Y / 2}, "y has dtype float64, but labels are integers"),
    "nan": ({"x": X * np.nan, "y": Y}, "x holds a NaN or an infinite value, first in sample 0"),
}


HELP = {
    "label too large": "compile with --classes N for as many classes as the data has",
    "negative label": "labels count from 0",
    "one-hot": "where y has a number for each class, save y.argmax(1)",
}


@pytest.mark.parametrize("option", ["--data", "--eval"])
@pytest.mark.parametrize("name", sorted(DATA))
def test_data(
    name: str, option: str, compiled: Path, samples: Path, refuse: Refuse, tmp_path: Path
) -> None:
    held, sentence = DATA[name]
    path = tmp_path / "bad.npz"
    np.savez(path, **held)
    others = ["--data", samples] if option == "--eval" else []
    told = refuse(DATA_ERROR, "simulate", compiled, option, path, *others, "--steps", 3)
    assert told.startswith(sentence)
    assert f"  at: {path}" in told
    if name in HELP:
        assert f"\n  help: {HELP[name]}" in told


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--steps", -1], "--steps must be between 0 and 10000000, got -1"),
        (["--steps", 10**12], "--steps must be between 0 and 10000000, got 1000000000000"),
        (["--steps", 1, "--seed", -1], "--seed must be between 0 and 2^32 - 1, got -1"),
        (
            ["--steps", 1, "--learning-rate", "nan"],
            "--learning-rate must be between 0 and 1024, got nan",
        ),
        (
            ["--steps", 1, "--learning-rate", "-0.5"],
            "--learning-rate must be between 0 and 1024, got -0.5",
        ),
        (
            ["--steps", 1, "--learning-rate", "inf"],
            "--learning-rate must be between 0 and 1024, got inf",
        ),
        (
            ["--steps", 1, "--evaluate-every", -1],
            "--evaluate-every must be between 0 and 10000000, got -1",
        ),
        (["--steps", 1, "--evaluate-every", 1], "there are no samples to evaluate between steps"),
        (["--steps", 1, "--patience", 2], "patience needs evaluations between steps"),
        (["--steps", 1, "--patience", 65536], "--patience must be between 0 and 65535, got 65536"),
        (["--steps", 1, "--icount"], "instructions are counted on an emulator only"),
        (["--steps", 1, "--on", "qemu"], "nothing emulates target 'host'"),
        (["--steps", 1, "--save", "/proc/nowhere/out.bin"], "'/proc/nowhere/out.bin' cannot be"),
        (["--steps", 1, "--losses", "/"], "'/' cannot be written: it is a folder"),
        (["--steps", 1, "--replay-steps", -1], "--replay-steps must be between 0 and 1000, got -1"),
        (["--steps", 1, "--replay-steps", 2], "the model in"),
        (["--steps", 1, "--fill", "old.npz"], "the model in"),
        (["--steps", 1, "--rehearsal-steps", 2], "the model in"),
    ],
)
def test_options(
    options: list[object], sentence: str, compiled: Path, samples: Path, refuse: Refuse
) -> None:
    told = refuse(USAGE_ERROR, "simulate", compiled, "--data", samples, *options)
    assert told.startswith(sentence)


@pytest.mark.parametrize("option", ["--save", "--losses"])
def test_data_is_never_overwritten(
    option: str, compiled: Path, samples: Path, refuse: Refuse
) -> None:
    words = ["--data", samples, "--steps", 1, option, samples]
    assert "would be overwritten" in refuse(USAGE_ERROR, "simulate", compiled, *words)


# --- saved parameters -----------------------------------------------------------------------------


def with_crc(data: bytes) -> bytes:
    return data[:-4] + struct.pack("<I", zlib.crc32(data[:-4]))


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


SAVED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "the file holds no saved parameters"),
    "text": (lambda data: b"Dear reader, " * 99, "the file holds no saved parameters"),
    "cut off": (lambda data: data[:-9], "the saved parameters do not have the size they state"),
    "cut in the header": (lambda data: data[:40], "the file holds no saved parameters"),
    "longer": (lambda data: data + b"\0", "the saved parameters do not have the size"),
    "damaged": (lambda data: flipped(data, 60), "the saved parameters are damaged"),
    "damaged at the end": (lambda data: flipped(data, len(data) - 1), "the saved parameters are"),
    "another format": (
        lambda data: data[:4] + b"\3\0\0\0" + data[8:],
        "the saved parameters have format 3, but this version reads format 2",
    ),
    "another model": (
        lambda data: with_crc(flipped(data, 20)),
        "the saved parameters belong to another model",
    ),
    "forged rate": (
        lambda data: with_crc(data[:-16] + struct.pack("<f", np.nan) + data[-12:]),
        "the saved parameters are damaged",
    ),
}


@pytest.mark.parametrize("name", sorted(SAVED))
def test_saved_parameters(
    name: str, compiled: Path, samples: Path, saved: Path, refuse: Refuse, tmp_path: Path
) -> None:
    change, sentence = SAVED[name]
    path = tmp_path / "bad.bin"
    path.write_bytes(change(saved.read_bytes()))
    told = refuse(
        DATA_ERROR, "simulate", compiled, "--data", samples, "--steps", 1, "--load", path,
        "--save", tmp_path / "never.bin",
    )  # fmt: skip
    assert told.startswith(sentence)


def test_saved_parameters_go_on_where_they_stopped(
    compiled: Path, samples: Path, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sound file loads, or the refusals above would prove nothing."""
    arguments = ["simulate", compiled, "--data", samples, "--steps", 0, "--load", saved,
                 "--save", tmp_path / "again.bin", "--json"]  # fmt: skip
    assert main([str(argument) for argument in arguments]) == 0
    assert (tmp_path / "again.bin").read_bytes() == saved.read_bytes()


def test_parameters_of_another_model(
    compiled: Path, samples: Path, saved: Path, refuse: Refuse, tmp_path: Path
) -> None:
    other = quantized_model(tmp_path / "small.onnx", seed=5)
    assert main(["compile", str(other), "-o", str(tmp_path / "other"), "--json"]) == 0
    shutil.copytree(tmp_path / "other", tmp_path / "built")
    arguments = ["simulate", tmp_path / "built", "--data", samples, "--steps", 0, "--json"]
    assert main([str(argument) for argument in arguments]) == 0
    told = refuse(
        DATA_ERROR, "simulate", tmp_path / "built", "--data", samples, "--steps", 1,
        "--load", saved,
    )  # fmt: skip
    assert told.startswith("the saved parameters belong to another model")
    assert f"  at: {saved}" in told and "  help: load it with the folder that it came from" in told


def test_confusion_needs_samples_to_evaluate(compiled: Path, samples: Path, refuse: Refuse) -> None:
    told = refuse(USAGE_ERROR, "simulate", compiled, "--data", samples, "--steps", 1, "--confusion")
    assert told.endswith("help: add --eval FILE.npz, or leave out --confusion")


# --- the folder -----------------------------------------------------------------------------------


def tampered(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text((folder / name).read_text() + "\n/* mine */")


FOLDERS: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "source": (tampered("src/small.c"), MODEL_ERROR, "the file was changed after it was compiled"),
    "header": (tampered("include/tt_kernels.h"), MODEL_ERROR, "the file was changed after it was"),
    "makefile": (tampered("Makefile"), MODEL_ERROR, "the file was changed after it was compiled"),
    "added source": (
        lambda folder: (folder / "src" / "own.c").write_text(""),
        MODEL_ERROR,
        "the folder holds a source file that the manifest does not list",
    ),
    "missing source": (
        lambda folder: (folder / "src" / "small.c").unlink(),
        MODEL_ERROR,
        "a file that the manifest lists is missing",
    ),
    "missing manifest": (
        lambda folder: (folder / "manifest.json").unlink(),
        USAGE_ERROR,
        "folder '",
    ),
    "broken manifest": (
        lambda folder: (folder / "manifest.json").write_text("{"),
        MODEL_ERROR,
        "the manifest cannot be read",
    ),
    "build is a file": (
        lambda folder: (folder / "build").write_text("mine"),
        TOOLCHAIN_ERROR,
        "the build folder cannot be written: ",
    ),
}


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_folder(name: str, compiled: Path, samples: Path, refuse: Refuse, tmp_path: Path) -> None:
    change, code, sentence = FOLDERS[name]
    folder = tmp_path / "small"
    shutil.copytree(compiled, folder, ignore=shutil.ignore_patterns("build"))
    change(folder)
    told = refuse(code, "simulate", folder, "--data", samples, "--steps", 1)
    assert told.startswith(sentence)


# --- tools ----------------------------------------------------------------------------------------


@pytest.fixture
def only_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Leaves on PATH only the commands named, and fakes with the text given."""

    def leave(*names: str, **fakes: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in names:
            (folder / name).symlink_to(str(shutil.which(name)))
        for name, text in fakes.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return leave


@pytest.mark.parametrize(
    ("target", "tools", "command", "package"),
    [
        ("mps2-an500", ("make", "cc", "sh"), "arm-none-eabi-gcc", "gcc-arm-none-eabi"),
        ("host", ("make", "sh"), "cc", "gcc libc6-dev"),
        ("host", ("cc", "gcc", "as", "ld", "sh"), "make", "make"),
    ],
)
def test_missing_tool(
    target: str,
    tools: tuple[str, ...],
    command: str,
    package: str,
    model: Path,
    refuse: Refuse,
    only_tools: Callable[..., None],
    tmp_path: Path,
) -> None:
    only_tools(*tools)
    told = refuse(TOOLCHAIN_ERROR, "compile", model, "-o", tmp_path / "out", "--target", target)
    assert told.startswith(f"the command '{command}' is not installed\n")
    assert f"help: apt-get install {package}" in told


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("no program at all", "the command 'cc' cannot be started: Exec format error"),
        ("#!/bin/sh\nexit 1\n", "'cc' cannot build the program for target 'host'"),
        ("#!/bin/sh\nexit 0\n", "the compiler wrote no call graph"),
    ],
)
def test_broken_compiler(
    text: str,
    sentence: str,
    model: Path,
    refuse: Refuse,
    only_tools: Callable[..., None],
    tmp_path: Path,
) -> None:
    only_tools("make", "sh", "mkdir", "printf", "cmp", cc=text)
    told = refuse(TOOLCHAIN_ERROR, "compile", model, "-o", tmp_path / "out")
    assert told.startswith(sentence)


def test_missing_emulator(
    model: Path,
    samples: Path,
    refuse: Refuse,
    only_tools: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is missing")
    path = os.environ["PATH"]
    out = tmp_path / "out"
    assert main(["compile", str(model), "-o", str(out), "--target", "mps2-an500", "--json"]) == 0
    only_tools("make", "arm-none-eabi-gcc", "sh")
    told = refuse(TOOLCHAIN_ERROR, "simulate", out, "--data", samples, "--steps", 1, "--on", "qemu")
    assert told == (
        "the command 'qemu-system-arm' is not installed\n  help: apt-get install qemu-system-arm"
    )
    monkeypatch.setenv("PATH", path)
