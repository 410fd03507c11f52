"""Exported programs and pickles: nothing in them runs, however they are wrapped."""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.refusals import Refuse

torch = pytest.importorskip("torch")

MODEL_ERROR = 3


class Trap:
    """An object whose unpickling leaves a folder behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def trap(folder: Path) -> bytes:
    """A file of torch.save that springs when it is unpickled."""
    buffer = io.BytesIO()
    torch.save(Trap(folder / "sprung"), buffer)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported program."""
    path = tmp_path_factory.mktemp("pt2") / "model.pt2"
    program = torch.export.export(torch.nn.Conv2d(1, 2, 3).eval(), (torch.zeros(1, 1, 5, 5),))
    torch.export.save(program, path)
    return path


Change = Callable[[str, bytes], bytes | None]


def rewritten(good: Path, path: Path, change: Change, **added: bytes) -> Path:
    """The archive with entries changed (None: left out) and others added."""
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w", 8) as target:
        for entry in source.infolist():
            data = change(entry.filename, source.read(entry))
            if data is not None:
                target.writestr(entry.filename, data)
        for name, data in added.items():
            target.writestr(name, data)
    return path


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".ckpt", ".pt2", ".onnx", ".tflite"])
def test_pickle_under_any_name(suffix: str, refuse: Refuse, tmp_path: Path) -> None:
    for number, data in enumerate((pickle.dumps(Trap(tmp_path / "sprung")), trap(tmp_path))):
        path = tmp_path / f"model{number}{suffix}"
        path.write_bytes(data)
        refuse(MODEL_ERROR, "compile", path, "-o", tmp_path / "out")
    assert not (tmp_path / "sprung").exists()
    # The trap is one: unpickled, it springs.
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("part", ["sample_inputs", "weights", "constants", "models", "version"])
def test_trap_in_any_part(part: str, good: Path, refuse: Refuse, tmp_path: Path) -> None:
    data = trap(tmp_path)
    path = rewritten(
        good, tmp_path / "model.pt2", lambda name, held: data if part in name else held
    )
    with zipfile.ZipFile(good) as archive:
        assert any(part in name for name in archive.namelist())
    told = refuse(MODEL_ERROR, "compile", path, "-o", tmp_path / "out")
    assert told.startswith(("the archive ", "the file is no exported program", "the importer"))
    assert not (tmp_path / "sprung").exists()


def test_weights_declared_to_be_a_pickle(good: Path, refuse: Refuse, tmp_path: Path) -> None:
    data = trap(tmp_path)

    def change(name: str, held: bytes) -> bytes:
        if "/weights/" not in name:
            return held
        if not name.endswith(".json"):
            return data
        config = json.loads(held)
        for entry in config["config"].values():
            entry["use_pickle"] = True
        return json.dumps(config).encode()

    path = rewritten(good, tmp_path / "model.pt2", change)
    told = refuse(MODEL_ERROR, "compile", path, "-o", tmp_path / "out")
    assert told.split("\n")[0].endswith("as a pickle; tinytrain loads nothing that could run code")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("where", ["weights", "models"])
def test_zip_bomb(where: str, good: Path, refuse: Refuse, tmp_path: Path) -> None:
    """A little more than 1 GiB of zeros in 5 MB; refused without unpacking them."""
    path = tmp_path / "model.pt2"
    rewritten(good, path, lambda name, data: None if f"/{where}/" in name else data)
    name = {"models": "model/models/model.json", "weights": "model/data/weights/w"}[where]
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w", force_zip64=True) as entry,
    ):
        for _ in range(65):
            entry.write(bytes(2**24))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = refuse(MODEL_ERROR, "compile", path, "-o", tmp_path / "out")
    assert told.startswith("the archive unpacks to more than 1073741824 bytes")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_long_description(good: Path, refuse: Refuse, tmp_path: Path) -> None:
    """Below the limit of the whole archive, but parsed it would take gigabytes."""
    path = rewritten(
        good,
        tmp_path / "model.pt2",
        lambda name, data: b"[" + b"0," * 2**25 + b"0]" if "/models/" in name else data,
    )
    told = refuse(MODEL_ERROR, "compile", path, "-o", tmp_path / "out")
    assert told.startswith("the archive has a description ('")
