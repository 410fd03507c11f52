"""The simulated flash of the store, under a file system that is known to survive power cuts."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from tests.support.host_programs import PROGRAMS
from tests.support.objects import run
from tests.support.paths import ROOT

littlefs = pytest.importorskip("littlefs", reason="littlefs-python is missing")
lfs = littlefs.lfs

BLOCK, BLOCKS, UNIT = 1024, 16, 16
OLD, NEW = bytes(range(256)) * 2, bytes(reversed(range(256))) * 2
IO_ERROR = -5
KINDS = {"before": 0, "torn": 1, "after": 2}


class Flash(littlefs.UserContext):  # type: ignore[misc]
    """The simulator, as littlefs calls a flash."""

    def __init__(self, path: Path) -> None:
        super().__init__(buffsize=0)
        self.alive: list[object] = []  # what was open when the power failed is never closed
        self.simulator = ctypes.CDLL(str(path))
        self.simulator.simulator_start(UNIT, BLOCK)
        self.cut(-1, "before")

    def cut(self, at: int, kind: str) -> None:
        """The power fails at an operation from now; never for -1."""
        self.simulator.simulator_cut(at, KINDS[kind])

    def read(self, cfg: object, block: int, off: int, size: int) -> bytearray:
        data = ctypes.create_string_buffer(size)
        self.simulator.simulator_read(block * BLOCK + off, data, ctypes.c_size_t(size))
        return bytearray(data.raw)

    def prog(self, cfg: object, block: int, off: int, data: bytes) -> int:
        size = ctypes.c_size_t(len(data))
        failed = self.simulator.simulator_program(block * BLOCK + off, bytes(data), size)
        return IO_ERROR if failed else 0

    def erase(self, cfg: object, block: int) -> int:
        failed = self.simulator.simulator_erase(block * BLOCK, ctypes.c_size_t(BLOCK))
        return IO_ERROR if failed else 0

    def sync(self, cfg: object) -> int:
        return 0


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulator") / "simulator.so"
    include = [f"-I{PROGRAMS}", f"-I{ROOT / 'runtime_c' / 'include'}"]
    flags = ("-std=c11", "-O2", "-fPIC", "-shared", "-Wall", "-Werror", "-Wno-unused")
    run("gcc", *flags, *include, PROGRAMS / "flash_simulator.c", "-o", path)
    return path


def mounted(flash: Flash, *, is_new: bool = False) -> littlefs.LittleFS:
    sizes = {"block_size": BLOCK, "block_count": BLOCKS, "prog_size": UNIT, "read_size": UNIT}
    # With one unit in its cache it programs units one by one, each as a whole.
    files = littlefs.LittleFS(flash, mount=False, cache_size=UNIT, lookahead_size=8, **sizes)
    if is_new:
        files.format()
    files.mount()
    flash.alive.append(files)
    return files


def saved(flash: Flash, data: bytes) -> None:
    """What docs/stores/littlefs.md does: a new file takes the place of the old one."""
    fs = mounted(flash).fs
    new = lfs.file_open(fs, "learned.new", "w")
    flash.alive.append(new)
    lfs.file_write(fs, new, data)
    lfs.file_close(fs, new)
    lfs.rename(fs, "learned.new", "learned.bin")


def held(flash: Flash) -> bytes:
    """What a device finds when it wakes up."""
    fs = mounted(flash).fs
    file = lfs.file_open(fs, "learned.bin", "r")
    data = bytes(lfs.file_read(fs, file, 2 * len(OLD)))
    lfs.file_close(fs, file)
    return data


def in_place(flash: Flash, data: bytes) -> None:
    """What no application should do: one place, erased and written again."""
    if flash.erase(None, 0) == 0:
        for at in range(0, len(data), UNIT):
            flash.prog(None, 0, at, data[at : at + UNIT])


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_renamed_survives_and_one_place_does_not(kind: str, library: Path) -> None:
    flash = Flash(library)
    mounted(flash, is_new=True)
    saved(flash, OLD)
    flash.simulator.simulator_keep(0)
    flash.cut(-1, kind)
    saved(flash, NEW)
    operations = flash.simulator.simulator_operations()
    assert operations > 30
    found = set()
    for at in range(operations):
        flash.simulator.simulator_keep(1)
        flash.cut(at, kind)
        with pytest.raises(Exception):  # noqa: B017 - whatever littlefs makes of it
            saved(flash, NEW)
        flash.cut(-1, kind)
        with mounted(flash).open("learned.bin", "rb") as held:
            found.add(held.read())
        assert found <= {OLD, NEW}, at
        saved(flash, NEW)
    assert found >= {OLD}
    lost = 0
    for at in range(1 + len(OLD) // UNIT):
        flash.simulator.simulator_start(UNIT, BLOCK)
        flash.cut(-1, kind)
        in_place(flash, OLD)
        flash.cut(at, kind)
        in_place(flash, NEW)
        flash.cut(-1, kind)
        lost += bytes(flash.read(None, 0, 0, len(OLD))) not in (OLD, NEW)
    assert lost >= len(OLD) // UNIT - 1
