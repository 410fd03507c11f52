"""Signed files with real cryptography: Monocypher and Ed25519, on the host and on a Cortex-M7."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import tinytrain
from tests.support.cryptography_sources import cryptography
from tests.support.emulated_programs import execute
from tests.support.host_programs import PROGRAMS, SANITIZERS, STRICT, Compile
from tests.support.objects import compiled, run
from tests.support.onnx_models import CLASSES
from tests.support.paths import ROOT
from tinytrain.target import load_target

COUNTER = 41
M7 = "mps2-an500"
SIGNERS = ROOT / "examples" / "signing"
SUPERCOP = PROGRAMS / "supercop"
TARGETS = ROOT / "targets"


@pytest.fixture(scope="module")
def update(generated: Compile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a server sends: parameters that were trained there, signed; as a header for C."""
    pytest.importorskip("cwt", reason="the package cwt is missing")
    place = tmp_path_factory.mktemp("update")
    folder = generated("small", scheme="head", schedule="constant")
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((8, 3, 6, 6)), "y": np.arange(8) % CLASSES}
    np.savez(place / "data.npz", **data)
    trained, signed = place / "trained.bin", place / "signed.bin"
    tinytrain.simulate(folder, data=place / "data.npz", steps=8, save=trained)
    key = place / "key.pem"
    _openssl("genpkey", "-algorithm", "ed25519", "-out", str(key))
    told = tinytrain.sign(trained, key=key, counter=COUNTER, output=signed)
    arrays = {"public_key": told.public_key, "update": signed.read_bytes()}
    lines = [f"#define UPDATE_COUNTER {COUNTER}U"]
    for name, data in arrays.items():
        lines.append(f"static const uint8_t {name}[] = {{{', '.join(map(str, data))}}};")
    (place / "update.h").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return place


def _openssl(*arguments: str) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing")
    run("openssl", *arguments)


def _objects(
    folder: Path, update: Path, compiler: str, flags: list[str], *options: str
) -> list[Path]:
    """Ours with all warnings, and what others wrote without."""
    others = cryptography()
    include = [folder / "include", folder / "src", SIGNERS, SUPERCOP, update, TARGETS]
    include += sorted({source.parent for source in others})
    mine = [PROGRAMS / "signed_files.c", *SIGNERS.glob("*.c"), *SUPERCOP.glob("*.c")]
    strict = [*STRICT, *flags, *options]
    made = compiled([*mine, *(folder / "src").glob("*.c")], include, compiler, *strict)
    plain = compiled(others, include, compiler, "-std=c11", "-w", "-O2", *options)
    return [*made, *plain]


def test_on_the_host(generated: Compile, update: Path, tmp_path: Path) -> None:
    folder = generated("small", scheme="head", schedule="constant")
    objects = _objects(folder, update, "gcc", [*SANITIZERS, "-O2"], "-DSTEP=1")
    run("gcc", *SANITIZERS, *objects, "-o", tmp_path / "signed")
    done = subprocess.run([tmp_path / "signed"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    word, count = done.stdout.split()
    assert word == "ok"
    assert int(count) > 900


def test_on_a_cortex_m7(generated: Compile, update: Path, tmp_path: Path) -> None:
    """The same program with fewer places, and what the M7 takes for it."""
    if shutil.which("arm-none-eabi-gcc") is None or shutil.which("qemu-system-arm") is None:
        pytest.skip("arm-none-eabi-gcc or qemu-system-arm is missing")
    folder = tmp_path / "out"
    shutil.copytree(generated("small", scheme="head", schedule="constant", target=M7), folder)
    extra = folder / "src"
    beside = [PROGRAMS / "memory_flash.h", update / "update.h"]
    for file in (*SIGNERS.glob("*.[ch]"), *SUPERCOP.glob("*.[ch]"), *beside):
        shutil.copy(file, extra)
    for source in cryptography():
        for file in (source, *source.parent.glob("*.h"), *source.parent.glob("*.data")):
            shutil.copy(file, extra)
    shutil.copy(PROGRAMS / "signed_files.c", folder / "port" / "main.c")
    makefile = folder / "Makefile"
    ours = {file.name for file in folder.glob("src/*.c")}
    text = makefile.read_text(encoding="utf-8")
    new = [f"src/{name}" for name in sorted(ours) if f"src/{name}" not in text]
    text = text.replace("SOURCES = \\\n", "SOURCES = \\\n    " + " ".join(new) + " \\\n")
    makefile.write_text(text, encoding="utf-8")
    run("make", "-C", folder, "CFLAGS=-DSTEP=60 -DON_TARGET", "WARNINGS=-w")
    done = execute(folder / "build" / "small.elf", load_target(M7), tmp_path / "run")
    assert done.code == 0, done.lines
    assert done.lines[-1].startswith("ok ")
    took = {name: int(count) for name, count in map(str.split, done.lines[:-1])}
    assert 0 < took["unsigned"] < took["mac"] < took["signature"]
    print(took)
