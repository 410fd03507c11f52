"""A folder as `tinytrain compile` writes it, around a model made by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

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
            "src/fake.h": (FAKE_MODEL / "fake.h").read_text().replace("@CLASSES@", str(classes)),
            "src/tt_metrics.c": (runtime / "src" / "tt_metrics.c").read_text(),
            "include/tinytrain.h": (runtime / "include" / "tinytrain.h").read_text(),
            "port/main.c": render_main(classes),
        }
        files |= {f"port/{name}": text for name, text in port_files(load_target(target)).items()}
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        manifest = {
            "format": 1,
            "name": "fake",
            "target": target,
            "input": {
                "shape": [1, 1, 1, INPUT_SIZE],
                "scale": 1 / 32,
                "zero_point": -3,
                "source_shape": [1, INPUT_SIZE],
                "source_layout": "NC",
            },
            "output": {"size": OUTPUT_SIZE, "classes": classes},
            "preprocess": None,
            "ram": {"total": 5000},
            "flash": {"total": 9000},
            "frozen_bytes": 0,
            "files": {name: hashlib.sha256(files[name].encode()).hexdigest() for name in files},
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return make


def render_main(classes: int) -> str:
    """main.c of the hand-made model."""
    return render(
        "codegen",
        "main_simulate.c.j2",
        name="fake",
        NAME="FAKE",
        classes=classes,
        input_size=INPUT_SIZE,
        output_size=OUTPUT_SIZE,
        replay=None,
        health=None,
        feed_rows=0,
    )
