"""Finds the C-side folders `codegen/`, `runtime_c/` and `targets/`, in a wheel or in a checkout."""

from __future__ import annotations

from pathlib import Path

from tinytrain.errors import InternalError

_PACKAGE = Path(__file__).resolve().parent

FOLDERS = ("codegen", "runtime_c", "targets")
"""The folders that travel with the package; a wheel holds them under `tinytrain/_data`."""


def folder(name: str) -> Path:
    """The path of one of `FOLDERS`.

    Raises:
        InternalError: the installation is not complete.
    """
    assert name in FOLDERS, name
    for parent in (_PACKAGE / "_data", _PACKAGE.parent):
        if (parent / name).is_dir():
            return parent / name
    raise InternalError(
        f"this installation of tinytrain lacks its folder '{name}'",
        help="install tinytrain again, from a wheel or with 'pip install -e .' in a checkout",
    )
