"""Accuracy against steps: MCUNet-5FPS learns CIFAR-10 at 128x128, batch 1, by the C that ships.

Runs on the host, which equals the device to the bit. The learning rate follows a cosine, held for
each part of the run. Prints a Markdown table. With `--qemu N` the first N steps run on the emulated
Cortex-M7 too, and the hashes are compared.

    .venv/bin/python -m bench.cifar10
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from pathlib import Path

import numpy as np

from tinytrain.compiler.compile import compile_model
from tinytrain.simulation.session import simulate

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
SCHEMES = ROOT / "examples" / "schemes"


def main() -> int:
    """Runs the benchmark; exit code 1 if the emulator disagrees."""
    options = _options()
    if not SHARED.is_dir():
        print("needs ../shared with models/ and data/", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        return _run(options, Path(folder))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument(
        "--parts", type=int, default=16, help="evaluations, each with its learning rate"
    )
    parser.add_argument("--rate", type=float, default=0.4 / 256, help="at the start of the cosine")
    parser.add_argument("--images", type=int, default=2_000, help="test images")
    parser.add_argument("--scheme", default="mcunet-5fps-100kb")
    parser.add_argument("--update", default="stochastic")
    parser.add_argument("--fraction-bits", type=int, default=4)
    parser.add_argument("--gradient", default="s8")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--qemu", type=int, default=0, metavar="N", help="compare N steps with the emulator"
    )
    return parser.parse_args()


def _run(options: argparse.Namespace, folder: Path) -> int:
    train, test = _data(folder, options.images)
    product = compile_model(
        SHARED / "models" / "mcunet-5fps-int8.onnx",
        output=folder / "model",
        target="mps2-an500",
        mean=0.5,
        std=0.5,
        scheme=str(SCHEMES / f"{options.scheme}.toml"),
        classes=10,
        gradient=options.gradient,
        update=options.update,
        fraction_bits=options.fraction_bits,
        learning_rate=options.rate,
        schedule="constant",
        seed=options.seed,
    )
    directory = product.directory
    if options.qemu:
        found = {
            on: simulate(
                directory, on=on, data=train, steps=options.qemu, seed=options.seed
            ).weights_sha256
            for on in ("host", "qemu")
        }
        print(
            f"after {options.qemu} steps: host {found['host'][:16]}, "
            f"Cortex-M7 {found['qemu'][:16]}\n"
        )
        if found["host"] != found["qemu"]:
            return 1
    print("| steps | rate | loss | accuracy |\n|---|---|---|---|", flush=True)
    saved = None
    for part in range(options.parts):
        rate = options.rate * 0.5 * (1.0 + math.cos(math.pi * part / options.parts))
        result = simulate(
            directory,
            data=train,
            eval=test,
            steps=options.steps // options.parts,
            seed=options.seed * 1000 + part,
            learning_rate=rate,
            load=saved,
        )
        if part == 0:
            print(f"| 0 | | | {result.accuracy_before:.4f} |", flush=True)
        done = (part + 1) * (options.steps // options.parts)
        print(
            f"| {done} | {rate:.5f} | {result.loss_last:.3f} | {result.accuracy_after:.4f} |",
            flush=True,
        )
        saved = folder / "saved.bin"
        saved.write_bytes(result.saved or b"")
    return 0


def _data(folder: Path, images: int) -> tuple[Path, Path]:
    data = np.load(SHARED / "data" / "cifar10.npz")
    train, test = folder / "train.npz", folder / "test.npz"
    np.savez(train, x=data["x_train"], y=data["y_train"].astype(np.int32))
    np.savez(test, x=data["x_test"][:images], y=data["y_test"][:images].astype(np.int32))
    return train, test


if __name__ == "__main__":
    sys.exit(main())
