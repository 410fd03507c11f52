"""Writes a generated folder: whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinytrain.errors import UsageError, Where


class FolderWriter:
    """Gathers files in a temporary folder beside the final one and puts it in place at the end.

    Use as a context manager: leaving it without `commit` removes everything that was written.

    Args:
        directory: the final folder; it may exist if it is empty or was written by tinytrain.

    Raises:
        UsageError: the folder holds something else, or its parent cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        refuse_foreign(directory)
        try:
            directory.absolute().parent.mkdir(parents=True, exist_ok=True)
            self._temporary = tempfile.mkdtemp(
                prefix=f".{directory.name}-", dir=directory.absolute().parent
            )
        except OSError as error:
            raise UsageError(
                f"cannot write there: {error.strerror}", where=Where(str(directory))
            ) from error
        os.chmod(self._temporary, 0o755)
        self.path = Path(self._temporary)
        self._digests: dict[str, str] = {}

    def __enter__(self) -> FolderWriter:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)

    def write(self, files: Mapping[str, str]) -> None:
        """Writes text files by their path in the folder."""
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = text.encode()
            path.write_bytes(data)
            self._digests[name] = hashlib.sha256(data).hexdigest()

    def commit(self, manifest: Mapping[str, Any]) -> None:
        """Adds manifest.json with the hashes of all files and puts the folder in its place."""
        whole = {**manifest, "files": dict(sorted(self._digests.items()))}
        text = json.dumps(whole, indent=2) + "\n"
        (self.path / "manifest.json").write_text(text, encoding="utf-8")
        shutil.rmtree(self.path / "build", ignore_errors=True)
        old = None
        if self.directory.exists():
            old = Path(
                tempfile.mkdtemp(prefix=f".{self.directory.name}-old-", dir=self.path.parent)
            )
            self.directory.rename(old / "folder")
        self.path.rename(self.directory)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)


def refuse_foreign(directory: Path) -> None:
    """Raises `UsageError` where a folder holds what tinytrain did not write."""
    if directory.exists() and not _is_ours(directory):
        raise UsageError(
            f"'{directory}' exists and is no folder that tinytrain wrote",
            way_out="name another folder with -o, or remove this one",
        )


def _is_ours(directory: Path) -> bool:
    if not directory.is_dir():
        return False
    if not any(directory.iterdir()):
        return True
    try:
        return "tinytrain" in json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
