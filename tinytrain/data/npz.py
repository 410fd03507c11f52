"""Reading of .npz files: arrays of numbers, and each way to be refused."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from tinytrain.errors import DataError, UsageError, Where


def keys_help(path: str | Path) -> str:
    """How to save what a file lacks, and what it holds."""
    with np.load(path, allow_pickle=False) as archive:
        names = ", ".join(sorted(archive.files)) or "nothing"
    return f"the file holds {names}; save with np.savez(file, x=samples, y=targets)"


def read_arrays(path: str | Path, where: Where, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Those of the named arrays that an .npz file holds; errors are said to be at `where`.

    Raises:
        DataError: the file cannot be read.
        UsageError: what is given is no path.
    """
    if not isinstance(path, str | os.PathLike):
        raise UsageError(
            f"a data file is named by its path, got a '{type(path).__name__}'",
            help="save samples with np.savez(file, x=samples, y=targets); a device of "
            "tinytrain.load takes them as they are",
        )
    file = Path(path)
    if not file.exists():
        raise DataError("the data file does not exist", where=where)
    if not file.is_file():
        raise DataError("the data file is not a regular file", where=where)
    key = ""
    try:
        if not zipfile.is_zipfile(file):
            raise DataError(
                "the data file is not an .npz file", where=where, help="save it with np.savez"
            )
        with np.load(file, allow_pickle=False) as archive:
            found: dict[str, np.ndarray] = {}
            for key in keys:
                if key in archive.files:
                    _check_room(archive.zip.getinfo(_member(archive, key)).file_size)
                    array = archive[key]
                    # NumPy hands out the bytes of a member that is no array.
                    if not isinstance(array, np.ndarray):
                        raise ValueError("it is not an array")
                    found[key] = array
            return found
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(
            f"array '{key}' of the data file is too large for this machine's memory", where=where
        ) from error
    # What zipfile and NumPy make of bytes that are no array is theirs: nine kinds of exception.
    except Exception as error:
        if "allow_pickle" in str(error) and not key:
            raise DataError(
                "the data file is not an .npz file", where=where, help="save it with np.savez"
            ) from error
        if "allow_pickle" in str(error):
            raise DataError(
                f"array '{key}' holds Python objects, which are never loaded",
                where=where,
                help="save an array of numbers, all samples of the same shape",
            ) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        part = f" at array '{key}'" if key else ""
        raise DataError(f"the data file is damaged{part}: {reason}", where=where) from error


def _member(archive: np.lib.npyio.NpzFile, key: str) -> str:
    """NumPy leaves the suffix out of its keys, and takes both."""
    assert archive.zip is not None, "an open archive has its file"
    return key if key in archive.zip.namelist() else f"{key}.npy"


def _check_room(size: int) -> None:
    """Raises MemoryError before an array of zeros, a thousandth packed, takes the whole machine."""
    if size > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2:
        raise MemoryError
