"""Archives of which the same files make the same bytes."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The time of every file in a ZIP file, which has none before."""


def zip_file(files: Mapping[str, bytes]) -> bytes:
    """A ZIP file of files by their path, sorted."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in sorted(files.items()):
            entry = zipfile.ZipInfo(path, _EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whose permissions follow
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return held.getvalue()


def tar_gz(files: Mapping[str, bytes]) -> bytes:
    """A compressed TAR file of files by their path, sorted."""
    held = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", fileobj=held, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path, data in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return held.getvalue()
