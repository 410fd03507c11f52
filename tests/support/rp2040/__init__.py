"""A Raspberry Pi Pico in rp2040js: a simulator that shares nothing with QEMU, and counts cycles.

`npm` installs it, in the version of package.json, when a test first asks for it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from tests.support.fetched import fetching
from tinytrain.boards.images import segments, uf2
from tinytrain.simulation.engine import Progress, RawOutcome
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.process import run_session
from tinytrain.simulation.stream import SampleStream
from tinytrain.target import load_target
from tinytrain.toolchain.build import build

HERE = Path(__file__).parent
FAMILY = 0xE48BFF56
PICO = "raspberry-pi-pico"


@cache
def simulator() -> list[str]:
    """The words of a command that begin a run; skips the test where it cannot be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("rp2040js needs Node.js and npm: apt-get install nodejs npm")
    wanted = (HERE / "package.json").read_text(encoding="utf-8")
    with fetching("rp2040js") as place:
        done = place / "node_modules" / "rp2040js" / "package.json"
        asked = place / "package.json"
        if not (done.is_file() and asked.read_text(encoding="utf-8") == wanted):
            asked.write_text(wanted, encoding="utf-8")
            command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]
            got = subprocess.run([*command, place], capture_output=True, text=True, check=False)
            if got.returncode or not done.is_file():
                pytest.skip("npm could not get rp2040js: " + got.stderr.strip()[-200:])
    return [node, str(HERE / "run.mjs"), str(place)]


@dataclass
class Rp2040Engine:
    """Runs sessions with a folder's program for a Pico; an `Engine`.

    Attributes:
        folder: a checked folder.
        cycles: of each training step of the last run.
    """

    folder: GeneratedFolder
    cycles: list[int] = field(default_factory=list)

    def run(self, stream: SampleStream, progress: Progress) -> RawOutcome:
        """Build, make a UF2 file, run it in the simulator; see `Engine`."""
        target, name = load_target(PICO), self.folder.manifest.name
        program = build(self.folder.path, target, variant="rp2040js", name=name)
        image = program.with_suffix(".uf2")
        image.write_bytes(uf2(segments(program), FAMILY))
        listing = subprocess.run(
            ["arm-none-eabi-nm", str(program)], capture_output=True, text=True, check=True
        ).stdout
        (enter,) = re.findall(rf"^(\w+) T {name}_train_step$", listing, re.M)
        with tempfile.TemporaryDirectory() as directory:
            counts = Path(directory) / "cycles.txt"
            counts.touch()
            command = [*simulator(), str(image.resolve()), str(counts), f"0x{enter}"]
            place = Path(directory) / "session"
            place.mkdir()
            outcome = run_session(command, place, stream, progress, over_serial=True)
            self.cycles = [int(line) for line in counts.read_text().split()]
        return outcome.uncounted()
