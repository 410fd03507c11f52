"""Throws damaged data files, saved files and signed files at what reads them.

    .venv/bin/python scripts/fuzz_files.py [--seconds S] [--cases N] [--seed S] [--only CASE]

Case number n of a seed is the same file on every machine. Good are a file that is read and a
`DataError` of one sentence; everything else is a finding, as is a case that takes long. Exit code 1
if there are findings.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from fuzz_mutations import damage  # noqa: E402

from tests.support.saved_files import a_saved_file, with_crc  # noqa: E402
from tinytrain.data import Preprocess, SampleSpec, load_calibration, load_dataset  # noqa: E402
from tinytrain.errors import DataError, InternalError  # noqa: E402
from tinytrain.saved_file import read_saved  # noqa: E402

SECONDS = 5
"""What one file may take."""


@dataclass(frozen=True)
class Kind:
    """A kind of file: a sound one, what reads it, and what makes its checksum right again."""

    suffix: str
    sound: bytes
    read: Callable[[Path], object]
    mend: Callable[[bytes], bytes] = lambda data: data


def _npz(**arrays: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.savez(held, **arrays)
    return held.getvalue()


def _data_files() -> list[Kind]:
    rng = np.random.default_rng(0)
    spec = SampleSpec(
        shape=(1, 4, 5, 3), source_shape=(1, 3, 4, 5), source_layout="NCHW",
        output_size=4, classes=4, scale=0.05,
        preprocess=Preprocess(resize=(4, 5), mean=(0.5,) * 3, std=(0.5,) * 3),
    )  # fmt: skip
    numbers = replace(spec, classes=0)
    x, y = rng.standard_normal((3, 3, 4, 5)).astype(np.float32), np.arange(3)
    images = rng.integers(0, 256, (3, 6, 6, 3)).astype(np.uint8)
    return [
        Kind(".npz", _npz(x=x, y=y), lambda path: load_dataset(path, spec)),
        Kind(".npz", _npz(x=images, y=y), lambda path: load_dataset(path, spec)),
        Kind(".npz", _npz(x=x, y=np.zeros((3, 4))), lambda path: load_dataset(path, numbers)),
        Kind(".npz", _npz(x=x, y=y), lambda path: load_calibration(path, spec, 8)),
    ]


def kinds() -> list[Kind]:
    """All that is damaged."""
    saved = Kind(
        ".bin", a_saved_file(), lambda path: read_saved(path.read_bytes()),
        lambda data: with_crc(data[:-4]),
    )  # fmt: skip
    return [*_data_files(), saved]


def make_case(held: list[Kind], seed: int, number: int) -> tuple[Kind, bytes]:
    """The kind of a case, and its file."""
    random = np.random.default_rng([seed, number])
    kind = held[int(random.integers(len(held)))]
    data = damage(kind.sound, kind.suffix, held[0].sound, random)
    return kind, kind.mend(data) if random.random() < 0.5 else data


def verdict(kind: Kind, path: Path) -> str:
    """How a file ends: "read", "refused", or what is wrong about its end."""
    started = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kind.read(path)
        told = "read"
    except InternalError as error:
        return f"InternalError: {error}"
    except DataError as error:
        told = "refused" if "\n" not in error.what else f"several lines: {error.what}"
    # A finding is whatever else comes, RecursionError and MemoryError included.
    except BaseException:
        return traceback.format_exc()
    return told if time.monotonic() - started < SECONDS else "it took too long"


def run(
    seconds: float, cases: int | None, seed: int, first: int = 0
) -> tuple[Counter[str], list[str]]:
    """Runs cases; how they ended, and the findings, each kind once."""
    held, ends, findings = kinds(), Counter[str](), {}
    with tempfile.TemporaryDirectory() as folder:
        for index, kind in enumerate(held):
            path = Path(folder) / f"sound{index}{kind.suffix}"
            path.write_bytes(kind.sound)
            assert verdict(kind, path) == "read", verdict(kind, path)
        started, number = time.monotonic(), first
        while time.monotonic() - started < seconds and number - first != cases:
            kind, data = make_case(held, seed, number)
            path = Path(folder) / f"case{kind.suffix}"
            path.write_bytes(data)
            end = verdict(kind, path)
            ends[end if end in ("read", "refused") else "finding"] += 1
            if end not in ("read", "refused"):
                findings.setdefault(end.splitlines()[-1], f"case {number} ({kind.suffix}): {end}")
            number += 1
    return ends, list(findings.values())


def main() -> int:
    """Prints how the cases ended, and the findings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="stop after this long")
    parser.add_argument("--cases", type=int, help="stop after so many cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="CASE", help="run this case alone")
    options = parser.parse_args()
    cases, first = (options.cases, 0) if options.only is None else (1, options.only)
    ends, findings = run(options.seconds, cases, options.seed, first)
    print(f"{ends.total():,} cases of seed {options.seed}: {dict(ends)}")
    print("\n".join(findings), end="\n" if findings else "")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
