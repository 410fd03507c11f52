"""Results that are kept, so that the command goes on where it was interrupted."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

FOLDER = Path(__file__).resolve().parents[2] / "build" / "networks"


def kept(
    what: str, decides: tuple[Any, ...], find: Callable[[], Any], *, folder: Path = FOLDER
) -> Any:
    """A JSON value: read if it was found before, else found and kept.

    Args:
        what: begins the file's name.
        decides: all that the value follows from, as text or bytes; it is hashed.
        folder: where it is kept.
    """
    path = folder / f"{what}-{digest(decides)}.json"
    if path.is_file():
        return json.loads(path.read_text())
    value = find()
    path.parent.mkdir(parents=True, exist_ok=True)
    _written(path, json.dumps(value).encode())
    return value


def kept_network(
    what: str,
    decides: tuple[Any, ...],
    make: Callable[[], nn.Module],
    train: Callable[[], nn.Module],
) -> nn.Module:
    """A trained network likewise; the file holds its weights."""
    path = FOLDER / f"{what}-{digest(decides)}.pt"
    if not path.is_file():
        network = train()
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save(network.state_dict(), partial)
        os.replace(partial, path)
    network = make()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def sources(folder: Path, *patterns: str) -> str:
    """A digest of the files of a folder."""
    files = sorted({file for pattern in patterns for file in folder.rglob(pattern)})
    return digest(tuple(part for file in files for part in (file.name, file.read_bytes())))


def digest(decides: tuple[Any, ...]) -> str:
    digest = hashlib.sha256()
    for one in decides:
        data = one if isinstance(one, bytes) else str(one).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:20]


def _written(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    os.replace(partial, path)
