"""An environment with nothing but a distribution and what it declares to need, and no network."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        root: its folder.
        place: an empty working directory, away from every checkout.
    """

    root: Path
    place: Path

    def run(self, program: str, *arguments: object, fails: bool = False) -> str:
        """What one of its programs says: on standard output, on standard error where it fails."""
        done = subprocess.run(
            [str(self.root / "bin" / program), *map(str, arguments)],
            cwd=self.place,
            env={"PATH": os.environ["PATH"], "HOME": str(self.place), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout


def build(kind: str, source: Path, place: Path) -> Path:
    """Builds a wheel or an sdist ("wheel", "sdist") of a source folder; returns the file."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(place)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (file,) = place.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return file


def install(wheel: Path, requirements: Sequence[str], folder: Path) -> Environment:
    """Installs a wheel beside the packages that it declares to need, and those that they need.

    These are not downloaded: they are the ones of the environment that runs the tests, linked. What
    a wheel uses and does not declare is missing, as it would be for a user; pip checks that what it
    declares is there.
    """
    root = folder / "environment"
    venv.create(root, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(root)}))
    for found in _closure(requirements):
        for part in _top_level(found):
            source = Path(str(found.locate_file(part)))
            if source.exists() and not (packages / part).exists():
                (packages / part).symlink_to(source)
    python = str(root / "bin" / "python")
    command = [sys.executable, "-m", "pip", "--python", python, "--isolated", "install", "-q"]
    offline = ["--no-index", "--no-compile", "--disable-pip-version-check", str(wheel)]
    done = subprocess.run([*command, *offline], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    place = folder / "elsewhere"
    place.mkdir()
    return Environment(root, place)


def _closure(requirements: Sequence[str]) -> Iterator[Distribution]:
    """The distributions that requirements name without an extra, and those that these need."""
    left, seen = [Requirement(text) for text in requirements], set()
    while left:
        wanted = left.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        name = canonicalize_name(wanted.name)
        if name in seen:
            continue
        seen.add(name)
        found = distribution(name)
        left += [Requirement(text) for text in found.requires or ()]
        yield found


def _top_level(found: Distribution) -> set[str]:
    """The files and folders that a distribution has in the folder of packages."""
    assert found.files is not None
    return {file.parts[0] for file in found.files} - {"..", "__pycache__"}
