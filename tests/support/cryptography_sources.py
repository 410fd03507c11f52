"""C sources of cryptography, from the Python packages that carry them; none is copied into the
repository."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from functools import cache
from pathlib import Path

import pytest

from tests.support.fetched import fetching

PACKAGES = {"pymonocypher": "4.0.3.4", "ed25519": "1.5"}
"""What is taken, and its version: Monocypher, and the reference code of Ed25519."""


@cache
def cryptography() -> list[Path]:
    """The sources that `examples/signing` is linked with; skips where a package cannot be had."""
    with fetching("cryptography") as place:
        for name, version in PACKAGES.items():
            if not (place / f"{name}-{version}").is_dir():
                _fetch(name, version, place)
    monocypher, ed25519 = (place / f"{name}-{version}" for name, version in PACKAGES.items())
    reference = ed25519 / "src" / "ed25519-supercop-ref"
    held = [file for file in sorted(reference.glob("*.c")) if file.name != "test.c"]
    return [monocypher / "monocypher.c", *held]


def _fetch(name: str, version: str, place: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--dest", str(place), f"{name}=={version}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"the sources of {name} {version} cannot be downloaded")
    with tarfile.open(place / f"{name}-{version}.tar.gz") as archive:
        archive.extractall(place, filter="data")
