"""A folder as `tinytrain compile` writes it, around a model made by hand."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.manifests import output_record, small_manifest
from tinytrain import resources
from tinytrain.target import load_target
from tinytrain.toolchain.build_files import port_files
from tinytrain.toolchain.template import render

FAKE_MODEL = Path(__file__).parent / "fake_model"
INPUT_SIZE = 40
OUTPUT_SIZE = 20


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of the hand-made model; a fresh one for each call.

    Arguments of the function: `classes` (0 for a regression), `target`, and `source` instead of
    the model's own C file.
    """
    made = 0

    def make(*, classes: int, target: str = "mps2-an500", source: str | None = None) -> Path:
        nonlocal made
        made += 1
        folder = tmp_path / f"folder-{made}"
        runtime = resources.folder("runtime_c")
        files = {
            "src/fake.c": source or (FAKE_MODEL / "fake.c").read_text(),
            "src/fake.h": (FAKE_MODEL / "fake.h").read_text().replace("CLASS_COUNT", str(classes)),
            "src/tt_metrics.c": (runtime / "src" / "tt_metrics.c").read_text(),
            "include/tinytrain.h": (runtime / "include" / "tinytrain.h").read_text(),
            "include/tt_flags.h": (runtime / "include" / "tt_flags.h").read_text(),
            "port/main.c": render_main(classes),
        }
        files |= {f"port/{name}": text for name, text in port_files(load_target(target)).items()}
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        manifest = dataclasses.replace(
            small_manifest(),
            target=target,
            output=output_record(classes, OUTPUT_SIZE),
            model_hash=(b"fake" + bytes([classes]) + bytes(27)).hex(),
            files={name: hashlib.sha256(files[name].encode()).hexdigest() for name in files},
        )
        (folder / "manifest.json").write_text(manifest.text())
        return folder

    return make


def render_main(classes: int) -> str:
    """main.c of the hand-made model."""
    output = output_record(classes, OUTPUT_SIZE)
    interface = dataclasses.replace(small_manifest(), output=output).interface
    return render(
        "codegen",
        "main_simulate.c.j2",
        NAME="FAKE",
        health=None,
        self_test=False,
        portions=None,
        **vars(interface),
    )
