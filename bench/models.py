"""RAM, flash and instructions of the models in ../shared with every scheme, everything counted.

.venv/bin/python -m bench.models                 RAM and flash
.venv/bin/python -m bench.models --instructions  and instructions a step on the emulated Cortex-M7
(slower)
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product
from tinytrain.simulation.session import simulate

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT.parent / "shared" / "models"
SCHEMES = ROOT / "examples" / "schemes"
CASES = (
    *(("mcunet-5fps-int8.onnx", f"mcunet-5fps-{size}kb") for size in (49, 74, 100, 148)),
    *(("mbv2-w0.35-int8.onnx", f"mbv2-w0.35-{size}kb") for size in (49, 100, 138)),
    *(
        (f"{name}.tflite", preset)
        for name in ("kws_ref_int8", "resnet8_int8", "vww_96_int8", "ad01_int8")
        for preset in ("head", "bias", "last-3", "full")
    ),
)


def main() -> int:
    """Prints a Markdown table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(
        description="RAM, flash and instructions of the models in ../shared"
    )
    parser.add_argument(
        "--instructions", action="store_true", help="run three steps under emulation too"
    )
    options = parser.parse_args()
    if not MODELS.is_dir():
        print("needs ../shared with models/", file=sys.stderr)
        return 2
    print(
        "| model | scheme | RAM | arena | lower bound | trained | stack | flash | instructions "
        "| compile s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for file, scheme in CASES:
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            product = _compile(file, scheme, Path(folder))
            seconds = time.monotonic() - start
            count = _instructions(product, Path(folder)) if options.instructions else None
            ram, plan = product.memory.ram, product.compiled.plan
            cells = [
                file.rsplit(".", 1)[0],
                scheme,
                f"{ram['total']:,}",
                f"{plan.nbytes:,}",
                f"{plan.lower_bound:,}",
                f"{ram['trained parameters']:,}",
                f"{ram['stack']:,}",
                f"{product.memory.flash['total']:,}",
                "" if count is None else f"{count:,}",
                f"{seconds:.1f}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)
    return 0


def _compile(file: str, scheme: str, folder: Path) -> Product:
    path = SCHEMES / f"{scheme}.toml"
    regression = file.startswith("ad01")
    return compile_model(
        MODELS / file,
        output=folder / "model",
        target="mps2-an500",
        scheme=str(path) if path.is_file() else scheme,
        classes=None if regression else 10,
        loss="mean_squared_error" if regression else "cross_entropy",
    )


def _instructions(product: Product, folder: Path) -> int | None:
    shape = product.manifest.input.source_shape
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, *shape[1:])).astype(np.float32)
    arrays = {"x": x}
    if product.compiled.classes:
        arrays["y"] = np.arange(3)
    np.savez(folder / "data.npz", **arrays)
    result = simulate(product.directory, on="qemu", data=folder / "data.npz", steps=3, icount=True)
    return result.instructions_per_step


if __name__ == "__main__":
    sys.exit(main())
