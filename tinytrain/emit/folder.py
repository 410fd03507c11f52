"""Writes a generated folder: whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tinytrain.errors import UsageError, Where
from tinytrain.manifest.file import NAME as MANIFEST


class FolderWriter:
    """Gathers files in a temporary folder beside the final one and puts it in place at the end.

    Use as a context manager: leaving it without `commit` removes everything that was written,
    parent folders included.

    Args:
        directory: the final folder; it may exist if it is empty or was written by tinytrain.

    Raises:
        UsageError: the folder holds something else, or cannot be written; any method may raise it.
    """

    def __init__(self, directory: Path) -> None:
        self._where = Where(str(directory))
        refuse_foreign(directory)
        with self._writing():
            # Resolved: a link stays a link, and the name is one even where the user gave `.`.
            self.directory = directory.resolve()
        self._parents = [folder for folder in self.directory.parents if not os.path.lexists(folder)]
        self._temporary: Path | None = None
        self._digests: dict[str, str] = {}

    def __enter__(self) -> FolderWriter:
        parent = self.directory.parent
        try:
            with self._writing():
                parent.mkdir(parents=True, exist_ok=True)
                self._temporary = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
                self._temporary.chmod(0o755)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
        for folder in self._parents:
            with suppress(OSError):
                # Only a folder that stayed empty goes, so after `commit` none does.
                folder.rmdir()

    @property
    def path(self) -> Path:
        """The temporary folder."""
        assert self._temporary is not None, "used outside of its `with`"
        return self._temporary

    def write(self, files: Mapping[str, str] | Mapping[str, bytes]) -> None:
        """Writes files by their path in the folder."""
        for name, held in files.items():
            # A file name that is no UTF-8 may be quoted in a comment.
            data = held if isinstance(held, bytes) else held.encode(errors="backslashreplace")
            with self._writing():
                path = self.path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            self._digests[name] = hashlib.sha256(data).hexdigest()

    @property
    def digests(self) -> Mapping[str, str]:
        """SHA-256 of the files that were written, by their path in the folder."""
        return self._digests

    def commit(self, manifest: str) -> None:
        """Adds manifest.json with this text and puts the folder in its place."""
        with self._writing():
            (self.path / MANIFEST).write_text(manifest, encoding="utf-8")
            shutil.rmtree(self.path / BUILD, ignore_errors=True)
            if not self.directory.exists():
                self.path.rename(self.directory)
                return
            old = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self.path.parent))
            try:
                self._exchange(old / "folder")
            finally:
                # Where what was in `build` could be brought to neither place, it stays here.
                if not (old / "folder" / BUILD).exists():
                    shutil.rmtree(old, ignore_errors=True)

    def _exchange(self, old: Path) -> None:
        try:
            self.directory.rename(old)
            self.path.rename(self.directory)
            if (old / BUILD).exists():
                (old / BUILD).rename(self.directory / BUILD)
        except BaseException:
            # Interrupted in between: the user's old folder goes back to where it was.
            if old.exists() and self.directory.exists():
                self.directory.rename(self.path)
            if old.exists():
                old.rename(self.directory)
            raise
        with suppress(OSError):
            (self.directory / BUILD / REPORT).unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
            reason = error.strerror if isinstance(error, OSError) else error
            raise UsageError(
                f"the output folder cannot be written: {reason}",
                where=self._where,
                help="name another folder with -o",
            ) from error


_PREFIX = ".tinytrain-"

BUILD = "build"
"""What is in it is not ours: it stays, whatever replaces the folder."""

REPORT = "report.html"
"""But for the page of the model that was there before, which would be wrong."""


def refuse_foreign(directory: Path) -> None:
    """Raises `UsageError` where a folder holds what tinytrain did not write."""
    try:
        foreign = _foreign(directory) if directory.exists() else None
    except OSError as error:
        raise UsageError(
            f"the output folder cannot be looked into: {error.strerror}",
            where=Where(str(directory)),
            help="name another folder with -o",
        ) from error
    if foreign is not None:
        raise UsageError(
            f"the output '{directory}' exists and {foreign}",
            help="name another folder with -o, or move away what is yours",
        )


def refuse_changed(directory: Path) -> None:
    """Raises `UsageError` where a file that tinytrain wrote was changed since."""
    changed = [
        name for name, digest in _written(directory).items() if _is_other(directory / name, digest)
    ]
    if changed:
        more = f" and {len(changed) - 1} more" if changed[1:] else ""
        verb = "were" if changed[1:] else "was"
        raise UsageError(
            f"'{directory / changed[0]}'{more} {verb} changed after tinytrain wrote the folder",
            help="name another folder with -o, or replace what was changed with --force",
        )


def _is_other(path: Path, digest: object) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() != digest
    except FileNotFoundError:
        return False  # nothing is lost
    except OSError:
        return True


def _written(directory: Path) -> dict[str, object]:
    """The files that a manifest says tinytrain wrote, with their hashes; none without one."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        return dict(manifest["files"]) if "tinytrain" in manifest else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _foreign(directory: Path) -> str | None:
    """What keeps a path from being replaced; None for an empty folder or one that is all ours."""
    if not directory.is_dir():
        return "is no folder"
    if not any(directory.iterdir()):
        return None
    written = _written(directory)
    if not written:
        return "is no folder that tinytrain wrote"
    ours = {MANIFEST, *written}
    for folder, names, files in os.walk(directory):
        if folder == str(directory) and BUILD in names:
            names.remove(BUILD)
        for name in files:
            path = Path(folder, name).relative_to(directory).as_posix()
            if path not in ours:
                return f"holds '{path}', which tinytrain did not write"
    return None
