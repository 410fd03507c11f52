"""Generated folders, and small C programs that use them as an application would."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.onnx_models import quantized_model
from tinytrain.compiler.compile import compile_model

SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
STRICT = (
    "-std=c11",
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wshadow",
    "-Werror",
)
PROGRAMS = Path(__file__).parent / "programs"

Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compiles a small model, once for each name and options."""
    root = tmp_path_factory.mktemp("generated")
    known: dict[str, Path] = {}

    def make(
        name: str,
        *,
        seed: int = 0,
        shape: tuple[int, ...] = (1, 3, 6, 6),
        target: str = "host",
        **options: object,
    ) -> Path:
        key = repr((name, seed, shape, target, sorted(options.items())))
        if key not in known:
            folder = root / f"{name}-{len(known)}"
            model = quantized_model(root / f"{name}.onnx", seed=seed, shape=shape)
            compile_model(str(model), output=folder, target=target, name=name, **options)
            known[key] = folder
        return known[key]

    return make


@dataclass(frozen=True)
class Program:
    """A built program; `run` gives its output."""

    path: Path

    def run(self, *arguments: object) -> str:
        done = subprocess.run(
            [str(self.path), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout


def link(
    program: str,
    folders: Sequence[Path],
    place: Path,
    *,
    flags: Sequence[str] = SANITIZERS,
    compiler: str = "gcc",
) -> Program:
    """Builds programs/NAME.c with the sources of one or several generated folders.

    The runtime's files are the same in every folder; each is compiled once.
    """
    sources: dict[str, Path] = {}
    for folder in folders:
        for file in sorted((folder / "src").glob("*.c")):
            same = sources.setdefault(file.name, file)
            assert same.read_bytes() == file.read_bytes()
    include = [f"-I{folder / part}" for folder in folders for part in ("include", "src")]
    output = place / Path(program).stem
    command = [compiler, *STRICT, *flags, *include, str(PROGRAMS / program)]
    subprocess.run([*command, *map(str, sources.values()), "-o", str(output)], check=True)
    return Program(output)


@pytest.fixture(scope="session", autouse=True)
def host_compiler() -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing")
